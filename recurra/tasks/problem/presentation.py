"""What a run shows: how it learnt, how it does at other lags, and what it does step by step."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from recurra.data.problems.draws import TEST
from recurra.data.problems.problem import Examples, Problem
from recurra.models.sequence_predictor import SequencePredictor
from recurra.tasks.charts import BLUE, COLOURS, GREY, chart
from recurra.tasks.pictures import draw_run, picture_folder
from recurra.tasks.problem.problems import Data, make_data
from recurra.tasks.problem.scoring import REACH, Outcome, answer_of, judge, leading, parts

if TYPE_CHECKING:
    from recurra.tasks.run import Run

EACH = 256
"""Sequences of each lag."""

SHOWN = 4
"""Units whose states are drawn."""

BITS = 12
"""Places of a stream at which Elman draws the error."""


def present(run: "Run") -> list[Path]:
    """Draw how the run learnt and, where it has finished, its answers at other lags and over single sequences."""
    data, folder = _data(run), picture_folder(run)
    unit = leading(data, Outcome(0, 0, 0, 0, False), "test").unit
    pictures = draw_run(run, unit=unit)
    if not run.folder.finished:
        return pictures
    problem = data.problem
    found = by_lag(run.model, problem)
    if len(found) > 1:
        pictures.append(_draw_lags(folder / "lags.png", found, problem))
    if problem.strings is not None and run.config.model == "recurrent":
        pictures.append(_draw_states(folder / "states.png", run.model, problem))
    if problem.outputs == 1 and not problem.ends:
        pictures.append(_draw_answers(folder / "answers.png", run.model, problem))
    if problem.name == "temporal-xor":
        pictures.append(_draw_places(folder / "places.png", run.model, problem))
    return pictures


def report(run: "Run", data: Data, part: str) -> list[str]:
    """When it was solved and by what criterion, and how much is right at other lags."""
    first = run.scores.get("solved")
    when = (
        f"first solved after update {first['update']}, {first['seconds']:.1f} s"
        if first
        else "never solved in training"
    )
    lines = [f"{when}: {data.problem.criterion.text}"]
    return lines + [
        f"lag {lag}{' (trained)' if lag == data.problem.lag else ''}: "
        f"{found.answers:.2f} % of answers right, {found.sequences:.2f} % of sequences"
        for lag, found in by_lag(run.model, data.problem).items()
    ]


def by_lag(model: SequencePredictor, problem: Problem) -> dict[int, Outcome]:
    """What the model comes to at the lag it was trained on and at others that it can be asked about.

    Of a language, on single strings: the lag is their n.
    """
    answer = answer_of(model)
    if problem.strings is not None:
        counts = np.unique(np.geomspace(1, REACH * problem.lag, 25).round().astype(int).tolist() + [problem.lag])
        return {int(n): judge(problem, answer, iter([problem.strings([int(n)])])) for n in counts}
    wanted = [problem.lag]
    if problem.scales:
        wanted = [problem.lag // 4, problem.lag // 2, problem.lag, 2 * problem.lag, 4 * problem.lag]
    return {lag: judge(problem, answer, parts(problem, TEST, EACH, lag)) for lag in wanted if lag >= problem.least_lag}


def _data(run: "Run") -> Data:
    return make_data(run.sources.train[0], run.config)


def _draw_lags(path: Path, found: dict[int, Outcome], problem: Problem) -> Path:
    """Percent of answers and of whole sequences that are right, against the lag."""
    with chart(path) as axes:
        lags = list(found)
        axes.set_xscale("log")
        for name, colour in (("answers", GREY), ("sequences", BLUE)):
            axes.plot(lags, [getattr(each, name) for each in found.values()], marker=".", color=colour, label=name)
        axes.axvline(problem.lag, color=GREY, linestyle="--", linewidth=1)
        axes.annotate("trained", (problem.lag, 103), ha="center", color="dimgrey", annotation_clip=False)
        axes.set_ylim(-3, 103)
        axes.set_xticks(_ticks(lags), [str(lag) for lag in _ticks(lags)])
        axes.minorticks_off()
        axes.set_xlabel("n" if problem.strings is not None else f"lag: {problem.lag_means}")
        axes.set_ylabel("right, %")
        axes.set_title(f"{problem.name} at other lags", loc="left", pad=16)
        axes.legend(frameon=False, loc="best")
    return path


def _ticks(lags: Sequence[int]) -> list[int]:
    """Those of the lags that have room for their numbers."""
    kept = [lags[0]]
    for lag in lags[1:]:
        if lag >= 1.4 * kept[-1]:
            kept.append(lag)
    return kept


def _draw_states(path: Path, model: SequencePredictor, problem: Problem) -> Path:
    """The units that count most: one way while a is read, and back while b is. The string has training's largest n."""
    assert problem.strings is not None
    examples = problem.strings([problem.lag])
    states = _states(model, examples)
    there, back = states[problem.lag] - states[0], states[2 * problem.lag] - states[problem.lag]
    counting = np.argsort(there * back)[:SHOWN]
    steps = len(states)
    with chart(path, width=8.0) as axes:
        for unit, colour in zip(counting, COLOURS, strict=False):
            axes.plot(states[:, unit], color=colour, label=f"unit {unit}", marker="." if steps < 60 else "")
        letters = "Sabc"
        for letter, begin in enumerate([0, *range(1, steps, problem.lag)]):
            axes.axvline(begin, color=GREY, linewidth=0.8)
            axes.annotate(letters[letter], (begin, 1.01), xycoords=("data", "axes fraction"), color="dimgrey")
        axes.locator_params(axis="x", integer=True)
        axes.set_xlabel("step")
        axes.set_ylabel("state of the first layer")
        axes.set_title(f"Counting: {problem.name}, n = {problem.lag}", loc="left", pad=16)
        axes.legend(frameon=False, loc="best")
    return path


