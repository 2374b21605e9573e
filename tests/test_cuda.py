"""What runs on a GPU: the reference path of every cell, the drop-ins, a fit. Skipped where there is none."""

import json

import pytest
import torch

import recurra
from recurra.cells import CELLS
from recurra.decoding.beam import beam_search
from recurra.decoding.greedy import greedy
from recurra.decoding.penalties import wu
from recurra.recurrence.state import map_state, tensors
from tests.tasks.translation.files import numerals, write_pairs

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")


@pytest.mark.parametrize("name", CELLS)
def test_a_layer_computes_on_the_gpu_what_it_computes_on_the_cpu(name):
    torch.manual_seed(0)
    layer = recurra.Recurrent(CELLS[name](5, 17)).double()
    x = torch.randn(3, 7, 5, dtype=torch.float64, requires_grad=True)
    lengths, reset = torch.tensor([7, 0, 4]), torch.rand(3, 7) < 0.3
    results = []
    for device in ("cpu", "cuda"):
        layer.to(device)
        outputs, state = layer(x.to(device), lengths=lengths.to(device), reset=reset.to(device))
        values = [outputs, *tensors(state)]
        loss = sum(
            (value * torch.linspace(-1, 1, value.numel(), device=device).view_as(value)).sum() for value in values
        )
        gradients = torch.autograd.grad(loss, [x, *layer.parameters()], allow_unused=True)
        results.append([each.cpu() for each in (*values, *gradients) if each is not None])
    for on_cpu, on_gpu in zip(*results, strict=True):
        torch.testing.assert_close(on_gpu, on_cpu, rtol=1e-9, atol=1e-9)
    explanation = layer.explain(x.to("cuda"))
    assert explanation.path == "reference" and "cuda" in explanation.reason


def test_streams_move_between_devices():
    layer = recurra.Recurrent(CELLS["lstm"](3, 4))
    x = torch.randn(2, 6, 3)
    with torch.no_grad():
        whole, _ = layer(x)
        _, state = layer(x[:, :3])
        state = map_state(lambda leaf: leaf.to("cuda"), state)
        second, _ = layer.to("cuda")(x[:, 3:].to("cuda"), state)
    torch.testing.assert_close(second.cpu(), whole[:, 3:], rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_the_drop_ins_are_torchs_own_on_the_gpu(kind):
    torch.manual_seed(0)
    ours = getattr(recurra.nn, kind)(3, 4, num_layers=2, bidirectional=True).to("cuda")
    theirs = getattr(torch.nn, kind)(3, 4, num_layers=2, bidirectional=True).to("cuda")
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(5, 2, 3, device="cuda")
    torch.testing.assert_close(ours(x)[0], theirs(x)[0], rtol=0, atol=0)


def test_a_language_model_is_fitted_on_the_gpu(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("the cat sat on the mat. " * 400)
    run = recurra.fit(
        "language-model", text, out=tmp_path / "run", device="cuda", hidden_size=32, epochs=2, unit="characters"
    )
    scores = run.scores["scores"]["test"]
    assert json.dumps(scores)
    again = recurra.load(tmp_path / "run")
    assert isinstance(again.sample("the "), str)


def test_a_translator_is_fitted_and_drawn_on_the_gpu(tmp_path, monkeypatch):
    monkeypatch.setenv("RECURRA_CACHE", str(tmp_path / "cache"))
    paths = write_pairs(tmp_path, "train", numerals(60))
    options = dict(hidden_size=16, embedding_size=8, unit="words", min_count=1, epochs=1)
    run = recurra.fit("translation", *paths, out=tmp_path / "run", device="cuda", **options)
    assert {"attention-1.png", "beam.png"} <= {path.name for path in run.path.rglob("*.png")}


def test_a_search_finds_on_the_gpu_what_it_finds_on_the_cpu():
    logits = torch.randn(40, 40, generator=torch.manual_seed(0), dtype=torch.float64)

    def step(tokens, state):
        return logits.to(tokens.device)[tokens], state

    found = []
    for device in ("cpu", "cuda"):
        tokens, state = torch.tensor([1, 2, 3], device=device), torch.zeros(3, 1, device=device)
        options = dict(end=0, maximum=torch.tensor([5, 9, 7]), minimum=3, banned=[7], prefixes=[[], [4, 5], [6]])
        searched = beam_search(step, tokens, state, beam=4, n_best=4, penalty=wu(0.6), **options)
        found.append([*sum(searched, []), *greedy(step, tokens, state, **options)])
    assert [each.tokens for each in found[0]] == [each.tokens for each in found[1]]
    assert [each.score for each in found[0]] == pytest.approx([each.score for each in found[1]], rel=1e-12)
