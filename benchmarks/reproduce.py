"""Run a committed result again from its recorded command: ``python benchmarks/reproduce.py FILE/ROW``."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    known = {
        f"{file.stem}/{row}": result["command"]
        for file in sorted(RESULTS.glob("*.json"))
        for row, result in json.loads(file.read_text()).items()
    }
    wanted = sys.argv[1] if len(sys.argv) == 2 else ""
    if wanted not in known:
        sys.exit("name a committed result: make reproduce ROW=…, one of\n" + "\n".join(f"  {row}" for row in known))
    print(known[wanted], flush=True)
    _, *arguments = shlex.split(known[wanted])
    sys.exit(subprocess.run([sys.executable, *arguments], cwd=Path(__file__).parent.parent).returncode)


if __name__ == "__main__":
    main()
