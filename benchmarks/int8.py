"""Weights kept as int8 beside float32 ones: the time of a step of a stream, and what a language model loses.

    python benchmarks/int8.py [--json benchmarks/results/int8.json] [--runs FOLDER]

LSTM and GRU layers as wide as their inputs, from a state that twenty steps have left. `layer.step` reads weights where
they lie, `layer.stream` packs them once; a sequence of 64 steps is one call. Both kinds take turns in one process, each
for some ten milliseconds. A time is of the calling thread's own processor time, which others on the machine do not add
to (they do take their share of its caches and memory); a ratio is the median of those of neighbours. With --runs, an
LSTM of 512 units is trained on tiny Shakespeare there, quantized, and scored before and after. What the JSON file holds
of other shapes stays; it lists the calls that it comes from.
"""

import argparse
import copy
import json
import sys
import time
from collections.abc import Callable
from math import nan
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

import recurra
from recurra.bench.machine import describe_machine, others_seconds
from recurra.cells import GRU, LSTM
from recurra.files import write_text
from recurra.layers import Recurrent
from recurra.tasks.quantized import quantize_run

CELLS = {"lstm": LSTM, "gru": GRU}
UNITS, ROWS, STEPS = (256, 512, 1024, 2048), (1, 4, 16), 64
TURNS, SECONDS = 31, 0.01
KEPT = ("layers", "language model")

LANGUAGE_MODEL: dict[str, Any] = dict(
    hidden_size=512,
    embedding_size=64,
    epochs=2,
    batch_size=32,
    steps=64,
    learning_rate=4e-3,
    precision="bfloat16",
    threads=1,
)


@torch.no_grad()
def measured(cell: str, units: int, rows: int) -> dict[str, Any]:
    """Microseconds of every kind of call, and how far the outputs of the two lie apart."""
    torch.manual_seed(0)
    exact = Recurrent(CELLS[cell](units, units))
    small = copy.deepcopy(exact)
    recurra.quantize(small)
    x, sequence = torch.randn(rows, units), torch.randn(rows, STEPS, units)
    _, state = exact(sequence[:, :20])
    pair = (exact, small)
    for layer in pair:
        layer(sequence[:, :2], state)  # compiled, and compared with the cell
    streams = [layer.stream(rows, state) for layer in pair]
    apart = (exact(sequence, state)[0] - small(sequence, state)[0]).abs().max()
    begin, before = time.perf_counter(), others_seconds()
    times = {
        "step": _in_turns([lambda layer=layer: layer.step(x, state) for layer in pair]),
        "stream": _in_turns([lambda stream=stream: stream.step(x) for stream in streams]),
        "sequence": _in_turns([lambda layer=layer: layer(sequence, state) for layer in pair]),
    }
    wall, after = time.perf_counter() - begin, others_seconds()
    others = nan if before is None or after is None else max(0.0, after - before) / wall
    weights = [sum(each.nbytes for each in layer.state_dict().values()) / 2**20 for layer in pair]
    return {
        "MiB of weights": {"float32": round(weights[0], 2), "int8": round(weights[1], 2)},
        "microseconds": times,
        f"largest difference in {STEPS} steps' outputs": round(float(apart), 5),
        "cores that others used": round(others, 2),
    }


def _in_turns(calls: list[Callable[[], object]]) -> dict[str, float]:
    """Medians of both, and how many times as fast the second is."""
    for call in calls * 3:
        call()
    number = max(1, round(SECONDS / _seconds(calls[0], 1)))
    turns = [[_seconds(call, number) for call in calls] for _ in range(TURNS if number > 1 else 7)]
    first, second = (round(1e6 * median(column), 1) for column in zip(*turns, strict=True))
    ratio = round(median(one / other for one, other in turns), 2)
    return {"float32": first, "int8": second, "times as fast": ratio}


def _seconds(call: Callable[[], object], number: int) -> float:
    """Of one call, in the mean of ``number``."""
    start = time.thread_time()
    for _ in range(number):
        call()
    return (time.thread_time() - start) / number


def language_model(runs: Path) -> dict[str, Any]:
    """Scores of a trained model with weights of either kind, and how far single characters' log-probabilities move."""
    exact, small = runs / "shakespeare", runs / "shakespeare-int8"
    run = recurra.fit("language-model", "tiny-shakespeare", out=exact, resume=True, baselines=False, **LANGUAGE_MODEL)
    quantized = recurra.load(small) if small.exists() else quantize_run(exact, small)
    found: dict[str, Any] = {"data": "tiny-shakespeare", "options": LANGUAGE_MODEL}
    for name, each in (("float32", run), ("int8", quantized)):
        parts = {part: each.evaluate(split=part)["model"] for part in ("dev", "test")}
        found[name] = {part: {score.name: score.value for score in scores} for part, scores in parts.items()}
        found[name]["bytes"] = (each.path / "model.safetensors").stat().st_size
    moved = _nats(quantized.model, run) - _nats(run.model, run)
    return found | {"nats of a character, standard deviation of the difference": round(float(moved.std()), 5)}


@torch.no_grad()
def _nats(model: Any, run: Any, count: int = 20_000) -> torch.Tensor:
    """Of each of the first characters of the test part."""
    tokens = torch.from_numpy(np.asarray(run.data.test[0 : count + 1]).astype("int64")).unsqueeze(0)
    logits, _ = model(tokens[:, :-1])
    return -logits.log_softmax(-1).gather(-1, tokens[:, 1:].unsqueeze(-1)).flatten().double()


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure weights of int8 beside float32.")
    parser.add_argument("--units", type=int, nargs="*", default=UNITS)
    parser.add_argument("--rows", type=int, nargs="+", default=ROWS)
    parser.add_argument("--runs", type=Path, help="folder for the language model's runs")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    result: dict[str, Any] = {
        "commands": [" ".join(["python", "benchmarks/int8.py", *sys.argv[1:]])],
        "machine": describe_machine(),
        "threads": 1,
        "layers": {},
    }
    if options.json is not None and options.json.exists():
        earlier = json.loads(options.json.read_text())
        result |= {name: value for name, value in earlier.items() if name in KEPT}
        result["commands"] = [*earlier["commands"], *result["commands"]]
    for cell in CELLS:
        for units in options.units:
            for rows in options.rows:
                name = f"{cell} H{units} B{rows}"
                result["layers"][name] = measured(cell, units, rows)
                print(name, json.dumps(result["layers"][name]["microseconds"]), flush=True)
    if options.runs is not None:
        result["language model"] = language_model(options.runs)
        print(json.dumps(result["language model"], indent=1))
    if options.json is not None:
        write_text(options.json, json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
