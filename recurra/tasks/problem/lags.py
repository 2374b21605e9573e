"""Which model bridges which lag: a comparison whose models are each tried at several."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from recurra.errors import BadInput
from recurra.tasks.charts import chart
from recurra.tasks.problem.contenders import split

if TYPE_CHECKING:
    from recurra.tasks.comparison import Result


def read_lags(text: str) -> list[int]:
    """One lag; or of 10:400 the lags from 10 to 400, each about twice the one before.

    Raises:
        BadInput: it is neither.
    """
    found = re.fullmatch(r"(\d+)(?::(\d+))?", text)
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not 2 <= first <= last:
        raise BadInput(
            f"--lag {text}: give a lag of 2 or more, or two with a colon between them, the shorter one first"
        )
    count = 1 + round(np.log2(last / first)) if last > first else 1
    return sorted({round(lag) for lag in np.geomspace(first, last, max(count, 1 + (last > first)))})


def at_lags(models: Iterable[str], lags: Sequence[int]) -> list[str]:
    """The names of contenders: every model at every lag."""
    return [f"{model}@{lag}" for model in models for lag in lags]


def table(results: "Sequence[Result]", failed: Iterable[str] = ()) -> tuple[list[str], list[list[str]]]:
    """Columns, one for each lag, and rows, one for each model: the seconds of training until it was solved, or "no".

    Args:
        failed: names of contenders whose numbers did not stay finite.
    """
    words = {split(result.name): _word(result) for result in results} | {split(name): "not finite" for name in failed}
    models = list(dict.fromkeys(model for model, _ in words))
    lags = sorted({lag for _, lag in words if lag is not None})
    rows = [[model, *(words.get((model, lag), "") for lag in lags)] for model in models]
    return ["solved at lag", *map(str, lags)], rows


def _word(result: "Result") -> str:
    if not _value(result, "solved"):
        return "no"
    return "yes" if result.solved is None else f"{result.solved:.1f} s"


def _value(result: "Result", name: str) -> float:
    return next(score.value for score in result.scores["test"] if score.name == name)


def draw_comparison(path: Path, results: "Sequence[Result]") -> list[Path]:
    """Draw ``lags.png`` in the folder: how much each model has right at each lag, and when it was solved.

    Nothing where no model has a lag of its own.
    """
    names, words = table(results)
    lags = names[1:]
    if not lags:
        return []
    right = {split(result.name): _value(result, "sequences right") for result in results}
    numbers = np.array([[right.get((row[0], int(lag)), np.nan) for lag in lags] for row in words])
    with chart(path / "lags.png", width=2.6 + 0.9 * len(lags), height=1.7 + 0.5 * len(words)) as axes:
        axes.imshow(numbers, cmap="Blues", vmin=0, vmax=130, aspect="auto")
        for row, line in enumerate(words):
            for column, word in enumerate(line[1:]):
                share = numbers[row, column]
                text = word if word != "no" else f"{share:.0f} %"
                axes.text(column, row, text, ha="center", va="center", color="white" if share > 80 else "black")
        axes.set_xticks(range(len(lags)), lags)
        axes.set_yticks(range(len(words)), [line[0] for line in words])
        axes.set_xlabel("lag")
        axes.set_title("Seconds until solved; unsolved, % of sequences right", loc="left", fontsize=11)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
    return [path / "lags.png"]
