"""The shapes that every cell insists on."""

from collections.abc import Iterable

from torch import Tensor


def check_sizes(**sizes: int) -> None:
    """Raise ValueError for the first size below one, by its name."""
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name} must be at least 1, got {size}")


def check_step(x: Tensor, input_size: int, state: Iterable[Tensor], *sizes: int | tuple[int, ...]) -> None:
    """Raise ValueError unless ``x`` is (B, ``input_size``) and each tensor of the state (B, its size).

    One size stands for every tensor; a matrix has a pair. Without this check a state of one row or one column would be
    broadcast in silence.
    """
    batch_size = x.shape[0]
    if x.shape != (batch_size, input_size):
        raise ValueError(f"x must be (batch, {input_size}), got {tuple(x.shape)}")
    leaves = tuple(state)
    for leaf, size in zip(leaves, sizes * len(leaves) if len(sizes) == 1 else sizes, strict=True):
        shape = (batch_size, *size) if isinstance(size, tuple) else (batch_size, size)
        if leaf.shape != shape:
            raise ValueError(f"a state beside this x must be {shape}, got {tuple(leaf.shape)}")
