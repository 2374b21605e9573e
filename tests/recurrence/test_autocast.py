"""Loops under autocast: products of operands rounded to bfloat16, beside the same layer in float64."""

import copy
import random
from dataclasses import replace

import pytest
import torch

import recurra
from recurra.cells import CELLS, GRUState
from recurra.layers import Recurrent
from recurra.recurrence.autograd import run
from recurra.recurrence.cpu import execute
from recurra.recurrence.cpu.machine import host
from recurra.recurrence.interpret import interpret
from recurra.recurrence.state import tensors
from tests.processor import multiplies_bfloat16
from tests.recurrence.parity import by_reference, difference, problem
from tests.recurrence.parity import everything as everything_of
from tests.recurrence.random_cells import random_cell

rounded = torch.autocast("cpu", dtype=torch.bfloat16)
FEATURES, H, B, T = 12, 40, 5, 4
NAMES = [name for name in CELLS if name != "mlstm"]


@pytest.fixture(autouse=True)
def small_calls_are_rounded_too(monkeypatch):
    monkeypatch.setattr(execute, "ROUNDED", 0)


def layer_of(name):
    torch.manual_seed(0)
    return Recurrent(CELLS[name](FEATURES, H))


def inputs(dtype=torch.float32):
    return torch.randn(B, T, FEATURES, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(dtype)


def everything(layer, x, **given):
    """Outputs, last state, gradients of input and parameters, for a loss that weighs every element its own way."""
    x = x.clone().requires_grad_()
    outputs, state = layer(x, **given)
    results = [outputs, *tensors(state)]
    weights = [torch.linspace(-1, 1, each.numel()).to(each.dtype).view(each.shape) for each in results]
    total = sum((each * weight).sum() for each, weight in zip(results, weights, strict=True))
    return results, torch.autograd.grad(total, [x, *layer.parameters()])


def apart(got, want):
    """The largest distance of two lists of tensors, each by the size of what was wanted."""
    pairs = zip(got, want, strict=True)
    return max(float(((one.double() - other).norm() / other.norm().clamp(min=1e-6)).detach()) for one, other in pairs)


@multiplies_bfloat16
@pytest.mark.parametrize("name", NAMES)
def test_every_cell_keeps_the_digits_of_bfloat16(name):
    layer, x = layer_of(name), inputs()
    with rounded:
        results, gradients = everything(layer, x)
    assert all(each.dtype == torch.float32 for each in (*results, *gradients))
    exact = everything(copy.deepcopy(layer).double(), x.double())
    # an operand is off by at most 2^-9 of itself, a gradient passes through T products and more
    assert 1e-5 < apart(results, exact[0]) < 2**-7
    assert 1e-5 < apart(gradients, exact[1]) < 2**-4


@multiplies_bfloat16
@pytest.mark.parametrize("name", ["lstm", "gru", "layer-norm-lstm", "recurrent-highway"])
def test_without_gradients_the_loop_does_what_its_program_means(name):
    layer, x = layer_of(name), inputs()
    layer(x)
    plan = layer.plans.found[0]
    program = replace(plan.lowered.program, bfloat16=True)
    weights, states = [each.detach() for each in plan.weights.read()], [torch.zeros(B, w) for w in program.states]
    sequences = [x.transpose(0, 1)]
    with torch.no_grad():
        got, last = run(program.text, sequences, states, [], weights, T, len(program.outputs))
    want = interpret(program, sequences, states, [], weights)
    # what is hoisted is rounded once more, and the states that follow may be rounded otherwise
    assert apart([*got, *last], [*want.outputs, *want.states]) < 2**-8


@multiplies_bfloat16
def test_gradients_change_nothing_in_the_results_nor_do_threads():
    layer, x = layer_of("lstm"), inputs()
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            with rounded:
                found.append(layer(x)[0])
                with torch.no_grad():
                    found.append(layer(x)[0])
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(found[0], each) for each in found)


