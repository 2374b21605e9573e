"""The largest of many values, of equals the first: torch leaves that open, and is slow for few of many on a CPU."""

from math import isqrt

import torch
from jaxtyping import Float, Int
from torch import Tensor

SHORT = 64  # below, sorting all is as fast


def largest(values: Float[Tensor, "R N"], k: int) -> tuple[Float[Tensor, "R K"], Int[Tensor, "R K"]]:
    """The ``k`` largest values of each row, or all N if they are fewer, and where they stand.

    The largest comes first; of equals the one with the smaller index. Values are not NaN.
    """
    count = values.shape[1]
    if k == 1:
        value, index = values.max(1, keepdim=True)
        return value, index
    if count <= max(SHORT, 8 * k):
        value, index = values.sort(dim=1, descending=True, stable=True)
        return value[:, :k], index[:, :k]
    # Of blocks ordered alike by their largest value, only the first k can hold any of the k largest.
    size = isqrt(count // k)
    whole = count // size * size
    blocks = largest(values[:, :whole].unflatten(1, (-1, size)).amax(2), k)[1].sort(dim=1).values
    inside = blocks.unsqueeze(2) * size + torch.arange(size, device=values.device)
    behind = torch.arange(whole, count, device=values.device).expand(len(values), -1)
    candidates = torch.cat([inside.flatten(1), behind], dim=1)
    value, index = largest(values.gather(1, candidates), k)
    return value, candidates.gather(1, index)
