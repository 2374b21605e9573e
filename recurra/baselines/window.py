"""The feed-forward network on a sliding window: the model without memory that a recurrent network has to beat."""

from typing import NamedTuple, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from recurra.models.softmax import Softmax


class WindowState(NamedTuple):
    """The last W tokens, the newest last; V stands where the stream had not begun."""

    tokens: Int[Tensor, "B W"]


@final
class WindowNetwork(nn.Module):
    r"""Neural language model that sees the last W tokens, the current one included, and nothing before them.

    .. math::
        h^{(t)} = \phi(W^{hx} [e(x^{(t-W+1)}), \dots, e(x^{(t)})] + b_h), \qquad
        \hat{y}^{(t)} = \mathrm{softmax}(W^{yh} h^{(t)} + b_y)

    e is a learnt embedding of V tokens and of one more for the places before the stream began. It answers in the
    manner of a recurrent language model: any split of a stream into calls, each given the state the one before
    returned, gives the same logits.

    Args:
        vocabulary_size: V; tokens lie in [0, V).
        window: W, at least 1.
        embedding_size: E, units of a token's embedding.
        hidden_size: H, units of the hidden layer.

    Source: Bengio, Ducharme, Vincent and Jauvin (2003), JMLR 3, without the direct connections.

    Raises:
        ValueError: a size below 1.
    """

    def __init__(self, vocabulary_size: int, *, window: int, embedding_size: int, hidden_size: int) -> None:
        super().__init__()
        if min(vocabulary_size, window, embedding_size, hidden_size) < 1:
            raise ValueError(
                f"sizes must be at least 1, got {vocabulary_size=}, {window=}, {embedding_size=}, {hidden_size=}"
            )
        self.vocabulary_size, self.window = vocabulary_size, window
        self.embedding = nn.Embedding(vocabulary_size + 1, embedding_size)
        self.hidden_layer = nn.Conv1d(embedding_size, hidden_size, window)  # W_hx, without a copy of every window
        self.output = Softmax(hidden_size, vocabulary_size)

    def initial_state(self, batch_size: int) -> WindowState:
        """The state of ``batch_size`` streams before their first token."""
        device = self.embedding.weight.device
        return WindowState(torch.full((batch_size, self.window), self.vocabulary_size, device=device))

    def hidden(
        self, tokens: Int[Tensor, "B T"], state: WindowState | None = None
    ) -> tuple[Float[Tensor, "B T H"], WindowState]:
        """Hidden vectors of every step, from which ``output`` makes the logits, and the state after the last.

        Raises:
            ValueError: no tokens, or a state of another batch or window.
        """
        batch, steps = tokens.shape
        if steps == 0:
            raise ValueError("tokens must have at least one step")
        state = self.initial_state(batch) if state is None else state
        if state.tokens.shape != (batch, self.window):
            raise ValueError(f"the state must be ({batch}, {self.window}), got {tuple(state.tokens.shape)}")
        seen = torch.cat([state.tokens, tokens], dim=1)
        embedded = self.embedding(seen[:, 1:]).transpose(1, 2)
        return torch.tanh(self.hidden_layer(embedded)).transpose(1, 2), WindowState(seen[:, -self.window :])

    def forward(
        self, tokens: Int[Tensor, "B T"], state: WindowState | None = None
    ) -> tuple[Float[Tensor, "B T V"], WindowState]:
        """Logits of the token after every step, and the state after the last; raises as :meth:`hidden`."""
        h, state = self.hidden(tokens, state)
        return self.output(h), state

    def step(self, tokens: Int[Tensor, " B"], state: WindowState) -> tuple[Float[Tensor, "B V"], WindowState]:
        """One token of each stream."""
        logits, state = self(tokens.unsqueeze(1), state)
        return logits.squeeze(1), state
