"""Taggers and classifiers on public sets, beside the figures published for them.

    python benchmarks/labelling_scores.py ROW [--runs FOLDER] [--seeds 0 1 2]

Trains what the row needs (resuming what an interrupted call left in FOLDER), and writes the row's results into
``benchmarks/results/labelling_scores.json``. Settings were chosen on the dev part; the test part is looked at once.
Sets come from the catalogue (``recurra data get NAME``), or from the folder ``$RECURRA_DATA``.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from recurra.bench.machine import describe_machine
from recurra.files import write_text
from recurra.tasks.run import Run, fit

RESULTS = Path(__file__).parent / "results" / "labelling_scores.json"


@dataclass(frozen=True)
class Row:
    """A model on a set.

    Args:
        wanted: what the median of the seeds is to reach.
        published: figures of others, with their sources.
    """

    task: str
    data: str
    options: dict[str, Any]
    wanted: str
    published: str
    seeds: tuple[int, ...] = (0, 1, 2)
    baselines: bool = True


TAGGER: dict[str, Any] = dict(threads=1)  # and what `recurra fit tagging` takes where nothing is said

ROWS = {
    "ewt-upos": Row(
        "tagging",
        "ud-english-ewt",
        dict(**TAGGER),
        ">= 94.5 % on test, from random embeddings",
        "BLSTM taggers without contextual embeddings: about 95 to 96.5 % (versions of the set differ)",
    ),
    "conll2000": Row(
        "tagging",
        "conll2000",
        dict(**TAGGER),
        "chunk F1 >= 93.0, words alone",
        "Huang, Xu and Yu 2015, BI-LSTM-CRF: 94.13 from random embeddings, with parts of speech among its features",
    ),
    "conll2000-pos": Row(
        "tagging",
        "conll2000",
        dict(**TAGGER, inputs="2"),
        "chunk F1 >= 93.0, the given part-of-speech column read too",
        "Huang, Xu and Yu 2015, BI-LSTM-CRF: 94.13; Kudoh and Matsumoto 2000: 93.48",
    ),
    "wnut17": Row(
        "tagging",
        "wnut17",
        dict(**TAGGER),
        "stated",
        "shared task 2017, with pretrained embeddings: 41.86 (Aguilar et al.)",
    ),
}


def summary(run: Run) -> dict[str, Any]:
    found = run.scores
    parts = {part: {each["name"]: each["value"] for each in found["scores"][part]} for part in ("dev", "test")}
    return {**parts, "seconds": found["seconds"], "parameters": found["parameters"]}


def measure(name: str, runs: Path, seeds: list[int]) -> dict[str, Any]:
    row, found = ROWS[name], []
    for number, seed in enumerate(seeds):
        out = runs / f"{name}-{seed}"
        run = fit(
            row.task,
            row.data,
            out=out,
            resume=True,
            baselines=row.baselines and seed == row.seeds[0],
            seed=seed,
            **row.options,
        )
        found.append({"seed": seed, **summary(run)})
        if not number:
            others = {other: scores for other, scores in run.final_scores().items() if other != "model"}
            leading = run.final_scores()["model"][0]
    test = [each["test"][leading.name] for each in found]
    return {
        "data": row.data,
        "options": row.options,
        "wanted": row.wanted,
        "published": row.published,
        "score": f"{leading.name} ({leading.unit})",
        "signature": leading.signature,
        "median_test": median(test),
        "least_test": min(test),
        "most_test": max(test),
        "runs": found,
        "baselines": {other: {each.name: each.value for each in scores} for other, scores in others.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("row", choices=ROWS)
    parser.add_argument("--runs", type=Path, default=Path("runs/benchmarks"), help="where runs are kept and resumed")
    parser.add_argument("--seeds", type=int, nargs="+", default=None)
    given = parser.parse_args()
    given.runs.mkdir(parents=True, exist_ok=True)
    seeds = given.seeds or list(ROWS[given.row].seeds)
    result = measure(given.row, given.runs, seeds)
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results[given.row] = {
        "command": f"python benchmarks/labelling_scores.py {given.row} --seeds {' '.join(map(str, seeds))}",
        "machine": describe_machine(),
        **result,
    }
    write_text(RESULTS, json.dumps(results, indent=1) + "\n")
    print(json.dumps({key: value for key, value in results[given.row].items() if key != "machine"}, indent=1))


if __name__ == "__main__":
    main()
