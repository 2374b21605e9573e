"""Scores and curves of a classifier against loops over single cases."""

import math

import numpy as np
import pytest
import torch

from recurra.tasks.classification.config import Config
from recurra.tasks.classification.network import build_network
from recurra.tasks.classification.reading import read_cases_in_parts
from recurra.tasks.classification.scoring import (
    FRACTIONS,
    choose_thresholds,
    cross_entropy,
    evaluate,
    probabilities,
    score_by_seen,
    scores,
    thresholds_of,
)
from recurra.tasks.sources import Sources
from tests.tasks.classification.files import topics, waves


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RECURRA_CACHE", str(tmp_path / "cache"))


def posed(file, **options):
    """Data and a model with fresh, large weights."""
    config = Config(hidden_size=5, **options)
    data = read_cases_in_parts(Sources.named((str(file),), None, None), config)
    torch.manual_seed(0)
    model = build_network(config, data.meaning, data.train)
    with torch.no_grad():
        model.output.weight.mul_(8)
    return data, model


def one_by_one(model, part, case, steps=None):
    x = torch.from_numpy(np.array(part[case]))[None, :steps]
    return model.eval().probabilities(x.long() if x.dim() == 2 else x)[0].numpy()


def test_cases_are_scored_in_their_order_whatever_their_lengths(tmp_path, monkeypatch):
    monkeypatch.setattr("recurra.tasks.classification.batches.MOST_STEPS", 25)  # batches of two and three
    data, model = posed(waves(tmp_path / "waves.ts", 60))
    wanted = np.stack([one_by_one(model, data.train, case) for case in range(len(data.train))])
    np.testing.assert_allclose(probabilities(model.eval(), data.train), wanted, rtol=1e-5, atol=1e-6)


def test_scores_by_hand(tmp_path):
    data, model = posed(waves(tmp_path / "waves.ts", 300), cell="elman")
    model.train()
    accuracy, f1 = evaluate(model, data, "dev")
    assert model.training
    pairs = [(int(one_by_one(model, data.dev, i).argmax()), int(data.dev.targets[i])) for i in range(len(data.dev))]
    of_classes = []
    for k in (0, 1):
        both = sum(pair == (k, k) for pair in pairs)
        of_classes.append(200 * both / max(1, sum(p == k for p, _ in pairs) + sum(t == k for _, t in pairs)))
    assert accuracy.value == pytest.approx(100 * sum(p == t for p, t in pairs) / len(pairs))
    assert f1.value == pytest.approx(sum(of_classes) / 2) and accuracy.higher_is_better
    assert "dev|" in accuracy.signature and f"cases={len(pairs)}" in accuracy.signature


def test_cross_entropy_by_hand(tmp_path):
    data, model = posed(waves(tmp_path / "waves.ts", 60))
    found = probabilities(model.eval(), data.dev)
    wanted = -sum(math.log(found[i, data.dev.targets[i]]) for i in range(len(found))) / len(found)
    assert cross_entropy(data.dev, found, False) == pytest.approx(wanted)
    data, model = posed(topics(tmp_path / "topics.csv", 80), separator=";")
    found, wanted = probabilities(model.eval(), data.dev), 0.0
    for row, targets in zip(found.tolist(), data.dev.targets.tolist(), strict=True):
        wanted -= sum(math.log(p if t else 1 - p) for p, t in zip(row, targets, strict=True))
    assert cross_entropy(data.dev, found, True) == pytest.approx(wanted / len(found), rel=1e-5)


def test_thresholds_are_chosen_on_dev_and_kept_with_the_weights(tmp_path):
    data, model = posed(topics(tmp_path / "topics.csv", 200), separator=";")
    found = probabilities(model.eval(), data.dev)
    thresholds = choose_thresholds(model, data.dev, found)
    assert thresholds == thresholds_of(model) or thresholds.all_cases
    kept = model.state_dict()["thresholds"].numpy()
    for k in range(3):
        f1 = []
        for threshold in [kept[k], *np.linspace(0.02, 0.98, 25)]:
            given, having = found[:, k] >= threshold, data.dev.targets[:, k] > 0
            f1.append(2 * (given & having).sum() / max(1, given.sum() + having.sum()))
        assert f1[0] >= max(f1)
    given = found >= kept
    both = (given & (data.dev.targets > 0)).sum()
    micro = scores(data, "dev", found, thresholds_of(model))[0]
    assert micro.value == pytest.approx(200 * both / (given.sum() + data.dev.targets.sum())) and "micro" in micro.name
    assert "a threshold for each label, of the greatest F1 on validation" in micro.signature


@pytest.mark.parametrize("direction", ["forward", "both"])
@pytest.mark.parametrize("pooling", ["last", "attention"])
def test_the_score_by_what_was_seen_is_that_of_cases_cut_short(tmp_path, direction, pooling):
    data, model = posed(waves(tmp_path / "waves.ts", 200), direction=direction, pooling=pooling)
    curve = score_by_seen(model.eval(), data, "test", streams=direction == "forward")
    assert [fraction for fraction, _ in curve] == list(FRACTIONS) and FRACTIONS[-1] == 1.0
    for fraction, value in curve:
        right = 0
        for case in range(len(data.test)):
            steps = max(1, math.ceil(round(fraction * int(data.test.lengths[case]), 6)))
            right += int(one_by_one(model, data.test, case, steps).argmax()) == data.test.targets[case]
        assert value == pytest.approx(100 * right / len(data.test))
