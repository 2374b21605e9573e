"""The loss of every task with a Gauss–Newton form, beside the same loss from outputs that are taken apart."""

from pathlib import Path
from typing import Any

import pytest
import torch

from recurra.errors import BadInput
from recurra.recurrence.state import detach
from recurra.tasks.run import fit
from recurra.tasks.sources import Sources
from recurra.tasks.task import load_task
from recurra.training.checkpoint import random_state, restore_random_state
from recurra.training.settings import make_settings
from tests.commands.conftest import write_text
from tests.commands.test_tagging import write_columns
from tests.tasks.classification.files import reviews, topics
from tests.tasks.translation.files import numerals, write_pairs

SMALL = {"hidden_size": 4, "batch_size": 3}
SIZES = {**SMALL, "embedding_size": 4}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECURRA_CACHE", str(tmp_path / "cache"))


def write(folder: Path, task: str) -> list[Path]:
    if task == "language-model":
        return [write_text(folder / "text.txt")]
    if task == "tagging":
        return [write_columns(folder / "names.txt", 40)]
    if task == "classification":
        return [reviews(folder / "reviews.csv", 60)]
    if task == "topics":
        return [topics(folder / "topics.csv", 60)]
    return list(write_pairs(folder, "train", numerals(60))) if task == "translation" else []


CASES: list[tuple[str, dict[str, Any]]] = [
    ("language-model", {**SIZES, "steps": 8}),
    ("language-model", {**SIZES, "steps": 8, "stride": 3, "loss_per": "sequence", "dropout": 0.3}),
    ("language-model", {**SIZES, "steps": 8, "model": "window"}),
    ("language-model", {**SIZES, "steps": 8, "unit": "words", "adaptive_softmax": "6"}),
    ("tagging", {**SIZES, "output": "softmax", "dropout": 0.2}),
    ("classification", {**SIZES, "text": "review", "label": "side"}),
    ("topics", {**SIZES, "text": "text", "label": "label", "separator": ";"}),
    ("translation", {**SIZES, "unit": "words", "smoothing": 0.1, "dropout": 0.2}),
    ("program-execution", {**SIZES, "problem": "copy", "length": 3}),
]


def made(folder: Path, task: str, options: dict[str, Any]) -> Any:
    name = "classification" if task == "topics" else task
    module = load_task(name)
    config = make_settings(module.Config, options)
    sources = Sources.named([str(path) for path in write(folder, task)], None, None)
    data = module.read(sources, config)
    torch.manual_seed(0)
    model = module.build(config, data)
    return module.problem(config, data, model), model


@pytest.mark.parametrize(("task", "options"), CASES, ids=str)
def test_a_form_has_the_loss_its_gradient_and_its_unit(tmp_path: Path, task: str, options: dict[str, Any]) -> None:
    problem, model = made(tmp_path, task, options)
    batches, state = problem.batches(0), None
    parameters = [each for each in model.parameters() if each.requires_grad]
    for index in range(2):  # the second from the state that the first left
        before = random_state()
        form = problem.form(model, batches[index], state)
        value = form.loss(form.outputs)
        found = torch.autograd.grad(value, parameters, allow_unused=True, materialize_grads=True)
        restore_random_state(before)
        loss = problem.loss(model, batches[index], state)
        expected = torch.autograd.grad(loss.value, parameters, allow_unused=True, materialize_grads=True)
        torch.testing.assert_close(value, loss.value, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(found, [each.to_dense() for each in expected], rtol=1e-3, atol=1e-6)
        assert value.item() * form.per_item == pytest.approx(loss.mean.item(), rel=1e-5) and form.items == loss.items
        state = None if loss.state is None else detach(loss.state)


def test_a_fit_with_curvature_learns(tmp_path: Path) -> None:
    text = write_text(tmp_path / "text.txt", lines=40)
    options = {**SIZES, "steps": 10, "batch_size": 32, "accumulate": 4, "epochs": 8, "curvature_products": 8}
    options |= {"optimizer": "hessian-free", "damping": 0.1, "curvature_share": 0.3}
    run = fit("language-model", text, out=tmp_path / "run", baselines=False, **options)
    losses = [record["validation"] for record in run.folder.metrics() if "validation" in record]
    assert losses[-1] < 2.3  # nats a character; the commonest letters alone give 2.7


@pytest.mark.parametrize(
    ("task", "options", "message"),
    [
        (
            "tagging",
            {"output": "crf"},
            "--optimizer hessian-free: this loss has no Gauss–Newton form; those of language",
        ),
        ("language-model", {"model": "window", "structural_damping": 1.0}, "this model has none; leave it out"),
    ],
)
def test_what_has_none_is_refused_before_anything_is_left(
    tmp_path: Path, task: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        fit(task, *write(tmp_path, task), out=tmp_path / "run", optimizer="hessian-free", **SMALL, **options)
    assert not (tmp_path / "run").exists()
