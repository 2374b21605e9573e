"""A feed-forward layer on the last steps of a context: the encoder without memory that a recurrent one has to beat."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn


class WindowEncoder(nn.Module):
    r"""One hidden vector of the last ``window`` steps, called like a recurrent layer whose outputs it repeats.

    .. math:: h = \tanh(W^{hx} [x^{(C-w+1)}, \dots, x^{(C)}] + b_h)

    Args:
        input_size: I, features of a step.
        hidden_size: H, units.
        window: w, at least 1; called with fewer steps it raises a ValueError.
    """

    def __init__(self, input_size: int, hidden_size: int, window: int) -> None:
        super().__init__()
        if window < 1:
            raise ValueError(f"window must be at least 1, got {window}")
        self.window = window
        self.hidden_layer = nn.Linear(window * input_size, hidden_size)

    def forward(
        self, x: Float[Tensor, "B T I"], state: None = None, *, reset: Bool[Tensor, "B T"] | None = None
    ) -> tuple[Float[Tensor, "B T H"], None]:
        """The vector at every step, so that the last is right; there is no state, and what precedes a row is read."""
        if x.shape[1] < self.window:
            raise ValueError(f"a window of {self.window} steps needs as many, got {x.shape[1]}")
        h = torch.tanh(self.hidden_layer(x[:, -self.window :].flatten(1)))
        return h.unsqueeze(1).expand(-1, x.shape[1], -1), None
