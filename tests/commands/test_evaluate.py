"""Scores against sums of log-probabilities, one token at a time."""

import json
import math

import numpy as np
import pytest
import torch

from recurra.baselines.ngram import KneserNey
from recurra.tasks.run import load
from tests.commands.conftest import write_text


def evaluated(recurra, *words):
    code, out, _ = recurra("evaluate", *words, "--json")
    assert code == 0
    return {name: {score["unit"]: score["value"] for score in scores} for name, scores in json.loads(out).items()}


def nats_by_step(model, tokens):
    nats, state = 0.0, model.initial_state(1)
    with torch.no_grad():
        for token, following in zip(tokens[:-1], tokens[1:], strict=True):
            logits, state = model.step(torch.tensor([int(token)]), state)
            nats -= logits[0].double().log_softmax(-1)[int(following)].item()
    return nats


def nats_by_counts(order, train, tokens, size):
    model = KneserNey.fit(train, order, size)
    return -sum(math.log(model.distribution(tokens[:place])[tokens[place]]) for place in range(1, len(tokens)))


@pytest.mark.parametrize("part", ["dev", "test"])
def test_scores_are_sums_over_single_tokens(recurra, finished, part):
    scores = evaluated(recurra, finished, "--split", part)
    run = load(finished)
    train, tokens = np.asarray(run.data.train), np.asarray(getattr(run.data, part)).astype(np.int64)
    size = len(run.data.vocabulary)
    nats = {
        "model": nats_by_step(run.model, tokens),
        "window-5": nats_by_step(load(finished / "baselines" / "window").model, tokens),
        "unigram": nats_by_counts(1, train, tokens, size),
        "5-gram": nats_by_counts(5, train, tokens, size),
    }
    assert scores.keys() == nats.keys()
    for name, total in nats.items():
        mean = total / (len(tokens) - 1)
        # float32 log-probabilities of some 200 tokens, summed
        assert scores[name]["nats/token"] == pytest.approx(mean, rel=1e-5)
        assert scores[name]["bits"] == pytest.approx(mean / math.log(2), rel=1e-5)
        assert scores[name]["per token"] == pytest.approx(math.exp(mean), rel=1e-4)


def test_another_text_is_scored_whole(recurra, finished, tmp_path):
    other = write_text(tmp_path / "other.txt", lines=5, seed=1)
    scores = evaluated(recurra, finished, other)
    run = load(finished)
    tokens = run.data.vocabulary.encode(other.read_text())
    assert scores["model"]["nats/token"] == pytest.approx(nats_by_step(run.model, tokens) / (len(tokens) - 1), rel=1e-5)
    code, out, _ = recurra("evaluate", finished, other)
    assert code == 0 and all(f"tokens={len(tokens) - 1}" in line for line in out.splitlines()[1:])
