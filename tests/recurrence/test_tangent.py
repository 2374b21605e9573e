"""Tangents of programs beside forward mode through their meaning, finite differences, and transposed gradients."""

import random

import pytest
import torch
from torch.autograd import forward_ad
from torch.func import functional_call

from recurra.cells import CELLS as LIBRARY
from recurra.layers import Bidirectional, Recurrent
from recurra.recurrence import autograd
from recurra.recurrence.interpret import interpret
from recurra.recurrence.parse import parse
from recurra.recurrence.state import tensors
from recurra.recurrence.tangent import Moving, with_tangent
from tests.cells.helpers import randomised
from tests.recurrence.programs import CELLS, Inputs, inputs
from tests.recurrence.random_programs import random_program

# torch's own use of it, at the first derivative of forward mode
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")

EVERY = pytest.mark.parametrize("build", LIBRARY.values(), ids=LIBRARY.keys())


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_forward_mode(program, given, tangents):
    """Outputs and last states of the program's meaning, and behind them their tangents."""
    with forward_ad.dual_level():
        pairs = [
            [one if other is None else forward_ad.make_dual(one, other) for one, other in zip(*each, strict=True)]
            for each in zip(given, tangents, strict=True)
        ]
        run = interpret(program, *pairs)
        found = [[forward_ad.unpack_dual(each) for each in every] for every in (run.outputs, run.states)]
    return [
        [*(one for one, _ in every), *(torch.zeros_like(one) if other is None else other for one, other in every)]
        for every in found
    ]


