"""Series on disk, read a stretch at a time, so that there can be many more than memory holds."""

import hashlib
import json
from array import array
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from recurra.data.download import sha256_of
from recurra.data.panel.cells import TimeKind
from recurra.data.panel.columns import PanelColumns, settle
from recurra.data.panel.frames import column_names, needs_series
from recurra.data.panel.grid import Grid
from recurra.data.panel.grouping import Sorted, make_grid, series_of, sort
from recurra.data.panel.layouts import Observations, Table, read_observations, read_words
from recurra.data.ragged_file import RaggedFile, write_ragged
from recurra.data.texts import Texts, write_texts
from recurra.errors import BadInput
from recurra.files import cached, replacing, write_text

FORMAT = 1
"""Part of every key: raise it when the same files would be kept otherwise."""

PARTS_ON_DISK = 64

MOST_ROWS = 2_000_000
"""Held in memory at once; of larger files rows are parted by series on disk first."""


@dataclass(frozen=True)
class Panel:
    """Many series of one frequency. Of each a few numbers are held; the rest is read where it is needed.

    Args:
        names: of the series.
        values: of a series (T, D): target, covariates known ahead, covariates of the past; NaN where missing.
        grid: the steps of time.
        columns: that were read.
        starts: times of the first steps, int64 (N,).
        observed: steps up to the last whose target was observed, int64 (N,).
        dev, test: the steps at which those parts begin, where files were given for them; else -1: int64 (N,).
        static: float64 (N, S).
        hashes: sha256 of each file by its path.
    """

    names: Texts
    values: RaggedFile
    grid: Grid
    columns: PanelColumns
    starts: np.ndarray
    observed: np.ndarray
    dev: np.ndarray
    test: np.ndarray
    static: np.ndarray
    hashes: dict[str, str]
    table: Table
    _rows: np.ndarray

    def __len__(self) -> int:
        return len(self.starts)

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The number of each series by its name."""
        return {self.names[number]: number for number in range(len(self))}

    def place(self, series: int) -> str:
        """The file and line at which a series begins."""
        return self.table.place(int(self._rows[series]))


def keep_panel(files: list[tuple[Path, str]], columns: PanelColumns) -> Panel:
    """The series of files, from the cache where the same content was read before.

    Args:
        files: each with its part: "train", "dev", "test".

    Raises:
        BadInput: a file cannot be read, or its series are not in order; the cache folder cannot be written.
    """
    needs_series()
    hashes = {str(path): sha256_of(path) for path, _ in files}
    columns = settle(columns, column_names(files[0][0], columns.encoding), f"{files[0][0]}: header")
    table = Table(tuple(files), columns.encoding)
    columns = columns.spelled_out(read_words(table, columns))
    read = [FORMAT, list(hashes.values()), [part for _, part in files], columns._asdict()]
    folder = cached("panels", hashlib.sha256(json.dumps(read).encode()).hexdigest())
    if not (folder / "panel.json").exists():
        _write(folder, table, columns)
    with suppress(FileNotFoundError):
        return _load(folder, table, columns, hashes)
    raise BadInput(f"{folder}: damaged; remove it and run again")


def _load(folder: Path, table: Table, columns: PanelColumns, hashes: dict[str, str]) -> Panel:
    record = json.loads((folder / "panel.json").read_text(encoding="utf-8"))
    starts, rows, observed, dev, test = np.load(folder / "series.npy", allow_pickle=False)
    static = np.load(folder / "static.npy", allow_pickle=False)
    return Panel(
        Texts(folder / "names.ragged"),
        RaggedFile(folder / "values.ragged"),
        Grid(**record["grid"]),
        columns,
        starts,
        observed,
        dev,
        test,
        static,
        hashes,
        table,
        rows,
    )


def _write(folder: Path, table: Table, columns: PanelColumns) -> None:
    facts, static, names, lengths = array("q"), array("d"), bytearray(), array("q")
    grid: Grid | None = None
    features = 1 + len(columns.known) + len(columns.past)

    def values() -> Iterator[np.ndarray]:
        nonlocal grid
        for kind, found in _by_series(table, columns):
            grid = grid or make_grid(found, kind, columns.frequency, table.place)
            for one in series_of(found, grid, len(columns.known), table.place):
                facts.extend((one.start, one.row, one.observed, one.dev, one.test))
                static.extend(one.static.tolist())
                name = one.name.encode("utf-8", "surrogatepass")
                names.extend(name)
                lengths.append(len(name))
                yield one.values

    write_ragged(folder / "values.ragged", values(), np.dtype(np.float64), features)
    assert grid is not None
    write_texts(folder / "names.ragged", _split(names, lengths))
    _save(folder / "series.npy", np.frombuffer(facts, np.int64).reshape(-1, 5).T)
    _save(folder / "static.npy", np.frombuffer(static, np.float64).reshape(len(lengths), -1))
    record = {"grid": {"frequency": grid.frequency, "unit": grid.unit, "zone": grid.zone}}
    write_text(folder / "panel.json", json.dumps(record) + "\n")  # last: it says that all is there


def _split(names: bytearray, lengths: array) -> Iterator[str]:
    begin = 0
    for length in lengths:
        yield bytes(names[begin : begin + length]).decode("utf-8", "surrogatepass")
        begin += length


def _save(path: Path, values: np.ndarray) -> None:
    with replacing(path) as part, part.open("wb") as file:
        np.save(file, values, allow_pickle=False)


def _by_series(table: Table, columns: PanelColumns) -> Iterator[tuple[TimeKind | None, Sorted]]:
    """All rows of some series at a time."""
    blocks = read_observations(table, columns)
    held: list[Observations] = []
    kinds: list[TimeKind | None] = []
    for kind, block in blocks:
        held.append(block)
        kinds = [kind]
        if sum(len(each.row) for each in held) > MOST_ROWS:
            yield from _parted(kind, held, blocks)
            return
    yield kinds[0], sort(_joined(held))


def _joined(blocks: list[Observations]) -> Observations:
    joined: Any = [None if parts[0] is None else np.concatenate(parts) for parts in zip(*blocks, strict=True)]
    return Observations(*joined)


def _parted(
    kind: TimeKind | None, held: list[Observations], rest: Iterator[tuple[TimeKind | None, Observations]]
) -> Iterator[tuple[TimeKind | None, Sorted]]:
    """The same through files on disk, one for the rows of each part of all series.

    Series come in the order of these parts, and within one in the order in which they first came.
    """
    import pyarrow
    from pandas.util import hash_array
    from pyarrow import ipc

    count = PARTS_ON_DISK
    with TemporaryDirectory(dir=cached("panels")) as folder, ExitStack() as files:
        paths = [Path(folder) / f"{number}.arrow" for number in range(count)]
        writers: list[ipc.RecordBatchStreamWriter | None] = [None] * count

        def part(block: Observations) -> None:
            which = hash_array(block.name, categorize=False) % count
            for number in np.unique(which).tolist():
                batch = _batch(block.take(np.flatnonzero(which == number)))
                if writers[number] is None:
                    writers[number] = files.enter_context(ipc.new_stream(str(paths[number]), batch.schema))
                writers[number].write_batch(batch)

        for block in held:
            part(block)
        held.clear()
        for _, block in rest:
            part(block)
        files.close()
        for path in paths:
            if path.exists():
                with pyarrow.OSFile(str(path)) as file, ipc.open_stream(file) as reader:
                    yield kind, sort(_joined([_unbatched(batch) for batch in reader]))
                path.unlink()


def _batch(block: Observations) -> Any:
    import pyarrow

    arrays = {
        "row": block.row,
        "part": block.part,
        "name": block.name,
        **({} if block.time is None else {"time": block.time}),
        **{f"value-{number}": column for number, column in enumerate(block.values.T)},
        **{f"static-{number}": column for number, column in enumerate(block.static.T)},
    }
    return pyarrow.RecordBatch.from_arrays([pyarrow.array(each) for each in arrays.values()], list(arrays))


def _unbatched(batch: Any) -> Observations:
    columns = {
        name: column.to_numpy(zero_copy_only=False) for name, column in zip(batch.schema.names, batch, strict=True)
    }

    def table(name: str) -> np.ndarray:
        found = [column for key, column in columns.items() if key.startswith(f"{name}-")]
        return np.stack(found, 1) if found else np.empty((len(columns["row"]), 0))

    return Observations(
        columns["row"], columns["part"], columns["name"], columns.get("time"), table("value"), table("static")
    )
