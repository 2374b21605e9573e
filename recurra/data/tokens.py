"""From texts to tokens: split, encoded once, kept on disk."""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from recurra.data.text import TextSource
from recurra.data.token_file import TokenFile, Tokens
from recurra.data.vocabulary import Vocabulary, build_vocabulary, fingerprint, load_vocabulary, save_vocabulary
from recurra.errors import BadInput
from recurra.files import cached, replacing, write_text

FORMAT = 1  # part of every key: raise it when the same text would be encoded otherwise
LINE_SEARCH = 1 << 16  # characters that a cut may move on to find the end of a line

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Corpus:
    """A text in three parts, as ids of one vocabulary; a part may be empty.

    ``characters`` counts those of each part ("train", "dev", "test"), for bits per character; ``hashes`` are the
    sha256 of the files' decompressed bytes, by path.
    """

    train: Tokens
    dev: Tokens
    test: Tokens
    vocabulary: Vocabulary
    characters: dict[str, int]
    hashes: dict[str, str]


def read_corpus(
    train: Sequence[Path],
    dev: Path | None = None,
    test: Path | None = None,
    *,
    unit: str,
    min_count: int = 1,
    vocabulary_size: int | None = None,
    fractions: tuple[float, float, float] = (0.9, 0.05, 0.05),
    vocabulary: Vocabulary | None = None,
    progress: Progress | None = None,
) -> Corpus:
    """Read texts of any size; memory does not grow with them, except by the number of different words.

    What is not given as ``dev`` or ``test`` is cut off the end of ``train``: with neither given, the first 90 % of its
    characters are for training, the next 5 for dev, the last 5 for test; with one given, the last 5 % are the other.
    Characters are cut there exactly; other units at the next line end (within 65,536 characters, else at the next
    blank, else exactly there).

    The vocabulary is built from the training part alone. Vocabulary and tokens are kept in the cache folder under a
    key of all that they depend on, so the second reading only scans the texts.

    Args:
        unit, min_count, vocabulary_size: as for :func:`recurra.data.vocabulary.build_vocabulary`.
        fractions: shares of train, dev and test, summing to 1; (0, 0, 1) with a ``vocabulary`` tests on everything.
        vocabulary: that of a saved run, used instead of building one; its unit counts.
        progress: called with bytes done and bytes in all while the vocabulary is built and the text encoded.

    Raises:
        BadInput: a text cannot be read (:class:`recurra.data.text.TextSource`), a vocabulary cannot be built, or the
            cache folder cannot be written.
        ValueError: ``fractions`` are negative or do not sum to 1.
    """
    unit = unit if vocabulary is None else vocabulary.unit
    parts, hashes, size = _parts(train, {"dev": dev, "test": test}, fractions, whole_lines=unit != "characters")
    work = {"vocabulary": parts["train"].characters} | {name: part.characters for name, part in parts.items()}
    meter = _Meter(progress, size, sum(work.values()))
    if vocabulary is None:
        vocabulary = _kept_vocabulary(parts["train"], unit, min_count, vocabulary_size, meter)
    meter.finish(work["vocabulary"])
    tokens = {}
    for name, part in parts.items():
        tokens[name] = _kept_tokens(part, vocabulary, meter)
        meter.finish(part.characters)
    characters = {name: part.characters for name, part in parts.items()}
    return Corpus(**tokens, vocabulary=vocabulary, characters=characters, hashes=hashes)


@dataclass(frozen=True)
class _Part:
    """The characters [start, stop) of a text whose files hash to ``hashes``."""

    source: TextSource
    hashes: list[str]
    start: int
    stop: int

    @property
    def characters(self) -> int:
        return self.stop - self.start

    def chunks(self) -> Iterator[str]:
        return self.source.slice(self.start, self.stop)

    def key(self, *depends: object) -> str:
        return hashlib.sha256(json.dumps([FORMAT, self.hashes, self.start, self.stop, *depends]).encode()).hexdigest()


