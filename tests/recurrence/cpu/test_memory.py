"""What a loop touches and keeps: guard pages around all it is given, no growth over ten thousand calls, NaN and inf."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional as F

from recurra.cells import CELLS
from recurra.layers import Recurrent
from recurra.recurrence import reference
from recurra.recurrence.cpu import execute as engine
from recurra.recurrence.cpu.room import marked, room
from recurra.recurrence.gradient import Wanted, differentiate
from recurra.recurrence.graph import Graph
from recurra.recurrence.interpret import interpret
from recurra.recurrence.program import Program, Span
from tests.processor import multiplies_bfloat16
from tests.recurrence.cpu.compiled import CANARY, Guarded
from tests.recurrence.programs import broadcast, gru, highway, inputs, layer_norm, lstm, tied, trajectories

NOTHING = SimpleNamespace(run=lambda: None)
"""What is launched where there is nothing left to run."""


class Watched:
    """Stands in for the engine's `launch`, and runs the loop: all that it reads or writes moves to the end of guarded
    memory.

    What stands before a tensor is watched as well, and so are the gaps of strided ones.
    """

    def __init__(self):
        self.buffers, self.launch = [], engine.launch

    def guard(self, tensor):
        """The tensor, with the same strides, in memory that ends where the tensor does."""
        span = 1 + sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
        size = span if tensor.numel() else 0
        self.buffers.append(
            Guarded(torch.full((size,), -123 if tensor.dtype == torch.int8 else CANARY, dtype=tensor.dtype))
        )
        moved = torch.as_strided(self.buffers[-1].tensor, tensor.shape, tensor.stride())
        once = tuple(slice(0, 1) if stride == 0 else slice(None) for stride in tensor.stride())
        moved[once].copy_(tensor[once])  # what is expanded lies in one place
        return moved

    def __call__(self, compiled, steps, batch, given, series, slots, memory, packed):
        given = engine.Arguments(
            *([self.guard(tensor) for tensor in group] for group in given[:4]),
            {key: self.guard(tensor) for key, tensor in given.starts.items()},
        )
        moved = {node: self.guard(tensor) for node, tensor in series.items()}
        places, working = ([self.guard(tensor) for tensor in each] for each in (slots, memory.tensors))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(F, "pad", lambda *given, pad=F.pad: self.guard(pad(*given)))
            self.launch(compiled, steps, batch, given, moved, places, memory._replace(tensors=working), packed).run()
        assert all(buffer.untouched_before() for buffer in self.buffers)
        back = [*((series[node], tensor) for node, tensor in moved.items() if node in compiled.layout.leaving)]
        for original, tensor in (*back, *zip((*slots, *memory.tensors), (*places, *working), strict=True)):
            original.copy_(tensor)
        return NOTHING

    def close(self):
        for buffer in self.buffers:
            buffer.close()


def bound(values):
    return 64 * torch.finfo(values.dtype).eps * max(1, values.abs().max())


def guarded(program, given, steps, kept=frozenset(), own=None):
    watched = Watched()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "launch", watched)
        outcome = engine.execute(program, given, steps, kept, own)
    assert len(watched.buffers) > 5
    found = [*outcome.outputs, *outcome.states, *outcome.weights.values(), *outcome.rows.values()]
    found = [tensor.clone() for tensor in found]
    watched.close()
    return found


PROGRAMS = {
    "lstm": lambda hidden: lstm(3, hidden),
    "gru": lambda hidden: gru("before", 1, hidden),
    "highway": lambda hidden: highway(7, hidden),
    "layer norm": lambda hidden: layer_norm(2, hidden),
    "tied": lambda hidden: tied(max(hidden, 3)),
    "broadcast": broadcast,
    "trajectories": lambda hidden: trajectories(3, hidden),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", PROGRAMS)
def test_nothing_outside_the_buffers_is_touched(name, dtype):
    for hidden, rows, steps in ((1, 1, 1), (7, 3, 2), (17, 7, 3)):
        program = PROGRAMS[name](hidden)
        every = Wanted(*((True,) * len(each) for each in (program.sequences, program.weights, program.rows)))
        for half in (program, differentiate(program, every).backward):
            numbers = inputs(half, steps, rows, dtype)
            found = guarded(half, engine.Arguments(*numbers), steps)
            want = interpret(half, *numbers, steps=steps)
            for one, other in zip(found, [*want.outputs, *want.states], strict=False):
                torch.testing.assert_close(
                    one, other, rtol=0, atol=64 * torch.finfo(dtype).eps * max(1, other.abs().max())
                )


@multiplies_bfloat16
@pytest.mark.parametrize("name", [*PROGRAMS, "remembered maximum"])
def test_rounded_factors_stay_within_their_buffers(name):
    for hidden, rows, steps in ((1, 1, 1), (7, 3, 2), (17, 35, 3)):
        program = replace((PROGRAMS | {"remembered maximum": maximum})[name](hidden), bfloat16=True)
        every = Wanted(*((True,) * len(each) for each in (program.sequences, program.weights, program.rows)))
        forward, backward, _ = differentiate(program, every)
        for half, own in ((program, None), (forward, len(program.outputs)), (backward, None)):
            numbers = inputs(half, steps, rows, torch.float32)
            found = guarded(half, engine.Arguments(*numbers), steps, own=own)
            want = interpret(half, *numbers, steps=steps)
            for one, other in zip(found, [*want.outputs, *want.states], strict=False):
                largest = other.nan_to_num(0.0).abs().max()  # a tie at random numbers is 0 / 0
                torch.testing.assert_close(one.float(), other, rtol=0, atol=2**-5 * max(1, largest), equal_nan=True)


def maximum(hidden):
    """The largest feature of the state, of which a product is taken: its gradient needs it at every step."""
    graph = Graph()
    x, h = graph.read("sequence", 0, 3), graph.read("state", 0, hidden + 1)
    largest = graph.reduce("max", h)
    terms = (
        graph.product(x, 0, Span(0, hidden + 1), Span(0, 3)),
        graph.product(largest, 1, Span(0, hidden + 1), Span(0, 1)),
    )
    new = (terms[0] + terms[1]).apply("tanh")
    weights = (hidden + 1, 3), (hidden + 1, 1)
    return Program((3,), (hidden + 1,), (), weights, tuple(graph.nodes), (new.index,), (new.index,))


def test_strided_sequences_delayed_ones_and_kept_states_stay_within_their_buffers():
    program, steps, rows = lstm(5, 9), 3, 4
    numbers = inputs(program, steps, rows, torch.float32)
    wide = torch.randn(rows, 2 * steps, 11)
    x = wide[:, ::2, 3:8].transpose(0, 1)
    given = engine.Arguments([x], *numbers[1:])
    plain = engine.execute(program, engine.Arguments([x.contiguous()], *numbers[1:]), steps)
    found = guarded(program, given, steps, frozenset({0, 1}))
    assert all(map(torch.equal, found, [*plain.outputs, *plain.states]))
    late = given._replace(starts={0: torch.randn(rows, 5)})
    moved = torch.cat([late.starts[0][None], x[:-1]])
    want = engine.execute(program, engine.Arguments([moved], *numbers[1:]), steps)
    for one, other in zip(guarded(program, late, steps), [*want.outputs, *want.states], strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


def test_a_loop_in_pieces_stays_within_its_buffers(monkeypatch):
    """Where the hoisted values of all steps would be too many: two steps at a time, weights packed once."""
    monkeypatch.setattr(engine, "MOST_HOISTED", 0)
    monkeypatch.setattr(engine, "PIECE", 1)
    for program in (lstm(3, 17), gru("before", 3, 9)):
        numbers = inputs(program, steps=5, batch=3)
        want = interpret(program, *numbers)
        for kept in (frozenset(), frozenset(range(len(program.states)))):
            found = guarded(program, engine.Arguments(*numbers), 5, kept)
            for one, other in zip(found, [*want.outputs, *want.states], strict=True):
                torch.testing.assert_close(one, other, rtol=0, atol=bound(other))


GROWTH = """
import gc, resource, sys
import torch
from recurra.cells import LSTM
from recurra.layers import Recurrent

