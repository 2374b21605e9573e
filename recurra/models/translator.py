"""A network that reads a text and writes what becomes of it."""

from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from recurra.models.cross_entropy import smoothed_cross_entropy
from recurra.models.encoder_decoder import Bridge, Decoder, DecoderState, Encoder, Written
from recurra.models.hierarchical_encoder import HierarchicalEncoder


class Translator(nn.Module):
    r"""An encoder, a decoder, and the way from what the one ends with to what the other begins with.

    Args:
        encoder, decoder: a decoder with attention attends to the encoder's outputs.
        bridge: from the first and the last of these, side by side, to the decoder's first state; None where that is the
            encoder's last, which then has layers of the same cells and sizes.
        copies: for a pointer, what each source token is among the target's, -1 for none; None where they are the same.

    Source: Sutskever, Vinyals and Le (2014), arXiv:1409.3215; with attention Bahdanau, Cho and Bengio (2015).
    """

    copies: Tensor | None

    def __init__(
        self,
        encoder: Encoder | HierarchicalEncoder,
        decoder: Decoder,
        bridge: Bridge | None = None,
        copies: Int[Tensor, " V"] | None = None,
    ) -> None:
        super().__init__()
        self.encoder, self.decoder, self.bridge = encoder, decoder, bridge
        self.register_buffer("copies", copies, persistent=False)

    def begin(self, source: Int[Tensor, "B S"], lengths: Int[Tensor, " B"]) -> DecoderState:
        """Where the decoder stands before its first token.

        Args:
            lengths: of the sources, at least 1.
        """
        values, last = self.encoder(source, lengths)
        attention = self.decoder.attention
        memory = () if attention is None else attention.remember(values, lengths)
        if self.bridge is not None:
            layers: Any = self.decoder.layers
            rows = torch.arange(len(source), device=source.device)
            ends = torch.cat([values[:, 0], values[rows, lengths - 1]], 1)
            last = self.bridge(ends, layers.initial_state(len(source)))
        return self.decoder.begin(last, memory, () if self.decoder.pointer is None else self._copied(source))

    def _copied(self, source: Tensor) -> Tensor:
        return source if self.copies is None else self.copies[source]

    def step(self, tokens: Int[Tensor, " B"], state: DecoderState) -> tuple[Float[Tensor, "B V"], DecoderState]:
        """Scores of the token after ``tokens``."""
        return self.decoder.step(tokens, state)

    def log_probabilities(
        self,
        source: Int[Tensor, "B S"],
        source_lengths: Int[Tensor, " B"],
        given: Int[Tensor, "B T"],
        wanted: Int[Tensor, "B T"],
        lengths: Int[Tensor, " B"],
    ) -> Float[Tensor, " B"]:
        """log P of each row's targets in nats; arguments as of :meth:`loss`."""
        return self.continuations(self.begin(source, source_lengths), given, wanted, lengths)

    def continuations(
        self,
        state: DecoderState,
        given: Int[Tensor, "B T"],
        wanted: Int[Tensor, "B T"],
        lengths: Int[Tensor, " B"],
    ) -> Float[Tensor, " B"]:
        """The same, from where the decoder stands."""
        found, state = self.decoder.written(given, state, lengths)
        logits = self.decoder.scores(found, state).transpose(1, 2)
        return -nn.functional.cross_entropy(logits, wanted, reduction="none").sum(1)

    def scores(
        self,
        source: Int[Tensor, "B S"],
        source_lengths: Int[Tensor, " B"],
        given: Int[Tensor, "B T"],
        lengths: Int[Tensor, " B"],
        *,
        own: Bool[Tensor, "B T"] | None = None,
    ) -> Float[Tensor, "B T V"]:
        """Of every token at each step, before the softmax; arguments as of :meth:`loss`."""
        state = self.begin(source, source_lengths)
        found, state = self._written(given, lengths, own, state)
        return self.decoder.scores(found, state)

    def loss(
        self,
        source: Int[Tensor, "B S"],
        source_lengths: Int[Tensor, " B"],
        given: Int[Tensor, "B T"],
        wanted: Int[Tensor, "B T"],
        lengths: Int[Tensor, " B"],
        *,
        own: Bool[Tensor, "B T"] | None = None,
        smoothing: float = 0.0,
        divisor: float = 1.0,
    ) -> Float[Tensor, ""]:
        r"""The sum of :math:`-\log P` of all targets, each after those before it (teacher forcing), over ``divisor``.

        Args:
            given: what the decoder reads.
            wanted: what it is to write, -100 behind a row's end.
            lengths: of both.
            own: where the decoder reads a token that it has drawn itself, see :meth:`Decoder.sampled`.
            smoothing: of the targets, 0 to 1.
        """
        decoder, state = self.decoder, self.begin(source, source_lengths)
        found, _ = self._written(given, lengths, own, state)
        if decoder.pointer is not None:
            own = self._copied(source)
            return decoder.pointer.cross_entropy(*found, own, decoder.output, wanted, smoothing) / divisor
        hidden, weight, bias = found.hidden.flatten(0, 1), decoder.output.weight, decoder.output.bias
        return smoothed_cross_entropy(hidden, weight, bias, wanted.flatten(), smoothing, divisor=divisor)

    def _written(
        self, given: Tensor, lengths: Tensor, own: Tensor | None, state: DecoderState
    ) -> tuple[Written, DecoderState]:
        if own is None:
            return self.decoder.written(given, state, lengths)
        return self.decoder.sampled(given, own, state)
