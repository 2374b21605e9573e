"""Nothing that comes after an origin may change what is said from it: leaks are planted, and found.

The same problem is read and learnt twice, from tables that differ only behind the dev part: all that was read, learnt,
chosen and said before must be the same to the bit. Then every planted leak must make a difference where it is planted.
"""

import numpy as np
import pytest
import torch

from recurra.baselines.markov_forecast import MarkovForecast
from recurra.tasks.forecasting import baselines, linear, reading, scoring, task, windows
from recurra.tasks.forecasting.batches import TrainingBatches, cuts_of
from recurra.tasks.forecasting.config import Config
from recurra.tasks.forecasting.network import build_network
from recurra.tasks.forecasting.reading import Data
from recurra.tasks.forecasting.windows import Cuts
from recurra.tasks.sources import Sources
from recurra.training.loop import train
from recurra.training.run_folder import RunFolder
from tests.tasks.forecasting.conftest import TINY
from tests.tasks.forecasting.files import sales

TRAIN, DEV, TEST = 70, 15, 85
OPTIONS = {
    **TINY, "past": "visitors", "static": "area", "model": "direct", "distribution": "normal", "residual": "linear",
    "train_size": TRAIN, "dev_size": DEV, "context": 10, "epochs": 3, "windows": 32, "learning_rate": 0.05,
}  # fmt: skip
ORIGIN = Cuts(np.array([0, 1]), np.array([TEST, TEST]))


def tables():
    """Two tables that are the same up to the end of the dev part; the second goes on longer, and otherwise."""
    whole = sales(days=130)
    step = whole.groupby("shop").cumcount()
    first, second = whole[step < 110].copy(), whole.copy()
    late = step >= TEST
    second.loc[late, ["units", "visitors"]] = (second.loc[late, ["units", "visitors"]] * -3 + 1).to_numpy()
    return first, second


def problem(frame, folder):
    folder.mkdir()
    frame.to_csv(folder / "sales.csv", index=False)
    config = Config(**OPTIONS)
    data: Data = reading.read_series(Sources.named([folder / "sales.csv"], None, None), config)
    torch.manual_seed(0)
    return data, build_network(config, data.meaning, data)


def read(frame, folder):
    """All that is read, chosen and said before the test part, as numbers; the network has random weights."""
    data, network = problem(frame, folder)
    for weights in network.parameters():
        torch.nn.init.normal_(weights, std=0.3)
    network.eval()
    training = TrainingBatches(data, "window", 32, most=64, seed=0, epoch=0)
    scorer = scoring.Scorer(data, "test", ORIGIN)
    forecasters = {
        "network": scoring.network(network, data),
        "linear": baselines.linear(linear.fit_linear(data, "series", 10), data),
        "markov": baselines.markov(baselines.fit_markov(data), data),
        **baselines.simple(data),
    }
    return {
        "training": tensors(training[0]),
        "dev": tensors(windows.make_windows(data, cuts_of(data, "dev"), "window", training=True)),
        "test": tensors(windows.make_windows(data, ORIGIN, "window")),
        "scale of scores": [scorer._seasonal, data.deviation],
        "statistical models": scoring.whole_histories(data, ORIGIN, 50),
        "naive2": [scorer._forecast_naive2(ORIGIN).mean],
        **{name: list(forecaster(ORIGIN)) for name, forecaster in forecasters.items()},
    }


def learnt(frame, folder):
    """What training came to: its weights, and the validations that they were chosen by."""
    data, network = problem(frame, folder)
    run = RunFolder.create(folder / "run", {})
    train(task.problem(data.config, data, network), data.config, run)
    chosen = [record["validation"] for record in run.metrics() if "validation" in record]
    return {"weights": tensors(network.state_dict().values()), "validations": [np.array(chosen)]}


def tensors(found):
    return [each.numpy() for each in found]


