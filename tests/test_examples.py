"""Every example runs to its end and does what it says."""

import re
import runpy
from pathlib import Path

EXAMPLES = Path(__file__).parent.parent / "examples"


def test_own_cell_learns(capsys) -> None:
    runpy.run_path(str(EXAMPLES / "own_cell.py"), run_name="__main__")
    out = capsys.readouterr().out
    losses = [float(loss) for loss in re.findall(r"loss (\S+)", out)]
    assert len(losses) == 4 and losses[-1] < 0.1
    assert "\nCoupledLSTM runs as one compiled loop on the CPU\n" in out
    assert "stage 1     products with g.W_h, i.W_h, o.W_h (16 × 16 each)" in out


def test_every_example_is_run() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == {"own_cell.py"}
