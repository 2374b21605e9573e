"""States: any nesting of tuples, named records, lists and dictionaries of batch-first tensors."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor

State = Any
"""A tensor ``(batch, ...)``, or a tuple, named tuple, list or dictionary of states."""


def map_state(function: Callable[..., Any], state: State, *others: State) -> State:
    """Apply ``function`` to the corresponding tensors of one or more states of the same structure.

    The result nests like the first state: its records and dictionaries keep their names.

    Raises:
        TypeError: something in the state is neither a tensor nor a container of tensors.
    """
    if isinstance(state, Tensor):
        return function(state, *others)
    if isinstance(state, dict):
        return {key: map_state(function, value, *(other[key] for other in others)) for key, value in state.items()}
    if isinstance(state, tuple | list):
        parts = [map_state(function, *together) for together in zip(state, *others, strict=True)]
        return type(state)(*parts) if hasattr(state, "_fields") else type(state)(parts)
    raise TypeError(f"a state holds tensors in tuples, lists and dictionaries, not {type(state).__name__}")


def tensors(state: State) -> Iterator[Tensor]:
    """The tensors of a state, in the order of its fields."""
    if isinstance(state, Tensor):
        yield state
    elif isinstance(state, dict):
        for value in state.values():
            yield from tensors(value)
    elif isinstance(state, tuple | list):
        for value in state:
            yield from tensors(value)
    else:
        raise TypeError(f"a state holds tensors in tuples, lists and dictionaries, not {type(state).__name__}")


def time_steps(sequences: State) -> Iterator[State]:
    """The slices, one step after another, of a nesting of tensors ``(batch, time, ...)``."""
    # unbind, not indexing: the gradient of T slices is then one stack, not T sums over the whole sequence
    for slices in zip(*(leaf.unbind(1) for leaf in tensors(sequences)), strict=True):
        remaining = iter(slices)
        yield map_state(lambda _, remaining=remaining: next(remaining), sequences)


def same_structure(one: State, other: State) -> bool:
    """Whether two states nest alike, whatever their tensors' shapes and the names of their records."""
    if isinstance(one, Tensor) or isinstance(other, Tensor):
        return isinstance(one, Tensor) and isinstance(other, Tensor)
    if isinstance(one, dict) or isinstance(other, dict):
        alike = isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys()
        return alike and all(same_structure(one[key], other[key]) for key in one)
    if not (isinstance(one, tuple | list) and isinstance(other, tuple | list)) or len(one) != len(other):
        return False
    return all(same_structure(a, b) for a, b in zip(one, other, strict=True))


def select(state: State, rows: Int[Tensor, " R"] | Bool[Tensor, " B"]) -> State:
    """The given rows of a batch, by index (with repetition, in any order) or by mask."""
    return map_state(lambda leaf: leaf[rows], state)


def detach(state: State) -> State:
    """The same values, cut off from the graph that computed them."""
    return map_state(Tensor.detach, state)


def choose(rows: Bool[Tensor, " B"], yes: State, no: State) -> State:
    """Row by row ``yes`` where ``rows`` holds, else ``no``; no gradient flows to what is not chosen."""
    return map_state(lambda a, b: torch.where(rows.view(-1, *[1] * (b.dim() - 1)), a, b), yes, no)
