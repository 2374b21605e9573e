"""Recurrent networks that give every token of a sentence a tag."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from recurra.layers import CRF, Bidirectional
from recurra.recurrence.ragged import within
from recurra.recurrence.state import State, tensors


class Sentences(NamedTuple):
    """Some sentences as numbers.

    Args:
        words: ``(B, T)``, anything behind a sentence's end.
        lengths: ``(B,)``, at least 1.
        spellings: the characters of each word that occurs, ``(U, C)``.
        letters: how many they are, ``(U,)``, at least 1.
        spelt: which of the spellings each word has, ``(B, T)``.
        inputs: what else is known of each word, ``(B, T, N)``.
    """

    words: Int[Tensor, "B T"]
    lengths: Int[Tensor, " B"]
    spellings: Int[Tensor, "U C"]
    letters: Int[Tensor, " U"]
    spelt: Int[Tensor, "B T"]
    inputs: Int[Tensor, "B T N"]


class Spelling(nn.Module):
    """Words from their characters: where a bidirectional layer stands after a word's last and before its first.

    Args:
        characters: tokens are integers from 0 up to this.
        embedding_size: features of a character.
        layer: over characters; its outputs have ``output_size`` features.

    Source: Ling et al. (2015), arXiv:1508.02096.
    """

    def __init__(self, characters: int, embedding_size: int, layer: Bidirectional, output_size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(characters, embedding_size)
        self.layer = layer
        self.output_size = output_size
        nn.init.uniform_(self.embedding.weight, -0.1, 0.1)

    def forward(self, spellings: Int[Tensor, "U C"], letters: Int[Tensor, " U"]) -> Float[Tensor, "U O"]:
        """The outputs of the forward direction at the last character, and of the other at the first."""
        outputs, _ = self.layer(self.embedding(spellings), lengths=letters)
        ahead, back = outputs.split(self.output_size // 2, dim=2)
        last = (letters - 1).view(-1, 1, 1).expand(-1, 1, ahead.shape[2])
        return torch.cat([ahead.gather(1, last).squeeze(1), back[:, 0]], dim=1)


class SpellingConvolution(nn.Module):
    """Words from their characters: the largest answer of each filter, wherever in the word.

    Args:
        characters: tokens are integers from 0 up to this.
        embedding_size: features of a character.
        output_size: filters.
        width: characters that a filter sees.

    Source: Ma and Hovy (2016), arXiv:1603.01354; dos Santos and Zadrozny (2014).
    """

    def __init__(self, characters: int, embedding_size: int, output_size: int, width: int = 3) -> None:
        super().__init__()
        self.embedding = nn.Embedding(characters, embedding_size)
        self.filters = nn.Conv1d(embedding_size, output_size, width, padding=width // 2)
        self.output_size = output_size
        nn.init.uniform_(self.embedding.weight, -0.1, 0.1)

    def forward(self, spellings: Int[Tensor, "U C"], letters: Int[Tensor, " U"]) -> Float[Tensor, "U O"]:
        """The maximum of each filter over the characters of a word."""
        inside = within(letters, spellings.shape[1])
        embedded = self.embedding(spellings).masked_fill(~inside.unsqueeze(2), 0.0)
        answers = self.filters(embedded.transpose(1, 2))[..., : spellings.shape[1]]
        return answers.masked_fill(~inside.unsqueeze(1), -torch.inf).amax(2)


class TokenFeatures(nn.Module):
    """What a tagger reads of each word: its embedding, that of its spelling, and those of its further inputs.

    Args:
        vocabulary_size: words are integers from 0 up to this.
        embedding_size: features of a word.
        spelling: makes features of a word's characters.
        inputs: how many values each further input has.
        input_size: features of each of these.
    """

    def __init__(
        self,
        vocabulary_size: int,
        embedding_size: int,
        *,
        spelling: Spelling | SpellingConvolution | None = None,
        inputs: Sequence[int] = (),
        input_size: int = 16,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, embedding_size)
        self.spelling = spelling
        self.inputs = nn.ModuleList(nn.Embedding(values, input_size) for values in inputs)
        self.size = embedding_size + (spelling.output_size if spelling else 0) + input_size * len(inputs)
        for table in (self.embedding, *self.inputs):
            nn.init.uniform_(table.weight, -0.1, 0.1)

    def forward(self, given: Sentences) -> Float[Tensor, "B T I"]:
        """Features of every word, 0 behind a sentence's end."""
        parts = [self.embedding(given.words)]
        if self.spelling is not None:
            parts.append(self.spelling(given.spellings, given.letters)[given.spelt])
        parts += [table(given.inputs[..., number]) for number, table in enumerate(self.inputs)]
        return torch.cat(parts, dim=2).masked_fill(~_inside(given).unsqueeze(2), 0.0)


