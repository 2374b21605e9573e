"""``make reproduce``: the rows that the README names are committed results with a command."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_rows_of_the_readme_can_be_made_again():
    asked = [sys.executable, ROOT / "benchmarks" / "reproduce.py"]
    said = subprocess.run(asked, capture_output=True, text=True).stderr
    assert said.startswith("name a committed result: make reproduce ROW=")
    table = (ROOT / "README.md").read_text().split("`make reproduce ROW=` |", 1)[1].split("\n\n", 1)[0]
    rows = re.findall(r"`([\w/-]+)` \|$", table, re.M)
    assert len(rows) >= 5 and set(rows) <= set(said.split())
