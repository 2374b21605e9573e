"""Batches of rows of different lengths: what padding costs, and what is left of it with lengths.

    python benchmarks/ragged.py DATA [--json benchmarks/results/ragged.json]

DATA holds ``ud_english_ewt`` (Universal Dependencies English Web Treebank: a step is a word) and ``fsdd`` (Free Spoken
Digit Dataset: a step is 10 ms of sound); only lengths are taken from them. An LSTM of 200 inputs and 200 units in
float32; batches of 32, drawn at random, or neighbours in the order of length. Training is outputs and the gradients of
input and weights. Every way is given padded tensors and gives padded outputs, packing and unpacking included. All take
turns batch by batch, and ratios are medians over rounds.
"""

import argparse
import gzip
import json
import random
import sys
import time
import wave
import zipfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import recurra
from recurra.bench.machine import describe_machine
from recurra.cells import LSTM
from recurra.files import write_text
from recurra.layers import Recurrent

ROWS, WIDTH, BATCHES = 32, 200, 8


def sentences(data: Path) -> list[int]:
    """Words of each sentence; ranges of several tokens and empty nodes are none."""
    lengths = [0]
    with gzip.open(data / "ud_english_ewt" / "en_ewt-ud-train.conllu.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            if line.strip():
                lengths[-1] += line.split("\t")[0].isdigit()
            else:
                lengths.append(0)
    return [length for length in lengths if length > 0]


def digits(data: Path) -> list[int]:
    """Hundredths of a second of each recording."""
    lengths = []
    with zipfile.ZipFile(data / "fsdd" / "recordings.zip") as archive:
        for name in sorted(archive.namelist()):
            if name.endswith(".wav"):
                with archive.open(name) as file, wave.open(file) as sound:
                    lengths.append(max(1, 100 * sound.getnframes() // sound.getframerate()))
    return lengths


def at_random(lengths: list[int], draw: random.Random) -> list[list[int]]:
    return [draw.sample(lengths, ROWS) for _ in range(BATCHES)]


def in_buckets(lengths: list[int], draw: random.Random) -> list[list[int]]:
    """Batches of neighbours, each in any order."""
    in_order = sorted(lengths)
    starts = draw.sample(range(0, len(in_order) - ROWS, ROWS), BATCHES)
    return [draw.sample(in_order[start : start + ROWS], ROWS) for start in starts]


Way = Callable[[Tensor, Tensor], Tensor]


def packed(layer: nn.Module) -> Way:
    """A layer of the kind of torch's, called with a PackedSequence."""

    def call(x: Tensor, lengths: Tensor) -> Tensor:
        rows = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(layer(rows)[0], batch_first=True, total_length=x.shape[1])[0]

    return call


def ways() -> dict[str, tuple[nn.Module, Way]]:
    """Each way's layer, and how it is called."""
    layer = Recurrent(LSTM(WIDTH, WIDTH))
    ours, theirs = (module.LSTM(WIDTH, WIDTH, batch_first=True) for module in (recurra.nn, nn))
    return {
        "lengths": (layer, lambda x, lengths: layer(x, lengths=lengths)[0]),
        "padding": (layer, lambda x, _: layer(x)[0]),
        "recurra.nn packed": (ours, packed(ours)),
        "torch.nn packed": (theirs, packed(theirs)),
        "torch.nn padding": (theirs, lambda x, _: theirs(x)[0]),
    }


def seconds(layer: nn.Module, call: Way, x: Tensor, lengths: Tensor, training: bool) -> float:
    start = time.perf_counter()
    if training:
        torch.autograd.grad(call(x, lengths).sum(), [x, *layer.parameters()])
    else:
        with torch.no_grad():
            call(x, lengths)
    return time.perf_counter() - start


def measure(batches: list[list[int]], training: bool, rounds: int) -> dict[str, Any]:
    """Milliseconds of a batch for each way, and how many times as long as ``lengths`` each takes."""
    torch.manual_seed(0)
    given = [(torch.randn(ROWS, max(batch), WIDTH).requires_grad_(), torch.tensor(batch)) for batch in batches]
    contenders = ways()
    found: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds + 1):
        total = dict.fromkeys(contenders, 0.0)
        for x, lengths in given:
            for name, (layer, call) in contenders.items():
                total[name] += seconds(layer, call, x, lengths, training)
        for name in contenders:
            found[name].append(total[name])
    warm = {name: times[1:] for name, times in found.items()}
    ratios = {
        name: round(median(other / one for one, other in zip(warm["lengths"], times, strict=True)), 2)
        for name, times in warm.items()
    }
    return {
        "steps that belong to a row": round(sum(map(sum, batches)) / sum(ROWS * max(batch) for batch in batches), 3),
        "milliseconds a batch": {name: round(1e3 * median(times) / len(batches), 2) for name, times in warm.items()},
        "times as long as lengths": ratios,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure ragged batches beside padded ones.")
    parser.add_argument("data", type=Path)
    parser.add_argument("--rounds", type=int, default=9, help="times that every batch is run")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    results = {}
    for name, lengths in (("sentences", sentences(options.data)), ("spoken digits", digits(options.data))):
        for kind, batch in (("random", at_random), ("buckets", in_buckets)):
            for training in (True, False):
                title = f"{name}, {kind}, {'training' if training else 'inference'}"
                results[title] = measure(batch(lengths, random.Random(0)), training, options.rounds)
                print(title, json.dumps(results[title]), flush=True)
    result = {
        "command": " ".join(["python", "benchmarks/ragged.py", *sys.argv[1:]]),
        "machine": describe_machine(),
        "shape": {"cell": "LSTM", "rows": ROWS, "inputs": WIDTH, "units": WIDTH, "threads": options.threads},
        "results": results,
    }
    if options.json is not None:
        write_text(options.json, json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
