"""Write the weights and results of every cell that has none stored yet: ``python tests/cells/stored/write.py``.

What is stored stays as it was written: a version that cannot load it, or gives other numbers, breaks users' files.
"""

from pathlib import Path

import torch
from safetensors.torch import save_file

from recurra.cells import CELLS
from recurra.layers import Recurrent

FOLDER = Path(__file__).parent


def main() -> None:
    for name, kind in CELLS.items():
        path = FOLDER / f"{name}.safetensors"
        if path.exists():
            continue
        torch.manual_seed(0)
        cell, x = kind(3, 4), torch.randn(2, 5, 3)
        with torch.no_grad():
            outputs, _ = Recurrent(cell)(x)
        save_file({"x": x, "outputs": outputs, **{f"cell.{k}": v for k, v in cell.state_dict().items()}}, path)


if __name__ == "__main__":
    main()
