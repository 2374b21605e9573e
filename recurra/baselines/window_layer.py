"""A sliding window over vectors: the layer without memory that a recurrent one has to beat."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from recurra.recurrence.ragged import within


class WindowLayer(nn.Module):
    r"""A hidden layer that sees the ``window`` steps around each step, or up to it, and nothing else.

    .. math:: h^{(t)} = \phi(W^{hx} [x^{(t-w+1+a)}, \dots, x^{(t+a)}] + b_h)

    It is called like a recurrent layer; behind and before a row it sees zeros.

    Args:
        input_size: I, features of a step.
        hidden_size: H, units.
        window: w, at least 1.
        ahead: a, how many of these steps are still to come; half of them where it is not given, and w is odd then.

    Raises:
        ValueError: a window below 1, or one that is even and has no middle; or more steps ahead than it has.

    Source: Collobert et al. (2011), JMLR 12, the window approach.
    """

    def __init__(self, input_size: int, hidden_size: int, window: int, ahead: int | None = None) -> None:
        super().__init__()
        if window < 1 or (ahead is None and window % 2 == 0):
            raise ValueError(f"window must be odd and at least 1, got {window}")
        self.ahead = window // 2 if ahead is None else ahead
        if not 0 <= self.ahead < window:
            raise ValueError(f"a window of {window} steps cannot have {ahead} of them ahead")
        self.hidden_layer = nn.Conv1d(input_size, hidden_size, window)
        self.output_size = hidden_size

    def forward(
        self, x: Float[Tensor, "B T I"], state: None = None, lengths: Int[Tensor, " B"] | None = None
    ) -> tuple[Float[Tensor, "B T H"], None]:
        """Hidden vectors of every step, 0 behind a row's end; there is no state."""
        if lengths is not None:
            inside = within(lengths, x.shape[1]).unsqueeze(2)
            x = x.masked_fill(~inside, 0.0)
        behind = self.hidden_layer.kernel_size[0] - 1 - self.ahead
        h = torch.tanh(self.hidden_layer(nn.functional.pad(x.transpose(1, 2), (behind, self.ahead)))).transpose(1, 2)
        return (h if lengths is None else h.masked_fill(~inside, 0.0)), None
