"""That all contenders compute the same recurrence: each against torch.nn, and wrong ones found out."""

from importlib.util import find_spec

import pytest
import torch
from torch import nn

from recurra.bench import contenders, speed
from recurra.bench.contenders import CONTENDERS, build, missing
from recurra.bench.problem import TOLERANCE, Contender, largest_difference, make_problem, stack_gates
from recurra.bench.roofline import Rates, Roofline
from recurra.bench.shapes import Shape
from recurra.bench.speed import Settings, measure
from recurra.cells import CELLS, to_torch
from recurra.errors import BadInput

FREE = Roofline((Rates(1, 1e12, {1: 1e12}, 0.0),), 0.0)

# the arithmetic of float32 over a few steps; TOLERANCE itself only tells a wrong recurrence
BOUND = {"outputs": 2e-6, "x": 5e-6, "W_x": 5e-6, "W_h": 5e-6, "b": 5e-6, "p": 5e-6}

NAMED = ("lstm", "gru", "elman")


def here(name):
    if reason := missing([name]).get(name):
        pytest.skip(reason)
    return CONTENDERS[name]


def by_torch(problem):
    """The problem solved by torch.nn in float64."""
    module = to_torch(problem.cell).double()
    state = tuple(leaf.double().unsqueeze(0) for leaf in problem.state)
    x = problem.x.double().requires_grad_(problem.training)
    outputs, _ = module(x, state if len(state) == 2 else state[0])
    if not problem.training:
        return {"outputs": outputs.detach()}
    weights = (module.weight_ih_l0, module.weight_hh_l0, module.bias_ih_l0)
    found = torch.autograd.grad(outputs, (x, *weights), problem.gradient.double())
    return dict(zip(("x", "W_x", "W_h", "b"), found, strict=True))


@pytest.mark.parametrize("mode", ["inference", "training"])
@pytest.mark.parametrize("cell", NAMED)
@pytest.mark.parametrize("name", ["recurra", "recurra.nn", "torch.nn", "eager loop", "onnxruntime", "jax"])
def test_sequences(name, cell, mode):
    problem = make_problem(cell, CELLS[cell], Shape(T=7, B=3, H=5), mode)
    contender = here(name)(problem)
    if name == "onnxruntime" and mode == "training":
        assert contender is None
        return
    expected = by_torch(problem)
    contender.call()
    found = contender.read(contender.call())  # the second call: nothing may be left of the first
    assert expected.keys() <= found.keys()
    for key, value in expected.items():
        assert found[key].shape == value.shape
        assert largest_difference({key: found[key]}, {key: value}) < BOUND[key], key


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("cell", NAMED)
@pytest.mark.parametrize(
    "name", ["recurra", "recurra.nn", "torch.nn", "torch.nn cell", "eager loop", "onnxruntime", "jax"]
)
def test_steps_carry_their_state(name, cell, batch):
    problem = make_problem(cell, CELLS[cell], Shape(T=1, B=batch, H=5), "streaming")
    contender = here(name)(problem)
    steps = [contender.read(contender.call())["outputs"] for _ in range(4)]
    state = tuple(leaf.unsqueeze(0) for leaf in problem.state)
    assert all(bool((leaf != 0).all()) for leaf in state)
    expected, _ = torch.no_grad()(to_torch(problem.cell))(
        problem.x.expand(-1, 4, -1), state if len(state) == 2 else state[0]
    )
    assert largest_difference({"outputs": torch.cat(steps, 1)}, {"outputs": expected}) < BOUND["outputs"]


@pytest.mark.parametrize("mode", ["inference", "training"])
def test_peepholes_of_torchrecurrent(mode):
    problem = make_problem("peephole-lstm", CELLS["peephole-lstm"], Shape(T=7, B=3, H=5), mode)
    theirs, ours = here("torchrecurrent")(problem), CONTENDERS["eager loop"](problem)
    found, expected = theirs.read(theirs.call()), ours.read(ours.call())
    assert found.keys() == expected.keys()
    assert all(largest_difference({key: found[key]}, {key: value}) < BOUND[key] for key, value in expected.items())


