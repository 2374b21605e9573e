"""A network that reads a text and writes another, with the same layers for both."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from recurra.models.language_model import LanguageModel
from recurra.recurrence.state import State


class Executor(nn.Module):
    """A language model of a problem, a boundary and its answer, which only has to guess the answer.

    Args:
        language_model: what reads and writes.

    Attributes:
        level: length and nesting of the problems that it has been promoted to; a buffer, so that a run that goes on
            knows where it stood.

    Source: Zaremba and Sutskever (2014), arXiv:1410.4615.
    """

    level: Tensor

    def __init__(self, language_model: LanguageModel) -> None:
        super().__init__()
        self.language_model = language_model
        self.register_buffer("level", torch.ones(2, dtype=torch.long))

    def loss(
        self,
        tokens: Int[Tensor, "B T"],
        wanted: Int[Tensor, "B T"],
        lengths: Int[Tensor, " B"],
        *,
        divisor: float = 1.0,
    ) -> Float[Tensor, ""]:
        """The sum of -log P of the wanted tokens, each after all before it, over ``divisor``.

        Args:
            tokens: problem, boundary and answer without its last token.
            wanted: the token after each, -100 where none is to be guessed.
            lengths: of the rows, at least 1.
        """
        hidden, _ = self.language_model.hidden(tokens, lengths=lengths)
        return self.language_model.output.cross_entropy(hidden, wanted, divisor=divisor)

    def guesses(self, tokens: Int[Tensor, "B T"], lengths: Int[Tensor, " B"]) -> Int[Tensor, "B T"]:
        """The likeliest token after each, in rows of these lengths."""
        hidden, _ = self.language_model.hidden(tokens, lengths=lengths)
        return self.language_model.output(hidden).argmax(2)

    def begin(self, problems: Int[Tensor, "B S"], lengths: Int[Tensor, " B"]) -> State:
        """The state after problems, before the boundary that follows them.

        Args:
            lengths: of the problems, at least 1.
        """
        return self.language_model.hidden(problems, lengths=lengths)[1]

    def step(self, tokens: Int[Tensor, " B"], state: State) -> tuple[Float[Tensor, "B V"], State]:
        """Scores of the token after ``tokens``."""
        return self.language_model.step(tokens, state)
