"""From files to the parts of a classification problem: classes, vocabulary, and sequences of numbers on disk."""

import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from recurra.data.cases import CaseColumns
from recurra.data.ragged_file import RaggedFile
from recurra.data.vocabulary import Vocabulary, build_vocabulary, fingerprint, load_vocabulary, save_vocabulary
from recurra.errors import BadInput
from recurra.files import write_text
from recurra.tasks.classification.config import Config
from recurra.tasks.classification.split import cut
from recurra.tasks.classification.store import Store, keep_cases, keep_tokens
from recurra.tasks.sources import Sources

SHARE = 0.1
"""Of the training files that becomes a part for which no file is given."""

SPLIT_SEED = 0
"""Of that cut: not the run's own, so that runs of several seeds are scored on the same cases."""


@dataclass(frozen=True)
class Meaning:
    """What the numbers that a classifier takes and gives stand for.

    Args:
        kind: what a case is.
        features: of a step of a series; 1 of texts.
        classes: their names; multilabel, those of the labels.
        multilabel: a case has any number of labels.
        lower: texts are read in lower case.
        longest: steps that a case is cut to.
        vocabulary: of texts.
    """

    kind: Literal["text", "series"]
    features: int
    classes: tuple[str, ...]
    multilabel: bool
    lower: bool
    longest: int | None
    vocabulary: Vocabulary | None

    def tokens(self, text: str) -> np.ndarray:
        """The steps of a text; one unknown word where nothing is left of it."""
        assert self.vocabulary is not None
        ids = self.vocabulary.encode(_plain(text, self.lower))
        return ids if len(ids) else np.zeros(1, self.vocabulary.dtype)

    def save(self, folder: Path) -> None:
        record = {name: value for name, value in vars(self).items() if name != "vocabulary"}
        write_text(folder / "classes.json", json.dumps(record, ensure_ascii=False, indent=1) + "\n")
        if self.vocabulary is not None:
            save_vocabulary(self.vocabulary, folder / "vocabulary.json")

    @classmethod
    def load(cls, folder: Path) -> "Meaning":
        """Read what :meth:`save` wrote.

        Raises:
            BadInput: a file is missing or damaged.
        """
        file = folder / "classes.json"
        try:
            record: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            vocabulary = load_vocabulary(folder / "vocabulary.json") if record["kind"] == "text" else None
            return cls(**{**record, "classes": tuple(record["classes"])}, vocabulary=vocabulary)
        except OSError as error:
            raise BadInput(
                f"{file}: cannot be read ({error.strerror}); a run folder holds its classes, copy them"
            ) from error
        except BadInput:
            raise
        except (ValueError, KeyError, TypeError) as error:
            raise BadInput(f"{file}: damaged ({error!r}); copy it again, or train again") from error


@dataclass(frozen=True)
class Part:
    """Some of the cases of a store.

    Args:
        store: what they were.
        steps: what a model reads of every case of the store.
        rows: which of them are in this part.
        targets: class numbers ``(N,)``, int64; multilabel, 0 and 1 ``(N, K)``, float32.
        longest: steps that a case is cut to.
    """

    store: Store
    steps: RaggedFile
    rows: np.ndarray
    targets: np.ndarray
    longest: int | None

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, case: int) -> np.ndarray:
        """The steps of a case, (T,) of a text, (T, D) of a series."""
        found = self.steps[int(self.rows[case])][: self.longest]
        return found if found.dtype == np.float32 else found[:, 0]

    @property
    def lengths(self) -> np.ndarray:
        """Steps of each case, at least 1."""
        return np.minimum(self.steps.lengths[self.rows], self.longest or np.iinfo(np.int64).max)

    def place(self, case: int) -> str:
        return self.store.place(int(self.rows[case]))


@dataclass(frozen=True)
class Cases:
    """A classification problem in its parts. ``hashes`` are sha256 by path."""

    meaning: Meaning
    train: Part
    dev: Part
    test: Part
    hashes: dict[str, str]


def columns_of(config: Config, encoding: str = "utf-8") -> CaseColumns:
    """Which parts of a file a configuration reads; ``encoding`` where it names none."""
    return CaseColumns(config.text, config.label, config.separator, config.images, config.encoding or encoding)


def read_cases_in_parts(sources: Sources, config: Config, meaning: Meaning | None = None) -> Cases:
    """The cases of a problem in its parts; those not given as files are cut off the training part.

    Args:
        meaning: of a run that exists, used instead of making one from the training part.

    Raises:
        BadInput: the files cannot be read, do not fit each other, or have too few cases or classes.
    """
    train, dev, test = sources.paths()
    columns = columns_of(config, sources.encoding())
    stores = {"train": keep_cases(train, columns)}
    stores |= {name: keep_cases([path], columns) for name, path in (("dev", dev), ("test", test)) if path}
    rows = {name: np.arange(len(store)) for name, store in stores.items()}
    for name in ("test", "dev"):
        if name not in rows:
            rows["train"], rows[name] = cut(stores["train"].labels, rows["train"], SHARE, seed=SPLIT_SEED)
            stores[name] = stores["train"]
            if not len(rows[name]):
                raise BadInput(f"{train[0]}: too few cases to cut a {name} part from; give more, or --{name} FILE")
    if meaning is None:
        meaning = _meaning(stores["train"], rows["train"], config)
        _warn_of_few(stores["train"], rows["train"])
    parts = {name: make_part(stores[name], rows[name], meaning) for name in ("train", "dev", "test")}
    _tell_of_cuts(parts, config.longest)
    hashes = {path: digest for store in stores.values() for path, digest in store.hashes.items()}
    return Cases(meaning, **parts, hashes=hashes)


