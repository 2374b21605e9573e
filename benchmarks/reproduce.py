"""Run a committed result again from its recorded command: ``python benchmarks/reproduce.py FILE[/ROW]``."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def commands(file: Path) -> dict[str, str]:
    """The command of each row, or the one command of a file that is a single result; none of what several runs made."""
    found = json.loads(file.read_text())
    if "command" in found:
        return {file.stem: found["command"]}
    rows = {row: result for row, result in found.items() if isinstance(result, dict) and "command" in result}
    return {f"{file.stem}/{row}": result["command"] for row, result in rows.items()}


def main() -> None:
    known = {name: command for file in sorted(RESULTS.glob("*.json")) for name, command in commands(file).items()}
    wanted = sys.argv[1] if len(sys.argv) == 2 else ""
    if wanted not in known:
        sys.exit("name a committed result: make reproduce ROW=…, one of\n" + "\n".join(f"  {row}" for row in known))
    print(known[wanted], flush=True)
    program, *arguments = shlex.split(known[wanted])
    beside = Path(sys.executable).with_name(program)
    sys.exit(subprocess.run([beside, *arguments], cwd=Path(__file__).parent.parent).returncode)


if __name__ == "__main__":
    main()