class _Meter:
    """Tells ``progress`` how much of the work is done: in characters here, in bytes to the outside."""

    def __init__(self, progress: Progress | None, size: int, characters: int) -> None:
        self._progress, self._size, self._all = progress, size, max(1, characters)
        self._finished = self._running = 0

    def watch(self, chunks: Iterable[str]) -> Iterator[str]:
        for chunk in chunks:
            yield chunk
            self._running += len(chunk)
            self._report()

    def finish(self, characters: int) -> None:
        """A stage of ``characters`` is over, worked through or found in the cache."""
        self._finished, self._running = self._finished + characters, 0
        self._report()

    def _report(self) -> None:
        if self._progress:
            self._progress(self._size * (self._finished + self._running) // self._all, self._size)


def _parts(
    train: Sequence[Path], given: dict[str, Path | None], fractions: tuple[float, float, float], *, whole_lines: bool
) -> tuple[dict[str, _Part], dict[str, str], int]:
    """The three parts, the hashes of all files and the bytes of all texts."""
    if min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-9:
        raise ValueError(f"fractions of train, dev and test must not be negative and sum to 1, got {fractions}")
    sources = {"train": TextSource(train)} | {name: TextSource([path]) for name, path in given.items() if path}
    scans = {name: source.scan() for name, source in sources.items()}
    # decimal shares: 0.9 of 100 characters are 90, and 1 - 0.05 - 0.05 is 0.9
    shares = {name: Fraction(str(share)) for name, share in zip(("dev", "test"), fractions[1:], strict=True)}
    end = scans["train"].characters
    cuts = [
        int(end * (1 - sum(shares[name] for name in names if not given[name]))) for names in (["dev", "test"], ["test"])
    ]
    if whole_lines:
        cuts = [_next_line(sources["train"], cut, end) for cut in cuts]
    bounds = {"train": (0, cuts[0]), "dev": (cuts[0], cuts[1]), "test": (cuts[1], end)}
    parts = {}
    for name in ("train", "dev", "test"):
        origin = name if name in sources else "train"
        start, stop = bounds[name] if origin == "train" else (0, scans[name].characters)
        parts[name] = _Part(sources[origin], list(scans[origin].hashes.values()), start, stop)
    hashes = {path: digest for scan in scans.values() for path, digest in scan.hashes.items()}
    return parts, hashes, sum(scan.bytes for scan in scans.values())


def _next_line(source: TextSource, cut: int, end: int) -> int:
    """The first position from ``cut`` on that follows a line end, else one before a blank, else ``cut``."""
    if cut in (0, end):
        return cut
    ahead = "".join(source.slice(cut - 1, min(end, cut + LINE_SEARCH)))
    if (line_end := ahead.find("\n")) >= 0:
        return cut + line_end
    blank = re.search(r"\s", ahead[1:])
    return cut + blank.start() if blank else cut


def _kept_vocabulary(part: _Part, unit: str, min_count: int, size: int | None, meter: _Meter) -> Vocabulary:
    path = cached("vocabularies") / f"{part.key(unit, min_count, size)}.json"
    with suppress(BadInput):  # none yet, or a damaged one
        return load_vocabulary(path)
    vocabulary = build_vocabulary(unit, meter.watch(part.chunks()), min_count=min_count, size=size)
    save_vocabulary(vocabulary, path)
    return vocabulary


def _kept_tokens(part: _Part, vocabulary: Vocabulary, meter: _Meter) -> TokenFile:
    folder = cached("tokens", part.key(fingerprint(vocabulary)))
    path, record = folder / "tokens.bin", folder / "tokens.json"
    if not _is_whole(path, record):
        with replacing(path) as beside, beside.open("wb") as file:
            for ids in vocabulary.encode_chunks(meter.watch(part.chunks())):
                file.write(ids.tobytes())
        write_text(record, json.dumps({"bytes": path.stat().st_size, "dtype": vocabulary.dtype.name}) + "\n")
    return TokenFile(path, vocabulary.dtype)


def _is_whole(path: Path, record: Path) -> bool:
    try:
        return json.loads(record.read_text())["bytes"] == path.stat().st_size
    except (OSError, ValueError, KeyError, TypeError):
        return False
