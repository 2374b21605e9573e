"""Options out of range are refused in one line that names the option."""

from typing import Any

import pytest

from recurra.errors import BadInput
from recurra.training.settings import Settings, make_settings


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimiser": "sgd"}, "unknown option 'optimiser'; did you mean 'optimizer'?"),
        ({"optimizer": "adamm"}, "unknown value of --optimizer 'adamm'; did you mean 'adam'?"),
        ({"batch_size": 0}, "--batch-size 0: must be greater than or equal to 1"),
        ({"learning_rate": -1}, "--learning-rate -1: must be greater than 0"),
        ({"clip_norm": 0}, "--clip-norm 0: must be greater than 0"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput) as caught:
        make_settings(Settings, options)
    assert str(caught.value) == message


def test_settings_are_frozen_and_survive_json() -> None:
    settings = make_settings(Settings, {"optimizer": "nesterov", "learning_rate": 0.1})
    assert Settings.model_validate_json(settings.model_dump_json()) == settings
    with pytest.raises(ValueError):
        settings.epochs = 3  # type: ignore[misc]
