"""The tensors of a model as one vector, as the algorithms with curvature are written, and back."""

from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def flat(tensors: Iterable[Tensor]) -> Float[Tensor, " N"]:
    """One vector of all numbers; what is sparse becomes dense."""
    return torch.cat([(each.to_dense() if each.is_sparse else each).reshape(-1) for each in tensors])


def parts(vector: Float[Tensor, " N"], like: Sequence[Tensor]) -> list[Tensor]:
    """The inverse: views of the vector in the shapes of ``like``."""
    found = vector.split([each.numel() for each in like])
    return [part.view(each.shape) for part, each in zip(found, like, strict=True)]


def filled(found: Iterable[Tensor | None], like: Iterable[Tensor]) -> list[Tensor]:
    """Derivatives with zeros for what nothing depends on."""
    return [torch.zeros_like(each) if one is None else one for one, each in zip(found, like, strict=True)]
