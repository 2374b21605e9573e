"""Memory and time of a forecaster of few and of very many series: a Parquet table read, parted, trained on and scored.

    python benchmarks/series_memory.py [--series 10000 1000000] [--json benchmarks/results/series_memory.json]

Each series has twelve rows; a GRU of 16 units learns 2,000 windows of them for one epoch. Each size has a process and
cache folder of its own, whose peak of resident memory counts the interpreter and its libraries too.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from recurra.bench.machine import describe_machine
from recurra.files import write_text

ROWS, BLOCK = 12, 50_000

RUN = """
import resource, sys
import recurra

options = dict(horizon=2, context=4, hidden_size=16, windows=2_000, epochs=1, threads=1, cell="gru", paths=10)
run = recurra.fit("forecasting", sys.argv[1], out=sys.argv[2], baselines=False, **options)
print(len(run.data.panel), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def write_table(path: Path, count: int) -> None:
    """A long table of ``count`` random walks."""
    import pyarrow
    from pyarrow import parquet

    draw = np.random.default_rng(0)
    names = {"unique_id": pyarrow.string(), "ds": pyarrow.int64(), "y": pyarrow.float64()}
    with parquet.ParquetWriter(path, pyarrow.schema(names.items())) as writer:
        for begin in range(0, count, BLOCK):
            series = np.arange(begin, min(begin + BLOCK, count))
            columns = [
                pyarrow.array([f"series {number}" for number in np.repeat(series, ROWS)]),
                pyarrow.array(np.tile(np.arange(ROWS), len(series))),
                pyarrow.array(draw.normal(size=(len(series), ROWS)).cumsum(1).reshape(-1)),
            ]
            writer.write_table(pyarrow.table(columns, writer.schema))


def measure(count: int) -> dict[str, Any]:
    """What one size came to."""
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "series.parquet"
        write_table(table, count)
        begun = time.monotonic()
        said = subprocess.run(
            [sys.executable, "-c", RUN, table, Path(folder) / "run"],
            env={**os.environ, "RECURRA_CACHE": str(Path(folder) / "cache")},
            check=True, capture_output=True, text=True,
        ).stdout.split()  # fmt: skip
        seconds = time.monotonic() - begun
        megabytes = table.stat().st_size / 1e6
    assert int(said[0]) == count
    return {
        "seconds": round(seconds, 1),
        "peak_mebibytes": round(float(said[1])),
        "file_megabytes": round(megabytes, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, nargs="+", default=[10_000, 1_000_000])
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rows = {str(count): measure(count) for count in given.series}
    command = " ".join(["python", "benchmarks/series_memory.py", *sys.argv[1:]])
    text = json.dumps(
        {"command": command, "machine": describe_machine(), "rows_of_a_series": ROWS, "series": rows}, indent=1
    )
    print(text)
    if given.json is not None:
        write_text(given.json, text + "\n")


if __name__ == "__main__":
    main()
