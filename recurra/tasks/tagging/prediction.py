"""Tags for new sentences, in the form in which these came."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra.data import standard_input
from recurra.data.columns import CELL, Labelled
from recurra.data.sentences import Layout, read_lines, read_sentences
from recurra.data.token_store import Numbering
from recurra.errors import BadInput
from recurra.models.tagger import Sentences, Tagger
from recurra.tasks.tagging.known import Encoder, Known
from recurra.tasks.tagging.scoring import READ_AT_ONCE, tag_rows

if TYPE_CHECKING:
    from recurra.tasks.run import Run


def predict(run: "Run", source: str, *, stream: bool) -> Iterator[str]:
    """The lines of the input with the predicted tags in their column.

    A file is read as the training files were. Standard input is too where its first line begins with ``#`` or ``>`` or
    has a tab; else each of its lines is a sentence with blanks between its words, and what comes out are columns of the
    word and its tag.

    Args:
        source: a file or folder, or "-" for standard input.
        stream: read one word a line (the columns before that of the tags), and print each tag as soon as it is known;
            an empty line ends a sentence.

    Raises:
        BadInput: the input is not as its format has it, or the model cannot tag a stream.
    """
    known = Known.load(run.path / "vocabulary.json")
    labels = frozenset(known.tags.names)
    if stream:
        _check_streams(run)
        yield from _stream(run.model, known, standard_input.lines())
    elif source == "-":
        lines = standard_input.lines()
        first = next(lines, "")
        lines = _with_first(first, lines)
        if first.startswith(("#", ">")) or "\t" in first:
            found = read_lines(lines, known.layout, "standard input", labels)
            yield from _tagged(run.model, known, found, at_once=1 if sys.stdin.isatty() else READ_AT_ONCE)
        else:
            yield from _plain(run.model, known, lines)
    else:
        found = read_sentences([Path(source)], known.layout, labels=labels)
        yield from _tagged(run.model, known, found, at_once=READ_AT_ONCE)


def _with_first(first: str, rest: Iterable[str]) -> Iterator[str]:
    yield first
    yield from rest


def _tagged(model: Tagger, known: Known, sentences: Iterator[Labelled], *, at_once: int) -> Iterator[str]:
    while block := list(islice(sentences, at_once)):
        tags = iter(_tag(model, known, block))
        for sentence in block:
            column = next(tags) if sentence.cells else []
            yield "".join(f"{line}\n" for line in sentence.with_column(known.layout.label, column))


def _tag(model: Tagger, known: Known, sentences: Sequence[Labelled]) -> list[list[str]]:
    """The tags of those sentences that have tokens."""
    numbering = Numbering(known.layout.read[:-1])
    rows = list(numbering.rows(sentences))
    return tag_rows(model, Encoder(known, numbering.kinds), known, rows) if rows else []


def _plain(model: Tagger, known: Known, lines: Iterator[str]) -> Iterator[str]:
    """Sentences one a line, tagged as they come."""
    _check_words_suffice(known.layout)
    for line in lines:
        words = line.split()
        if words:
            numbers = np.column_stack([np.arange(len(words)), np.zeros(len(words), np.int64)])
            (tags,) = tag_rows(model, Encoder(known, [words]), known, [numbers])
            yield "".join(f"{word}\t{tag}\n" for word, tag in zip(words, tags, strict=True)) + "\n"


def _check_words_suffice(layout: Layout) -> None:
    if layout.inputs:
        columns = ", ".join(str(column + 1) for column in layout.inputs)
        raise BadInput(
            f"standard input: the model reads the columns {columns} besides the words; give columns, parted by tabs"
        )


def _check_streams(run: "Run") -> None:
    config = run.config
    if config.direction == "both":
        raise BadInput(
            f"{run.path}: a bidirectional model reads each sentence from its end as well, which a stream has not seen "
            "yet; train with --direction forward (and --delay), or predict whole sentences"
        )
    if config.model == "window" or run.model.crf is not None:
        what = "a window has no state" if config.model == "window" else "a CRF chooses the tags of a whole sentence"
        raise BadInput(f"{run.path}: {what}; for a stream train with --direction forward --output softmax")


def _stream(model: Tagger, known: Known, lines: Iterator[str]) -> Iterator[str]:
    """Each line with its tag behind it, ``delay`` lines after it was read."""
    waiting: list[str] = []
    state: Any = model.initial_state(1)
    device = next(model.parameters()).device
    for number, line in enumerate(lines, 1):
        line = line.rstrip("\r")
        if not line.strip():
            yield from _rest(model, known, waiting, state)
            yield "\n"
            waiting, state = [], model.initial_state(1)
            continue
        waiting.append(line)
        word = _word(known, line, number)
        scores, state = model.step(Sentences(*(each.to(device) for each in word)), state)
        if len(waiting) > model.delay:
            yield _answered(waiting.pop(0), known, scores)
    yield from _rest(model, known, waiting, state)


def _rest(model: Tagger, known: Known, waiting: list[str], state: Any) -> Iterator[str]:
    """The tags still waited for when a sentence has ended."""
    # a sentence shorter than the delay has had fewer answers than steps
    late = model.delay - len(waiting)
    for _ in range(late):
        _, state = model.step(None, state)
    for line in waiting:
        scores, state = model.step(None, state)
        yield _answered(line, known, scores)


def _answered(line: str, known: Known, scores: Any) -> str:
    return f"{line}\t{known.alone(known.tags.names[int(scores.argmax())])}\n"


def _word(known: Known, line: str, number: int) -> Any:
    layout = known.layout
    cells = line.split("\t") if "\t" in line else CELL.findall(line)
    if len(cells) == 1 and not layout.inputs:
        kinds = [[cells[0]]]
    elif max(layout.read[:-1]) < len(cells):
        kinds = [[cells[column]] for column in layout.read[:-1]]
    else:
        wanted = max(layout.read[:-1]) + 1
        raise BadInput(f"standard input: line {number} has {len(cells)} columns, the model reads column {wanted}")
    row = np.zeros((1, len(kinds) + 1), np.int64)
    return Encoder(known, kinds).sentences([row])
