"""Recurrent networks that read one sequence and write another."""

from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from recurra.layers.attention import AdditiveAttention, DotAttention, Memory, covered
from recurra.models.pointer import Pointer
from recurra.models.softmax import Softmax
from recurra.recurrence.ragged import reverse
from recurra.recurrence.state import State, map_state, tensors


class Encoder(nn.Module):
    """Tokens to a vector for each, and one of the whole.

    Args:
        vocabulary_size, embedding_size: of the source tokens.
        layers: what reads them; may be bidirectional.
        dropout: of the embedded tokens.
        reversed: read each sequence from its end, so that its first words are nearest to the first that are written
            (Sutskever, Vinyals and Le 2014, arXiv:1409.3215, section 3.3).
    """

    def __init__(
        self,
        vocabulary_size: int,
        embedding_size: int,
        layers: nn.Module,
        *,
        dropout: nn.Module | None = None,
        reversed: bool = False,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, embedding_size)
        self.layers = layers
        self.dropout = dropout if dropout is not None else nn.Identity()
        self.reversed = reversed

    def forward(self, tokens: Int[Tensor, "B S"], lengths: Int[Tensor, " B"]) -> tuple[Float[Tensor, "B S M"], State]:
        """The outputs for every token, in their order whatever the order of reading, and the last state."""
        x = self.dropout(self.embedding(tokens))
        outputs, state = self.layers(reverse(x, lengths) if self.reversed else x, lengths=lengths)
        return (reverse(outputs, lengths) if self.reversed else outputs), state


class Bridge(nn.Module):
    r"""A decoder's first state from what an encoder ended with: :math:`\tanh(W v + b)` for each of its tensors.

    Args:
        size: features of v.
        example: a state of the decoder; tensors of more than two dimensions begin as they are there.

    Source: Bahdanau, Cho and Bengio (2015), arXiv:1409.0473, appendix A.2.2.
    """

    def __init__(self, size: int, example: State) -> None:
        super().__init__()
        leaves = list(tensors(example))
        self.maps = nn.ModuleList(
            nn.Linear(size, leaf.shape[1]) if leaf.dim() == 2 else nn.Identity() for leaf in leaves
        )

    def forward(self, vectors: Float[Tensor, "B V"], begin: State) -> State:
        """The first state of each row.

        Args:
            begin: the decoder's own initial state, of as many rows.
        """
        maps = iter(self.maps)
        return map_state(lambda leaf: _started(next(maps), vectors, leaf), begin)


def _started(start: nn.Module, vectors: Tensor, leaf: Tensor) -> Tensor:
    return torch.tanh(start(vectors)) if leaf.dim() == 2 else leaf


class DecoderState(NamedTuple):
    """Where a decoder stands.

    Args:
        layers: of its recurrent layers.
        memory: what it attends to; () without attention.
        fed: the attentional vector of the step before, where it is fed back; else ().
        source: the tokens that may be copied, where any may; else ().
    """

    layers: State
    memory: Memory | tuple[()]
    fed: Float[Tensor, "B H"] | tuple[()]
    source: Int[Tensor, "B S"] | tuple[()] = ()


class Written(NamedTuple):
    """What probabilities are made of: the softmax's vectors, and the weights of attention (S = 0 without)."""

    hidden: Float[Tensor, "B T H"]
    weights: Float[Tensor, "B T S"]


