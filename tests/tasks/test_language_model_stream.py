"""A language model that learns from a stream: what it scores, what it learns, and where it goes on."""

import json
import math
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import recurra
from recurra.data.byte_units import Bytes
from recurra.errors import BadInput, Stopped
from recurra.tasks.language_model.config import Config
from recurra.tasks.language_model.network import build_network
from recurra.training.checkpoint import read_checkpoint
from tests.commands.conftest import write_text

TINY = dict(cell="gru", hidden_size=4, threads=1, seed=3, precision="float64")
METHODS = ["truncated", "rtrl", "snap-1", "uoro"]


@pytest.fixture
def text(tmp_path):
    path = write_text(tmp_path / "text.txt", lines=4)
    path.write_text("é" + path.read_text()[:79])
    return path


def learn(source, out, **options):
    return recurra.fit("language-model", source, out=out, **{**TINY, **options})


def weights(out):
    return load_file(out / "model.safetensors")


@pytest.mark.parametrize("online", METHODS)
def test_every_byte_is_scored_before_it_is_learnt(online, text, tmp_path):
    """With a rate that changes nothing, the score is that of the weights at the start."""
    run = learn(text, tmp_path / "run", online=online, steps=7, learning_rate=1e-300, optimizer="sgd")
    torch.manual_seed(TINY["seed"])
    model = build_network(Config(**TINY, online=online), Bytes()).double()
    tokens = torch.from_numpy(np.frombuffer(text.read_bytes(), np.uint8).astype(np.int64))
    with torch.no_grad():
        logits, _ = model(tokens[None, :-1])
    nats = torch.nn.functional.cross_entropy(logits[0], tokens[1:], reduction="sum").item()
    bits, _, cross_entropy = run.final_scores()["model"]
    assert len(tokens) == 81 and (bits.name, bits.unit) == ("bits per character", "bits")
    assert cross_entropy.value == pytest.approx(nats / 80, rel=1e-9)
    assert bits.value == pytest.approx(nats / 79 / math.log(2), rel=1e-9)  # é begins before the first prediction
    assert {"adaptive unigram", "adaptive bigram"} < run.final_scores().keys()


@pytest.mark.parametrize("options", [{}, {"layers": 2, "embedding_size": 4, "residual": True}])
def test_one_update_at_the_end_is_that_of_bptt(text, tmp_path, options):
    """In one window over the whole stream, truncation cuts nothing: exact learning must change every weight alike."""
    found = {}
    for online in ("truncated", "rtrl"):
        learn(text, tmp_path / online, online=online, steps=80, optimizer="sgd", learning_rate=1.0, **options)
        found[online] = weights(tmp_path / online)
    for name, expected in found["truncated"].items():
        if "embedding" not in name or not options:  # a learnt embedding gets the gradient of one step alone
            torch.testing.assert_close(found["rtrl"][name], expected, rtol=1e-9, atol=1e-11)


def test_in_short_windows_exact_learning_sees_further_than_truncation(text, tmp_path):
    options = dict(steps=1, optimizer="sgd", learning_rate=0.1, cell="min-gru")
    for online in ("truncated", "rtrl", "snap-1"):
        learn(text, tmp_path / online, online=online, **options)
    exact = weights(tmp_path / "rtrl")
    assert all(torch.equal(value, exact[name]) for name, value in weights(tmp_path / "snap-1").items())
    assert any((value - exact[name]).abs().max() > 1e-4 for name, value in weights(tmp_path / "truncated").items())


@pytest.mark.parametrize("online", ["truncated", "uoro"])
def test_a_pipe_stopped_and_resumed_is_as_one_never_stopped(online, text, tmp_path):
    """Half of the text, then silence and SIGINT; the other half after --resume."""
    options = dict(online=online, steps=3, checkpoint_every=13)
    whole = learn(text, tmp_path / "whole", **options)
    data, pipe, out = text.read_bytes(), tmp_path / "pipe", tmp_path / "run"
    os.mkfifo(pipe)
    stopped = threading.Event()

    def first_half():
        with pipe.open("wb", buffering=0) as file:
            file.write(data[:40])
            while not (out / "checkpoints" / "update-0000000013.safetensors").exists():
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGINT)
            stopped.wait(60)

    writer = threading.Thread(target=first_half)
    writer.start()
    with pytest.raises(Stopped, match="SIGINT: stopped, 39 bytes were learnt"):
        learn(pipe, out, **options)
    stopped.set()
    writer.join()
    writer = threading.Thread(target=pipe.write_bytes, args=(data[40:],))
    writer.start()
    run = learn(pipe, out, **options, resume=True)
    writer.join()
    assert run.scores["scores"]["test"] == whole.scores["scores"]["test"]
    assert run.scores["baselines"] == whole.scores["baselines"]
    for name, value in weights(out).items():
        assert torch.equal(value, weights(tmp_path / "whole")[name])
    again = learn(pipe, out, **options, resume=True)  # it had finished: the pipe is not opened
    assert again.scores == run.scores


