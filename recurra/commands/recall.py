"""``recurra recall PATTERNS``."""

import sys
from dataclasses import asdict
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from recurra.commands.options import Json
from recurra.commands.output import print_table
from recurra.errors import BadInput

if TYPE_CHECKING:
    from recurra.data.patterns import Patterns
    from recurra.models.hopfield import Rule
    from recurra.tasks.recall import Outcome

NOISE = 0.2
BETA = 1.0


def recall(
    patterns: Annotated[
        Path,
        Parameter(help="What to store: an image, .npy, .npz, text of # and ., IDX images, or a folder of such files."),
    ],
    /,
    *,
    cue: Annotated[
        Path | None, Parameter(help="What to recall from, in one of these forms (else stored patterns, damaged).")
    ] = None,
    out: Annotated[
        Path | None,
        Parameter(help="File to write, in the form of the cue; of a folder, one to make that does not exist."),
    ] = None,
    rule: Annotated[
        Literal["hebbian", "storkey", "pseudo-inverse", "continuous"],
        Parameter(help="How patterns are stored; continuous keeps real numbers."),
    ] = "hebbian",
    beta: Annotated[
        float | None, Parameter(help="Of continuous: larger is sharper. [default: 1]", validator=Number(gt=0))
    ] = None,
    updates: Annotated[
        Literal["asynchronous", "synchronous"] | None,
        Parameter(help="One unit at a time in random order, or all at once. [default: asynchronous]"),
    ] = None,
    noise: Annotated[
        float | None,
        Parameter(
            help="Share of units to turn in stored patterns, without --cue. [default: 0.2; with --capacity 0]",
            validator=Number(gte=0, lte=1),
        ),
    ] = None,
    first: Annotated[
        int | None, Parameter(help="Store only the first so many patterns.", validator=Number(gte=1))
    ] = None,
    threshold: Annotated[
        float | None,
        Parameter(
            help="Grey from which on a pixel counts as white, 0 to 1. [default: 0.5]", validator=Number(gte=0, lte=1)
        ),
    ] = None,
    dither: Annotated[bool, Parameter(negative="", help="Dither images instead.")] = False,
    seed: Annotated[
        int, Parameter(help="Of damage and of the order of updates.", validator=Number(gte=0, lt=2**32))
    ] = 0,
    picture: Annotated[Path | None, Parameter(help="PNG to draw: the first cues on their way, and the energy.")] = None,
    capacity: Annotated[
        Path | None, Parameter(help="PNG to draw, in place of recall: wrong units against the number of patterns.")
    ] = None,
    json: Json = False,
) -> None:
    """Store patterns in a Hopfield network, and recall them from damaged cues.

    Prints for each cue the stored pattern that it came to, their overlap, and the energy before and after.
    """
    from recurra.data.pattern_files import check_place, write_patterns
    from recurra.data.patterns import Levels, read_patterns
    from recurra.tasks.recall import damaged, remember

    continuous = {"--beta": beta is not None} if rule != "continuous" else {"--updates": updates is not None}
    _refuse(continuous, f"does not go with --rule {rule}")
    _refuse({"--threshold": dither and threshold is not None}, "does not go with --dither")
    _refuse({"--noise": cue is not None and noise is not None}, "damages stored patterns, --cue names others")
    for place in (out, picture, capacity):
        _check_place(place, (patterns, cue))
    levels = Levels(rule != "continuous", 0.5 if threshold is None else threshold, dither)
    stored = read_patterns(patterns, levels, first=first)
    if capacity is not None:
        apart = {"--cue": cue, "--out": out, "--picture": picture}
        _refuse({name: value is not None for name, value in apart.items()}, "does not go with --capacity")
        if rule == "continuous":
            raise BadInput("--rule continuous does not go with --capacity; choose another rule")
        _draw_capacity(stored, rule, noise or 0.0, seed, capacity, json=json)
        return
    if cue is None:
        cues = stored.having(damaged(stored.values, NOISE if noise is None else noise, seed))
    else:
        cues = read_patterns(cue, levels, shape=stored.shape)
    if out is not None:
        check_place(out, cues)
    memory = remember(stored, rule, BETA if beta is None else beta, updates or "asynchronous", seed)
    outcomes, states, warnings = memory.recall(cues.names, cues.values)
    for warning in warnings:
        print(f"{patterns}: {warning}", file=sys.stderr)
    if out is not None:
        write_patterns(out, cues.having(states))
    if picture is not None:
        from recurra.tasks.recall_pictures import ROWS, draw_recall

        trace = memory.trace(cues.values[:ROWS])
        draw_recall(picture, trace, outcomes[:ROWS], stored.values, stored.shape, memory.unit)
    _print_outcomes(outcomes, memory.unit, json=json)


def _refuse(given: dict[str, bool], why: str) -> None:
    for name, there in given.items():
        if there:
            raise BadInput(f"{name} {why}; leave one of them out")


def _check_place(place: Path | None, inputs: tuple[Path | None, ...]) -> None:
    if place is None or not place.exists():
        return
    if place.is_dir():
        raise BadInput(f"{place}: exists already, and is a folder; choose another place to write")
    if any(path is not None and path.exists() and place.samefile(path) for path in inputs):
        raise BadInput(f"{place}: is what is read; choose another place to write")


def _print_outcomes(outcomes: "list[Outcome]", unit: str, *, json: bool) -> None:
    if json:
        print(dumps([outcome._asdict() for outcome in outcomes], indent=1))
        return
    rows = [
        [
            outcome.cue,
            outcome.came_to,
            f"{outcome.overlap:.3f}",
            str(outcome.steps),
            f"{outcome.energies[0]:.2f}",
            f"{outcome.energies[1]:.2f}",
        ]
        for outcome in outcomes
    ]
    print_table(["cue", "came to", "overlap m", unit, "energy before", "after"], rows)


def _draw_capacity(stored: "Patterns", rule: "Rule", flips: float, seed: int, path: Path, *, json: bool) -> None:
    from recurra.analysis.hopfield import spread
    from recurra.models.hopfield import Hopfield
    from recurra.tasks.recall import capacity_of
    from recurra.tasks.recall_pictures import draw_capacity

    curves = capacity_of(stored, rule, flips, seed)
    title = (
        f"Recall by the rule {rule} of cues with {flips:.0%} of units wrong" if flips else f"What {rule} weights hold"
    )
    units = stored.values.shape[1]
    held = Hopfield(units, rule).capacity
    draw_capacity(path, curves, title=title, capacity=(held / units, f"the rule's capacity, P = {held:.4g}"))
    if json:
        print(dumps({name: [asdict(point) for point in points] for name, points in curves.items()}, indent=1))
        return
    columns = ["patterns", "P/N", *(f"{name}: {what} %" for name in curves for what in ("wrong", "recalled"))]
    rows = [
        [str(points[0].patterns), f"{points[0].load:.3f}"]
        + [
            "{:.2f} ± {:.2f}".format(*(100 * part for part in spread(values)))
            for point in points
            for values in (point.wrong, point.recalled)
        ]
        for points in zip(*curves.values(), strict=True)
    ]
    print_table(columns, rows)
