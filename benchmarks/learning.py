"""Which way of learning solves what, in the same time: the same networks and problems, several learners.

    python benchmarks/learning.py PART [--runs FOLDER] [--jobs 2] [--seeds 0 1 2]

The parts are `bridges` (which learner bridges which lag), `pathological` (long lags from an ordinary start, with and
without curvature), `intervals` (peepholes, or none), `counting` (strings much longer than any that was learnt) and
`xor` (the ceiling of two thirds). Each run is of one thread and stops at its first validation that finds the problem
solved, or when its time is up; runs that FOLDER holds are not made again. Learning rates are constant; they were chosen
by one run each of another seed at lag 30, of 30 seconds. The results go into ``benchmarks/results/learning.json``, and
those of `bridges` are drawn beside it.
"""

import argparse
import json
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from recurra.files import replacing, write_text

RESULTS = Path(__file__).parent / "results" / "learning.json"

SHARED: dict[str, Any] = {"schedule": "constant", "threads": 1, "epochs": 100_000, "part_size": 1_000}
FIRST: dict[str, dict[str, Any]] = {
    "sgd": {"learning_rate": 0.3},
    "momentum": {"learning_rate": 0.03},
    "rmsprop": {"learning_rate": 1e-3},
    "adam": {"learning_rate": 3e-3},
}
LARGE: dict[str, Any] = {"batch_size": 200, "validate_every": 5}
OTHERS: dict[str, dict[str, Any]] = {
    "hessian-free": {
        **LARGE, "accumulate": 5, "curvature_share": 0.4, "curvature_products": 60, "structural_damping": 0.1,
    },
    "saddle-free": {**LARGE, "learning_rate": 0.03, "accumulate": 5},
    "guessing": {**LARGE, "spread": 10.0, "validate_every": 500},
    "evolution": {**LARGE, "spread": 0.5, "validate_every": 100},
}  # fmt: skip
LEARNERS = {**FIRST, **OTHERS}
RTRL = {"learning_rate": 3e-3}


class Case(NamedTuple):
    """One run.

    Args:
        learner: an optimizer; or "rtrl", the rule of adam with gradients carried forward.
        options: of the task, the budget among them.
    """

    problem: str
    learner: str
    options: dict[str, Any]
    seed: int

    @property
    def name(self) -> str:
        """Of its folder."""
        own = {**self.options, "seed": self.seed}
        keys = ("lag", "cell", "hidden_size", "forget_bias", "time_limit", "seed")
        words = [self.problem, self.learner, *(str(own[key]) for key in keys if key in own)]
        return "".join(letter if letter.isalnum() or letter in ".-" else "" for letter in "-".join(words))


class Found(NamedTuple):
    """What a run came to.

    Args:
        solved: seconds of training until a validation found it so; None where none did.
        scores: of the test part, by name.
    """

    solved: float | None
    seconds: float
    scores: dict[str, float]


def run(runs: Path, case: Case) -> Found:
    """Train, or read what was trained."""
    place = runs / case.name
    if case.learner == "rtrl":
        return by_rtrl(place, case)
    from recurra.tasks.run import fit

    own = {} if case.learner == "adamw" else LEARNERS[case.learner]
    options = {**SHARED, **own, **case.options, "optimizer": case.learner, "seed": case.seed}
    found = fit("problem", case.problem, out=place, resume=True, baselines=False, **options).scores
    scores = {score["name"]: score["value"] for score in found["scores"]["test"]}
    return Found(found.get("solved", {}).get("seconds"), found["seconds"], scores)


