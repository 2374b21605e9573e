"""One training update of Zaremba's language models: Recurra's trainer beside the plainest loop over torch.nn.

    python benchmarks/language_model_step.py [--models small] [--json benchmarks/results/language_model_step.json]

Both have the same weights, tokens (10,000 words, drawn by Zipf's law), clipping and rate; their first losses are
compared. The plain loop is ``nn.Embedding``, ``nn.LSTM``, ``nn.Linear``, ``cross_entropy``, ``clip_grad_norm_`` and
``SGD``, in a process of its own with the C library's allocator as it is; Recurra's is all of ``train``: batches, checks
for finite numbers, the metrics' file. The two processes take turns of some updates; a time is a turn's mean, a figure
the median of the turns with its quartiles, a ratio that of turns side by side.

The bound is the speed-up that remained if Recurra's update were these alone: its recurrent layers, forward and
backward, as fast as they are; the three products of the output layer, bare, as fast as torch takes them in the same
type; and the passes over memory that clipping and update cannot do without (every gradient of a weight but the
embedding's read twice, the weight read and written), as fast as torch copies. The share says how near the update is.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from recurra.bench.machine import describe_machine
from recurra.bench.timing import alternate, spread
from recurra.cells.torch_weights import from_torch
from recurra.data.tokens import Corpus
from recurra.data.vocabulary import build_vocabulary
from recurra.data.windows import StatefulWindows
from recurra.files import write_text
from recurra.tasks.language_model.config import Config
from recurra.tasks.language_model.network import build_network
from recurra.tasks.language_model.task import problem
from recurra.training.loop import train
from recurra.training.run_folder import RunFolder

WORDS, ROWS, LAYERS, CLIP_NORM, RATE = 10_000, 20, 2, 5.0, 0.1
MODELS: dict[str, dict[str, Any]] = {
    "small": dict(hidden_size=200, steps=20, dropout=0.0),
    "small-35": dict(hidden_size=200, steps=35, dropout=0.0),
    "medium": dict(hidden_size=650, steps=35, dropout=0.5),
}
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
SECONDS_OF_A_TURN = 0.5


class Plain(nn.Module):
    """The model as one would write it in torch; sequences are (time, batch)."""

    def __init__(self, hidden_size: int, dropout: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(WORDS, hidden_size)
        self.layers = nn.LSTM(hidden_size, hidden_size, LAYERS, dropout=dropout)
        self.output = nn.Linear(hidden_size, WORDS)
        self.dropout = nn.Dropout(dropout)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -0.1, 0.1)

    def forward(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        outputs, state = self.layers(self.dropout(self.embedding(tokens)), state)
        return self.output(self.dropout(outputs)), state


class Turns:
    """The batches; asks before every one whether it is this process's turn, and reports how long the last turn took.

    What it is sent is the number of updates of a turn, "layers" for the time of the recurrent layers, or None to end.
    """

    def __init__(self, connection: Connection, batches: Any, layers: Callable[[], float]) -> None:
        self.connection, self.batches, self.layers = connection, batches, layers
        self._left = self._given = 0
        self._started: float | None = None

    def __len__(self) -> int:
        return 10**9

    def __getitem__(self, index: int) -> Any:
        if not self._left:
            if self._started is not None:
                self.connection.send((time.perf_counter() - self._started) / self._given)
            while (sent := self.connection.recv()) == "layers":
                self.connection.send(self.layers())
            if sent is None:
                raise Done
            self._left = self._given = sent
            self._started = time.perf_counter()
        self._left -= 1
        return self.batches[index % len(self.batches)]


class Done(Exception):
    """There are no more turns."""


def tokens() -> np.ndarray:
    chances = 1 / np.arange(1, WORDS + 1)
    return np.random.default_rng(0).choice(WORDS, 200_000, p=chances / chances.sum()).astype(np.uint16)


def serve_plain(connection: Connection, name: str, precision: str, threads: int) -> None:
    """The plain loop."""
    torch.set_num_threads(threads)
    shape = MODELS[name]
    model = Plain(shape["hidden_size"], shape["dropout"])
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    x = torch.randn(shape["steps"], ROWS, shape["hidden_size"], requires_grad=True)
    windows = StatefulWindows(tokens(), ROWS, shape["steps"])
    turns, state = Turns(connection, windows, lambda: layer_seconds(model.layers, x, precision)), None
    for index in range(len(turns)):
        inputs, targets = turns[index]
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            logits, state = model(inputs.T, state)
            loss = nn.functional.cross_entropy(logits.flatten(0, 1), targets.T.flatten()) * shape["steps"]
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
        optimizer.step()
        state = tuple(part.detach() for part in state)
        if index == 0:
            connection.send(loss.item() / shape["steps"])


def serve_recurra(connection: Connection, name: str, precision: str, threads: int) -> None:
    """The same model by Recurra's trainer."""
    torch.set_num_threads(threads)
    shape = MODELS[name]
    config = Config(
        **shape, layers=LAYERS, batch_size=ROWS, optimizer="sgd", learning_rate=RATE, clip_norm=CLIP_NORM,
        schedule="constant", loss_per="sequence", precision=precision, threads=threads, checkpoint_every=10**9,
    )  # fmt: skip
    vocabulary = build_vocabulary("words", [" ".join(f"w{number}" for number in range(WORDS - 1))])
    model: Any = build_network(config, vocabulary)
    copy_weights(Plain(shape["hidden_size"], shape["dropout"]), model)
    text = tokens()
    posed = problem(config, Corpus(text, text[:100], text[:100], vocabulary, {}, {}), model)
    x = torch.randn(ROWS, shape["steps"], shape["hidden_size"], requires_grad=True)
    turns = Turns(connection, posed.batches(0), lambda: layer_seconds(model.layers, x, precision))
    losses: list[float] = []

    def loss(*given: Any) -> Any:
        found = posed.loss(*given)
        if not losses:
            losses.append(found.mean.item())
            connection.send(losses[0])
        return found

    with tempfile.TemporaryDirectory() as folder:
        run = RunFolder.create(Path(folder) / "run", {"threads": threads})
        train(replace(posed, batches=lambda epoch: turns, loss=loss), config, run)


