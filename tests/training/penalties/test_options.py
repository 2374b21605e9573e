"""Penalties as they are asked for, and everything that can be wrong with that."""

import math
from typing import Any

import pytest

from recurra.errors import BadInput
from recurra.training.penalties.options import Penalty, parse
from recurra.training.settings import Settings, make_settings


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("gradient-flow=1e-3", ("", "gradient-flow", 1e-3, math.inf)),
        ("l2=0", ("", "l2", 0.0, math.inf)),
        ("recurrent:l1=0.5", ("recurrent", "l1", 0.5, math.inf)),
        ("output:truncated=1e-4,0.1", ("output", "truncated", 1e-4, 0.1)),
        ("encoder.*.W_h:group-in=1", ("encoder.*.W_h", "group-in", 1.0, math.inf)),
    ],
)
def test_what_is_asked_for(text: str, wanted: tuple[str, str, float, float]) -> None:
    assert parse(text) == Penalty(text, *wanted)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("l3=1", "unknown penalty 'l3'; known: "),
        ("gradientflow=1", "unknown penalty 'gradientflow'; did you mean 'gradient-flow'?"),
        ("recurent:l1=1", "unknown group of weights 'recurent'; did you mean 'recurrent'?"),
        ("recurrent:l1", "--regularize recurrent:l1: has no strength; give one, recurrent:l1=1e-4 for instance"),
        ("l1=", "has no strength"),
        ("l1=much", "--regularize l1=much: 'much' is not a number"),
        ("l1=-1e-3", "--regularize l1=-1e-3: -1e-3 is out of range; a strength is 0 or more"),
        ("l1=nan", "out of range"),
        ("l1=inf", "out of range"),
        ("l1=1e-3,0.1", "only truncated has a threshold; leave out ,0.1"),
        ("truncated=1e-3,", "'' is not a number"),
        ("recurrent:gradient-flow=1", "is of whole layers; leave out recurrent:"),
    ],
)
def test_what_cannot_be_read(text: str, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        make_settings(Settings, {"regularize": text})
    assert said in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("asked", ["recurrent:l1=0.1", ["recurrent:l1=0.1"], {"recurrent:l1": 0.1}])
def test_every_form_is_one_setting_that_survives_json(asked: Any) -> None:
    settings = make_settings(Settings, {"regularize": asked})
    assert settings.regularize == ("recurrent:l1=0.1",)
    assert Settings.model_validate_json(settings.model_dump_json()) == settings
