"""Compiled loops beside the cells' own steps: outputs, states, every gradient, however a layer is called and used."""

import copy
import gc
import io
import pickle
import weakref

import pytest
import torch
from torch import nn
from torch.func import functional_call

from recurra.cells import CELLS, GRU, LSTM, Elman, LSTMState
from recurra.layers import Recurrent
from recurra.recurrence import reference
from recurra.recurrence.cpu.execute import compile_program
from recurra.recurrence.paths import obstacle
from recurra.recurrence.state import map_state, tensors
from tests.recurrence.parity import difference

BOUNDS = {torch.float32: 4e-6, torch.float64: 8e-15}
"""Some 35 roundings, as sums over steps and rows are taken in another order; the largest difference seen is 13."""

both_types = pytest.mark.parametrize("dtype", BOUNDS, ids=str)
FUSED = {name: build for name, build in CELLS.items() if name != "mlstm"}


def draw(*shape, dtype=torch.float64, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def layer_of(build, inputs, hidden, dtype=torch.float64):
    """No parameter is zero by chance of its initialisation."""
    torch.manual_seed(0)
    cell = build(inputs, hidden).to(torch.float64)
    with torch.no_grad():
        for seed, weight in enumerate(cell.parameters()):
            weight.add_(0.1 * draw(*weight.shape, seed=seed))
    return Recurrent(cell.to(dtype))


def start_of(layer, rows):
    """A state as it may be on the way, gradients wanted."""
    return map_state(
        lambda leaf: draw(*leaf.shape, dtype=leaf.dtype).tanh().requires_grad_(), layer.initial_state(rows)
    )


def measured(layer, result, x, state, used):
    """What a call gave, and the gradients of all that needs one, of a sum that weighs every element its own way."""
    parts = [value for name in used for value in tensors(getattr(result, name))]
    leaves = [x, *(() if state is None else tensors(state)), *layer.parameters()]
    wanted = [leaf for leaf in leaves if leaf.requires_grad]
    weights = [torch.linspace(-1, 1, value.numel(), dtype=value.dtype).view_as(value) for value in parts]
    found = torch.autograd.grad(parts, wanted, weights, allow_unused=True) if parts[0].requires_grad else ()
    gradients = [torch.zeros_like(a) if b is None else b for a, b in zip(wanted, found, strict=bool(found))]
    return [value.detach() for value in parts] + gradients


def compare(layer, x, state=None, lengths=None, reset=None, used=("outputs", "state"), seen=None):
    """The layer's call and the reference's; ``seen`` is how the loop meets ``x`` where that is a view of it."""
    seen = x if seen is None else seen
    request = layer._request(seen, state, lengths, reset)._replace(trajectory="states" in used)
    assert obstacle([*tensors(request.inputs), *tensors(request.state)]) is None
    if "states" in used:
        fused = layer.trajectory(seen, state, lengths, reset)
        fused = reference.Result(*fused)
    else:
        fused = reference.Result(*layer(seen, state, lengths, reset), None)
    assert layer.plans.find(layer.cell, request).fault is None
    known = measured(layer, reference.answer(layer.cell, request), x, state, used)
    error = difference(measured(layer, fused, x, state, used), known)
    assert error <= BOUNDS[x.dtype] or error <= 3 * own_error(layer, known, x, state, lengths, reset, used)


def own_error(layer, known, x, state, lengths, reset, used):
    """How far the reference's float32 is from its float64: numbers may be such that rounding grows."""
    if x.dtype == torch.float64:
        return 0.0
    exact = copy.deepcopy(layer).double()
    given = (x,) if state is None else (x, state)
    x, *begin = map_state(lambda leaf: leaf.detach().double().requires_grad_(leaf.requires_grad), given)
    state = begin[0] if begin else None
    request = exact._request(x, state, lengths, reset)._replace(trajectory="states" in used)
    return difference(known, measured(exact, reference.answer(exact.cell, request), x, state, used))


@both_types
@pytest.mark.parametrize("name", FUSED)
def test_every_cell_in_training_and_without_gradients(name, dtype, monkeypatch):
    """In one type with products of inputs in the loop, in the other with them before it."""
    gathered = (list(FUSED).index(name) % 2 == 0) == (dtype == torch.float32)
    monkeypatch.setattr("recurra.recurrence.fused.gathers", lambda *_: gathered)
    layer = layer_of(FUSED[name], 7, 17 if dtype == torch.float32 else 9, dtype)
    state = start_of(layer, 5)
    x = draw(5, 6, 7, dtype=dtype).requires_grad_()
    compare(layer, x, state)
    with torch.no_grad():
        compare(layer, x, state)
    assert all(program.gathered == gathered for program in layer.plans.found[0].recipes)


@pytest.mark.parametrize("name", FUSED)
def test_every_cell_ragged_with_resets_and_its_trajectory(name):
    dtype = [torch.float32, torch.float64][list(FUSED).index(name) % 2]
    layer = layer_of(FUSED[name], 3, 9 if dtype == torch.float32 else 5, dtype)
    lengths, reset = torch.tensor([6, 0, 1, 4]), draw(4, 6, seed=1) > 0.5
    x = draw(4, 6, 3, dtype=dtype).requires_grad_()
    compare(layer, x, start_of(layer, 4), lengths, reset, used=("outputs", "state", "states"))


def test_the_cell_that_cannot_be_fused_runs_by_the_reference():
    layer, x = layer_of(CELLS["mlstm"], 3, 4), draw(2, 5, 3)
    outputs, _ = layer(x)
    assert torch.equal(outputs, reference.answer(layer.cell, layer._request(x, None, None, None)).outputs)
    assert layer.plans.found[0].fault is not None


@pytest.mark.parametrize("hidden", [1, 2, 7, 8, 9, 15, 16, 31, 33])
def test_sizes_around_the_width_of_a_vector(hidden):
    inputs = {1: 1, 2: 17, 8: 16}.get(hidden, 13)
    layer = layer_of(LSTM, inputs, hidden, torch.float32)
    compare(layer, draw(3, 4, inputs, dtype=torch.float32).requires_grad_(), start_of(layer, 3))
    double = layer_of(Elman, inputs, hidden)
    compare(double, draw(3, 4, inputs).requires_grad_(), start_of(double, 3))


@pytest.mark.parametrize("build", [LSTM, CELLS["gru-reset-before"]], ids=["lstm", "gru-reset-before"])
def test_rows_around_those_of_a_tile_and_few_steps(build):
    layer = layer_of(build, 3, 17, torch.float32)
    for rows in (1, 2, 5, 6, 7, 8, 9, 13, 17):
        for steps in (1, 2, 3):
            compare(layer, draw(rows, steps, 3, dtype=torch.float32).requires_grad_(), start_of(layer, rows))


MARKS = {"never": [], "first": [0], "last": [5], "every": range(6), "first and last": [0, 5]}
LENGTHS = {"zeros": [0, 0, 0], "ones": [1, 1, 1], "full": [6, 6, 6], "mixed": [0, 1, 5], "zero and full": [6, 0, 6]}


@pytest.mark.parametrize("given", [False, True], ids=["own start", "given state"])
@pytest.mark.parametrize("build", [LSTM, CELLS["jordan"]], ids=["lstm", "jordan"])
def test_lengths_and_resets_alone_and_together(build, given):
    layer = layer_of(build, 2, 5)
    x, state = draw(3, 6, 2).requires_grad_(), start_of(layer, 3) if given else None
    for lengths in (None, *LENGTHS.values()):
        for steps in (None, *MARKS.values()):
            reset = torch.zeros(3, 6, dtype=torch.bool)
            reset[:2, list(steps or [])] = True
            compare(
                layer,
                x,
                state,
                None if lengths is None else torch.tensor(lengths),
                None if steps is None else reset,
            )


LAYOUTS = {
    "time first": ((4, 3, 5), lambda x: x.transpose(0, 1)),
    "features first": ((5, 3, 4), lambda x: x.permute(1, 2, 0)),
    "every other feature": ((3, 4, 10), lambda x: x[..., ::2]),
    "a window of a longer stream": ((3, 9, 7), lambda x: x[:, 2:6, 1:6]),
    "one row for all": ((1, 4, 5), lambda x: x.expand(3, 4, 5)),
    "one step for all": ((3, 1, 5), lambda x: x.expand(3, 4, 5)),
    "one number for all features": ((3, 4, 1), lambda x: x.expand(3, 4, 5)),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("build", [LSTM, CELLS["sru"]], ids=["lstm", "sru"])
def test_inputs_of_any_strides(build, layout):
    shape, view = LAYOUTS[layout]
    layer = layer_of(build, 5, 5)
    x = draw(*shape).requires_grad_()
    compare(layer, x, start_of(layer, 3), seen=view(x))


def test_states_and_parameters_of_any_strides():
    layer = layer_of(GRU, 5, 9)
    for gate in layer.cell.children():
        gate.W_x = nn.Parameter(gate.W_x.detach().t().contiguous().t())
        gate.W_h.data = draw(9, 18)[:, ::2] / 3
        gate.b = nn.Parameter(gate.b.detach().repeat_interleave(3)[::3])
    wide = draw(9, 3).requires_grad_()
    state = type(layer.initial_state(3))(wide.t())
    compare(layer, draw(3, 4, 5).requires_grad_(), state)


@pytest.mark.parametrize("name", [name for name, _ in LSTM(1, 1).named_parameters()])
def test_a_parameter_that_needs_no_gradient(name):
    layer = layer_of(LSTM, 3, 5)
    layer.cell.get_parameter(name).requires_grad_(False)
    compare(layer, draw(2, 4, 3).requires_grad_(), start_of(layer, 2))


def test_gradients_wanted_of_a_few_things_only():
    layer = layer_of(LSTM, 3, 5)
    start = start_of(layer, 2)
    fixed = map_state(torch.Tensor.detach, start)
    half = LSTMState(start[0], start[1].detach())
    compare(layer, draw(2, 4, 3), fixed)
    compare(layer, draw(2, 4, 3), half)
    layer.requires_grad_(False)
    for x in (draw(2, 4, 3), draw(2, 4, 3).requires_grad_()):
        for state in (None, fixed, half, start):
            compare(layer, x, state)


@pytest.mark.parametrize("used", [["state"], ["states"], ["outputs"], ["outputs", "states"]], ids=str)
def test_a_loss_of_a_part_of_the_results(used):
    for build in (LSTM, CELLS["jordan"]):
        layer = layer_of(build, 3, 5)
        compare(layer, draw(2, 4, 3).requires_grad_(), start_of(layer, 2), used=used)


def test_a_loss_of_one_tensor_of_the_state_and_of_one_step():
    layer, x = layer_of(LSTM, 3, 5), draw(2, 4, 3).requires_grad_()
    request = layer._request(x, None, None, None)
    for part in (lambda result: result.state.s[0, 2], lambda result: result.outputs[1, 2, 3]):
        fused = reference.Result(*layer(x), None)
        wanted = [x, *layer.parameters()]
        ours = torch.autograd.grad(part(fused), wanted)
        theirs = torch.autograd.grad(part(reference.answer(layer.cell, request)), wanted, materialize_grads=True)
        assert difference(ours, theirs) <= BOUNDS[torch.float64]


def test_gradients_can_be_taken_twice():
    layer, x = layer_of(LSTM, 3, 5), draw(2, 4, 3).requires_grad_()
    loss = layer(x)[0].square().sum()
    wanted = [x, *layer.parameters()]
    first = torch.autograd.grad(loss, wanted, retain_graph=True)
    second = torch.autograd.grad(loss, wanted)
    assert all(map(torch.equal, first, second))
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        torch.autograd.grad(loss, wanted)


EDITS = {
    "the outputs": lambda x, outputs, state, layer: outputs.mul_(2),
    "one step's output": lambda x, outputs, state, layer: outputs[:, 1].zero_(),
    "a last state": lambda x, outputs, state, layer: state.s.mul_(2),
    "the other last state": lambda x, outputs, state, layer: state.h.mul_(2),
    "the inputs": lambda x, outputs, state, layer: x.data.mul_(1) if x.is_leaf else x.mul_(2),
    "a parameter": lambda x, outputs, state, layer: next(layer.parameters()).mul_(2),
}


@pytest.mark.parametrize("grad", [False, True], ids=["under no_grad", "in the graph"])
@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_in_place_raises_or_is_differentiated(edit, grad):
    def gradients(run):
        layer = layer_of(LSTM, 3, 5)
        leaf = draw(2, 4, 3).requires_grad_()
        x = leaf * 1
        outputs, state = run(layer, x)
        if edit == "a parameter" and grad:
            return None  # autograd itself refuses it
        with torch.set_grad_enabled(grad):
            EDITS[edit](x, outputs, state, layer)
        return torch.autograd.grad(outputs.sum() + state.s.sum() + state.h.sum(), [leaf, *layer.parameters()])

    def reference_run(layer, x):
        result = reference.answer(layer.cell, layer._request(x, None, None, None))
        return result.outputs, result.state

    try:
        ours = gradients(lambda layer, x: layer(x))
    except RuntimeError as error:
        assert "inplace" in str(error)
    else:
        assert ours is None or difference(ours, gradients(reference_run)) <= BOUNDS[torch.float64]


@pytest.mark.parametrize("build", [LSTM, CELLS["jordan"]], ids=["lstm", "jordan"])
def test_second_derivatives_equal_finite_differences(build):
    layer = layer_of(build, 2, 3)
    names, weights = zip(*layer.named_parameters(), strict=True)
    kind, count = type(layer.initial_state(2)), len(layer.initial_state(2))

    def run(x, *leaves):
        state, values = kind(*leaves[:count]), dict(zip(names, leaves[count:], strict=True))
        outputs, last = functional_call(layer, values, (x, state))
        return outputs, *last

    assert torch.autograd.gradgradcheck(run, (draw(2, 2, 2).requires_grad_(), *start_of(layer, 2), *weights))


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")  # torch's own use of it
def test_forward_mode_is_the_transpose_of_the_loops_gradient():
    layer = layer_of(LSTM, 3, 5)
    x, direction, weight = draw(2, 4, 3), draw(2, 4, 3, seed=1), draw(2, 4, 5, seed=2)
    _, forward = torch.func.jvp(lambda x: layer(x)[0], (x,), (direction,))
    x.requires_grad_()
    (backward,) = torch.autograd.grad((layer(x)[0] * weight).sum(), x)
    assert abs((forward * weight).sum() - (backward * direction).sum()) <= 1e-13


def test_vmap_and_gradients_of_each_sample_equal_one_call_each():
    layer, x = layer_of(LSTM, 3, 5), draw(4, 2, 6, 3)
    together = torch.func.vmap(lambda part: layer(part)[0])(x)
    assert difference([together], [torch.stack([layer(part)[0] for part in x])]) <= BOUNDS[torch.float64]

    def loss(weights, part):
        return functional_call(layer, weights, (part,))[0].square().sum()

    weights = dict(layer.named_parameters())
    each = torch.func.vmap(torch.func.grad(loss), (None, 0))(weights, x)
    for k, part in enumerate(x):
        alone = torch.autograd.grad(layer(part)[0].square().sum(), layer.parameters())
        assert difference([each[name][k] for name in weights], alone) <= BOUNDS[torch.float64]


def test_weights_from_outside_are_used_and_reached_by_gradients():
    layer, other, x = layer_of(LSTM, 3, 5), Recurrent(LSTM(3, 5).double()), draw(2, 4, 3)
    layer(x)
    weights = {name: weight.detach().clone().requires_grad_() for name, weight in other.named_parameters()}
    ours = torch.autograd.grad(functional_call(layer, weights, (x,))[0].sum(), weights.values())
    assert all(map(torch.equal, ours, torch.autograd.grad(other(x)[0].sum(), other.parameters())))


def saved(layer):
    file = io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize(
    "copied",
    [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer)), saved],
    ids=["deepcopy", "pickle", "save"],
)
def test_a_copy_of_a_used_layer_stands_alone(copied):
    layer, x = layer_of(LSTM, 3, 5), draw(2, 4, 3)
    layer(x)
    other = copied(layer)
    assert torch.equal(other(x)[0], layer(x)[0])
    with torch.no_grad():
        next(other.parameters()).zero_()
    assert not torch.equal(other(x)[0], layer(x)[0])
    other(x)[0].sum().backward()
    assert all(weight.grad is None for weight in layer.parameters())
    compare(other, x)


