"""``recurra bench``: speed beside other libraries, and of a cell of one's own."""

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from recurra.commands.output import print_table
from recurra.errors import BadInput

if TYPE_CHECKING:
    from recurra.bench.plan import Settings

CELL_SHAPES = "T100B32H256,T512B1H128"


def bench(
    *,
    cell: Annotated[
        str | None, Parameter(help="A cell of your own, as PATH.py:CLASS, or one of the library: only it is measured.")
    ] = None,
    shapes: Annotated[
        str | None, Parameter(help="As T100B32H256,T35B20H200 (steps, batch, width), or grid. [default: six of them]")
    ] = None,
    precision: Annotated[
        Literal["float32", "bfloat16", "both"],
        Parameter(help="bfloat16 is autocast's, and Recurra's and torch.nn's alone."),
    ] = "float32",
    threads: Annotated[
        str | None,
        Parameter(help="For every library alike; of 2,1 all is done with 2, then with 1. [default: torch's]"),
    ] = None,
    layers: Annotated[
        str, Parameter(help="Of recurra.nn and torch.nn; of 1,2,3 all is done with 1, then with 2 and with 3.")
    ] = "1",
    bidirectional: Annotated[bool, Parameter(negative="", help="Then also in both directions.")] = False,
    pairs: Annotated[int, Parameter(help="Rounds in which each is timed once.", validator=Number(gte=2))] = 15,
    training: Annotated[
        bool | None, Parameter(negative="--inference", help="Only one of the two. [default: both]")
    ] = None,
    peers: Annotated[
        str | None, Parameter(help="Names with commas between them. [default: all that are installed]")
    ] = None,
    race: Annotated[
        bool, Parameter(negative="", help="Time a peer thrice only that is twice as slow as the fastest.")
    ] = False,
    rest: Annotated[
        bool, Parameter(help="Also every cell's throughput, first calls and peak memory; never with the grid.")
    ] = True,
    json: Annotated[Path | None, Parameter(help="File to write results into, after each of them.")] = None,
    chart: Annotated[
        Path | None, Parameter(help="PNG to draw: bars; for the grid, or several threads or layers, heat maps.")
    ] = None,
    resume: Annotated[bool, Parameter(negative="", help="Go on with what --json holds.")] = False,
    time_limit: Annotated[
        float | None, Parameter(help="Seconds, after which no entry is begun.", validator=Number(gt=0))
    ] = None,
    check: Annotated[
        Path | None, Parameter(help="Results to measure again; the exit code is 1 where a speed over a peer fell.")
    ] = None,
    tolerance: Annotated[
        float, Parameter(help="Share by which a checked speed may fall.", validator=Number(gt=0, lt=1))
    ] = 0.15,
) -> int:
    """Time LSTM, GRU and Elman layers beside torch.nn, ONNX Runtime, JAX and Python loops, in turns in one process.

    Results are first checked to be equal. Install the peers with pip install 'recurra[bench]'.
    """
    import torch

    settings = _settings(
        shapes=shapes or (CELL_SHAPES if cell else None),
        precision=precision,
        threads=threads,
        layers=layers,
        bidirectional=bidirectional,
        pairs=pairs,
        training=training,
        peers=peers,
        race=race,
    )
    _refuse_what_cannot_be(settings, cell=cell, json=json, chart=chart, resume=resume, check=check)
    torch.set_num_threads(settings.threads[0])
    if cell is not None:
        return _bench_cell(cell, settings)
    if check is not None:
        return _check(check, settings, tolerance)
    rest = rest and shapes != "grid"
    return _bench(settings, rest=rest, path=json, chart=chart, resume=resume, time_limit=time_limit)


def _settings(
    *,
    shapes: str | None,
    precision: str,
    threads: str | None,
    layers: str,
    bidirectional: bool,
    pairs: int,
    training: bool | None,
    peers: str | None,
    race: bool,
) -> "Settings":
    import torch

    from recurra.bench.contenders import PEERS, missing
    from recurra.bench.entry import PRECISIONS
    from recurra.bench.plan import Settings
    from recurra.bench.shapes import MODES, SHAPES, parse_shapes

    names = PEERS if peers is None else tuple(filter(None, map(str.strip, peers.split(","))))
    missing(names)  # refuses names that it does not know
    return Settings(
        shapes=SHAPES if shapes is None else parse_shapes(shapes),
        modes=tuple(mode for mode in MODES if training is None or (mode == "training") == training),
        peers=names,
        precisions=PRECISIONS if precision == "both" else (precision,),
        threads=_counts("--threads", threads) if threads else (torch.get_num_threads(),),
        layers=_counts("--layers", layers),
        bidirectional=bidirectional,
        pairs=pairs,
        race=race,
    )