def read_only_test(sources: Sources, config: Config, meaning: Meaning, encoding: str = "utf-8") -> Cases:
    """Cases that are only to be scored: all of them are the part "test", and the other parts are empty.

    Args:
        encoding: of files for which neither the set nor the configuration says it.
    """
    train, _, test = sources.paths()
    encoding = sources.encoding() if sources.is_public else encoding
    store = keep_cases([test] if test else train, columns_of(config, encoding))
    none = make_part(store, np.arange(0), meaning)
    return Cases(meaning, none, none, make_part(store, np.arange(len(store)), meaning), store.hashes)


def make_part(store: Store, rows: np.ndarray, meaning: Meaning) -> Part:
    """Some cases of a store as a model reads them.

    Raises:
        BadInput: cases of another kind or dimension than those trained on, or a label that training did not see.
    """
    check_kind(store.kind, store.x.features, meaning, store.place(0))
    steps = store.x
    if meaning.vocabulary is not None:
        depends = fingerprint(meaning.vocabulary), str(meaning.lower)
        steps = keep_tokens(store, meaning.tokens, meaning.vocabulary.dtype, *depends)
    return Part(store, steps, rows, _targets(store, rows, meaning), meaning.longest)


def check_kind(kind: str, features: int, meaning: Meaning, place: str) -> None:
    """Raise BadInput where a case is not what the model was trained on."""
    if kind != meaning.kind:
        here, there = ({"text": "a text", "series": "a series of numbers"}[each] for each in (kind, meaning.kind))
        raise BadInput(f"{place}: is {here}, the model was trained on {there.removeprefix('a ')}; give it those")
    if features != meaning.features:
        raise BadInput(
            f"{place}: a series of {features} dimensions, the model was trained on {meaning.features}; give it those"
        )


def _targets(store: Store, rows: np.ndarray, meaning: Meaning) -> np.ndarray:
    numbers = {label: number for number, label in enumerate(meaning.classes)}
    found = [_numbers(store, row, numbers, meaning) for row in rows.tolist()]
    if not meaning.multilabel:
        return np.array(found, np.int64).reshape(-1)
    targets = np.zeros((len(rows), len(numbers)), np.float32)
    for place, own in enumerate(found):
        targets[place, own] = 1
    return targets


def _numbers(store: Store, row: int, numbers: Mapping[str, int], meaning: Meaning) -> list[int]:
    """The classes of a case by their numbers."""
    labels = store.labels[row]
    if not meaning.multilabel and len(labels) != 1:
        raise BadInput(f"{store.place(row)}: has {len(labels)} labels, the model was trained on one a case; give one")
    for label in labels:
        if label not in numbers:
            known = ", ".join(meaning.classes[:10]) + (", …" if len(numbers) > 10 else "")
            raise BadInput(
                f"{store.place(row)}: the label {label!r} does not occur in the training part (known: {known}); "
                "mend it, remove the case, or train with it"
            )
    return [numbers[label] for label in labels]


def _meaning(store: Store, rows: np.ndarray, config: Config) -> Meaning:
    classes = sorted({label for row in rows.tolist() for label in store.labels[row]}, key=_natural)
    if len(classes) < 2:
        found = f"only the class {classes[0]!r}" if classes else "no labels"
        raise BadInput(f"{next(iter(store.hashes))}: has {found}; give cases of two classes or more")
    vocabulary = None
    if store.kind == "text":
        texts = _texts(store, rows, config.lower)
        vocabulary = build_vocabulary(config.unit, texts, min_count=config.min_count, size=config.vocabulary_size)
    several = config.separator is not None or any(len(store.labels[row]) != 1 for row in rows.tolist())
    return Meaning(store.kind, store.x.features, tuple(classes), several, config.lower, config.longest, vocabulary)


def _texts(store: Store, rows: Sequence[int] | np.ndarray, lower: bool) -> Iterator[str]:
    for row in rows:
        yield _plain(store.text(int(row)), lower) + " "  # so that the next one begins a word


def _plain(text: str, lower: bool) -> str:
    text = text.replace("\n", " ")
    return text.lower() if lower else text


def _natural(label: str) -> tuple[bool, float, str]:
    """Numbers by value, before all else."""
    try:
        return (False, float(label), label)
    except ValueError:
        return (True, 0.0, label)


def _warn_of_few(store: Store, rows: np.ndarray) -> None:
    counts = Counter(label for row in rows.tolist() for label in store.labels[row])
    for label, count in sorted(counts.items()):
        if count == 1:
            row = next(row for row in rows.tolist() if label in store.labels[row])
            print(f"{store.place(row)}: the only case of the class {label!r} in the training part", file=sys.stderr)


def _tell_of_cuts(parts: dict[str, Part], longest: int | None) -> None:
    for name, part in parts.items():
        cut_off = int((part.steps.lengths[part.rows] > (longest or np.inf)).sum())
        if cut_off:
            print(f"{name}: {cut_off} of {len(part)} cases cut to {longest} steps", file=sys.stderr)
