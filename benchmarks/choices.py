"""What the compiler chooses by rule, beside every other choice it has: how much is lost.

    python benchmarks/choices.py [--json benchmarks/results/choices.json]

For each shape, cell, type and mode: the same call with one thread, with rows shared among threads, and with features
shared; with products of inputs in the loop and before it; with every width of block that a product kernel
can have. All of them in turns in one process; a figure is the median of the rounds. The loss is that of the choice made
over the best one: which that is, the even rounds say, and by how much, the odd ones.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import torch

import recurra
from recurra.bench.machine import describe_machine, others_seconds
from recurra.bench.timing import alternate, spread
from recurra.files import write_text
from recurra.recurrence import fused
from recurra.recurrence.cpu import execute, layout

STEPS = 24
BATCHES, WIDTHS = (1, 8, 20, 32, 64, 128), (64, 128, 200, 256, 512, 1024)
SETTLING = "settling"
SHARINGS = {"one thread": (1, False), "rows": (2, True), "features": (2, False)}


class Choice(NamedTuple):
    """One way to run; None leaves a choice to the rule."""

    sharing: str | None = None
    inside: bool | None = None
    vectors: int | None = None

    def __str__(self) -> str:
        parts = [self.sharing, self.inside is not None and ("inside" if self.inside else "hoisted")]
        parts.append(self.vectors is not None and f"blocks of {self.vectors}")
        return ", ".join(filter(None, parts)) or "as chosen"


class Ways:
    """Runs calls by one choice or another; each has its own compiled loops."""

    def __init__(self) -> None:
        self._compilers: dict[int | None, Callable[..., Any]] = {}
        self._cut = layout._cut

    @contextmanager
    def by(self, choice: Choice) -> Iterator[None]:
        if choice.vectors not in self._compilers:
            self._compilers[choice.vectors] = lru_cache(execute.compile_program.__wrapped__)
        compiler = self._compilers[choice.vectors]
        with patch.object(execute, "compile_program", compiler), patch.object(layout, "_cut", self._blocks(choice)):
            with self._sharing(choice), self._inside(choice):
                yield

    def _blocks(self, choice: Choice) -> Callable[[int, int, int], layout.Blocks]:
        def cut(width: int, lanes: int, abreast: int) -> layout.Blocks:
            vectors = choice.vectors
            if vectors is None or width < lanes:
                return self._cut(width, lanes, abreast)
            vectors = min(vectors, width // lanes)
            offsets = tuple(range(0, vectors * lanes, lanes))
            return layout.Blocks(width, lanes, vectors, -(-width // (vectors * lanes)), offsets)

        return cut

    @staticmethod
    def _sharing(choice: Choice) -> Any:
        chosen = execute.team_for if choice.sharing is None else lambda *_, **__: SHARINGS[choice.sharing]
        return patch.object(execute, "team_for", chosen)

    @staticmethod
    def _inside(choice: Choice) -> Any:
        if choice.inside is None:
            return nullcontext()
        return patch.object(fused, "gathers", lambda *_: choice.inside)


def choices() -> list[Choice]:
    """The rule's, each sharing with each place of the inputs' products, and each width of block."""
    found = [Choice(), *(Choice(*each) for each in product(SHARINGS, (True, False)))]
    return [*found, *(Choice(vectors=vectors) for vectors in (1, 2, 3, 4))]


def measured(cell: str, batch: int, width: int, bfloat16: bool, training: bool, rounds: int) -> dict[str, Any]:
    """One entry."""
    torch.manual_seed(0)
    layer, ways = recurra.Recurrent(recurra.cells.CELLS[cell](width, width)), Ways()
    x = torch.randn(batch, STEPS, width, requires_grad=training)
    gradient = torch.randn(batch, STEPS, width)

    def call(choice: Choice) -> None:
        with ways.by(choice), torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            with torch.set_grad_enabled(training):
                outputs, _ = layer(x)
            if training:
                torch.autograd.grad(outputs, [x, *layer.parameters()], gradient)

    calls = {str(each): lambda each=each: call(each) for each in choices()}
    alone = {name: calls.pop(name) for name in list(calls) if name.startswith("one thread")}
    # behind calls on one thread the other one sleeps: the call that wakes it is nobody's
    times = alternate({**calls, SETTLING: calls[str(Choice())], **alone}, rounds)
    del times[SETTLING]
    found = {name: spread(values).median for name, values in times.items()}
    # the best of one half of the rounds, judged by the other: the luckiest of many equals seems better than it is
    best = min(times, key=lambda name: spread(times[name][::2]).median)
    pairs = zip(times["as chosen"][1::2], times[best][1::2], strict=True)
    ratio = spread([chosen / other for chosen, other in pairs])
    return {
        "cell": cell,
        "batch": batch,
        "width": width,
        "type": "bfloat16" if bfloat16 else "float32",
        "mode": "training" if training else "inference",
        "milliseconds": {name: round(1e3 * seconds, 4) for name, seconds in found.items()},
        "best": best,
        "loss": round(max(0.0, ratio.median - 1), 4),
        "loss quartiles": [round(ratio.q1 - 1, 4), round(ratio.q3 - 1, 4)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", nargs="+", default=["lstm", "gru"])
    parser.add_argument("--batches", nargs="+", type=int, default=BATCHES)
    parser.add_argument("--widths", nargs="+", type=int, default=WIDTHS)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(2)
    before, entries = others_seconds(), []
    for cell, batch, width, bfloat16, training in product(
        options.cells, options.batches, options.widths, (False, True), (False, True)
    ):
        entry = measured(cell, batch, width, bfloat16, training, options.rounds)
        entries.append(entry)
        print(
            f"{cell} B{batch} H{width} {entry['type']} {entry['mode']}: {100 * entry['loss']:.1f} % ({entry['best']})",
            flush=True,
        )
        if options.json is not None:
            after = others_seconds()
            result = {
                "command": " ".join(["python", *sys.argv]),
                "machine": describe_machine(),
                "others' processor seconds": None if before is None or after is None else round(after - before),
                "steps": STEPS,
                "rounds": options.rounds,
                "entries": entries,
            }
            write_text(options.json, json.dumps(result, indent=1) + "\n")
    losses = sorted(entry["loss"] for entry in entries)
    print(f"loss: median {100 * losses[len(losses) // 2]:.1f} %, worst {100 * losses[-1]:.1f} %")


if __name__ == "__main__":
    main()
