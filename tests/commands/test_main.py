"""What holds for every verb: exit codes, one-line errors, light help."""

import subprocess
import sys

import pytest

from recurra.commands.main import app

HEAVY = ("torch", "numpy", "matplotlib", "pooch", "lightning_fabric", "tokenizers", "safetensors")


def test_help_of_every_verb_loads_nothing_heavy():
    verbs = [[], ["fit"], ["fit", "language-model"], ["compare", "language-model"], ["evaluate"], ["sample"]]
    verbs += [
        ["quantize"],
        ["recall"],
        ["inspect"],
        ["demo"],
        ["data"],
        ["data", "list"],
        ["data", "get"],
        ["bench"],
        ["explain"],
    ]
    script = f"""
import sys
from recurra.commands.main import main
for verb in {verbs}:
    try:
        main([*verb, "--help"])
    except SystemExit as ended:
        assert ended.code == 0
loaded = sorted(set({HEAVY}) & set(sys.modules))
sys.exit(f"loaded {{loaded}}" if loaded else 0)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Usage: ") == len(verbs)


def test_help_shows_defaults_and_ranges(recurra, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    _, out, _ = recurra("fit", "language-model", "--help")
    said = {words[0]: line for line in out.splitlines() if (words := line.strip("│* ").split())}
    assert "[range: at least 1]" in said["--hidden-size"] and "[default: 256]" in said["--hidden-size"]
    assert "[range: at least 0, below 1]" in said["--dropout"]
    assert "[range: above 0]" in said["--time-limit"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["evalute"], 'Did you mean "evaluate"?'),
        (["--verison"], "did you mean '--version'?"),
        (["fit", "langage-model", "x"], 'Did you mean "language-model"?'),
        (["fit", "language-model", "x", "--out", "y", "--hiden-size", "3"], "did you mean '--hidden-size'?"),
        (["fit", "language-model", "x"], "--out"),
        (["fit", "language-model", "x", "--out", "y", "--hidden-size", "0"], "--hidden-size 0: must be greater"),
        (
            ["fit", "language-model", "x", "--out", "y", "--hidden-size", "x"],
            "--hidden-size x: must be a valid integer",
        ),
        (["fit", "language-model", "x", "--out", "y", "--optimizer", "adm"], "did you mean 'adam'?"),
        (["fit", "language-model", "--out", "y"], "no data"),
        (["fit", "language-model", "ptv", "--out", "y"], "did you mean 'ptb'?"),
        (["evaluate", "x", "--split", "trian"], "--split"),
        (["data", "get", "pbt"], "did you mean 'ptb'?"),
        (["sample"], "RUN"),
    ],
)
def test_mistakes_get_one_line_that_names_the_mend(refused, tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    assert said in refused(*words)
    assert list(tmp_path.iterdir()) == []


def test_bash_accepts_the_completion_script(tmp_path):
    script = app.generate_completion(shell="bash")
    assert "--hidden-size" in script and "--models" in script
    (tmp_path / "completion").write_text(script)
    subprocess.run(["bash", "-n", tmp_path / "completion"], check=True)