def _counts(option: str, text: str) -> tuple[int, ...]:
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() and int(word) for word in words):
        raise BadInput(f"{option} {text!r}: write numbers of at least 1, with commas between them")
    return tuple(dict.fromkeys(map(int, words)))


def _refuse_what_cannot_be(
    settings: "Settings", *, cell: str | None, json: Path | None, chart: Path | None, resume: bool, check: Path | None
) -> None:
    if resume and json is None:
        raise BadInput("--resume needs --json FILE: what to go on with")
    if cell is not None and (json or chart or check):
        raise BadInput("--cell prints its table only: leave out --json, --chart and --check")
    plain = replace(settings, precisions=("float32",), threads=settings.threads[:1], layers=(1,), bidirectional=False)
    if cell is not None and settings != plain:
        raise BadInput("--cell is one layer, in float32, with one number of threads: leave out what asks for others")
    if check is not None and (json or chart):
        raise BadInput("--check writes nothing: leave out --json and --chart")
    for path in filter(None, (json, chart)):
        if not path.resolve().parent.is_dir():
            raise BadInput(f"{path}: no such folder as {path.resolve().parent}; make it first")
    if not any(mode in settings.modes for shape in settings.shapes for mode in shape.modes):
        raise BadInput("--training: a single step is only streamed; give a shape of at least two steps")


def _bench(
    settings: "Settings", *, rest: bool, path: Path | None, chart: Path | None, resume: bool, time_limit: float | None
) -> int:
    from recurra.bench.contenders import missing
    from recurra.bench.results import Results
    from recurra.bench.roofline import measure_roofline
    from recurra.bench.suite import measure_entries, measure_rest
    from recurra.bench.tables import summary, tables

    before = Results.resume(path, settings) if resume and path is not None and path.exists() else None
    roofline = measure_roofline(settings.threads, settings.precisions)
    for name, reason in missing(settings.peers).items():
        _tell(f"{name}: {reason}")
    command = shlex.join(["recurra", *sys.argv[1:]])
    results = before or Results.start(path, settings, roofline, command=command)
    left = measure_entries(results, settings, roofline, _tell, time_limit=time_limit)
    if left:
        _tell(f"{left} entries left; go on with --resume")
    elif rest:
        measure_rest(results, settings, _tell)
    for columns, rows in tables(results.document):
        print_table(columns, rows)
    for line in summary(results.document):
        print(line)
    if chart is not None:
        for picture in _draw(chart, settings, results.document):
            print(picture)
    return 1 if _say_what_is_wrong(results.document["entries"]) else 0


def _draw(path: Path, settings: "Settings", document: dict[str, Any]) -> list[Path]:
    from recurra.bench.chart import draw_speeds
    from recurra.bench.heat import draw_grid, draw_ways
    from recurra.bench.shapes import GRID

    if settings.shapes == GRID:
        return draw_grid(path, document)
    if len(settings.ways) > len(settings.precisions):
        return [draw_ways(path, document)]
    return [draw_speeds(path, document)]


def _say_what_is_wrong(entries: list[dict[str, Any]]) -> bool:
    """Whether results differ anywhere, or Recurra failed; a peer that fails is said too, but is not ours to mend."""
    from recurra.bench.contenders import OURS
    from recurra.bench.entry import Entry

    for entry in entries:
        place = Entry.from_json(entry)
        for name, share in entry["wrong"].items():
            _tell(f"{place}: results of {name} differ by {share:.1e} of the largest value")
        for name, message in entry["failed"].items():
            _tell(f"{place}: {name}: {message}")
    return any(entry["wrong"] or OURS in entry["failed"] for entry in entries)


def _bench_cell(where: str, settings: "Settings") -> int:
    from recurra.bench.cell_speed import measure_cells
    from recurra.bench.tables import OWN_CELL_COLUMNS, own_cell_row
    from recurra.commands.cells import explain_cell, load_cell

    name, build = where.rpartition(":")[2], load_cell(where)
    _tell(explain_cell(name, build, settings.shapes[0].H, settings.shapes[0].H).text)
    rows = []
    for shape in settings.shapes:
        for mode in shape.modes:
            if mode not in settings.modes or mode == "streaming-paused":
                continue
            found = measure_cells({name: build}, shape, mode, settings.pairs, beside=("eager loop",))
            rows.append(own_cell_row(found, name))
    print_table(OWN_CELL_COLUMNS, rows)
    return 0


def _check(path: Path, settings: "Settings", tolerance: float) -> int:
    from recurra.bench.results import read_results
    from recurra.bench.roofline import measure_roofline
    from recurra.bench.suite import check

    document = read_results(path)
    roofline = measure_roofline(settings.threads, settings.precisions)
    messages = check(document, settings, roofline, tolerance, _tell)
    for message in messages:
        print(message)
    print(f"{len(messages)} speeds fell by more than {tolerance:.0%}" if messages else "no speed fell")
    return 1 if messages else 0


def _tell(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
