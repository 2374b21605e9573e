"""What a terminal shows of the results."""

from collections.abc import Iterator
from typing import Any

from recurra.bench.cell_speed import LSTMS
from recurra.bench.entry import Entry
from recurra.bench.results import geometric_means, over_fastest_peer

Table = tuple[list[str], list[list[str]]]
"""Columns, and rows of as many words."""

_ENTRY_COLUMNS = ["cell", "shape", "mode", "way", "contender", "median (ms)", "quartiles", "pairs"]
_ENTRY_COLUMNS += ["GFLOP/s", "of roofline", "Recurra is"]

DISTURBED = 0.1
"""Cores used by others, from which on figures of several threads are not to be believed."""

OWN_CELL_COLUMNS = ["shape", "mode", "eager loop (ms)", "Recurrent (ms)", "times as fast"]
OWN_CELL_COLUMNS += ["FLOP/s of Recurra's LSTM", "of torch.nn.LSTM"]


def tables(document: dict[str, Any]) -> Iterator[Table]:
    """Every contender of every entry, then what else was measured."""
    yield _ENTRY_COLUMNS, [row for entry in document["entries"] for row in _entry_rows(entry)]
    if found := document.get("cells"):
        columns = [f"{found['mode']}, {found['shape']}", "FLOP/s of Recurra's LSTM", "of torch.nn.LSTM"]
        yield columns, [[name, *_shares(row)] for name, row in found["cells"].items()]
    if found := document.get("first_call"):
        columns = [f"training, {found['shape']}", "first call (s)", "a later one (s)"]
        yield columns, [[name, *(f"{value:.3f}" for value in row.values())] for name, row in found["seconds"].items()]
    if found := document.get("peak_training_bytes"):
        columns = ["LSTM training, peak (MiB)", *next(iter(found.values()))]
        yield columns, [[shape, *(f"{peak / 2**20:.1f}" for peak in row.values())] for shape, row in found.items()]


def summary(document: dict[str, Any]) -> Iterator[str]:
    """The figures that stand for all entries: geometric means over torch.nn, and where Recurra is slowest."""
    for way, found in geometric_means(document["entries"]).items():
        for name, means in found.items():
            # a cell's inference and training apart are for the file
            words = [f"{group} {mean:.2f}" for group, mean in means.items() if " " not in group]
            yield f"{name} over torch.nn, {way}, geometric mean: {', '.join(words)}"
    disturbed = [entry for entry in document["entries"] if (entry["others_cores"] or 0.0) > DISTURBED]
    if disturbed:
        yield (
            f"{len(disturbed)} of {len(document['entries'])} entries were measured while others used more than "
            f"{DISTURBED} cores: a thread that waits for another then waits for them; measure again on a quiet machine"
        )
    if ratios := over_fastest_peer(document["entries"]):
        slowest, entry = ratios[0]
        yield f"recurra beside the fastest peer of each entry: at least {slowest:.2f} times as fast ({entry})"


def own_cell_row(found: dict[str, Any], name: str) -> list[str]:
    """One measurement of the cell ``name``, in the order of ``OWN_CELL_COLUMNS``."""
    row = found["cells"][name]
    loop, ours = row["eager loop"]["median"], row["recurra"]["median"]
    return [
        found["shape"],
        found["mode"],
        f"{loop * 1e3:.3f}",
        f"{ours * 1e3:.3f}",
        f"{loop / ours:.2f}",
        *_shares(row),
    ]


def _shares(row: dict[str, Any]) -> list[str]:
    return [f"{row[key]['median']:.0%}" for key in LSTMS.values()]


def _entry_rows(entry: dict[str, Any]) -> Iterator[list[str]]:
    way = Entry.from_json(entry).way
    for name, found in entry["contenders"].items():
        seconds, speedup = found["seconds"], entry["speedups"].get(name)
        yield [
            *(entry["cell"], entry["shape"], entry["mode"], str(way)),
            f"{name} ({found['note']})" if found["note"] else name,
            f"{seconds['median'] * 1e3:.3f}",
            f"{seconds['q1'] * 1e3:.3f}–{seconds['q3'] * 1e3:.3f}",
            str(seconds["count"]),
            f"{found['gflops']:.1f}",
            f"{found['roofline_share']:.0%}",
            "" if speedup is None else f"{speedup['median']:.2f}× as fast",
        ]