def double(layer):
    layer.to(torch.float64)


def load(layer):
    layer.load_state_dict({name: 0.5 * value for name, value in layer.state_dict().items()})


def edit(layer):
    for weight in layer.parameters():
        weight.data.mul_(0.5)


def new_data(layer):
    for weight in layer.parameters():
        weight.data = 0.5 * weight.data


def replace(layer):
    for name, weight in list(layer.cell.named_parameters(recurse=False)):
        setattr(layer.cell, name, nn.Parameter(0.5 * weight.detach()))


def freeze(layer):
    layer.requires_grad_(False)


@pytest.mark.parametrize("change", [double, load, edit, new_data, replace, freeze], ids=lambda change: change.__name__)
def test_what_happens_to_a_layer_after_use_is_seen(change):
    layer = layer_of(LSTM, 3, 5, torch.float32)
    x = draw(2, 4, 3, dtype=torch.float32).requires_grad_()
    for turn in range(2):
        compare(layer, x)
        with torch.no_grad():
            compare(layer, x)
        if turn == 0:
            change(layer)
            x = x.detach().to(next(layer.parameters()).dtype).requires_grad_()
    layer.requires_grad_()
    compare(layer, x)


def test_ten_batches_of_ten_shapes_compile_once():
    layer = layer_of(LSTM, 4, 11)
    layer(draw(3, 2, 4))[0].sum().backward()
    before = compile_program.cache_info().misses
    for k in range(10):
        layer(draw(k + 2, 11 - k, 4))[0].sum().backward()
    assert compile_program.cache_info().misses == before and len(layer.plans.found) == 1


