"""DeepAR beside that of GluonTS: training, forecasts of many series, and many paths of one.

    python benchmarks/forecasting.py [--threads 1 2] [--json benchmarks/results/forecasting.json]

Two layers of an LSTM of 40 units, Student's t, a batch of 32 series, a context of 168 steps and a horizon of 24, four
covariates known ahead, an embedding of 8 for each series: GluonTS' own defaults for hourly data, but with the last
value as the only lag. Both networks have the same recurrent weights and read the same batches; their losses are
compared before anything is timed (GluonTS does not forecast a window's first value, so that is left out there). An
update is loss, gradients, clipping and Adam; a forecast 100 sample paths of each series over the horizon; and then
10,000 paths of one series. Batches are ready before the clock runs, and freed memory is kept for the next buffers, for
both. The two take turns; a ratio is that of turns side by side. Where GluonTS is not installed, Recurra is measured
alone.
"""

import argparse
import json
import math
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from recurra.bench.machine import describe_machine
from recurra.bench.timing import alternate, spread
from recurra.cells.torch_weights import from_torch
from recurra.files import write_text
from recurra.layers import Recurrent, Stack
from recurra.models.forecasting.autoregressive import Autoregressive
from recurra.models.forecasting.outputs import StudentTOutput
from recurra.models.forecasting.series_features import SeriesFeatures
from recurra.models.forecasting.windows import Windows
from recurra.training.memory import keeping_freed_memory

SERIES, CONTEXT, HORIZON, KNOWN, UNITS, LAYERS, EMBEDDING, DROPOUT = 32, 168, 24, 4, 40, 2, 8, 0.1
BATCHES, PATHS, MANY = 4, 100, 10_000
INPUTS = 1 + EMBEDDING + 1 + 1 + KNOWN  # the value, the embedding, one static number, the scale, the covariates

Calls = dict[str, Callable[[], Any]]


def gluonts() -> tuple[Any, str]:
    """GluonTS' DeepAR as (module, version), or None and why it is not here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import gluonts
            from gluonts.torch.model.deepar.module import DeepARModel
        except ImportError as error:
            return None, f"GluonTS cannot be imported ({error})"
    model = DeepARModel(
        freq="h",
        context_length=CONTEXT,
        prediction_length=HORIZON,
        num_feat_dynamic_real=KNOWN,
        cardinality=[SERIES + 1],
        embedding_dimension=[EMBEDDING],
        num_layers=LAYERS,
        hidden_size=UNITS,
        dropout_rate=DROPOUT,
        lags_seq=[1],
        scaling=False,
        num_parallel_samples=PATHS,
    )
    assert model.rnn_input_size == INPUTS
    return model, f"GluonTS {gluonts.__version__}"


def recurra(theirs: Any) -> Autoregressive:
    """Recurra's, its weights those of GluonTS' model, with their biases at zero in both; or weights of its own.

    What it reads of each step are the value, whether there is one, the covariates, the static number, the embedding.
    """
    rnn = nn.LSTM(INPUTS, UNITS, LAYERS) if theirs is None else theirs.rnn
    series = SeriesFeatures(1, SERIES, EMBEDDING)
    scale, covariates = 1 + EMBEDDING + 1, 1 + EMBEDDING + 2
    with torch.no_grad():
        for name, weight in rnn.named_parameters():
            weight.mul_(0.0 if name.startswith("bias") else 1.0)
        rnn.weight_ih_l0[:, scale] = 0.0
        cells: list[Any] = [from_torch(rnn, layer) for layer in range(LAYERS)]
        order = [0, scale, *range(covariates, INPUTS), scale - 1, *range(1, 1 + EMBEDDING)]
        for gate in "ifgo":
            weight = getattr(cells[0], gate).W_x
            weight.copy_(weight[:, order].clone())
        model = Autoregressive(series, Stack(*map(Recurrent, cells), dropout=DROPOUT), StudentTOutput(UNITS))
        model.output.linear.weight[1].normal_(std=0.3)
        if theirs is not None:
            (embedding,) = theirs.embedder._embedders
            embedding.weight[0] = 0.0
            series.embedding.weight.copy_(embedding.weight)
            share_output(model.output.linear, theirs.param_proj.proj)
    return model


def share_output(own: nn.Linear, theirs: Any) -> None:
    """Their location is the same; degrees of freedom and width the same numbers, 3 and 1, whatever the features."""
    for number, layer in enumerate(theirs):
        layer.weight.copy_(own.weight[number : number + 1])
        layer.bias.fill_(0.0 if number == 1 else math.log(math.expm1(1.0)))


def windows(rows: int, seed: int) -> Windows:
    """Noisy days at a level and a phase of their own."""
    draw = torch.Generator().manual_seed(seed)
    hours = torch.arange(CONTEXT + HORIZON) + 24 * torch.rand(rows, 1, generator=draw)
    angles = torch.stack([hours, hours, hours / 7, hours / 7], 2) * (2 * math.pi / 24)
    target = angles[..., 0].sin() + 0.3 * torch.randn(hours.shape, generator=draw)
    return Windows(
        target,
        torch.ones_like(target, dtype=torch.bool),
        torch.where(torch.tensor([True, False, True, False]), angles.sin(), angles.cos()),
        torch.zeros(rows, CONTEXT, 0),
        torch.zeros(rows, 1),
        torch.arange(rows) % SERIES + 1,
        torch.zeros(rows),
        torch.ones(rows),
    )


def for_gluonts(given: Windows) -> dict[str, Tensor]:
    """The arguments of GluonTS' loss; those of its call are all but the last two."""
    return {
        "feat_static_cat": given.group.unsqueeze(1),
        "feat_static_real": given.static,
        "past_time_feat": given.known[:, :CONTEXT],
        "past_target": given.target[:, :CONTEXT],
        "past_observed_values": given.observed[:, :CONTEXT].float(),
        "future_time_feat": given.known[:, CONTEXT:],
        "future_target": given.target[:, CONTEXT:],
        "future_observed_values": given.observed[:, CONTEXT:].float(),
    }