def compare(program, choice):
    """The tangent beside forward mode, where ``choice`` says which sequences, rows and weights move."""
    given, directions = inputs(program, 4), inputs(program, 4, seed=1)
    moving = Moving(*([choice() for _ in each] for each in (given.sequences, given.rows, given.weights)))
    moving = Moving(*map(tuple, moving))
    flags = Inputs(moving.sequences, [True] * len(given.states), moving.rows, moving.weights)
    tangents = [
        [one if flag else None for one, flag in zip(*each, strict=True)] for each in zip(directions, flags, strict=True)
    ]
    joint = with_tangent(program, moving)
    assert parse(joint.text) == joint
    lists = [[*one, *(each for each in other if each is not None)] for one, other in zip(given, tangents, strict=True)]
    run = interpret(joint, *lists)
    expected = by_forward_mode(program, given, tangents)
    torch.testing.assert_close([run.outputs, run.states], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("moves", ["all", "none", "some"])
def test_the_tangent_of_a_cell_is_that_of_forward_mode(name, moves):
    random.seed(0)
    compare(CELLS[name], lambda: {"all": True, "none": False, "some": random.random() < 0.5}[moves])


@pytest.mark.parametrize("seed", range(150))
def test_the_tangent_of_a_random_program_is_that_of_forward_mode(seed):
    source = random.Random(seed)
    compare(random_program(source), lambda: source.random() < 0.6)


class Moved:
    """A layer and a direction for everything that it is given."""

    def __init__(self, layer, batch=3, steps=6, **how):
        self.layer, self.how = layer, how
        self.values = {name: value.detach().clone() for name, value in layer.named_parameters()}
        self.values["x"] = draw(batch, steps, 3)
        self.directions = {name: draw(*value.shape, seed=7 + k) for k, (name, value) in enumerate(self.values.items())}

    def results(self, values):
        weights = {name: value for name, value in values.items() if name != "x"}
        outputs, state = functional_call(self.layer, weights, (values["x"],), self.how)
        return [outputs, *tensors(state)]

    def tangents(self, values=None):
        """Of outputs and state; of what does not move they are zero."""
        values = values or self.values
        with forward_ad.dual_level():
            duals = {name: forward_ad.make_dual(value, self.directions[name]) for name, value in values.items()}
            found = [forward_ad.unpack_dual(each) for each in self.results(duals)]
        return [torch.zeros_like(one) if other is None else other for one, other in found]

    def shifted(self, distance):
        return {name: value + distance * self.directions[name] for name, value in self.values.items()}


def fused_layer(build):
    torch.manual_seed(0)
    layer = randomised(Recurrent(build(3, 5)))
    layer(draw(3, 6, 3))
    return layer


@pytest.fixture
def programs(monkeypatch):
    """The texts of the programs that run."""
    ran = []
    monkeypatch.setattr(autograd, "run_forward", _noting(autograd.run_forward, ran))
    return ran


def _noting(function, ran):
    def noted(*args, **named):
        ran.append(args[5])
        return function(*args, **named)

    return noted


RAGGED = {"lengths": torch.tensor([6, 2, 0])}
RESET = {"reset": torch.arange(18).view(3, 6) % 5 == 3}


@pytest.mark.parametrize("how", [{}, RAGGED | RESET], ids=["whole", "ragged-reset"])
@EVERY
def test_the_tangent_of_a_layer_is_its_difference_quotient(build, how):
    moved = Moved(fused_layer(build), **how)
    ahead, behind = (moved.results(moved.shifted(distance)) for distance in (1e-5, -1e-5))
    quotient = [(one - other) / 2e-5 for one, other in zip(ahead, behind, strict=True)]
    # of order h² times third derivatives, which are of the size of the first ones' cube
    scale = 1 + max(float(each.abs().max()) for each in quotient)
    torch.testing.assert_close(moved.tangents(), quotient, rtol=0, atol=1e-9 * scale**3)


@EVERY
def test_the_gradient_of_a_tangent_is_its_difference_quotient(build):
    moved = Moved(fused_layer(build))
    leaves = {name: value.clone().requires_grad_() for name, value in moved.values.items()}

    def total(values):
        return sum((each * torch.linspace(-1, 1, each.numel()).view_as(each)).sum() for each in moved.tangents(values))

    gradients = torch.autograd.grad(total(leaves), list(leaves.values()))
    along = sum(float((g * moved.directions[name]).sum()) for g, name in zip(gradients, leaves, strict=True))
    ahead, behind = (float(total(moved.shifted(distance))) for distance in (1e-5, -1e-5))
    assert (ahead - behind) / 2e-5 == pytest.approx(along, rel=1e-5, abs=1e-5)


def test_a_layer_runs_its_tangent_as_one_program(programs):
    moved = Moved(fused_layer(LIBRARY["lstm"]))
    moved.tangents()  # compared with the reference, at the first use
    programs.clear()
    moved.tangents()
    assert len(programs) == 1 and "states 5 5 5 5" in programs[0]


def test_the_first_call_of_a_layer_may_be_one_of_forward_mode(programs):
    moved = Moved(Recurrent(LIBRARY["gru"](3, 5).double()))
    first = moved.tangents()
    assert "states 5 5" in programs[-1]
    ahead, behind = (moved.results(moved.shifted(distance)) for distance in (1e-5, -1e-5))
    quotient = [(one - other) / 2e-5 for one, other in zip(ahead, behind, strict=True)]
    torch.testing.assert_close(first, quotient, rtol=0, atol=1e-8)


def test_tangents_and_gradients_are_transposes_of_each_other():
    moved = Moved(fused_layer(LIBRARY["lstm"]), **RAGGED)
    leaves = {name: value.clone().requires_grad_() for name, value in moved.values.items()}
    results = moved.results(leaves)
    weights = [draw(*each.shape, seed=90 + k) for k, each in enumerate(results)]
    gradients = torch.autograd.grad(results, list(leaves.values()), weights)
    back = sum((g * moved.directions[name]).sum() for g, name in zip(gradients, leaves, strict=True))
    forth = sum((one * other).sum() for one, other in zip(moved.tangents(), weights, strict=True))
    assert abs(back - forth) <= 1e-12 * abs(forth)


def test_both_directions_have_tangents():
    torch.manual_seed(0)
    layer = Bidirectional(*(Recurrent(LIBRARY["lstm"](3, 4).double()) for _ in range(2)))
    moved = Moved(layer, **RAGGED)
    moved.results(moved.values)
    ahead, behind = (moved.results(moved.shifted(distance))[0] for distance in (1e-5, -1e-5))
    torch.testing.assert_close(moved.tangents()[0], (ahead - behind) / 2e-5, rtol=0, atol=1e-8)


def test_calls_without_tangents_are_as_they_were_inside_a_level():
    layer, x = fused_layer(LIBRARY["lstm"]), draw(3, 6, 3)
    with torch.no_grad(), forward_ad.dual_level():
        outputs, _ = layer(x)
        step, _ = layer.step(x[:, 0], layer.initial_state(3))
        assert forward_ad.unpack_dual(outputs).tangent is None
    torch.testing.assert_close(step, outputs[:, 0], rtol=0, atol=1e-15)
    with torch.no_grad():
        torch.testing.assert_close(layer(x)[0], outputs, rtol=0, atol=1e-15)


def test_a_step_has_a_tangent():
    layer, x, direction = fused_layer(LIBRARY["gru"]), draw(3, 3), draw(3, 3, seed=1)
    state = layer.initial_state(3)
    for _ in range(3):  # short calls are handed over without Python's tensors ever being looked at
        layer.step(x, state)
    with forward_ad.dual_level():
        output, _ = layer.step(forward_ad.make_dual(x, direction), state)
        tangent = forward_ad.unpack_dual(output).tangent
    ahead, behind = (layer.step(x + distance * direction, state)[0] for distance in (1e-5, -1e-5))
    torch.testing.assert_close(tangent, (ahead - behind) / 2e-5, rtol=0, atol=1e-9)
