"""That all contenders compute the same recurrence: each against torch.nn, and wrong ones found out."""

from importlib.util import find_spec

import pytest
import torch
from torch import nn

from recurra.bench import contenders, speed
from recurra.bench.contenders import CONTENDERS, build, missing
from recurra.bench.entry import Entry, Way, autocast
from recurra.bench.plan import Settings
from recurra.bench.problem import Contender, largest_difference, make_problem, stack_gates, tolerance
from recurra.bench.roofline import Rates, Roofline
from recurra.bench.shapes import Shape
from recurra.bench.speed import measure
from recurra.cells import CELLS, to_torch
from recurra.errors import BadInput
from recurra.recurrence.cpu import execute
from tests.processor import multiplies_bfloat16

FREE = Roofline((Rates(1, {"float32": 1e12, "bfloat16": 1e13}, {1: 1e12}, 0.0),), 0.0)
INFERENCE = Entry("lstm", Shape(3, 2, 4), "inference")

# the arithmetic of float32 over a few steps; the tolerance itself only tells a wrong recurrence
BOUND = {"outputs": 2e-6, "x": 5e-6, "W_x": 5e-6, "W_h": 5e-6, "b": 5e-6, "p": 5e-6}

NAMED = ("lstm", "gru", "elman")


def here(name):
    if reason := missing([name]).get(name):
        pytest.skip(reason)
    return CONTENDERS[name]


def problem_of(cell, shape, mode, **way):
    return make_problem(Entry(cell, shape, mode, Way(**way)), CELLS[cell])


def by_torch(problem):
    """The problem solved by torch.nn in float64."""
    module = to_torch(problem.cell).double()
    state = tuple(leaf.double().unsqueeze(0) for leaf in problem.state)
    x = problem.x.double().requires_grad_(problem.entry.training)
    outputs, _ = module(x, state if len(state) == 2 else state[0])
    if not problem.entry.training:
        return {"outputs": outputs.detach()}
    weights = (module.weight_ih_l0, module.weight_hh_l0, module.bias_ih_l0)
    found = torch.autograd.grad(outputs, (x, *weights), problem.gradient.double())
    return dict(zip(("x", "W_x", "W_h", "b"), found, strict=True))


@pytest.mark.parametrize("mode", ["inference", "training"])
@pytest.mark.parametrize("cell", NAMED)
@pytest.mark.parametrize("name", ["recurra", "recurra.nn", "torch.nn", "eager loop", "onnxruntime", "jax"])
def test_sequences(name, cell, mode):
    problem = problem_of(cell, Shape(T=7, B=3, H=5), mode)
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
    problem = problem_of(cell, Shape(T=1, B=batch, H=5), "streaming")
    contender = here(name)(problem)
    steps = [contender.read(contender.call())["outputs"] for _ in range(4)]
    state = tuple(leaf.unsqueeze(0) for leaf in problem.state)
    assert all(bool((leaf != 0).all()) for leaf in state)
    expected, _ = torch.no_grad()(to_torch(problem.cell))(
        problem.x.expand(-1, 4, -1), state if len(state) == 2 else state[0]
    )
    assert largest_difference({"outputs": torch.cat(steps, 1)}, {"outputs": expected}) < BOUND["outputs"]


@multiplies_bfloat16
@pytest.mark.parametrize("mode", ["inference", "training"])
@pytest.mark.parametrize("cell", NAMED)
@pytest.mark.parametrize("name", ["recurra", "recurra.nn", "torch.nn", "eager loop"])
def test_sequences_in_bfloat16(name, cell, mode, monkeypatch):
    monkeypatch.setattr(execute, "ROUNDED", 0)
    problem = problem_of(cell, Shape(T=7, B=3, H=5), mode, precision="bfloat16")
    contender = CONTENDERS[name](problem)
    found, exact = contender.read(contender.call()), by_torch(problem)
    shares = [largest_difference({key: found[key]}, {key: value}) for key, value in exact.items()]
    # 8 bits of each factor, and torch.nn's sums over seven steps; float32 itself would be below 1e-6
    assert 1e-4 < max(shares) < 0.03