CALLED = (
    "feat_static_cat",
    "feat_static_real",
    "past_time_feat",
    "past_target",
    "past_observed_values",
    "future_time_feat",
)


def check(own: Autoregressive, theirs: Any) -> None:
    """Compares the losses of windows whose first step leaves the state at zero: there GluonTS begins."""
    given = windows(SERIES, 100)
    given = given._replace(known=given.known.index_fill(1, torch.tensor([0]), 0.0), group=torch.zeros_like(given.group))
    own.eval(), theirs.eval()
    with torch.no_grad():
        first = own.output(torch.zeros(SERIES, UNITS), given.scale).cost(given.target[:, 0]).sum()
        wanted = theirs.loss(**for_gluonts(given), aggregate_by=torch.sum).sum()
        torch.testing.assert_close(own.loss(given) - first, wanted, rtol=1e-4, atol=0)
    own.train(), theirs.train()


def trainer(model: nn.Module, losses: list[Callable[[], Tensor]]) -> Callable[[], None]:
    """An update for each batch."""
    weights = list(model.parameters())
    optimiser = torch.optim.Adam(weights, lr=1e-3)

    def call() -> None:
        for loss in losses:
            optimiser.zero_grad()
            loss().backward()
            nn.utils.clip_grad_norm_(weights, 10.0)
            optimiser.step()

    return call


def training(own: Autoregressive, theirs: Any) -> Calls:
    batches = [windows(SERIES, seed) for seed in range(BATCHES)]
    count = float(SERIES * (CONTEXT + HORIZON))
    calls: Calls = {"recurra": trainer(own, [lambda each=each: own.loss(each, count) for each in batches])}
    if theirs is not None:
        given = [for_gluonts(each) for each in batches]
        calls["gluonts"] = trainer(theirs, [lambda each=each: theirs.loss(**each).mean() for each in given])
    return calls


def sampling(own: Autoregressive, theirs: Any, rows: int, paths: int) -> Calls:
    given = windows(rows, 7)

    def ours() -> Tensor:
        own.eval()
        return own.sample(given, HORIZON, paths)

    def others() -> Tensor:
        theirs.eval()
        arguments = {name: value for name, value in for_gluonts(given).items() if name in CALLED}
        with torch.no_grad():
            return theirs(**arguments, num_parallel_samples=paths)

    return {"recurra": ours, **({} if theirs is None else {"gluonts": others})}


def measure(threads: int, rounds: int) -> dict[str, Any]:
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    theirs, _ = gluonts()
    own = recurra(theirs)
    if theirs is not None:
        check(own, theirs)
    works = {  # the calls, and how many series and how many steps one of them has
        "training": (training(own, theirs), BATCHES * SERIES, BATCHES * SERIES * (CONTEXT + HORIZON)),
        f"{PATHS} paths of {SERIES} series": (sampling(own, theirs, SERIES, PATHS), SERIES, SERIES * PATHS * HORIZON),
        f"{MANY:,} paths of one series": (sampling(own, theirs, 1, MANY), 1, MANY * HORIZON),
    }
    return {name: measured(name, threads, rounds, *work) for name, work in works.items()}


def measured(name: str, threads: int, rounds: int, calls: Calls, series: int, steps: int) -> dict[str, Any]:
    seconds = alternate(calls, rounds)
    medians = {each: spread(values).median for each, values in seconds.items()}
    found: dict[str, Any] = {
        "series_per_second": {each: round(series / median, 1) for each, median in medians.items()},
        "steps_per_second": {each: round(steps / median) for each, median in medians.items()},
        "seconds": {each: spread(values).to_json() for each, values in seconds.items()},
    }
    line = f"{threads} threads, {name:24}  " + ", ".join(
        f"{each} {series / median:,.1f} series/s, {steps / median:,.0f} steps/s" for each, median in medians.items()
    )
    if "gluonts" in seconds:
        ratios = [theirs / own for own, theirs in zip(seconds["recurra"], seconds["gluonts"], strict=True)]
        found["speedup"] = spread(ratios).to_json()
        line += f": {found['speedup']['median']:.2f} times as fast"
    print(line, flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=9, help="turns of each model")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    theirs, peer = gluonts()
    print(peer if theirs is not None else f"{peer}: Recurra alone", flush=True)
    with keeping_freed_memory():
        cases = {f"threads {threads}": measure(threads, given.rounds) for threads in given.threads}
    result = {
        "command": " ".join(["python", "benchmarks/forecasting.py", *sys.argv[1:]]),
        "machine": describe_machine(),
        "peer": peer,
        "cases": cases,
    }
    if given.json is not None:
        write_text(given.json, json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