def copy_weights(plain: Plain, model: Any) -> None:
    model.embedding.load_state_dict(plain.embedding.state_dict())
    model.output.load_state_dict(plain.output.state_dict())
    for number, layer in enumerate(model.layers.layers):
        layer.cell.load_state_dict(from_torch(plain.layers, number).state_dict())


def serve(way: Callable[..., None], *given: Any) -> None:
    with suppress(Done):
        way(*given)


def layer_seconds(layers: nn.Module, x: Tensor, precision: str) -> float:
    """Forward and backward of the recurrent layers alone."""
    weights = [x, *layers.parameters()]

    def call() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            outputs = layers(x)[0]
        torch.autograd.grad(outputs, weights, torch.ones_like(outputs))

    return seconds_of(call)


def seconds_of(call: Callable[[], Any]) -> float:
    return median(alternate({"": call}, 3)[""])


def floors(name: str, precision: str, threads: int) -> dict[str, Callable[[], float]]:
    """What takes the time of the output layer's products, and of the passes of clipping and update."""
    torch.set_num_threads(threads)
    H, N, kind = MODELS[name]["hidden_size"], MODELS[name]["steps"] * ROWS, PRECISIONS[precision]
    x, weight, logits = (torch.randn(shape).to(kind) for shape in ((N, H), (WORDS, H), (N, WORDS)))
    d_x, d_weight, product = torch.empty_like(x), torch.empty_like(weight), torch.empty_like(logits)
    numbers = WORDS * (H + 1) + LAYERS * 4 * H * (2 * H + 1)
    gradients, weights = torch.zeros(numbers), torch.zeros(numbers)

    def products() -> None:
        torch.mm(x, weight.T, out=product)
        torch.mm(logits, weight, out=d_x)
        torch.mm(logits.T, x, out=d_weight)

    def passes() -> None:
        weights.copy_(gradients)
        weights.copy_(gradients)

    return {"output_products": partial(seconds_of, products), "update_passes": partial(seconds_of, passes)}


