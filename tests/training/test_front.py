"""`recurra.training` offers its names without loading what they need."""

import subprocess
import sys

import pytest

import recurra.training


def test_names_are_there_and_loaded_when_they_are_used() -> None:
    script = "import sys, recurra.training; dir(recurra.training); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], timeout=60).returncode == 0
    for name in recurra.training.__all__:
        assert getattr(recurra.training, name).__name__ == name
    assert dir(recurra.training) == recurra.training.__all__
    with pytest.raises(AttributeError, match="module 'recurra.training' has no attribute 'HesianFree'"):
        recurra.training.HesianFree  # noqa: B018
