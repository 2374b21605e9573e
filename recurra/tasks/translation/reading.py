"""From files to the parts of a translation problem: vocabularies, and pairs as tokens on disk."""

import sys
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np

from recurra.data.pair_store import PairStore, keep_pairs, keep_tokens
from recurra.data.parallel import PairColumns, read_pairs
from recurra.data.ragged_file import RaggedFile
from recurra.data.vocabulary import Vocabulary, build_vocabulary, fingerprint, load_vocabulary, save_vocabulary
from recurra.errors import BadInput
from recurra.metrics.translation import STEMMERS
from recurra.tasks.pretraining import vocabulary_of
from recurra.tasks.sources import Sources
from recurra.tasks.translation.config import Config
from recurra.tasks.translation.search import Search

BOUNDARY = 0
"""The token that a text ends with, and that comes before its first; a vocabulary's own tokens follow it."""

MOST_TOKENS = 1_000
"""Of a source that is translated; what is behind them is not read."""

TENTH = 0.1
"""Of the training part's pairs, its last ones, for each part that is not given."""


def plain(text: str, lower: bool) -> str:
    """A text as it is learnt: one line with single blanks, in lower case where that was asked for."""
    text = " ".join(text.split())
    return text.lower() if lower else text


@dataclass(frozen=True)
class Side:
    """The texts of one side as tokens.

    Args:
        vocabulary: its units.
        lower: whether texts are read, or written, in lower case.
    """

    vocabulary: Vocabulary
    lower: bool
    longest = MOST_TOKENS

    @property
    def size(self) -> int:
        """Different tokens, the boundary included."""
        return len(self.vocabulary) + 1

    @property
    def dtype(self) -> np.dtype:
        return np.min_scalar_type(self.size - 1)

    @property
    def fingerprint(self) -> str:
        """A hash of what the tokens of a text depend on."""
        return fingerprint(self.vocabulary) + "lower" * self.lower

    def encode(self, text: str) -> np.ndarray:
        """The tokens of a text, the boundary at its end."""
        ids = self.vocabulary.encode(plain(text, self.lower)).astype(self.dtype) + self.dtype.type(1)
        return np.append(ids, self.dtype.type(BOUNDARY))

    def decode(self, tokens: list[int]) -> str:
        """The text of tokens, of which a last boundary is none."""
        tokens = tokens[:-1] if tokens[-1:] == [BOUNDARY] else tokens
        return " ".join(self.vocabulary.decode(np.array(tokens, dtype=np.int64) - 1).split())

    def pieces(self, tokens: list[int]) -> list[str]:
        """Each token as text."""
        return ["</s>" if token == BOUNDARY else self.vocabulary.decode([token - 1]).strip() for token in tokens]


class Readable(Protocol):
    """What the numbers that a network reads stand for; see :class:`Side`.

    ``longest`` is how many tokens are read of what is to be answered.
    """

    @property
    def longest(self) -> int: ...

    @property
    def size(self) -> int: ...

    @property
    def dtype(self) -> np.dtype: ...

    @property
    def fingerprint(self) -> str: ...

    def encode(self, text: str) -> np.ndarray: ...

    def pieces(self, tokens: list[int]) -> list[str]: ...


@dataclass(frozen=True)
class Sides:
    """What the numbers that a translator reads and writes stand for."""

    source: Readable
    target: Side

    @classmethod
    def load(cls, folder: Path, config: Config) -> "Sides":
        """Read what :func:`save_sides` wrote.

        Raises:
            BadInput: a file is missing or damaged.
        """
        source = load_vocabulary(folder / "source.json")
        target = source if config.joint else load_vocabulary(folder / "target.json")
        return cls(Side(source, config.lower), Side(target, config.lower))


def save_sides(sides: Sides, folder: Path) -> None:
    """Write the vocabularies into a run folder: one file where both sides have the same."""
    assert isinstance(sides.source, Side)
    save_vocabulary(sides.source.vocabulary, folder / "source.json")
    if sides.target.vocabulary is not sides.source.vocabulary:
        save_vocabulary(sides.target.vocabulary, folder / "target.json")