class Decoder(nn.Module):
    r"""Tokens one after another, each from those before and, with attention, from the memory of a source.

    .. math::
        \tilde h^{(t)} = \tanh(W_c [c^{(t)}, h^{(t)}]), \qquad
        \hat y^{(t)} = \mathrm{softmax}(W^{yh} \tilde h^{(t)} + b_y)

    c is what attention finds with the query h. Without ``feeding`` the layers need nothing of it: they run over all
    steps in one call, and all queries are answered at once. With it :math:`\tilde h^{(t-1)}` is read beside each token,
    and every step has to wait for the one before; so it has to for attention that covers.

    Args:
        vocabulary_size, embedding_size: of the tokens.
        layers: a :class:`Stack` or :class:`Recurrent`, which reads embedding_size features, and hidden_size more where
            ``feeding``.
        output_size: features of their outputs.
        attention: None for a decoder that has only its first state of the source.
        memory_size: features of the memory's values.
        hidden_size: of the attentional vector.
        dropout: of the embedded tokens and of what the softmax sees.
        feeding: Luong et al. (2015), section 3.3.
        tied: embedding and softmax share one matrix.
        pointer: of tokens that are copied from a source in the same vocabulary.

    Without attention, outputs of another size than ``hidden_size`` are mapped to it by a matrix.

    Source: Luong, Pham and Manning (2015), arXiv:1508.04025; without attention Sutskever, Vinyals and Le (2014).

    Raises:
        ValueError: sizes that do not fit ``tied``; feeding, or a pointer, without attention.
    """

    def __init__(
        self,
        vocabulary_size: int,
        embedding_size: int,
        layers: nn.Module,
        output_size: int,
        *,
        attention: DotAttention | AdditiveAttention | None = None,
        memory_size: int = 0,
        hidden_size: int | None = None,
        dropout: nn.Module | None = None,
        feeding: bool = False,
        tied: bool = False,
        pointer: Pointer | None = None,
    ) -> None:
        super().__init__()
        if feeding and attention is None:
            raise ValueError("feeding needs an attention, whose vector is fed back")
        if pointer is not None and attention is None:
            raise ValueError("a pointer needs an attention, whose weights it goes by")
        self.hidden_size = hidden_size or output_size
        if tied and self.hidden_size != embedding_size:
            raise ValueError(f"tied weights need equal sizes, got {embedding_size} and {self.hidden_size}")
        self.embedding = nn.Embedding(vocabulary_size, embedding_size)
        self.layers = layers
        self.attention = attention
        found_size = memory_size + output_size if attention is not None else output_size
        same = attention is None and self.hidden_size == output_size
        self.combine = nn.Identity() if same else nn.Linear(found_size, self.hidden_size)
        self.dropout = dropout if dropout is not None else nn.Identity()
        self.feeding = feeding
        self.output = Softmax(self.hidden_size, vocabulary_size)
        self.pointer = pointer
        if tied:
            nn.init.uniform_(self.embedding.weight, -0.1, 0.1)  # as a softmax it begins with small scores
            self.output.weight = self.embedding.weight

    @property
    def waits(self) -> bool:
        """Whether every step needs what was attended to before it."""
        covers = isinstance(self.attention, AdditiveAttention) and self.attention.seen is not None
        return self.feeding or covers

    def begin(
        self, layers: State, memory: Memory | tuple[()] = (), source: Int[Tensor, "B S"] | tuple[()] = ()
    ) -> DecoderState:
        """The state before the first token, from that of the layers.

        Args:
            source: what a pointer copies.
        """
        fed = memory[0].new_zeros(len(memory[0]), self.hidden_size) if memory and self.feeding else ()
        return DecoderState(layers, memory, fed, source)

    def written(
        self, tokens: Int[Tensor, "B T"], state: DecoderState, lengths: Int[Tensor, " B"] | None = None
    ) -> tuple[Written, DecoderState]:
        """What probabilities are made of at every step of given tokens, and the state after the last."""
        x = self.dropout(self.embedding(tokens))
        if self.waits:
            return self._step_by_step(x, state)
        outputs, layers = self.layers(x, state.layers, lengths)
        vectors, weights = self._attentional(outputs, state)
        return Written(self.dropout(vectors), weights), state._replace(layers=layers)

    def hidden(
        self, tokens: Int[Tensor, "B T"], state: DecoderState, lengths: Int[Tensor, " B"] | None = None
    ) -> tuple[Float[Tensor, "B T H"], DecoderState]:
        """What the softmax sees at every step of given tokens, and the state after the last."""
        found, state = self.written(tokens, state, lengths)
        return found.hidden, state

    def scores(self, written: Written, state: DecoderState) -> Float[Tensor, "B T V"]:
        """Of every token at each step: before the softmax, or, with a pointer, log-probabilities."""
        if self.pointer is None:
            return self.output(written.hidden)
        assert isinstance(state.source, Tensor)
        return self.pointer(*written, state.source, self.output)

    def sampled(
        self, tokens: Int[Tensor, "B T"], own: Bool[Tensor, "B T"], state: DecoderState
    ) -> tuple[Written, DecoderState]:
        """As :meth:`written`, where ``own`` holds after a token drawn from the model's scores of the step before.

        No gradient flows through the draws.

        Source: Bengio, Vinyals, Jaitly and Shazeer (2015), arXiv:1506.03099.
        """
        found: list[Written] = []
        for given, drawn in zip(tokens.unbind(1), own.unbind(1), strict=True):
            if found and bool(drawn.any()):
                with torch.no_grad():
                    chances = self.scores(found[-1], state).squeeze(1).softmax(1)
                    given = torch.where(drawn, torch.multinomial(chances, 1).squeeze(1), given)
            step, state = self.written(given.unsqueeze(1), state)
            found.append(step)
        return _joined(found), state

    def step(self, tokens: Int[Tensor, " B"], state: DecoderState) -> tuple[Float[Tensor, "B V"], DecoderState]:
        """Scores of the token after ``tokens``."""
        found, state = self.written(tokens.unsqueeze(1), state)
        return self.scores(found, state).squeeze(1), state

    def weights(self, tokens: Int[Tensor, "B T"], state: DecoderState) -> Float[Tensor, "B T S"]:
        """How much each step attends to each place of the source.

        Raises:
            ValueError: there is no attention.
        """
        if self.attention is None:
            raise ValueError("a decoder without attention has no weights of it")
        found = []
        for token in tokens.unbind(1):
            _, weights, state = self._one_step(self.embedding(token), state)
            found.append(weights)
        return torch.cat(found, 1)

    def _step_by_step(self, x: Tensor, state: DecoderState) -> tuple[Written, DecoderState]:
        found = []
        for step in x.unbind(1):
            vectors, weights, state = self._one_step(step, state)
            found.append(Written(vectors, weights))
        vectors, weights = _joined(found)
        return Written(self.dropout(vectors), weights), state

    def _one_step(self, x: Tensor, state: DecoderState) -> tuple[Tensor, Tensor, DecoderState]:
        outputs, layers = self._layers_step(x, state)
        vectors, weights = self._attentional(outputs.unsqueeze(1), state)
        memory = covered(state.memory, weights) if state.memory else ()
        fed = vectors.squeeze(1) if self.feeding else ()
        return vectors, weights, state._replace(layers=layers, memory=memory, fed=fed)

    def _layers_step(self, x: Tensor, state: DecoderState) -> tuple[Tensor, State]:
        layers: Any = self.layers
        return layers.step(torch.cat([x, *tensors(state.fed)], 1), state.layers)

    def _attentional(self, outputs: Tensor, state: DecoderState) -> tuple[Tensor, Tensor]:
        if self.attention is None or not state.memory:
            return self.combine(outputs), outputs.new_empty(*outputs.shape[:2], 0)
        contexts, weights = self.attention(outputs, state.memory)
        return torch.tanh(self.combine(torch.cat([contexts, outputs], 2))), weights


def _joined(steps: list[Written]) -> Written:
    """Single steps, one after the other."""
    hidden, weights = zip(*steps, strict=True)
    return Written(torch.cat(hidden, 1), torch.cat(weights, 1))