@multiplies_bfloat16
@pytest.mark.parametrize("kind", ["avx512", ""])
def test_a_lesser_machine(kind, monkeypatch):
    machine = replace(host(), bfloat16=kind)
    layer, x = layer_of("gru"), inputs()
    exact = everything(layer, x)
    execute.compile_program.cache_clear()
    monkeypatch.setattr(execute, "host", lambda: machine)
    try:
        with rounded:
            results, gradients = everything(layer, x)
    finally:
        execute.compile_program.cache_clear()
    if kind:
        assert 1e-5 < apart(results, [each.double() for each in exact[0]]) < 2**-7
        assert apart(gradients, [each.double() for each in exact[1]]) < 2**-5
    else:
        assert all(map(torch.equal, (*results, *gradients), (*exact[0], *exact[1])))


@multiplies_bfloat16
def test_inputs_states_and_ragged_rows_of_either_type():
    layer, x = layer_of("gru"), inputs()
    state, lengths = GRUState(torch.randn(B, H)), torch.tensor([4, 0, 1, 3, 2])
    exact = copy.deepcopy(layer).double()
    for given in (x, x.bfloat16()):
        for start in (state, GRUState(state.h.bfloat16()), None):
            with rounded:
                outputs, last = layer(given, start, lengths)
            wide = None if start is None else GRUState(start.h.double())
            want = exact(given.double(), wide, lengths)
            assert outputs.dtype == last.h.dtype == torch.float32
            assert apart([outputs, last.h], [want[0], want[1].h]) < 2**-7
            assert outputs[1].eq(0).all()


@multiplies_bfloat16
def test_float64_stays_and_float16_goes_step_by_step():
    layer = layer_of("lstm").double()
    x = inputs(torch.float64)
    with rounded:
        assert torch.equal(layer(x)[0], layer_of("lstm").double()(x)[0])
    with torch.autocast("cpu", dtype=torch.float16):
        assert "float16" in layer_of("lstm").explain(inputs()).text


@multiplies_bfloat16
def test_second_derivatives():
    layer, x = layer_of("lstm"), inputs().requires_grad_()
    with rounded:
        outputs = layer(x)[0]
        (first,) = torch.autograd.grad(outputs.square().sum(), x, create_graph=True)
        first.sum().backward()
    assert torch.isfinite(x.grad).all() and x.grad.abs().max() > 0


@multiplies_bfloat16
def test_a_stack_trains():
    torch.manual_seed(0)
    model = recurra.Stack(*(Recurrent(CELLS["lstm"](n, 16)) for n in (FEATURES, 16)))
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    x, wanted = inputs(), torch.sin(inputs().cumsum(1)).mean(2)
    losses = []
    for _ in range(40):
        with rounded:
            loss = (model(x)[0].mean(2) - wanted).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.detach().item())
    assert losses[-1] < 0.2 * losses[0]


@multiplies_bfloat16
@pytest.mark.parametrize("seed", [58, 66, 160, 374])
def test_the_elements_that_are_a_maximum_are_found_again(seed):
    layer = Recurrent(random_cell(random.Random(seed)).float())
    given = problem(layer, layer.cell.input_size, random.Random(seed), torch.float32)
    want = everything_of(layer, given, by_reference(layer, given))
    with rounded:
        result = layer(*given)
    assert difference(everything_of(layer, given, result), want) < 2**-4


@multiplies_bfloat16
@pytest.mark.parametrize("gradients", [False, True])
def test_what_is_small_is_computed_in_float32(monkeypatch, gradients):
    monkeypatch.undo()
    layer, large = layer_of("lstm"), torch.randn(300, 40, FEATURES)
    for x, rounds in ((inputs(), False), (large, True)):
        with torch.set_grad_enabled(gradients):
            exact = layer(x)[0]
            with rounded:
                found = [layer(x)[0], layer(x)[0], layer(x, lengths=torch.full((len(x),), x.shape[1]))[0]]
        assert all(torch.equal(each, exact) != rounds for each in found)
        for each in found:
            torch.testing.assert_close(each, exact, rtol=0, atol=0.02)


def test_backward_under_autocast_is_exact_where_the_call_was(monkeypatch):
    monkeypatch.undo()
    layer, x = layer_of("lstm"), inputs().requires_grad_()
    found = []
    for inside in (False, True, True, True):
        outputs, _ = layer(x)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=inside):
            found.append(torch.autograd.grad(outputs.sum(), [x, *layer.parameters()]))
    for each in found[1:]:
        for one, other in zip(each, found[0], strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-5)
