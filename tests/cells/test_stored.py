"""Weights written by earlier versions load and give the numbers they gave."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from recurra.cells import CELLS
from recurra.layers import Recurrent

STORED = Path(__file__).parent / "stored"


@pytest.mark.parametrize("name", CELLS)
def test_stored_weights_give_their_outputs(name: str) -> None:
    stored = load_file(STORED / f"{name}.safetensors")
    cell = CELLS[name](3, 4)
    cell.load_state_dict({key.removeprefix("cell."): value for key, value in stored.items() if key.startswith("cell.")})
    outputs, _ = Recurrent(cell)(stored["x"])
    # sums of seven products in float32, in whatever order this machine takes them
    torch.testing.assert_close(outputs.detach(), stored["outputs"], rtol=1e-5, atol=1e-6)


def test_every_stored_file_belongs_to_a_cell() -> None:
    assert {path.stem for path in STORED.glob("*.safetensors")} == set(CELLS)