@dataclass(frozen=True)
class Part:
    """Some pairs of a store.

    Args:
        store: all of its pairs as text.
        source, target: and as tokens.
        rows: which of them are in this part.
    """

    store: PairStore
    source: RaggedFile
    target: RaggedFile
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def pair(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """The tokens of both sides."""
        row = int(self.rows[number])
        return self.source[row][:, 0], self.target[row][:, 0]

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of the longer side of each pair."""
        return np.maximum(self.source.lengths[self.rows], self.target.lengths[self.rows])


@dataclass(frozen=True)
class Pairs:
    """A translation problem in its parts.

    Args:
        search: what finds the translations that are scored.
        language: code of the targets' language, where their name says it; whose words are stemmed for METEOR.
        hashes: sha256 of every file read, by path.
    """

    sides: Sides
    search: Search
    language: str | None
    train: Part
    dev: Part
    test: Part
    hashes: dict[str, str]


def read_in_parts(sources: Sources, config: Config, sides: Sides | None = None) -> Pairs:
    """The pairs of a problem in its parts; what is not given as files is a tenth, cut off the end of the training part.

    Args:
        sides: of a run that exists; else learnt from the training part.

    Raises:
        BadInput: a file cannot be read, or has too few pairs to be cut.
    """
    given = dict(zip(("train", "dev", "test"), sources.pairs(config.source, config.target), strict=True))
    stores = {part: _keep(paths, columns_of(sources, config)) for part, paths in given.items() if paths}
    train = stores["train"]
    rows = {part: np.arange(len(store)) for part, store in stores.items()}
    for part in ("test", "dev"):
        if part not in stores:
            rows["train"], rows[part] = cut_off(rows["train"], part)
    sides = sides or _learn(train, int(rows["train"][-1]) + 1, config)
    parts = {part: part_of(stores.get(part, train), rows[part], sides) for part in ("train", "dev", "test")}
    parts["train"] = _fit_to_train(parts["train"], config)
    hashes = {path: digest for store in stores.values() for path, digest in store.hashes.items()}
    return Pairs(sides, _search(config), _language(given["train"]), parts["train"], parts["dev"], parts["test"], hashes)


def read_to_score(sources: Sources, config: Config, sides: Sides, own: Sources) -> Pairs:
    """Pairs that are only to be scored: all of them are each part.

    Args:
        own: what the run was trained on.

    Raises:
        BadInput: a file cannot be read, or is of the language that the run writes.
    """
    paths, _, _ = sources.pairs(config.source, config.target)
    if len(paths) == 2:
        check_direction(paths[0], own, config)
    store = _keep(paths, columns_of(sources, config))
    part = part_of(store, np.arange(len(store)), sides)
    return Pairs(sides, _search(config), _language(paths), part, part, part, store.hashes)


def _search(config: Config) -> Search:
    return Search(config.beam, config.length_penalty)


def check_direction(path: Path, sources: Sources, config: Config) -> None:
    """Refuse a file to be read whose name says that it is of the language that the run writes.

    Args:
        sources: what the run was trained on.

    Raises:
        BadInput: it does.
    """
    if sources.is_public:
        read, written = config.source, config.target
    else:
        read, written = _suffix(Path(sources.train[0])), _suffix(Path(sources.train[-1]))
    if read != written and _suffix(path) == written:
        raise BadInput(f"{path}: the run reads {read} and writes {written}; give it {read}, or train the other way")


def _language(paths: list[Path]) -> str | None:
    """That of ``train.de``."""
    suffix = _suffix(paths[-1])
    return suffix if suffix in STEMMERS else None


def _suffix(path: Path) -> str:
    return Path(path.name.removesuffix(".gz")).suffix.removeprefix(".")


def columns_of(sources: Sources, config: Config) -> PairColumns:
    """Where a pair stands in a table of these sources."""
    if sources.is_public:
        return PairColumns(encoding=sources.encoding())
    return PairColumns(config.source, config.target, config.encoding)


def _keep(paths: list[Path], columns: PairColumns) -> PairStore:
    return keep_pairs(paths, lambda: read_pairs(paths, columns), columns._asdict())


def cut_off(rows: np.ndarray, part: str) -> tuple[np.ndarray, np.ndarray]:
    """The rows without the last tenth, and that.

    Raises:
        BadInput: a tenth is none.
    """
    size = round(TENTH * len(rows))
    if size == 0:
        raise BadInput(f"{len(rows)} pairs are too few to cut the {part} part from; give more, or --{part} FILES")
    return rows[:-size], rows[-size:]


def _learn(store: PairStore, count: int, config: Config) -> Sides:
    """The vocabularies of the first ``count`` pairs."""

    def side(*targets: bool, adopted: Path | None = None) -> Side:
        if adopted is not None:
            return Side(vocabulary_of(adopted), config.lower)
        texts = (text for target in targets for text in islice(store.side(target), count))
        lines = (plain(text, config.lower) + "\n" for text in texts)
        built = build_vocabulary(config.unit, lines, min_count=config.min_count, size=config.vocabulary_size)
        return Side(built, config.lower)

    if config.joint:
        both = side(False, True)
        return Sides(both, both)
    return Sides(side(False, adopted=config.encoder_from), side(True, adopted=config.decoder_from))


def part_of(store: PairStore, rows: np.ndarray, sides: Sides) -> Part:
    """Pairs of a store as tokens."""
    tokens = [
        keep_tokens(store, target=target, encode=side.encode, dtype=side.dtype, depends=side.fingerprint)
        for target, side in ((False, sides.source), (True, sides.target))
    ]
    return Part(store, tokens[0], tokens[1], rows)


def _fit_to_train(part: Part, config: Config) -> Part:
    """The part without pairs that nothing is learnt from, or that are likely no translations; says how many.

    Raises:
        BadInput: no pair is left.
    """
    source, target = part.source.lengths[part.rows] - 1, part.target.lengths[part.rows] - 1  # without the boundary
    shorter, longer = np.minimum(source, target), np.maximum(source, target)
    reasons = {
        "with an empty side": shorter == 0,
        f"longer than {config.longest} tokens (--longest)": longer > config.longest,
        f"with sides more than {config.ratio:g} times apart (--ratio)": longer > config.ratio * shorter,
    }
    kept = np.ones(len(part), dtype=bool)
    said = []
    for reason, found in reasons.items():
        if (found & kept).any():
            first = part.store[int(part.rows[int(np.argmax(found & kept))])].place
            said.append(f"{int((found & kept).sum()):,} {reason}, the first {first}")
        kept &= ~found
    if not kept.any():
        raise BadInput(f"no pair is left to learn from; left out are {'; '.join(said)}")
    if said:
        print(f"left out of {len(part):,} pairs: {'; '.join(said)}", file=sys.stderr)
    return replace(part, rows=part.rows[kept])