@multiplies_bfloat16
@pytest.mark.parametrize("cell", NAMED)
@pytest.mark.parametrize("name", ["recurra", "recurra.nn", "torch.nn", "torch.nn cell"])
def test_steps_in_bfloat16(name, cell, monkeypatch):
    monkeypatch.setattr(execute, "ROUNDED", 0)
    shape = Shape(T=1, B=1, H=5)
    exact, problem = (problem_of(cell, shape, "streaming", precision=kind) for kind in ("float32", "bfloat16"))
    expected = CONTENDERS["torch.nn"](exact)
    with autocast("bfloat16"):
        contender = CONTENDERS[name](problem)
        found = torch.cat([contender.read(contender.call())["outputs"].float() for _ in range(4)], 1)
    expected = torch.cat([expected.read(expected.call())["outputs"] for _ in range(4)], 1)
    assert 1e-4 < largest_difference({"outputs": found}, {"outputs": expected}) < 0.03


@pytest.mark.parametrize(("layers", "bidirectional"), [(3, False), (1, True), (2, True)])
@pytest.mark.parametrize("cell", NAMED)
def test_layers_and_directions(cell, layers, bidirectional):
    """Recurra's against torch.nn's, and the first layer of both against the cell that it was made of."""
    problem = problem_of(cell, Shape(7, 3, 5), "training", layers=layers, bidirectional=bidirectional)
    ours, theirs = (CONTENDERS[name](problem) for name in ("recurra", "torch.nn"))
    found, expected = ours.read(ours.call()), theirs.read(theirs.call())
    assert len(expected) == 1 + 4 * layers * (2 if bidirectional else 1) and found.keys() == expected.keys()
    assert all(largest_difference({key: found[key]}, {key: value}) < 1e-5 for key, value in expected.items())
    assert CONTENDERS["recurra.nn"](problem) is None


def test_the_weights_and_states_of_every_layer_are_those_of_its_cell():
    problem = problem_of("lstm", Shape(7, 3, 5), "inference", layers=2)
    contender, x = CONTENDERS["torch.nn"](problem), problem.x
    for cell, state in zip(problem.cells, problem.states, strict=True):
        x = to_torch(cell)(x, tuple(leaf.unsqueeze(0) for leaf in state))[0]
    found = contender.read(contender.call())
    assert largest_difference(found, {"outputs": x.detach()}) < BOUND["outputs"]


@pytest.mark.parametrize("mode", ["inference", "training"])
def test_peepholes_of_torchrecurrent(mode):
    problem = problem_of("peephole-lstm", Shape(T=7, B=3, H=5), mode)
    theirs, ours = here("torchrecurrent")(problem), CONTENDERS["eager loop"](problem)
    found, expected = theirs.read(theirs.call()), ours.read(ours.call())
    assert found.keys() == expected.keys()
    assert all(largest_difference({key: found[key]}, {key: value}) < BOUND[key] for key, value in expected.items())


def test_what_a_peer_cannot_compute_it_leaves():
    jordan = problem_of("jordan", Shape(3, 2, 4), "inference")
    names = [name for name in CONTENDERS if name != "torch.compile" and name not in missing([name])]
    assert build(jordan, names).keys() == {"recurra", "eager loop"}
    before = problem_of("gru-reset-before", Shape(3, 2, 4), "inference")
    assert build(before, names).keys() == {"recurra", "eager loop"}


def test_gates_are_stacked_as_torch_does():
    cell = CELLS["lstm"](2, 3)
    stacked, module = stack_gates(cell, cell.state_dict()), to_torch(cell)
    assert torch.equal(stacked["W_x"], module.weight_ih_l0) and torch.equal(stacked["b"], module.bias_ih_l0)


def test_a_gate_in_the_wrong_place_is_above_the_tolerance():
    problem = problem_of("gru", Shape(7, 3, 5), "inference")
    expected = by_torch(problem)
    problem.cell.r.W_h, problem.cell.z.W_h = problem.cell.z.W_h, problem.cell.r.W_h
    difference = largest_difference(by_torch(problem), expected)
    assert difference > 100 * tolerance(problem.entry, ours=True)
    rounded = problem.entry._replace(way=Way("bfloat16"))
    assert difference > 3 * tolerance(rounded, ours=True)


