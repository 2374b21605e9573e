import pytest
import torch
from torch import nn

from recurra.training.gradients import clip_factor, clip_gradients, held_gradients, proportional
from recurra.training.settings import Settings


def parameters(sparse: bool) -> list[nn.Parameter]:
    """A matrix and an embedding with gradients, the embedding's from a batch that names some rows twice."""
    torch.manual_seed(0)
    matrix, embedding = nn.Linear(4, 3), nn.Embedding(20, 4, sparse=sparse)
    unused = nn.Parameter(torch.zeros(2))
    for tokens in ([3, 5, 3], [5, 7, 0]):  # two batches of an accumulated update
        (matrix(embedding(torch.tensor(tokens))).cos().sum() * 20).backward()
    assert embedding.weight.grad is not None and embedding.weight.grad.is_sparse == sparse
    return [*matrix.parameters(), unused, embedding.weight]


def dense(parameter: nn.Parameter) -> torch.Tensor | None:
    return parameter.grad.to_dense() if parameter.grad is not None else None


@pytest.mark.parametrize("clip_norm", [None, 1.0, 1e3])
@pytest.mark.parametrize("clip_value", [None, 0.2])
@pytest.mark.parametrize("sparse", [False, True])
def test_gradients_are_clipped_as_by_torch(sparse: bool, clip_norm: float | None, clip_value: float | None) -> None:
    ours, torchs = parameters(sparse), parameters(False)
    held = held_gradients(ours)
    norm = nn.utils.get_total_norm(held)
    settings = Settings(clip_norm=clip_norm, clip_value=clip_value)
    clip_gradients(held, clip_factor(norm, settings), settings)
    known = nn.utils.clip_grad_norm_(torchs, float("inf") if clip_norm is None else clip_norm)
    if clip_value is not None:
        nn.utils.clip_grad_value_(torchs, clip_value)
    torch.testing.assert_close(norm, known)
    for one, other in zip(ours, torchs, strict=True):
        torch.testing.assert_close(dense(one), dense(other))


def test_only_the_touched_rows_of_a_sparse_gradient_are_held() -> None:
    assert [tuple(values.shape) for values in held_gradients(parameters(True))] == [(3, 4), (3,), (4, 4)]


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"optimizer": "sgd"}, True),
        ({"optimizer": "sgd", "weight_decay": 0.1}, False),
        ({"optimizer": "momentum"}, False),
        ({"optimizer": "adamw"}, False),
    ],
)
def test_rules_that_leave_rows_without_gradient_alone(options: dict[str, object], wanted: bool) -> None:
    assert proportional(Settings(**options)) == wanted  # type: ignore[arg-type]
