import os
import subprocess
import sys

import pytest

from tests.commands.conftest import TINY


def test_the_same_seed_draws_the_same_text(recurra, finished):
    draws = [recurra("sample", finished, "--prompt", "the ", "--length", 40, "--seed", seed) for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]
    code, out, err = draws[0]
    assert (code, err) == (0, "") and out.startswith("the ") and len(out) == len("the ") + 40 + 1


def test_temperature_zero_takes_the_likeliest_whatever_the_seed(recurra, finished):
    assert (
        len({recurra("sample", finished, "--length", 9, "--temperature", 0, "--seed", seed) for seed in range(3)}) == 1
    )


@pytest.mark.parametrize(
    "options",
    [("--length", 0), ("--temperature", -1), ("--temperature", "nan"), ("--temperature", "inf"), ("--top-k", 0),
     ("--top-p", 0), ("--top-p", 1.5), ("--seed", -1), ("--length", "x")],
)  # fmt: skip
def test_options_out_of_range_are_refused(refused, finished, options):
    assert options[0] in refused("sample", finished, *options)


def test_bytes_that_are_no_text_are_printed_and_no_bytes_are_refused(recurra, refused, tmp_path, text):
    run = tmp_path / "bytes"
    assert recurra("fit", "language-model", text, "--unit", "bytes", "--no-baselines", "--out", run, *TINY)[0] == 0
    assert recurra("sample", run, "--prompt", "\udcff", "--length", 3)[0] == 0
    (tmp_path / "mark.txt").write_bytes(b"\xef\xbb\xbf")
    assert "too few" in refused("evaluate", run, tmp_path / "mark.txt")


def test_a_prompt_with_unseen_characters_is_refused(refused, finished):
    assert "'我' (U+6211) at position 2" in refused("sample", finished, "--prompt", "a 我")


def test_text_streams_and_a_reader_that_leaves_ends_it_quietly(finished):
    command = [sys.executable, "-c", "from recurra.commands.main import main; main()", "sample", finished]
    with subprocess.Popen(
        [*command, "--length", "1000000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as process:
        assert len(process.stdout.read(30)) == 30
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 141


def test_a_prompt_of_nothing_but_blanks_is_read_as_none(recurra, tmp_path, text):
    recurra("fit", "language-model", text, "--out", tmp_path / "run", "--unit", "words", "--no-baselines", *TINY)
    draws = [
        recurra("sample", tmp_path / "run", "--prompt", prompt, "--length", 5, "--seed", 1) for prompt in ("", " ")
    ]
    assert draws[0][0] == draws[1][0] == 0
    assert draws[0][1].split() == draws[1][1].split() != []
