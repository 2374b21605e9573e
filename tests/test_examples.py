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


def test_letters_come_back_by_the_projection(capsys) -> None:
    runpy.run_path(str(EXAMPLES / "hopfield.py"), run_name="__main__")
    rules = re.split(r"^(?=\S)", capsys.readouterr().out, flags=re.MULTILINE)[1:]
    came = {rule.partition(":")[0]: re.findall(r"(\w) came to: (.*), m = (\S+)", rule) for rule in rules}
    assert came["pseudo-inverse"] == [(name, f"stored {name}", "1.00") for name in "HOPTX"]
    assert any(said.startswith("mixture") for _, said, _ in came["hebbian"]) and len(came) == 3
    assert all(float(fall) > 0 for fall in re.findall(r"fall by (\S+)", "".join(rules)))


def test_every_example_is_run() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == {"hopfield.py", "own_cell.py"}
