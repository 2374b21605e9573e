"""A recurrent network that gives the next token of a text a probability."""

from collections.abc import Sequence

from jaxtyping import Float, Int
from torch import Tensor, nn

from recurra.layers import Stack
from recurra.models.softmax import AdaptiveSoftmax, Softmax
from recurra.recurrence.state import State


class LanguageModel(nn.Module):
    """Embedding, recurrent layers and a softmax layer over the vocabulary.

    Args:
        vocabulary_size: tokens are integers from 0 up to this.
        embedding_size: features of an embedded token; what ``layers`` take.
        layers: the recurrent layers.
        output_size: features of the last layer.
        dropout: of the embedded tokens and of the last layer's output; where between two layers is theirs to say.
        tied: embedding and softmax layer share one matrix (Press and Wolf 2017); needs equal sizes on both sides.
        cutoffs: of an adaptive softmax, see :class:`AdaptiveSoftmax`; none for a plain one.

    Source: Mikolov et al. (2010); dropout where Zaremba, Sutskever and Vinyals (2014), arXiv:1409.2329, put it.

    Raises:
        ValueError: tied with different sizes or an adaptive softmax; cutoffs that do not fit.
    """

    def __init__(
        self,
        vocabulary_size: int,
        embedding_size: int,
        layers: Stack,
        output_size: int,
        *,
        dropout: nn.Module | None = None,
        tied: bool = False,
        cutoffs: Sequence[int] = (),
    ) -> None:
        super().__init__()
        if tied and embedding_size != output_size:
            raise ValueError(f"tied weights need equal sizes, got embedding {embedding_size} and output {output_size}")
        if tied and cutoffs:
            raise ValueError("tied weights need a plain softmax, got cutoffs of an adaptive one")
        self.embedding = nn.Embedding(vocabulary_size, embedding_size)
        self.layers = layers
        self.dropout = dropout if dropout is not None else nn.Identity()
        self.output: Softmax | AdaptiveSoftmax
        if cutoffs:
            self.output = AdaptiveSoftmax(output_size, vocabulary_size, cutoffs)
        else:
            self.output = Softmax(output_size, vocabulary_size)
            if tied:
                nn.init.uniform_(self.embedding.weight, -0.1, 0.1)  # as a softmax it begins with small scores
                self.output.weight = self.embedding.weight

    def initial_state(self, batch_size: int) -> State:
        """The state before a text's first token."""
        return self.layers.initial_state(batch_size)

    def hidden(
        self, tokens: Int[Tensor, "B T"], state: State | None = None, *, lengths: Int[Tensor, " B"] | None = None
    ) -> tuple[Float[Tensor, "B T H"], State]:
        """What the softmax layer sees at every step, and the state after the last.

        Args:
            lengths: of rows that end earlier than others, at least 1.
        """
        outputs, state = self.layers(self.dropout(self.embedding(tokens)), state, lengths=lengths)
        return self.dropout(outputs), state

    def forward(self, tokens: Int[Tensor, "B T"], state: State | None = None) -> tuple[Float[Tensor, "B T V"], State]:
        """Scores of the token after each of ``tokens`` before the softmax, and the state after the last."""
        hidden, state = self.hidden(tokens, state)
        return self.output(hidden), state

    def step(self, tokens: Int[Tensor, " B"], state: State) -> tuple[Float[Tensor, "B V"], State]:
        """One token of each row."""
        logits, state = self(tokens.unsqueeze(1), state)
        return logits.squeeze(1), state
