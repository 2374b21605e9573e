"""Which way a call goes: by the compiled loop, as one node of a graph that is being captured, or by the reference."""

import torch
from torch import Tensor, nn

from recurra.recurrence import reference
from recurra.recurrence.batched import exact
from recurra.recurrence.cpu.machine import DTYPES
from recurra.recurrence.fused import Plans, run_fused
from recurra.recurrence.operator import plainly
from recurra.recurrence.request import Request, Result
from recurra.recurrence.state import map_state, tensors
from recurra.recurrence.trace import NotFused


def answer(cell: nn.Module, plans: Plans, request: Request) -> Result:
    """A whole call."""
    result, given = None, as_autocast_says(request)
    if obstacle([*tensors(given.inputs), *tensors(given.state)]) is None:
        with plainly():
            if torch.compiler.is_compiling():
                from recurra.recurrence import (
                    capture,  # which imports what takes seconds, and is there already in this case
                )

                result = capture.answer(cell, plans, given)
            else:
                result = _by_loop(cell, plans, given)
    return reference.answer(cell, request) if result is None else result


def as_autocast_says(request: Request) -> Request:
    """The call as a loop runs it: under autocast to bfloat16 on float32, with products of rounded operands."""
    if not torch.is_autocast_enabled("cpu"):
        return request
    nests = (request.inputs, request.state, request.start)
    inputs, state, start = (None if nest is None else map_state(exact, nest) for nest in nests)
    return request._replace(inputs=inputs, state=state, start=start, bfloat16=True)


def _by_loop(cell: nn.Module, plans: Plans, request: Request) -> Result | None:
    plan = plans.find(cell, request)
    try:
        return run_fused(plan, cell, request) if plan.fault is None else None
    except NotFused:
        return None


def obstacle(leaves: list[Tensor]) -> str | None:
    """Why a call with these inputs and states has to run by the reference, whatever the cell."""
    elsewhere = next((leaf.device.type for leaf in leaves if leaf.device.type != "cpu"), None)
    if elsewhere is not None:
        return f"the tensors are on {elsewhere}, and loops are compiled for the CPU"
    strange = next((leaf.dtype for leaf in leaves if leaf.is_floating_point() and leaf.dtype not in DTYPES), None)
    if strange is not None:
        return f"the tensors are of {strange}, and loops are compiled for float32 and float64"
    if any(leaf.shape[0] == 0 for leaf in leaves):
        return "the batch is empty"
    return mode()


def mode() -> str | None:
    """Why every call has to run by the reference at present."""
    if torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") != torch.bfloat16:
        return f"autocast to {torch.get_autocast_dtype('cpu')} is on, and loops are compiled for bfloat16"
    if torch.compiler.is_compiling():
        return None  # transforms are around the graph then, not in it
    if torch._C._functorch.peek_interpreter_stack() is not None:
        return "a transform of torch.func is at work"
    if torch.autograd.forward_ad._current_level >= 0:
        return "forward-mode derivatives are being taken"
    return None
