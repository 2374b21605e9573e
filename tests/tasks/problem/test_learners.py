"""What the review says of learners and cells, in a few seconds each: small forms of ``benchmarks/learning.py``."""

import pytest

from recurra.tasks.run import fit

SHARED = dict(schedule="constant", threads=1, batch_size=50, part_size=500, baselines=False)


def scores(path, problem, **options):
    found = fit("problem", problem, out=path, **{**SHARED, **options}).scores
    return {score["name"]: score["value"] for score in found["scores"]["test"]}


def test_every_third_bit_of_temporal_xor_can_be_told(tmp_path):
    found = scores(tmp_path / "run", "temporal-xor", cell="elman", hidden_size=16, optimizer="adam", learning_rate=3e-3)
    assert found["answers right"] == pytest.approx(200 / 3, abs=0.5)  # half of two thirds, and all of the last: Elman


def test_a_memory_that_cannot_forget_counts_five_times_as_far(tmp_path):
    options = dict(cell="original-lstm", hidden_size=3, lag=10, optimizer="adam", learning_rate=1e-2)
    own = dict(schedule="cosine", stop_when_solved=False, epochs=1, epoch_size=60_000, validate_every=100)
    assert scores(tmp_path / "run", "anbn", **{**options, **own})["accepted up to"] > 50


def test_curvature_bridges_a_lag_that_a_gradient_alone_does_not(tmp_path):
    options = dict(lag=30, cell="elman", hidden_size=20, batch_size=200, epoch_size=20_000, epochs=3)
    free = dict(optimizer="hessian-free", accumulate=5, curvature_share=0.4, structural_damping=0.1, validate_every=5)
    assert scores(tmp_path / "free", "adding", **options, **free)["solved"] == 1
    assert scores(tmp_path / "sgd", "adding", **options, optimizer="sgd", learning_rate=0.3)["solved"] == 0