torch.set_num_threads(1)
layer, x = Recurrent(LSTM(2, 3)), torch.randn(2, 3, 2)

def calls(count):
    for k in range(count):
        if k % 8:
            with torch.no_grad():
                layer(x)
        else:
            layer(x)[0].sum().backward()

def held():
    gc.collect()
    pages = int(open("/proc/self/statm").read().split()[1])
    return pages * resource.getpagesize(), sys.getallocatedblocks()

calls(1000)
before = held()
calls(10_000)
print(*(now - then for now, then in zip(held(), before)))
"""


def test_ten_thousand_calls_leave_no_memory_behind():
    """A tensor kept by each would be more than a megabyte of pages, any object of Python's ten thousand blocks."""
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", GROWTH], cwd=root, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    resident, blocks = map(int, done.stdout.split())
    assert resident < 500_000 and blocks < 500


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")], ids=str)
@pytest.mark.parametrize("name", ["lstm", "gru", "elman", "layer-norm-lstm", "min-lstm"])
def test_what_is_no_number_goes_through_where_it_goes_in_the_reference(name, value):
    torch.manual_seed(0)
    layer = Recurrent(CELLS[name](3, 17))
    layer(torch.randn(4, 5, 3))
    x = torch.randn(4, 5, 3)
    x[1, 2, 0] = value
    x[3, 4, 2] = value
    x.requires_grad_()
    results = []
    for outputs, state in (layer(x), reference.answer(layer.cell, layer._request(x, None, None, None))[:2]):
        values = [outputs, *state]
        sums = sum(each.sum() for each in values)
        results.append([*values, *torch.autograd.grad(sums, [x, *layer.parameters()])])
    assert layer.plans.found[0].fault is None
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5, equal_nan=True)
    assert not results[0][0][[0, 2]].isnan().any() and results[0][0][:2, :2].isfinite().all()


def test_what_a_loop_leaves_unwritten_is_found_by_the_check_of_its_first_use(monkeypatch):
    with marked():
        assert room(torch.zeros(1), 5, 7).isnan().all()
    assert not room(torch.zeros(1), 5, 7).fill_(0.0).isnan().any()
    layer = Recurrent(CELLS["elman"](3, 4))
    x = torch.zeros(2, 5, 3)  # of which the right result is zero, as fresh memory often is
    monkeypatch.setattr(engine, "launch", lambda *given, **more: NOTHING)
    with torch.no_grad():
        layer(x)
    assert layer.plans.found[0].fault is not None