@torch.no_grad()
def _states(model: SequencePredictor, examples: Examples) -> np.ndarray:
    """Of the first layer ``(T, H)``, at every step of one sequence: s where cells have it, else h."""
    layers: Any = model.layers
    first: Any = layers.layers[0]
    own = next(model.parameters())
    states = first.trajectory(examples.x.to(own)).states
    shown = states if isinstance(states, torch.Tensor) else getattr(states, "s", states[0])
    return shown[0].reshape(shown.shape[1], -1).float().cpu().numpy()


def _draw_answers(path: Path, model: SequencePredictor, problem: Problem) -> Path:
    """One sequence of the test part: what was wanted, and what was answered."""
    examples = problem.examples(TEST, [0])
    outputs = answer_of(model)(examples)[0, :, 0]
    asked = examples.mask[0]
    answers = outputs.sigmoid() if problem.kind == "bits" else outputs
    steps = asked.nonzero().flatten()[:200]
    with chart(path, width=9.0) as axes:
        style = "-" if asked.sum() > asked.numel() / 2 else ""
        axes.plot(steps, examples.truth[0, steps, 0], color=GREY, marker="o", linestyle=style, label="wanted")
        axes.plot(steps, answers[steps], color=BLUE, marker=".", linestyle=style, label="answered")
        axes.set_xlabel("step")
        axes.set_ylabel(f"probability of a {problem.unit}" if problem.kind == "bits" else problem.unit)
        axes.set_title(f"{problem.name}: a sequence of the test part", loc="left")
        axes.legend(frameon=False, loc="best")
    return path


def _draw_places(path: Path, model: SequencePredictor, problem: Problem) -> Path:
    """The root mean squared error of each bit that is predicted, as Elman (1990) draws it: every third can be told."""
    examples = problem.examples(TEST, range(EACH))
    error = (answer_of(model)(examples).sigmoid() - examples.truth)[:, :BITS, 0].square().mean(0).sqrt()
    told = examples.judged[0, : len(error)].tolist()
    with chart(path) as axes:
        places = range(2, len(error) + 2)  # the first bit of a stream is read, never predicted
        axes.bar(places, error.tolist(), color=[BLUE if each else GREY for each in told], width=0.7)
        axes.set_xticks(places)
        axes.set_ylim(0, 0.6)
        axes.set_xlabel("bit of the stream (blue: the exclusive or of the two before)")
        axes.set_ylabel("root mean squared error")
        axes.set_title("Which bits can be told", loc="left")
    return path
