"""What a run shows: how it learnt, what it scored, and how hard problems may be."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from recurra.data.programs import Level
from recurra.tasks.charts import chart
from recurra.tasks.pictures import draw_run, picture_folder
from recurra.tasks.program_execution.problems import goal
from recurra.tasks.program_execution.scoring import Data, answers, by_level

if TYPE_CHECKING:
    from recurra.tasks.run import Run

SHOWN = 8
"""Problems that a report quotes."""

EACH = 200
"""Problems of each length and nesting."""


def present(run: "Run") -> list[Path]:
    """Draw how the run learnt and, where it has finished, its accuracy by length and nesting."""
    pictures = draw_run(run, unit="nats/character")
    if run.folder.finished:
        found = by_level(run.model, run.config, EACH)
        pictures.append(_draw(picture_folder(run) / "accuracy.png", found, goal(run.config)))
    return pictures


def report(run: "Run", data: Data, part: str) -> list[str]:
    """Some problems, what they print, and what the model says."""
    programs = getattr(data, part)[:SHOWN]
    found = answers(run.model, [program.code for program in programs], run.config)
    return [
        f"{program.code}\n  prints {program.output}" + ("" if one == program.output else f", the model says {one}")
        for program, one in zip(programs, found, strict=True)
    ]


def _draw(path: Path, found: dict[Level, float], last: Level) -> Path:
    """A map of accuracy, a row for each nesting and a column for each length."""
    table = np.array(
        [
            [found[Level(length, nesting)] for length in range(1, last.length + 1)]
            for nesting in range(1, last.nesting + 1)
        ]
    )
    with chart(path, width=2.0 + 0.62 * last.length, height=1.7 + 0.5 * last.nesting) as axes:
        axes.imshow(table, cmap="Blues", vmin=0, vmax=100, aspect="auto")
        for row, line in enumerate(table):
            for column, value in enumerate(line):
                axes.text(
                    column, row, f"{value:.0f}", ha="center", va="center", color="white" if value > 60 else "black"
                )
        axes.set_xticks(range(last.length), [str(length) for length in range(1, last.length + 1)])
        axes.set_yticks(range(last.nesting), [str(nesting) for nesting in range(1, last.nesting + 1)])
        axes.set_xlabel("digits of a number")
        axes.set_ylabel("operations")
        axes.set_title("Characters right, %", loc="left")
        axes.tick_params(length=0)
        for side in axes.spines.values():
            side.set_visible(False)
    return path
