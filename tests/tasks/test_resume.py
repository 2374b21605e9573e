"""The command line, killed at random moments, stopped by signals and resumed, against a run left alone."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from recurra.training.checkpoint import read_checkpoint
from tests.training.tiny import same

SERVER = """
import json, os, sys
import lightning_fabric, torch._dynamo
import matplotlib.backends.backend_agg, matplotlib.figure, matplotlib.font_manager
import recurra.commands.fit, recurra.tasks.charts, recurra.tasks.language_model.task, recurra.training.loop
from recurra.commands.main import main

for line in sys.stdin:
    arguments, output = json.loads(line)
    child = os.fork()
    if child == 0:
        file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, 1)
        os.dup2(file, 2)
        main(arguments)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class CommandLine:
    """Runs ``recurra`` in processes that have imported everything already, so that each starts at once."""

    def __init__(self, folder: Path) -> None:
        self.output = folder / "output"
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "RECURRA_CACHE": str(folder / "cache")}
        self._server = subprocess.Popen(
            [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def start(self, *arguments: object) -> int:
        """The number of the process that now runs the command."""
        assert self._server.stdin and self._server.stdout
        self._server.stdin.write(json.dumps([[str(each) for each in arguments], str(self.output)]) + "\n")
        self._server.stdin.flush()
        return int(self._server.stdout.readline())

    def wait(self) -> int:
        """Its exit code, or minus the signal that ended it."""
        assert self._server.stdout
        return int(self._server.stdout.readline())

    def run(self, *arguments: object) -> tuple[int, str]:
        """Exit code and output of a whole command."""
        self.start(*arguments)
        return self.wait(), self.output.read_text()

    def close(self) -> None:
        assert self._server.stdin and self._server.stdout
        self._server.stdin.close()
        self._server.wait()
        self._server.stdout.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("resume")


@pytest.fixture(scope="module")
def recurra(folder: Path) -> Iterator[CommandLine]:
    command = CommandLine(folder)
    yield command
    command.close()


@pytest.fixture(scope="module")
def text(folder: Path) -> Path:
    draw = random.Random(4)
    file = folder / "text.txt"
    file.write_text(" ".join(draw.choice(["one", "two", "three", "five", "eight"]) for _ in range(800)))
    return file


OPTIONS = {
    "hidden-size": 6,
    "batch-size": 3,
    "steps": 20,
    "epochs": 2,
    "dropout": 0.3,
    "optimizer": "adamw",
    "checkpoint-every": 4,
}


def fit(text: Path, out: Path, resume: bool = False, **other: object) -> list[object]:
    options = {**OPTIONS, **{name.replace("_", "-"): value for name, value in other.items()}}
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    return ["fit", "language-model", text, "--out", out, "--no-baselines", *words, *(["--resume"] if resume else [])]


@pytest.fixture(scope="module")
def whole(recurra: CommandLine, text: Path, folder: Path) -> Path:
    """The run that nothing ever interrupted."""
    code, output = recurra.run(*fit(text, folder / "whole"))
    assert code == 0, output
    return folder / "whole"


def outcome(run: Path) -> Any:
    """Weights, last checkpoint, metrics and scores of a run."""
    metrics = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    checkpoints = sorted((run / "checkpoints").iterdir())
    scores = json.loads((run / "scores.json").read_text())
    return [load_file(run / "model.safetensors"), read_checkpoint(checkpoints[-1]), metrics, scores]


def newest(run: Path) -> int:
    """The update of the newest checkpoint, 0 before the first."""
    found = (run / "checkpoints").glob("update-*.safetensors")
    return max((int(path.stem.removeprefix("update-")) for path in found), default=0)


def updates(run: Path) -> int:
    """How many a finished run has made."""
    last: dict[str, int] = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
    return last["update"]


def wait_until(reached: Callable[[], bool]) -> None:
    patience = time.monotonic() + 120
    while not reached():
        assert time.monotonic() < patience
        time.sleep(0.002)


def test_killed_at_random_moments_a_run_ends_with_the_same_weights(
    recurra: CommandLine, text: Path, whole: Path, folder: Path
) -> None:
    draw, run, total, kills = random.Random(8), folder / "killed", updates(whole), set()
    arguments = fit(text, run, resume=True)
    for part in (0, 0.01, 0.2, 0.4, 0.6, 0.9):
        process = recurra.start(*arguments)
        wait_until(lambda part=part: newest(run) >= part * total)
        time.sleep(draw.uniform(0, 0.05))
        os.kill(process, signal.SIGKILL)
        assert recurra.wait() == -signal.SIGKILL
        kills.add(newest(run))
    assert len(kills - {0, total // 2, total}) >= 4  # between checkpoints, in the middle of an epoch
    code, output = recurra.run(*arguments)
    assert code == 0, output
    assert same(outcome(run), outcome(whole))
    assert not [path for path in run.rglob("*") if path.name.endswith(".part")]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_save_and_leave(
    recurra: CommandLine, text: Path, whole: Path, folder: Path, number: signal.Signals
) -> None:
    run = folder / number.name
    process = recurra.start(*fit(text, run, checkpoint_every=1000))
    wait_until(lambda: (run / "metrics.jsonl").exists() and (run / "metrics.jsonl").stat().st_size > 0)
    os.kill(process, number)
    assert recurra.wait() == 128 + number
    stopped = newest(run)
    assert 50 <= stopped < updates(whole)
    assert recurra.output.read_text().splitlines()[-1] == (
        f"recurra: {number.name}: stopped after update {stopped}; {run} is saved; go on with --resume"
    )
    code, output = recurra.run(*fit(text, run, resume=True, checkpoint_every=1000))
    assert code == 0, output
    assert same(outcome(run), outcome(whole))


def test_a_finished_run_says_so(recurra: CommandLine, text: Path, whole: Path) -> None:
    before = {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()}
    code, output = recurra.run(*fit(text, whole, resume=True))
    assert code == 0 and "finished; nothing" in output
    assert {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()} == before


def test_what_resume_refuses(recurra: CommandLine, text: Path, folder: Path) -> None:
    run = folder / "refused"
    process = recurra.start(*fit(text, run))
    wait_until(lambda: newest(run) >= 8)
    os.kill(process, signal.SIGTERM)
    assert recurra.wait() == 143

    def refused(*arguments: object) -> str:
        code, output = recurra.run(*arguments)
        assert code == 2 and len(output.splitlines()) == 1 and output.startswith("recurra: ")
        return output

    assert f"{run}: exists already; choose another --out" in refused(*fit(text, run))
    assert "another hidden_size (6)" in refused(*fit(text, run, resume=True, hidden_size=7))
    config = (run / "config.json").read_text()
    (run / "config.json").write_text(config[:100])
    assert f"{run / 'config.json'}: cannot be read as JSON" in refused(*fit(text, run, resume=True))
    (run / "config.json").write_text(config)
    original = text.read_text()
    text.write_text(original.replace("one", "two", 1))
    assert f"{text}: has changed since the run was started" in refused(*fit(text, run, resume=True))
    text.write_text(original)
    last = sorted((run / "checkpoints").iterdir())[-1]
    os.truncate(last, last.stat().st_size // 2)
    assert f"{last}: damaged" in refused(*fit(text, run, resume=True))


def test_the_number_of_threads_is_recorded(whole: Path) -> None:
    assert json.loads((whole / "config.json").read_text())["threads"] == 1
    assert read_checkpoint(sorted((whole / "checkpoints").iterdir())[-1])["threads"] == 1


def test_nothing_in_a_run_folder_is_pickled(whole: Path) -> None:
    kinds = {path.suffix for path in whole.rglob("*") if path.is_file()}
    assert kinds == {".json", ".jsonl", ".md", ".png", ".safetensors"}
    weights = load_file(whole / "model.safetensors")
    assert all(isinstance(value, torch.Tensor) for value in weights.values())
