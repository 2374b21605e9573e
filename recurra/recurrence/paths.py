"""Which way a call goes: by the compiled loop, as one node of a graph that is being captured, or by the reference."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from recurra.recurrence import reference
from recurra.recurrence.autograd import run
from recurra.recurrence.batched import exact
from recurra.recurrence.cpu.machine import DTYPES
from recurra.recurrence.fused import Begun, Loop, Plans, prepare_fused, prepare_known
from recurra.recurrence.operator import plainly
from recurra.recurrence.packing import Packing, pack, unpack
from recurra.recurrence.request import Request, Result
from recurra.recurrence.state import State, map_state, tensors
from recurra.recurrence.together import run_together


def answer(cell: nn.Module, plans: Plans, request: Request) -> Result:
    """A whole call."""
    result = by_loop(cell, plans, request)
    return reference.answer(cell, request) if result is None else result


def by_loop(cell: nn.Module, plans: Plans, request: Request, loop: Loop = run) -> Result | None:
    """A whole call by the compiled loop, or another like it; None where the reference has to run.

    Args:
        loop: outside graphs that are being captured.
    """
    prepared = _prepare(cell, plans, request, masked=loop is not run and request.lengths is not None)
    if prepared is None:
        return None
    with plainly():
        return prepared.run(loop)


def _prepare(cell: nn.Module, plans: Plans, request: Request, masked: bool = False) -> Begun | None:
    given = as_autocast_says(request)
    if obstacle([*tensors(given.inputs), *tensors(given.state)]) is not None:
        return None
    with plainly():
        if torch.compiler.is_compiling():
            from recurra.recurrence import (
                capture,  # which imports what takes seconds, and is there already in this case
            )

            return capture.prepare(cell, plans, given)
        return prepare_fused(plans.find(cell, given), cell, given, masked)


def begin(cell: nn.Module, plans: Plans, request: Request) -> Begun | Result:
    """A whole call up to where its loop runs; its result where the reference has to."""
    prepared = _prepare(cell, plans, request)
    return reference.answer(cell, request) if prepared is None else prepared


def end(begun: Sequence[Begun | Result]) -> list[Result]:
    """The results of calls that do not need each other's, their loops run side by side where that is faster."""
    with plainly():
        ran = iter(run_together([each.call for each in begun if isinstance(each, Begun)]))
        return [each.finish(*next(ran)) if isinstance(each, Begun) else each for each in begun]


def as_autocast_says(request: Request) -> Request:
    """The call as a loop runs it: under autocast to bfloat16 on float32, with products of rounded operands."""
    if not torch.is_autocast_enabled("cpu"):
        return request
    nests = (request.inputs, request.state, request.start)
    inputs, state, start = (None if nest is None else map_state(exact, nest) for nest in nests)
    return request._replace(inputs=inputs, state=state, start=start, bfloat16=True)


def begin_packed(cell: nn.Module, plans: Plans, x: Tensor, state: State, packing: Packing) -> Begun | Result:
    """As `begin`, for outputs ``(N, O)`` and last state from inputs ``(N, I)`` that are packed already, the longest row
    first.

    A first call of its kind, and one that the reference has to run, goes by `answer`, padded.
    """
    given = as_autocast_says(Request(x, state))
    if obstacle([given.inputs, *tensors(given.state)]) is None and not torch.compiler.is_compiling():
        plan = plans.known(cell, given.inputs.unsqueeze(1), given.state, 2)
        with plainly():
            prepared = None if plan is None else prepare_known(plan, given, packing)
        if prepared is not None:
            return prepared
    request = Request(unpack(x, packing, packing.steps), state, lengths=torch.tensor(packing.lengths))
    outputs, last, _ = answer(cell, plans, request)
    return Result(pack(outputs, packing), last, None)


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
    return None
