"""A step of beam search beside one of greedy search, and beside the network's own steps of as many rows.

    python benchmarks/beam.py [--json benchmarks/results/beam.json]

32 sources, a beam of 5, a GRU of 512 units and a softmax layer over 8,000 tokens, 20 tokens each; one thread. With
attention the state also holds a memory of 30 positions of each source, which the search selects rows of at every step.
All kinds take turns in one process; a figure is the median of the rounds, a ratio that of neighbours.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from recurra.bench.machine import describe_machine
from recurra.bench.timing import alternate
from recurra.cells import GRU
from recurra.decoding.beam import beam_search
from recurra.decoding.greedy import greedy
from recurra.decoding.penalties import per_length
from recurra.decoding.sampling import Step
from recurra.files import write_text
from recurra.layers import Recurrent
from recurra.recurrence.state import State, select

SOURCES, BEAM, UNITS, VOCABULARY, POSITIONS, TOKENS, ROUNDS = 32, 5, 512, 8000, 30, 20, 15


def network(attends: bool) -> tuple[Step, State]:
    """A step and the state that it begins with."""
    torch.manual_seed(0)
    embedding, layer = nn.Embedding(VOCABULARY, UNITS), Recurrent(GRU(UNITS, UNITS))
    output = nn.Linear(UNITS, VOCABULARY)
    nn.init.uniform_(output.weight, -0.2, 0.2)

    def step(tokens: Tensor, state: State) -> tuple[Tensor, State]:
        h, hidden = layer.step(embedding(tokens), state[0])
        if attends:
            weights = (state[1] @ h.unsqueeze(2)).softmax(1)
            h = h + (weights.transpose(1, 2) @ state[1]).squeeze(1)
        return output(h), (hidden, *state[1:])

    memory = (torch.randn(SOURCES, POSITIONS, UNITS),) if attends else ()
    return step, (layer.cell.initial_state(SOURCES), *memory)


def steps(step: Step, state: State, rows: int) -> Callable[[], None]:
    """As many steps as a search takes, of so many rows."""
    tokens, state = torch.arange(rows), select(state, torch.arange(rows) % SOURCES)

    def run() -> None:
        held = state
        for _ in range(TOKENS):
            _, held = step(tokens, held)

    return run


@torch.inference_mode()
def measured(attends: bool) -> dict[str, Any]:
    """Milliseconds of a step of each kind, and ratios."""
    step, state = network(attends)
    tokens = torch.arange(SOURCES)
    options: dict[str, Any] = dict(end=None, maximum=TOKENS)
    calls = {
        "greedy": lambda: greedy(step, tokens, state, **options),
        "beam": lambda: beam_search(step, tokens, state, beam=BEAM, n_best=BEAM, penalty=per_length, **options),
        "steps of 32 rows": steps(step, state, SOURCES),
        "steps of 160 rows": steps(step, state, SOURCES * BEAM),
    }
    times = alternate(calls, ROUNDS)
    pairs = {"beam / greedy": ("beam", "greedy"), "160 rows / 32": ("steps of 160 rows", "steps of 32 rows")}
    return {
        "attention": attends,
        "milliseconds": {name: round(1e3 * median(values) / TOKENS, 2) for name, values in times.items()},
        "ratios": {
            name: round(median(a / b for a, b in zip(times[one], times[other], strict=True)), 2)
            for name, (one, other) in pairs.items()
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    results = [measured(attends) for attends in (False, True)]
    for result in results:
        print(json.dumps(result))
    if options.json:
        found = {
            "command": " ".join(["python", "benchmarks/beam.py", *sys.argv[1:]]),
            "machine": describe_machine(),
            "results": results,
        }
        write_text(options.json, json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