def test_what_a_peer_cannot_compute_it_leaves():
    jordan = make_problem("jordan", CELLS["jordan"], Shape(3, 2, 4), "inference")
    names = [name for name in CONTENDERS if name != "torch.compile" and name not in missing([name])]
    assert build(jordan, names).keys() == {"recurra", "eager loop"}
    before = make_problem("gru", CELLS["gru-reset-before"], Shape(3, 2, 4), "inference")
    assert build(before, names).keys() == {"recurra", "eager loop"}


def test_gates_are_stacked_as_torch_does():
    cell = CELLS["lstm"](2, 3)
    stacked, module = stack_gates(cell, cell.state_dict()), to_torch(cell)
    assert torch.equal(stacked["W_x"], module.weight_ih_l0) and torch.equal(stacked["b"], module.bias_ih_l0)


def test_a_gate_in_the_wrong_place_is_above_the_tolerance():
    problem = make_problem("gru", CELLS["gru"], Shape(7, 3, 5), "inference")
    expected = by_torch(problem)
    problem.cell.r.W_h, problem.cell.z.W_h = problem.cell.z.W_h, problem.cell.r.W_h
    assert largest_difference(by_torch(problem), expected) > 100 * TOLERANCE["inference"]


def test_wrong_and_failing_contenders_are_named_and_not_timed(monkeypatch):
    def doubled(problem):
        right = CONTENDERS["torch.nn"](problem)
        return Contender(right.call, lambda result: {"outputs": 2 * right.read(result)["outputs"]})

    def broken(problem):
        raise RuntimeError("no\nluck")

    monkeypatch.setitem(contenders.CONTENDERS, "recurra", doubled)
    monkeypatch.setitem(contenders.CONTENDERS, "eager loop", broken)
    settings = Settings(peers=("torch.nn", "eager loop"), pairs=2)
    entry = measure("lstm", Shape(3, 2, 4), "inference", settings, FREE)
    assert entry["wrong"] == {"recurra": pytest.approx(1.0)}
    assert entry["failed"] == {"eager loop": "RuntimeError: no luck"}
    assert entry["contenders"].keys() == {"torch.nn"} and entry["speedups"] == {}


def test_nan_is_a_wrong_result(monkeypatch):
    def nothing(problem):
        return Contender(lambda: None, lambda _: {"outputs": torch.full((2, 3, 4), torch.nan)})

    monkeypatch.setitem(contenders.CONTENDERS, "recurra", nothing)
    entry = measure("lstm", Shape(3, 2, 4), "inference", Settings(peers=("torch.nn",), pairs=2), FREE)
    assert entry["wrong"].keys() == {"recurra"}


def test_an_entry_adds_up(monkeypatch):
    times = {"recurra": [1.0, 2.0, 4.0], "torch.nn": [2.0, 6.0, 4.0], "recurra.nn": [9.0] * 3}
    monkeypatch.setattr(speed, "alternate", lambda calls, *args, **options: {name: times[name] for name in times})
    monkeypatch.setattr(speed, "missing", lambda names: {})
    monkeypatch.setitem(contenders.CONTENDERS, "recurra.nn", CONTENDERS["torch.nn"])
    entry = measure("elman", Shape(3, 2, 4), "inference", Settings(peers=("torch.nn", "recurra.nn"), pairs=3), FREE)
    assert entry["flops"] == 2 * 6 * 32
    assert entry["contenders"]["recurra"]["seconds"]["median"] == 2.0
    assert entry["contenders"]["recurra"]["gflops"] == entry["flops"] / 2.0 / 1e9
    assert entry["speedups"]["torch.nn"]["median"] == 2.0  # of 2, 3 and 1: not the ratio of the medians
    assert entry["fastest_peer"] == "torch.nn"
    assert entry["contenders"]["recurra"]["roofline_share"] == entry["roofline_seconds"] / 2.0


def test_peers_that_are_not_here(monkeypatch):
    monkeypatch.setattr(contenders, "find_spec", lambda name: None if name == "jax" else find_spec(name))
    assert missing(["jax", "torch.nn"]) == {"jax": "not installed: jax"}
    with pytest.raises(BadInput, match="unknown peer 'torhc.nn'; did you mean 'torch.nn'"):
        missing(["torhc.nn"])


def test_a_module_without_a_start_is_bad_input():
    with pytest.raises(BadInput, match="initial_state"):
        make_problem("mine", lambda inputs, units: nn.Linear(inputs, units), Shape(3, 2, 4), "inference")