def by_rtrl(place: Path, case: Case) -> Found:
    """The network of `fit`, with exact gradients that are carried forward step by step."""
    import time

    import torch

    from recurra.metrics.score import Score
    from recurra.tasks.problem import task
    from recurra.tasks.problem.scoring import answer_of, evaluate, outcome
    from recurra.training import rtrl

    file = place.with_name(f"{place.name}.json")  # a name may have dots
    if file.exists():
        return Found(**json.loads(file.read_text()))
    options = {**SHARED, **RTRL, **case.options, "seed": case.seed}
    config = task.Config(**options)
    torch.set_num_threads(1)
    torch.manual_seed(case.seed)
    data = task.make_data(case.problem, config)
    model = task.build(config, data)
    (layer,) = (module for module in model.modules() if type(module).__name__ == "Recurrent")
    learner, optimizer = rtrl(layer.cell), torch.optim.Adam(model.parameters(), lr=config.learning_rate)
    batches = task.TrainingBatches(model, data.problem, config, 0)
    begun, solved, validated, number = time.monotonic(), None, 0.0, 0
    while (seconds := time.monotonic() - begun) < config.time_limit and solved is None:
        batch = batches[number]
        number += 1
        learner.start(len(batch.x))
        lengths = batch.lengths if batch.lengths is not None else torch.full((len(batch.x),), batch.x.shape[1])
        ends = []
        for step, x in enumerate(batch.x.unbind(1)):
            ends.append(torch.where((lengths == step + 1)[:, None], learner(x), 0))
        outputs = model.output(sum(ends)).unsqueeze(1)
        data.problem.loss(outputs, batch.target, batch.mask).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
        optimizer.step()
        optimizer.zero_grad()
        if seconds - validated > config.time_limit / 10:
            validated = seconds
            if outcome(data, answer_of(model), "dev").solved:
                solved = time.monotonic() - begun
    scores: list[Score] = evaluate(model, data, "test")
    found = Found(solved, time.monotonic() - begun, {score.name: score.value for score in scores})
    place.parent.mkdir(parents=True, exist_ok=True)
    write_text(file, json.dumps(found._asdict()) + "\n")
    return found


def every(runs: Path, jobs: int, cases: list[Case]) -> Iterator[tuple[Case, Found]]:
    """All cases, some at a time, in their order."""
    if not cases:
        return
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        for case, found in zip(cases, pool.map(partial(run, runs), cases), strict=True):
            print(
                f"{case.name}: {'-' if found.solved is None else f'{found.solved:.0f} s'}  {found.scores}", flush=True
            )
            yield case, found


def summary(found: list[Found]) -> dict[str, Any]:
    """Of the seeds of one row."""
    times = sorted(each.solved for each in found if each.solved is not None)
    return {
        "solved": f"{len(times)} of {len(found)}",
        "seconds_to_solve": [round(each, 1) for each in times],
        "scores": {name: [round(each.scores[name], 4) for each in found] for name in found[0].scores},
    }


def rows(runs: Path, jobs: int, cases: dict[str, list[Case]]) -> dict[str, Any]:
    """Named rows of cases that differ in their seeds alone."""
    flat = [case for each in cases.values() for case in each]
    found = iter([outcome for _, outcome in every(runs, jobs, flat)])
    return {name: summary([next(found) for _ in each]) for name, each in cases.items()}


def bridges(runs: Path, jobs: int, seeds: list[int]) -> dict[str, Any]:
    """Temporal order at growing lags: a learner that solves a lag with no seed is not tried at longer ones."""
    budget, table = 40.0, {}
    going = [(cell, learner) for cell in ("elman", "lstm") for learner in (*LEARNERS, "rtrl")]
    for lag in (10, 30, 100, 300):
        cases = {
            f"{cell} {learner} {lag}": [
                Case(
                    "temporal-order", learner, {"lag": lag, "cell": cell, "hidden_size": 32, "time_limit": budget}, seed
                )
                for seed in seeds
            ]
            for cell, learner in going
        }
        table |= rows(runs, jobs, cases)
        going = [pair for pair in going if table[f"{pair[0]} {pair[1]} {lag}"]["seconds_to_solve"]]
    draw(table, RESULTS.with_suffix(".png"), budget)
    return {"problem": "temporal-order", "seconds": budget, "rows": table}


def pathological(runs: Path, jobs: int, seeds: list[int]) -> dict[str, Any]:
    """Elman networks of 20 units, as they start by default, that have to add two numbers out of a hundred."""
    options = {"lag": 100, "cell": "elman", "hidden_size": 20, "time_limit": 120.0}
    cases = {
        learner: [Case("adding", learner, options, seed) for seed in seeds]
        for learner in ("sgd", "momentum", "rmsprop", "adam", "hessian-free")
    }
    return {"problem": "adding", **options, "rows": rows(runs, jobs, cases)}


