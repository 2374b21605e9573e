"""What a classifier says of new cases: a table with a row a case, or a row after every step of a stream."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from recurra.data import standard_input
from recurra.data.cases import Case, read_cases
from recurra.errors import BadInput
from recurra.models.classifier import Classifier
from recurra.tasks.classification.batches import collate
from recurra.tasks.classification.config import Config
from recurra.tasks.classification.reading import Meaning, check_kind, columns_of

if TYPE_CHECKING:
    from recurra.tasks.run import Run

AT_ONCE = 64
"""Cases in a batch."""

INPUT = "standard input"


def predict(run: "Run", source: str, *, stream: bool) -> Iterator[str]:
    """A table as CSV: of a table its own columns, else where the case stands; then the label, and all probabilities.

    Args:
        source: a file or folder like those trained on; "-" is standard input, a text a line, or series of numbers with
            commas between them, a step a line and an empty line between two series.
        stream: answer each step of standard input: a word (or what a step is) or the numbers of one a line. An empty
            line begins a new case.

    Raises:
        BadInput: the input cannot be read or is not of the kind trained on; the model cannot answer a stream.
    """
    meaning = Meaning.load(run.path)
    if stream:
        _check_streams(run)
        return _stream(run.model, run.config, meaning, standard_input.lines())
    if source == "-":
        cases = _texts(standard_input.lines()) if meaning.kind == "text" else _series(standard_input.lines())
        return _table(run.model, run.config, meaning, ["case"], cases)
    return _table(run.model, run.config, meaning, _own_columns(source, run), _cases(source, run))


def _cases(source: str, run: "Run") -> Iterator[Case]:
    return read_cases([Path(source)], columns_of(run.config, run.sources.encoding()), labelled=False)


def _own_columns(source: str, run: "Run") -> list[str]:
    """The columns of a table, all that any of its rows has; else the one that says where a case stands."""
    if not next(_cases(source, run)).fields:
        return ["case"]
    return list(dict.fromkeys(name for case in _cases(source, run) for name in case.fields))


def streams(config: Config) -> bool:
    """Whether a model answers a case before its end."""
    return config.model == "recurrent" and config.direction == "forward"


def _check_streams(run: "Run") -> None:
    if not streams(run.config):
        how = "reads each case from its end as well" if run.config.model == "recurrent" else "looks ahead"
        raise BadInput(f"{run.path}: {how}, so it cannot answer a stream; train with --direction forward")


def _table(
    model: Classifier, config: Config, meaning: Meaning, own: Sequence[str], cases: Iterator[Case]
) -> Iterator[str]:
    yield _row([*own, *_header(meaning)])
    while batch := list(islice(cases, AT_ONCE)):
        for case in batch:
            check_kind(*_kind(case.x), meaning, case.place)
        chances = _probabilities(model, meaning, batch)
        for case, found in zip(batch, chances, strict=True):
            fields = [case.fields.get(name, "") for name in own] if case.fields else [case.place]
            yield _row([*fields, *_answer(model, config, meaning, found)])


def _kind(x: str | np.ndarray) -> tuple[str, int]:
    return ("text", 1) if isinstance(x, str) else ("series", x.shape[1])


def _probabilities(model: Classifier, meaning: Meaning, cases: Sequence[Case]) -> np.ndarray:
    steps = [meaning.tokens(case.x) if isinstance(case.x, str) else case.x for case in cases]
    device = next(model.parameters()).device
    x, lengths = (each.to(device) for each in collate([each[: meaning.longest] for each in steps]))
    return model.probabilities(x, lengths).float().cpu().numpy()


def _header(meaning: Meaning) -> list[str]:
    return ["predicted", *(f"p({name})" for name in meaning.classes)]


def _answer(model: Classifier, config: Config, meaning: Meaning, found: np.ndarray) -> list[str]:
    """What is predicted, and the probabilities."""
    if meaning.multilabel:
        given = np.nonzero(found >= model.thresholds.cpu().numpy())[0]
        label = (config.separator or " ").join(meaning.classes[number] for number in given)
    else:
        label = meaning.classes[int(found.argmax())]
    return [label, *(f"{chance:.6g}" for chance in found.tolist())]


def _row(cells: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


def _texts(lines: Iterable[str]) -> Iterator[Case]:
    for number, line in enumerate(lines, start=1):
        yield Case(line.rstrip("\r"), (), f"{INPUT}: line {number}", {})


def _series(lines: Iterable[str]) -> Iterator[Case]:
    steps: list[np.ndarray] = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            steps.append(_numbers(line, number, len(steps[0]) if steps else None))
        elif steps:
            yield Case(np.stack(steps), (), f"{INPUT}: line {number - len(steps)}", {})
            steps = []
    if steps:
        yield Case(np.stack(steps), (), f"{INPUT}: line {number + 1 - len(steps)}", {})


def _numbers(line: str, number: int, wanted: int | None) -> np.ndarray:
    """The numbers of one step."""
    try:
        found = np.array([float(cell) for cell in line.split(",")], np.float32)
    except ValueError as error:
        raise BadInput(f"{INPUT}: line {number}: {error}; give comma-separated numbers, one step a line") from error
    if not np.isfinite(found).all():
        raise BadInput(f"{INPUT}: line {number}: a number is not finite; mend it or leave the step out")
    if wanted is not None and len(found) != wanted:
        raise BadInput(f"{INPUT}: line {number}: {len(found)} numbers where {wanted} are wanted; mend the line")
    return found


def _stream(model: Classifier, config: Config, meaning: Meaning, lines: Iterable[str]) -> Iterator[str]:
    """A row after each line of steps; the state is all that is kept."""
    device = next(model.parameters()).device
    yield _row(["step", *_header(meaning)])
    state, done = model.initial_state(1), 0
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            state, done = model.initial_state(1), 0
            continue
        steps: Any
        if meaning.vocabulary is None:
            steps = _numbers(line, number, meaning.features)[None]
        else:
            steps = meaning.tokens(line.rstrip("\r")).astype(np.int64)
        for step in steps:
            chances, state = model.step(torch.as_tensor(step, device=device)[None], state)
            done += 1
        yield _row([str(done), *_answer(model, config, meaning, chances[0].float().cpu().numpy())])
