"""Under ``torch.compile`` and ``torch.export``: the loop as one opaque node, its program found while tracing.

What a call's tensors are like is passed to `_planned` as constants, and what it returns is a constant of the graph;
only the reading of parameters, the operator and the views around it are traced.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._python_dispatch import _disable_current_modes

from recurra.recurrence.fused import Begun, Plans, Recipe, checked, prepare_recipe, recipe_for
from recurra.recurrence.guard import fetch, named_tensors
from recurra.recurrence.lower import Lowered
from recurra.recurrence.request import Request
from recurra.recurrence.state import State

Spec = tuple[Any, ...]
"""A nesting without its tensors: ("tensor", shape, type), or (type of the container, keys, their specs)."""


def prepare(cell: nn.Module, plans: Plans, request: Request) -> Begun | None:
    """A whole call by the compiled loop, as it is traced; None where the cell has none."""
    lengths, reset = request.lengths is not None, request.reset is not None
    specs = _spec(request.inputs, 2), _spec(request.state, 1)
    found = _planned(cell, plans, specs, lengths, reset, request.trajectory, request.bfloat16)
    if found is None:
        return None
    parameters, *how = found
    values = [fetch(cell, name) for name in parameters]
    weights = list(plans.graphs[how[0]](*values))
    return prepare_recipe(Recipe(*how), weights, request, request.state)


def _spec(nest: State, first: int) -> Spec:
    if isinstance(nest, Tensor):
        return "tensor", tuple(nest.shape[first:]), nest.dtype
    keys = tuple(nest.keys()) if isinstance(nest, dict) else tuple(range(len(nest)))
    return type(nest), keys, tuple(_spec(nest[key], first) for key in keys)


def _example(spec: Spec, *first: int) -> State:
    """Tensors such as the spec's."""
    if spec[0] == "tensor":
        _, shape, dtype = spec
        if dtype == torch.bool:
            return torch.zeros(*first, *shape, dtype=dtype)
        return torch.linspace(-1, 1, max(1, torch.Size((*first, *shape)).numel()), dtype=dtype).view(*first, *shape)
    kind, keys, specs = spec
    parts = [_example(each, *first) for each in specs]
    if kind is dict:
        return dict(zip(keys, parts, strict=True))
    return kind(*parts) if hasattr(kind, "_fields") else kind(parts)


@torch.compiler.assume_constant_result
def _planned(
    cell: nn.Module,
    plans: Plans,
    specs: tuple[Spec, Spec],
    lengths: bool,
    reset: bool,
    trajectory: bool,
    bfloat16: bool,
) -> tuple[Any, ...] | None:
    with _disable_current_modes(), _no_function_modes():
        x, state = _example(specs[0], 2, 3), _example(specs[1], 2)
        request = Request(
            x,
            state,
            state if reset else None,
            torch.tensor([3, 2]) if lengths else None,
            torch.tensor([[False, True, False], [False, False, True]]) if reset else None,
            trajectory,
            bfloat16,
        )
        plan = plans.find(cell, request)
        if plan.lowered is None or plan.fault is not None:
            return None
        fake = any(isinstance(tensor, FakeTensor) for _, tensor in named_tensors(cell))
        # a mask for lengths, since a graph's shapes cannot follow from the numbers in it
        how = recipe_for(plan, request, masked=lengths) if fake else checked(plan, cell, request, masked=lengths)
        if how is None:
            return None
        plans.graphs[how.program] = _weights(cell, plan.lowered)
        return plan.lowered.parameters, *how


@contextmanager
def _no_function_modes() -> Iterator[None]:
    """Without the modes by which an export sees, among others, switches of the gradient mode."""
    modes = [torch._C._pop_torch_function_stack() for _ in range(torch._C._len_torch_function_stack())]
    try:
        yield
    finally:
        for mode in reversed(modes):
            torch._C._push_on_torch_function_stack(mode)


def _weights(cell: nn.Module, lowered: Lowered) -> GraphModule:
    """The program's weights from the cell's parameters, as a graph."""
    given = {name: fetch(cell, name) for name in lowered.parameters}
    types = {name: torch.int8 if each.dtype == torch.int8 else lowered.trace.dtype for name, each in given.items()}
    values = [torch.empty(each.shape, dtype=types[name]) for name, each in given.items()]
    made = make_fx(lambda *given: lowered.weights(dict(zip(lowered.parameters, given, strict=True))))(*values)
    return GraphModule(made, made.graph)  # of the plain kind, whose code dynamo reads