class Tagger(nn.Module):
    """Features of words through recurrent layers to a score for each tag.

    Args:
        features: of words.
        layers: over words; a :class:`Stack`, :class:`Bidirectional` or :class:`Recurrent`.
        output_size: features of their outputs.
        tags: how many there are, K.
        dropout: of what the layers take and give.
        crf: scores whole sequences of tags; else each tag is chosen by itself (softmax).
        delay: words that the layers read beyond the one whose tag they output; behind a sentence's end they read 0.

    Source: Huang, Xu and Yu (2015), arXiv:1508.01991; Lample et al. (2016), arXiv:1603.01360.
    """

    def __init__(
        self,
        features: TokenFeatures,
        layers: nn.Module,
        output_size: int,
        tags: int,
        *,
        dropout: nn.Module | None = None,
        crf: CRF | None = None,
        delay: int = 0,
    ) -> None:
        super().__init__()
        self.features = features
        self.layers = layers
        self.dropout = dropout if dropout is not None else nn.Identity()
        self.output = nn.Linear(output_size, tags)
        self.crf = crf
        self.delay = delay

    def forward(self, given: Sentences) -> Float[Tensor, "B T K"]:
        """A score for every tag at every step."""
        x = self.features(given)
        x = nn.functional.pad(x, (0, 0, 0, self.delay))
        outputs, _ = self.layers(self.dropout(x), lengths=given.lengths + self.delay)
        return self.output(self.dropout(outputs[:, self.delay :]))

    def loss(self, given: Sentences, tags: Int[Tensor, "B T"]) -> Float[Tensor, ""]:
        """The sum of -log p of the tags, in nats: of whole sequences with a CRF, else of single tags."""
        e = self(given)
        if self.crf is not None:
            return -self.crf.log_likelihood(e, tags, given.lengths).sum()
        return self.cost(e, given, tags)

    @staticmethod
    def cost(e: Float[Tensor, "B T K"], given: Sentences, tags: Int[Tensor, "B T"]) -> Float[Tensor, ""]:
        """The sum of -log p of single tags by their scores, in which it is convex."""
        return nn.functional.cross_entropy(e[_inside(given)], tags[_inside(given)], reduction="sum")

    @torch.no_grad()
    def best(self, given: Sentences) -> Int[Tensor, "B T"]:
        """The best tags of each sentence, -1 behind its end."""
        e = self(given)
        if self.crf is not None:
            return self.crf.decode(e, given.lengths).tags
        return e.argmax(2).masked_fill(~_inside(given), -1)

    @torch.no_grad()
    def chances(self, given: Sentences) -> Float[Tensor, "B T K"]:
        """The probability of every tag at every step, 0 behind a sentence's end."""
        e = self(given)
        if self.crf is not None:
            return self.crf.marginals(e, given.lengths)
        return e.softmax(2).masked_fill(~_inside(given).unsqueeze(2), 0.0)

    def initial_state(self, batch_size: int) -> State:
        """The state of ``batch_size`` streams before their first word; a bidirectional layer has none and raises."""
        layers: Any = self.layers
        return layers.initial_state(batch_size)

    @torch.no_grad()
    def step(self, given: Sentences | None, state: State) -> tuple[Float[Tensor, "B K"], State]:
        """Scores of the tag of ``delay`` words before the one word of each stream; None where the sentence has ended.

        The streams are as many as the state has rows.
        """
        layers: Any = self.layers
        if given is not None:
            x = self.features(given).squeeze(1)
        else:
            x = next(self.parameters()).new_zeros(len(next(tensors(state))), self.features.size)
        outputs, state = layers.step(x, state)
        return self.output(outputs), state


def _inside(given: Sentences) -> Bool[Tensor, "B T"]:
    return within(given.lengths, given.words.shape[1])