def differing(found, folder):
    first, second = (found(frame, folder / name) for name, frame in zip("ab", tables(), strict=True))
    return {
        name
        for name, values in first.items()
        if not all(np.array_equal(a, b, equal_nan=True) for a, b in zip(values, second[name], strict=True))
    }


@pytest.mark.parametrize("found", [read, learnt])
def test_what_comes_later_changes_nothing(tmp_path, found):
    assert differing(found, tmp_path) == set()


SPREADS, COVARIATES, SPLIT = reading.spreads, reading._covariates, reading.split
SCALES, OF_TIME, STRETCHES = windows.scales, windows.of_time, windows.read_stretches
LENGTHS: list[int] = []


def scaled_by_the_horizon(data, cuts, context, scaling):
    horizon = STRETCHES(data, cuts, 0, data.meaning.horizon)[:, :, 0]
    return SCALES(data, cuts, np.concatenate([context, horizon], 1), scaling)


def past_ahead(data, cuts, before, behind):
    found = STRETCHES(data, cuts, before, behind)
    found[:, :, 1] = np.roll(found[:, :, 1], -1, axis=1)
    return found


def one_step_further(data, cuts, before, behind):
    return STRETCHES(data, Cuts(cuts.series, cuts.origin + 1), before, behind)


def remembering_lengths(panel, config):
    LENGTHS.append(int(panel.observed.max()))
    return SPLIT(panel, config)


def markov_of_all(own):
    ends = own.panel.observed.tolist()
    return MarkovForecast.fit((own.target(n, 0, end) - own.centre[n]) / own.deviation[n] for n, end in enumerate(ends))


class TrainedLater(Data):
    def bounds(self, part):
        begin, end = super().bounds(part)
        return (begin, end + DEV + 10) if part == "train" else (begin, end)


class ChosenByTest(Data):
    def bounds(self, part):
        return super().bounds("test" if part == "dev" else part)


LEAKS = {
    "series scaled by all of them": (
        read,
        [(reading, "spreads", lambda panel, ends: SPREADS(panel, panel.observed))],
        {"linear", "markov", "scale of scores"},
    ),
    "covariates scaled by all of them": (
        read,
        [(reading, "_covariates", lambda panel, ends: COVARIATES(panel, panel.observed))],
        {"training", "dev", "test", "network"},
    ),
    "windows scaled by their horizon": (read, [(windows, "scales", scaled_by_the_horizon)], {"test", "network"}),
    "covariates of the past read ahead": (
        read,
        [(windows, "read_stretches", past_ahead)],
        {"test", "network"},
    ),
    "the calendar counts from the end": (
        read,
        [
            (reading, "split", remembering_lengths),
            (windows, "of_time", lambda meaning, starts, steps: OF_TIME(meaning, starts, steps + LENGTHS[-1])),
        ],
        {"training", "dev", "test", "network"},
    ),
    "windows end a step too late": (read, [(windows, "read_stretches", one_step_further)], {"test", "network"}),
    "histories end a step too late": (read, [(baselines, "read_stretches", one_step_further)], {"naive", "drift"}),
    "a baseline counted in all": (read, [(baselines, "fit_markov", markov_of_all)], {"markov"}),
    "a baseline fitted beyond the training part": (read, [(reading, "Data", TrainedLater)], {"linear"}),
    "its penalty and errors are of the test part": (read, [(reading, "Data", ChosenByTest)], {"linear"}),
    "trained beyond the training part": (learnt, [(reading, "Data", TrainedLater)], {"weights"}),
    "the best weights chosen on the test part": (learnt, [(reading, "Data", ChosenByTest)], {"validations"}),
}


@pytest.mark.parametrize("leak", LEAKS)
def test_a_planted_leak_is_found(tmp_path, monkeypatch, leak):
    found, patches, where = LEAKS[leak]
    for module, name, leaky in patches:
        monkeypatch.setattr(module, name, leaky)
    assert where <= differing(found, tmp_path)