@contextmanager
def process(way: Callable[..., None], *given: Any) -> Iterator[Connection]:
    """A process of its own, and the wire to it."""
    context = get_context("spawn")
    here, there = context.Pipe()
    server = context.Process(target=serve, args=(way, there, *given))
    server.start()
    try:
        yield here
        here.send(None)
        server.join()
    finally:
        server.terminate()


def ask(connection: Connection, what: int | str) -> float:
    connection.send(what)
    found: float = connection.recv()
    return found


def measure(name: str, precision: str, threads: int, rounds: int) -> dict[str, Any]:
    case = name, precision, threads
    with process(serve_plain, *case) as plain, process(serve_recurra, *case) as recurra:
        ways = {"torch": plain, "recurra": recurra}
        losses = {way: ask(connection, 3) for way, connection in ways.items()}
        if MODELS[name]["dropout"] == 0:
            tolerance = 2e-3 if precision == "bfloat16" else 1e-5
            np.testing.assert_allclose(losses["recurra"], losses["torch"], rtol=tolerance)
        updates = {}
        for way, connection in ways.items():
            connection.recv()  # the time of three updates, the first of them cold
            updates[way] = max(1, round(SECONDS_OF_A_TURN / ask(connection, 3)))
        parts: dict[str, Callable[[], float]] = floors(*case)
        for way, connection in ways.items():
            parts[way] = partial(ask, connection, updates[way])
            parts[f"{way}_layers"] = partial(ask, connection, "layers")
        samples: dict[str, list[float]] = {part: [] for part in parts}
        for number in range(rounds):
            for part in parts if number % 2 == 0 else reversed(parts):
                samples[part].append(parts[part]())
    return summary(name, {part: np.array(values) for part, values in samples.items()})


def summary(name: str, samples: dict[str, np.ndarray]) -> dict[str, Any]:
    """Ratios are taken of what was measured side by side."""
    least = samples["recurra_layers"] + samples["output_products"] + samples["update_passes"]
    words = ROWS * MODELS[name]["steps"]
    found = {
        "speedup": samples["torch"] / samples["recurra"],
        "bound": samples["torch"] / least,
        "share_of_bound": least / samples["recurra"],
        "recurrent_share_torch": samples["torch_layers"] / samples["torch"],
        "recurrent_share_recurra": samples["recurra_layers"] / samples["recurra"],
    }
    return {
        "tokens_per_second": {way: round(words / np.median(samples[way])) for way in ("torch", "recurra")},
        **{what: spread(values.tolist()).to_json() for what, values in found.items()},
        "seconds": {part: spread(values.tolist()).to_json() for part, values in samples.items()},
    }


def report(name: str, precision: str, threads: int, found: dict[str, Any]) -> None:
    rates, faster, bound, share = (found[what] for what in ("tokens_per_second", "speedup", "bound", "share_of_bound"))
    print(
        f"{name:9} {precision:9} {threads} threads  tokens/s {rates['torch']:7,} and {rates['recurra']:7,}  "
        f"{faster['median']:.2f} times as fast ({faster['q1']:.2f} to {faster['q3']:.2f}), "
        f"bound {bound['median']:.2f}, {share['median']:.0%} of it",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=list(PRECISIONS))
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=15, help="turns of each way")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    cases = {}
    for name in given.models:
        for precision in given.precisions:
            for threads in given.threads:
                found = measure(name, precision, threads, given.rounds)
                cases[f"{name}, {precision}, threads {threads}"] = found
                report(name, precision, threads, found)
    result = {
        "command": " ".join(["python", "benchmarks/language_model_step.py", *sys.argv[1:]]),
        "machine": describe_machine(),
        "models": MODELS,
        "cases": cases,
    }
    if given.json is not None:
        write_text(given.json, json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
