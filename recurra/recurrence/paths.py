"""Which way a call goes: by the compiled loop, as one node of a graph that is being captured, or by the reference."""

import torch
from torch import Tensor, nn

from recurra.recurrence import reference
from recurra.recurrence.cpu.machine import DTYPES
from recurra.recurrence.fused import Plans, run_fused
from recurra.recurrence.request import Request, Result
from recurra.recurrence.state import tensors
from recurra.recurrence.trace import NotFused


def answer(cell: nn.Module, plans: Plans, request: Request) -> Result:
    """A whole call."""
    result = None
    if obstacle([*tensors(request.inputs), *tensors(request.state)]) is None:
        if torch.compiler.is_compiling():
            from recurra.recurrence import (
                capture,  # which imports what takes seconds, and is there already in this case
            )

            result = capture.answer(cell, plans, request)
        else:
            result = _by_loop(cell, plans, request)
    return reference.answer(cell, request) if result is None else result


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
    if torch.is_autocast_enabled("cpu"):
        return "autocast is on, and compiled loops do not change the type"
    if torch.compiler.is_compiling():
        return None  # transforms are around the graph then, not in it
    if torch._C._functorch.peek_interpreter_stack() is not None:
        return "a transform of torch.func is at work"
    if torch.autograd.forward_ad._current_level >= 0:
        return "forward-mode derivatives are being taken"
    return None
