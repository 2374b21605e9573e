"""A run that was stopped and went on, against one left alone."""

import shutil

import pytest
import torch
from safetensors.torch import load_file

import recurra
from tests.tasks.forecasting.conftest import TINY


@pytest.mark.parametrize("options", [{}, {"model": "direct", "distribution": "quantiles", "dropout": 0.3}])
def test_a_run_that_was_stopped_comes_to_the_same_weights(tmp_path, file, options):
    options = {**TINY, **options, "baselines": False, "checkpoint_every": 2}
    whole = recurra.fit("forecasting", file, out=tmp_path / "whole", **options)
    cut = tmp_path / "cut"
    shutil.copytree(whole.path, cut)
    (cut / "scores.json").unlink()
    kept = sorted((cut / "checkpoints").iterdir())
    assert len(kept) > 1
    kept[-1].unlink()
    again = recurra.fit("forecasting", file, out=cut, resume=True, **options)
    one, other = (load_file(each.path / "model.safetensors") for each in (whole, again))
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
    for left, right in zip(whole.scores["scores"]["test"], again.scores["scores"]["test"], strict=True):
        assert left == right