def test_a_file_goes_on_where_reading_stopped(text, tmp_path):
    """From a checkpoint in the middle, all that came after it lost."""
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    for out in (whole, cut):
        learn(text, out, online="uoro", steps=3, checkpoint_every=10)
    checkpoints = sorted((cut / "checkpoints").iterdir())
    checkpoints[-1].unlink()
    (cut / "scores.json").unlink()
    run = learn(text, cut, online="uoro", steps=3, checkpoint_every=10, resume=True)
    assert run.scores["scores"] == recurra.load(whole).scores["scores"]
    for name, value in weights(cut).items():
        assert torch.equal(value, weights(whole)[name])


def test_memory_does_not_grow(text, tmp_path):
    longer = tmp_path / "longer.txt"
    longer.write_bytes(text.read_bytes() * 4)
    sizes = []
    for number, source in enumerate((text, longer)):
        learn(source, tmp_path / str(number), online="rtrl", steps=3)
        (*_, last) = sorted((tmp_path / str(number) / "checkpoints").iterdir())
        saved = read_checkpoint(last)
        (learner,) = saved["learner"]["learner"]
        sizes.append([value.shape for value in learner["memory"].values()])
        assert len(saved["pending"]) == 1
    assert sizes[0] == sizes[1]


def test_the_running_score_is_recorded(text, tmp_path):
    long = tmp_path / "long.txt"
    long.write_bytes(text.read_bytes() * 300)
    run = learn(long, tmp_path / "run", online="truncated", steps=60, learning_rate=0.02)
    records = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    assert [record["bytes"] // 10_000 for record in records] == [1, 2, 2]
    for record in records:  # what is learnt by heart costs less of late than all along
        assert 0 < record["bits_per_character_of_late"] < record["bits_per_character"]
    assert records[-1]["bits_per_character"] == run.final_scores()["model"][0].value


def test_the_run_can_be_sampled_and_scored_on_a_file_but_its_stream_is_gone(text, tmp_path):
    run = learn(text, tmp_path / "run", online="snap-1", steps=4)
    assert len(run.sample("the ", length=20, seed=1)) >= 20
    assert {score.name for score in run.evaluate(str(text))["model"]} == {
        "bits per character", "perplexity", "cross-entropy"
    }  # fmt: skip
    with pytest.raises(BadInput, match="read once; name a file to score, or resume with --online snap-1"):
        run.evaluate()
    card = (run.path / "README.md").read_text()
    assert f"A stream, read once as it came: {text}." in card


def test_the_command_reads_standard_input(text, tmp_path):
    command = [sys.executable, "-c", "from recurra.commands.main import main; main()"]
    options = ["--online", "rtrl", "--cell", "lru", "--hidden-size", "4", "--steps", "2"]
    words = ["fit", "language-model", "-", *options, "--out", str(tmp_path / "run")]
    done = subprocess.run([*command, *words], input=text.read_bytes(), capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert b"prequential: each byte before it is learnt|bytes=80|online=rtrl, an update every 2 bytes" in done.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dev": "x"}, "--dev and --test"),
        ({"batch_size": 4}, "--batch-size says nothing of a stream that is read once; leave it out"),
        ({"dropout": 0.5}, "--dropout says nothing of a stream"),
        ({"unit": "words"}, "--unit says nothing"),
        ({"precision": "bfloat16"}, "leave it out"),
        ({"online": "rtlr"}, "unknown value of --online 'rtlr'; did you mean 'rtrl'"),
        ({"cell": "elma"}, "unknown cell"),
        ({"optimizer": "saddle-free"}, "--optimizer saddle-free: a stream is learnt by one gradient after the other"),
    ],
)
def test_what_makes_no_sense_is_refused(options, message, text, tmp_path):
    with pytest.raises(BadInput, match=message):
        learn(text, tmp_path / "run", **{"online": "rtrl", **options})
    assert not (tmp_path / "run").exists()


def test_streams_with_nothing_to_learn_are_refused(text, tmp_path):
    for name, data, message in (("empty", b"", "ends after 0 bytes"), ("one", b"a", "ends after 1 bytes")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(BadInput, match=message):
            learn(tmp_path / name, tmp_path / f"run-{name}", online="truncated")
    with pytest.raises(BadInput, match="one stream, got 2"):
        recurra.fit("language-model", text, text, out=tmp_path / "run", online="rtrl")
    with pytest.raises(BadInput, match="no such file"):
        learn(tmp_path / "none", tmp_path / "run", online="rtrl")
    assert [path for path in tmp_path.iterdir() if path.name.startswith("run")] == []


def test_exact_learning_of_too_much_is_refused_with_what_to_do(text, tmp_path):
    with pytest.raises(BadInput, match=r"need \S+ GiB of memory, .* use snap-1 or uoro"):
        learn(text, tmp_path / "run", online="rtrl", cell="lstm", hidden_size=1024)
    assert not (tmp_path / "run").exists()