def test_a_call_in_inference_mode_leaves_training_as_it_was():
    layer, x = layer_of(LSTM, 3, 5), draw(2, 4, 3)
    with torch.inference_mode():
        outputs, _ = layer(x)
    assert difference([layer(x)[0]], [outputs.clone()]) <= BOUNDS[torch.float64]
    compare(layer, x)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_runs_by_the_reference(dtype):
    layer, x = layer_of(LSTM, 3, 5, dtype), draw(2, 4, 3, dtype=dtype)
    request = layer._request(x, None, None, None)
    assert "loops are compiled for float32 and float64" in str(obstacle([x]))
    assert torch.equal(layer(x)[0], reference.answer(layer.cell, request).outputs)


def test_the_last_state_may_be_edited_in_place():
    layer = Recurrent(CELLS["lstm"](3, 4).double())
    x = torch.randn(2, 5, 3, dtype=torch.float64)
    found = []
    for edit in (True, False):
        outputs, state = layer(x)
        s = state.s.mul_(2) if edit else state.s * 2
        found.append(torch.autograd.grad(outputs.sum() + s.sum(), list(layer.parameters())))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_a_plan_without_a_loop_does_not_hold_the_sequence_it_was_made_for():
    layer, x = Recurrent(CELLS["mlstm"](3, 4)), draw(2, 5, 3, dtype=torch.float32)
    layer(x)
    assert layer.plans.found[0].fault is not None
    alive = weakref.ref(x)
    del x
    gc.collect()
    assert alive() is None
