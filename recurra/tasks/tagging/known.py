"""What a tagger knows, and sentences as its numbers."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from recurra.data.index import Index
from recurra.data.sentences import Layout
from recurra.data.token_store import Part
from recurra.errors import BadInput
from recurra.files import write_text
from recurra.metrics.spans import marked, spans, split_tag
from recurra.models.tagger import Sentences

LONGEST_WORD = 40
"""Characters of a word that its spelling is made of: its first and its last twenty."""


@dataclass(frozen=True)
class Known:
    """Words, characters, further inputs and tags of a training part.

    Args:
        layout: the columns that they stand in.
        lower: whether words are known in lower case.
        words: the most frequent first.
        counts: how often each word came, by its number; the unknown (0) never.
        tags: those that the model gives: BIOES where the given ones mark spans, else as they are given.
        marks: how the given tags mark spans: "bio", "bioes", or not at all ("").
    """

    layout: Layout
    lower: bool
    words: Index
    counts: np.ndarray
    characters: Index
    inputs: tuple[Index, ...]
    tags: Index
    marks: str

    def form(self, word: str) -> str:
        """A word as it is looked up."""
        return word.lower() if self.lower else word

    def learnt(self, tags: Sequence[str]) -> list[str]:
        """Given tags as the model learns them."""
        return marked(spans(tags), len(tags), ends=True) if self.marks else list(tags)

    def written(self, tags: Sequence[str]) -> list[str]:
        """Tags of the model, or any that mark spans, in the form that the given ones have."""
        return marked(spans(tags), len(tags), ends=self.marks == "bioes") if self.marks else list(tags)

    def label(self, tag: str) -> str:
        """What a tag says of its token, whatever the token's place in a span."""
        return tag.partition("-")[2] or "O" if self.marks else tag

    def alone(self, tag: str) -> str:
        """A tag of the model in the form that the given ones have, whatever stands beside it."""
        return {"E": "I", "S": "B"}.get(tag[0], tag[0]) + tag[1:] if self.marks == "bio" else tag

    def save(self, path: Path) -> None:
        """Write all of it as JSON, atomically."""
        record = {
            "layout": self.layout.to_json(),
            "lower": self.lower,
            "words": self.words.names,
            "counts": self.counts[1:].tolist(),
            "characters": self.characters.names,
            "inputs": [index.names for index in self.inputs],
            "tags": self.tags.names,
            "marks": self.marks,
        }
        write_text(path, json.dumps(record, ensure_ascii=False, indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> "Known":
        """What :meth:`save` wrote.

        Raises:
            BadInput: the file is missing or damaged.
        """
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            return cls(
                Layout.from_json(record["layout"]),
                record["lower"],
                Index(record["words"], open=True),
                np.array([0, *record["counts"]]),
                Index(record["characters"], open=True),
                tuple(Index(names, open=True) for names in record["inputs"]),
                Index(record["tags"], open=False),
                record["marks"],
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadInput(f"{path}: cannot be read ({error}); restore it or train again") from error


def learn(part: Part, layout: Layout, *, lower: bool, min_count: int) -> Known:
    """What there is to know of a training part."""
    counts: dict[str, int] = {}
    for word, count in zip(part.kinds[0], part.counts(0).tolist(), strict=True):
        form = word.lower() if lower else word
        counts[form] = counts.get(form, 0) + count
    words = sorted(
        (form for form, count in counts.items() if count >= max(1, min_count)), key=lambda w: (-counts[w], w)
    )
    letters = {letter for word in _seen(part, 0) for letter in word}
    given = sorted(_seen(part, part.label))
    marks = _marks(given)
    return Known(
        layout,
        lower,
        Index(words, open=True),
        np.array([0, *(counts[form] for form in words)]),
        Index(sorted(letters), open=True),
        tuple(Index(sorted(_seen(part, 1 + number)), open=True) for number in range(len(layout.inputs))),
        Index(_bioes(given) if marks else given, open=False),
        marks,
    )


def _seen(part: Part, column: int) -> list[str]:
    return [part.kinds[column][kind] for kind in np.flatnonzero(part.counts(column))]


def _marks(tags: Sequence[str]) -> str:
    """How tags mark spans."""
    try:
        marks = {split_tag(tag)[0] for tag in tags}
    except BadInput:
        return ""
    if marks == {"O"}:
        return ""
    return "bioes" if marks & {"E", "S"} else "bio"


def _bioes(tags: Sequence[str]) -> list[str]:
    labels = sorted({split_tag(tag)[1] for tag in tags} - {""})
    return ["O", *(f"{mark}-{label}" for label in labels for mark in "BIES")]


class Encoder:
    """Rows of kinds, as a store has them, to what a model reads.

    Args:
        kinds: of the columns of words and inputs, and perhaps of tags after them.
    """

    def __init__(self, known: Known, kinds: Sequence[Sequence[str]]) -> None:
        self._words = known.words.numbers(map(known.form, kinds[0]))
        self._letters = [torch.from_numpy(known.characters.numbers(_shortened(word))) for word in kinds[0]]
        pairs = zip(known.inputs, kinds[1 : 1 + len(known.inputs)], strict=True)
        self._inputs = [index.numbers(column) for index, column in pairs]

    def sentences(self, rows: Sequence[np.ndarray]) -> Sentences:
        """Sentences as numbers, in the order of ``rows``."""
        lengths = torch.tensor([len(row) for row in rows])
        flat = np.concatenate([np.asarray(row) for row in rows])
        kinds, spelt = np.unique(flat[:, 0], return_inverse=True)
        letters = [self._letters[kind] for kind in kinds.tolist()]
        inputs = np.stack([table[flat[:, 1 + n]] for n, table in enumerate(self._inputs)], 1) if self._inputs else None
        return Sentences(
            _padded(self._words[flat[:, 0]], lengths),
            lengths,
            torch.nn.utils.rnn.pad_sequence(letters, batch_first=True),
            torch.tensor([len(each) for each in letters]),
            _padded(spelt, lengths),
            _padded(inputs if inputs is not None else np.empty((len(flat), 0), np.int64), lengths),
        )


def padded_tags(known: Known, tags: Iterable[Sequence[str]]) -> Tensor:
    """Given tags of sentences as numbers ``(B, T)``, 0 behind a sentence's end."""
    numbers = [torch.from_numpy(known.tags.numbers(known.learnt(each))) for each in tags]
    return torch.nn.utils.rnn.pad_sequence(numbers, batch_first=True)


def _padded(values: np.ndarray, lengths: Tensor) -> Tensor:
    """Values of all sentences, one after the other, as ``(B, T, …)``."""
    return torch.nn.utils.rnn.pad_sequence(torch.from_numpy(values).split(lengths.tolist()), batch_first=True)


def _shortened(word: str) -> str:
    if not word:
        return " "  # an empty cell has no characters, and a layer needs one
    half = LONGEST_WORD // 2
    return word if len(word) <= LONGEST_WORD else word[:half] + word[-half:]