def test_wrong_and_failing_contenders_are_named_and_not_timed(monkeypatch):
    def doubled(problem):
        right = CONTENDERS["torch.nn"](problem)
        return Contender(right.call, lambda result: {"outputs": 2 * right.read(result)["outputs"]})

    def broken(problem):
        raise RuntimeError("no\nluck")

    monkeypatch.setitem(contenders.CONTENDERS, "recurra", doubled)
    monkeypatch.setitem(contenders.CONTENDERS, "eager loop", broken)
    settings = Settings(peers=("torch.nn", "eager loop"), pairs=2)
    entry = measure(INFERENCE, settings, FREE)
    assert entry["wrong"] == {"recurra": pytest.approx(1.0)}
    assert entry["failed"] == {"eager loop": "RuntimeError: no luck"}
    assert entry["contenders"].keys() == {"torch.nn"} and entry["speedups"] == {}


@multiplies_bfloat16
def test_in_bfloat16_the_judge_is_exact_and_only_ours_is_held_to_rounded_factors(monkeypatch):
    def off(problem):
        right = torch_nn(problem)
        return Contender(right.call, lambda result: {"outputs": 1.1 * right.read(result)["outputs"].float()})

    torch_nn = CONTENDERS["torch.nn"]
    for name in ("recurra", "recurra.nn", "eager loop"):
        monkeypatch.setitem(contenders.CONTENDERS, name, off)
    entry = INFERENCE._replace(way=Way("bfloat16"))
    peers = ("recurra.nn", "torch.nn", "eager loop", "onnxruntime", "jax")
    found = measure(entry, Settings(peers=peers, precisions=("bfloat16",), pairs=2), FREE)
    assert found["wrong"].keys() == {"recurra", "recurra.nn"}
    assert found["contenders"].keys() == {"torch.nn", "eager loop"} and found["failed"] == {}
    assert found["contenders"]["eager loop"]["difference"] == pytest.approx(0.1, rel=0.1)
    assert 1e-4 < found["contenders"]["torch.nn"]["difference"] < 0.03


def test_who_is_asked_in_which_way():
    peers = ("recurra.nn", "torch.nn", "onnxruntime", "jax", "eager loop")
    settings = Settings(peers=tuple(name for name in peers if name not in missing(peers)), threads=(2, 1))

    def asked(**way):
        return speed._names(INFERENCE._replace(way=Way(**{"threads": 2} | way)), settings)

    assert asked() == ["recurra", *settings.peers]
    assert asked(precision="bfloat16") == ["recurra", "recurra.nn", "torch.nn", "eager loop"]
    assert asked(layers=2) == asked(bidirectional=True) == ["recurra", "torch.nn"]
    assert asked(threads=1) == [name for name in asked() if name != "jax"]


def test_nan_is_a_wrong_result(monkeypatch):
    def nothing(problem):
        return Contender(lambda: None, lambda _: {"outputs": torch.full((2, 3, 4), torch.nan)})

    monkeypatch.setitem(contenders.CONTENDERS, "recurra", nothing)
    entry = measure(INFERENCE, Settings(peers=("torch.nn",), pairs=2), FREE)
    assert entry["wrong"].keys() == {"recurra"}


def test_an_entry_adds_up(monkeypatch):
    times = {"recurra": [1.0, 2.0, 4.0], "torch.nn": [2.0, 6.0, 4.0], "recurra.nn": [9.0] * 3}
    monkeypatch.setattr(speed, "alternate", lambda calls, *args, **options: {name: times[name] for name in times})
    monkeypatch.setattr(speed, "missing", lambda names: {})
    monkeypatch.setitem(contenders.CONTENDERS, "recurra.nn", CONTENDERS["torch.nn"])
    entry = measure(INFERENCE._replace(cell="elman"), Settings(peers=("torch.nn", "recurra.nn"), pairs=3), FREE)
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
        make_problem(INFERENCE, lambda inputs, units: nn.Linear(inputs, units))
