"""A tiny text, a run trained on it, and the command line in this process."""

import random

import pytest

from recurra.commands.main import main

TINY = ("--hidden-size", "8", "--batch-size", "4", "--steps", "10", "--epochs", "1", "--threads", "1")
WORDS = "the cat sat on a mat and saw that dog ran far off".split()


def write_text(path, lines=100, seed=0):
    draw = random.Random(seed)
    path.write_text("".join(" ".join(draw.choices(WORDS, k=8)) + ".\n" for _ in range(lines)))
    return path


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECURRA_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def text(tmp_path_factory):
    return write_text(tmp_path_factory.mktemp("text") / "text.txt")


@pytest.fixture(scope="session")
def finished(tmp_path_factory, text):
    """A run with its baselines; tests leave it as it is."""
    out = tmp_path_factory.mktemp("runs") / "finished"
    with pytest.raises(SystemExit) as exit_:
        main(["fit", "language-model", str(text), "--out", str(out), *TINY])
    assert exit_.value.code == 0
    return out


@pytest.fixture
def recurra(capfd):
    """Run a command line: its exit code, standard output and standard error."""

    def run(*words):
        capfd.readouterr()
        with pytest.raises(SystemExit) as exit_:
            main([str(word) for word in words])
        return exit_.value.code, *capfd.readouterr()

    return run


@pytest.fixture
def refused(recurra):
    """Run a command line that has to end with code 2 and one line; returns the line."""

    def run(*words):
        code, out, err = recurra(*words)
        assert (code, out) == (2, "")
        assert err.startswith("recurra: ") and err.endswith("\n") and err.count("\n") == 1, err
        return err.removeprefix("recurra: ").rstrip("\n")

    return run