def intervals(runs: Path, jobs: int, seeds: list[int]) -> dict[str, Any]:
    """Timing with and without connections from the state to the gates."""
    budget = 60.0
    cases = {
        f"{problem} {cell}": [
            Case(problem, "adam", {"cell": cell, "hidden_size": 8, "time_limit": budget}, seed) for seed in seeds
        ]
        for problem in ("timed-spikes", "periodic")
        for cell in ("lstm", "peephole-lstm")
    }
    return {"seconds": budget, "rows": rows(runs, jobs, cases)}


def counting(runs: Path, jobs: int, seeds: list[int]) -> dict[str, Any]:
    """Strings up to n = N are learnt for half a minute by networks of three units; which are then accepted?

    A count that leaks is wrong after some tens of steps. One of these cells cannot forget; one looks at its count.
    """
    own = {"learning_rate": 1e-2, "schedule": "cosine", "validate_every": 100}
    options = {"hidden_size": 3, "time_limit": 30.0, "stop_when_solved": False, **own}
    cases = {
        f"{cell}, N = {lag}": [Case("anbn", "adam", {**options, "lag": lag, "cell": cell}, seed) for seed in seeds]
        for lag in (10, 30)
        for cell in ("original-lstm", "lstm", "peephole-lstm")
    }
    return {"problem": "anbn", **options, "rows": rows(runs, jobs, cases)}


def xor(runs: Path, jobs: int, seeds: list[int]) -> dict[str, Any]:
    """Elman's stream of bits, of which every third follows from the two before it."""
    options = {"cell": "elman", "hidden_size": 16, "time_limit": 60.0}
    cases = {"elman": [Case("temporal-xor", "adam", options, seed) for seed in seeds]}
    return {"ceiling": "66.7 % of next bits", "rows": rows(runs, jobs, cases)}


def draw(table: dict[str, Any], path: Path, budget: float) -> None:
    """Learners by lags, for each cell: how soon the median seed had solved it."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    names = [*LEARNERS, "rtrl"]
    lags = sorted({int(name.split()[2]) for name in table})
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    for place, cell in zip(figure.subplots(1, 2, sharey=True), ("elman", "lstm"), strict=True):
        for y, learner in enumerate(names):
            for x, lag in enumerate(lags):
                row = table.get(f"{cell} {learner} {lag}")
                times = row["seconds_to_solve"] if row else []
                share = max(0, 1 - median(times) / budget) if times else 0  # the last validation may come after it
                colour = (1 - 0.75 * share, 1 - 0.35 * share, 1 - 0.6 * share) if times else "#eeeeee"
                place.add_patch(Rectangle((x, y), 1, 1, fc=colour, ec="w"))
                text = f"{median(times):.0f} s\n{row['solved']}" if times else ("-" if row else "")
                place.text(x + 0.5, y + 0.5, text, ha="center", va="center", fontsize=8)
        place.set(title=cell, xlabel="lag", xlim=(0, len(lags)), ylim=(len(names), 0))
        place.set_xticks([x + 0.5 for x in range(len(lags))], [str(lag) for lag in lags])
        place.set_yticks([y + 0.5 for y in range(len(names))], names)
        place.tick_params(length=0)
    with replacing(path) as part:
        figure.savefig(part, format="png", dpi=120)


PARTS = {each.__name__: each for each in (bridges, pathological, intervals, counting, xor)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--runs", type=Path, default=Path("runs/learning"), help="where runs are kept")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="runs at a time, of one thread each")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    given = parser.parse_args()
    given.runs.mkdir(parents=True, exist_ok=True)
    from recurra.bench.machine import describe_machine

    found = PARTS[given.part](given.runs, given.jobs, given.seeds)
    document = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    seeds = " ".join(map(str, given.seeds))
    command = f"python benchmarks/learning.py {given.part} --jobs {given.jobs} --seeds {seeds}"
    document[given.part] = {"command": command, "machine": describe_machine(), **found}
    write_text(RESULTS, json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
