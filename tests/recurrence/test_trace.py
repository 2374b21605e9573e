"""Steps that cannot be traced say why and where; tracing leaves everything as it was."""

import copy
import inspect
import random
import subprocess
import sys
import threading
from typing import Any, NamedTuple

import numpy
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.cells import GRU, LSTM
from recurra.layers import Recurrent
from recurra.recurrence import reference
from recurra.recurrence.trace import NotFused, trace
from tests.recurrence.lowering import Step, lowered

B, H = 3, 4


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x * 2

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        return g * 5


class Reversed(torch.autograd.Function):
    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Tensor) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        return -g


OUTSIDE = torch.ones(H)
COUNT = [0]


def branch(self, x, h):
    if h.sum() > 0:
        return h + x
    return h - x


def item(self, x, h):
    return h * float(h[0, 0])


def loop_over_numbers(self, x, h):
    return h * sum(self.b.tolist())


def noise(self, x, h):
    return h + torch.randn_like(h)


def bernoulli(self, x, h):
    return h * torch.empty_like(h).bernoulli_(0.5)


def dropout(self, x, h):
    return F.dropout(h, 0.5, True)


def without_gradient(self, x, h):
    with torch.no_grad():
        scale = h.sigmoid()
    return h * scale


def with_gradient(self, x, h):
    with torch.enable_grad():
        return h * x


def inference(self, x, h):
    with torch.inference_mode():
        return h * x


def custom_function(self, x, h):
    return Doubled.apply(h + x)


def custom_identity(self, x, h):
    return Reversed.apply(h) + x


def swallowed(self, x, h):
    try:
        return h * float(h.sum())
    except Exception:
        return h + x


def input_edited(self, x, h):
    x += 1
    return h + x


def state_edited(self, x, h):
    h[:, 0] = 1
    return h + x


def viewed_edited(self, x, h):
    h.view(-1, 2, 2)[:, 0].zero_()
    return h + x


def detached_sum_edited(self, x, h):
    total = h + x
    total.detach().mul_(2)
    return total


def parameter_edited(self, x, h):
    self.b.add_(1)
    return h + x


def buffer_edited(self, x, h):
    self.seen += 1
    return h + x


def data_edited(self, x, h):
    self.b.data.mul_(2)
    return h + x


def counted(self, x, h):
    self.k += 1
    return h * self.k


def appended(self, x, h):
    self.log.append(1)
    return h + x


def remembered(self, x, h):
    self.last = h
    return h + x


def buffer_assigned(self, x, h):
    self.seen = self.seen + 1
    return h + x


def global_counter(self, x, h):
    COUNT[0] += 1
    return h * COUNT[0]


def python_randomness(self, x, h):
    return h * random.random()


def python_coin(self, x, h):
    return h + x if random.random() < 0.5 else h - x


def rare_coin(self, x, h):
    return h - x if random.random() < 1e-6 else h + x


def choice(self, x, h):
    return random.choice((torch.tanh, torch.sigmoid))(h + x)


def numpy_randomness(self, x, h):
    return h * float(numpy.random.rand())


def closure(self, x, h):
    return h * OUTSIDE


def asks_for_gradient(self, x, h):
    return h + x if h.requires_grad else h - x


def other_shape(self, x, h):
    return torch.cat([h, x], 1)


def one_row(self, x, h):
    return h[:1] + x[:1]


def other_type(self, x, h):
    return (h + x).double()


def other_device(self, x, h):
    return h + x.to("meta")


def by_number_of_rows(self, x, h):
    return h * (1.0 / x.shape[0])


def by_number_of_rows_branching(self, x, h):
    return h + x if x.shape[0] > 10007 else h - x


def sorts(self, x, h):
    return h[h > 0].sum() + h


def reshaped_in_place(self, x, h):
    return (h * 1).t_().t_() + x


def wrong(self, x, h):
    return h @ x


REASONS = {
    branch: "branch depends on a tensor's numbers",
    item: "Python value or branch depends on a tensor's numbers",
    loop_over_numbers: "reads a tensor's numbers",
    noise: "draws random numbers",
    bernoulli: "draws random numbers",
    dropout: "draws random numbers",
    without_gradient: "switches gradients",
    with_gradient: "switches gradients",
    inference: "inference mode",
    custom_function: "torch.autograd.Function",
    custom_identity: "torch.autograd.Function",
    swallowed: "depends on a tensor's numbers",
    input_edited: "writes to a tensor that it did not make",
    state_edited: "writes to a tensor that it did not make",
    detached_sum_edited: "writes to a tensor that it did not make",
    viewed_edited: "writes to a tensor that it did not make",
    parameter_edited: "writes to a tensor that it did not make",
    buffer_edited: "writes to a tensor that it did not make",
    data_edited: "reads a tensor's .data",
    counted: "changes the cell's attribute 'k'",
    appended: "changes the cell's attribute 'log'",
    remembered: "changes the cell's attribute 'last'",
    buffer_assigned: "changes the cell's attribute 'seen'",
    global_counter: "differs from call to call",
    python_randomness: "differs from call to call",
    python_coin: "differs from call to call",
    rare_coin: "differs from call to call",
    choice: "differs from call to call",
    numpy_randomness: "differs from call to call",
    closure: "no parameter, buffer or attribute of the cell",
    asks_for_gradient: "requires a gradient",
    other_shape: r"state \(batch, 4\) of torch.float32 comes back as \(batch, 8\)",
    one_row: "does not start with the batch",
    other_type: r"comes back as \(batch, 4\) of torch.float64",
    other_device: "uses the device meta",
    by_number_of_rows: "depends on the number of rows",
    by_number_of_rows_branching: "depends on the number of rows",
    sorts: "depends on a tensor's numbers",
    reshaped_in_place: "changes a tensor's shape in place",
    wrong: "the step raised RuntimeError",
}
WITHOUT_PLACE = {counted, appended, remembered, buffer_assigned, other_shape, one_row, other_type}


def cell_of(step: Any) -> nn.Module:
    cell = Step(step, b=torch.randn(H))
    cell.register_buffer("seen", torch.zeros(H))
    cell.k, cell.log, cell.last = 0, [3], None
    return cell


@pytest.mark.parametrize("step", REASONS, ids=lambda step: step.__name__)
def test_a_step_that_is_unfit_says_why_and_where_and_stays_as_it_was(step):
    cell = cell_of(step)
    before, tensors = copy.deepcopy(vars(cell)), [cell.b, cell.seen]
    x, h = torch.randn(B, H), torch.randn(B, H)
    kept = x.clone(), h.clone()
    states = torch.get_rng_state(), random.getstate(), numpy.random.get_state()[1].tolist(), COUNT.copy()
    with pytest.raises(NotFused, match=REASONS[step]) as caught:
        trace(cell, x, h)
    place = caught.value.place
    if step in WITHOUT_PLACE:
        assert place is None
    else:
        lines, first = inspect.getsourcelines(step)
        assert place is not None and place.file == __file__ and first <= place.line < first + len(lines)
        assert str(caught.value).endswith(f"{place.file}:{place.line}: {lines[place.line - first].strip()})")
    assert "\n" not in str(caught.value)
    assert [cell.b, cell.seen] == tensors or (cell.b is tensors[0] and cell.seen is tensors[1])
    assert (cell.k, cell.log, cell.last) == (0, [3], None) and vars(cell).keys() == before.keys()
    assert torch.equal(before["_parameters"]["b"], cell.b) and torch.equal(before["_buffers"]["seen"], cell.seen)
    assert torch.equal(x, kept[0]) and torch.equal(h, kept[1])
    assert torch.equal(torch.get_rng_state(), states[0]) and random.getstate() == states[1]
    assert numpy.random.get_state()[1].tolist() == states[2]
    assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()
    COUNT[:] = states[3]


def test_hooks_are_named():
    cell = LSTM(H, H)
    cell.i.register_forward_hook(lambda *_: None)
    with pytest.raises(NotFused, match=r"hooks are called around i \(Gate\)"):
        trace(cell, torch.randn(B, H), cell.initial_state(B))


@pytest.mark.parametrize(
    ("x", "h", "reason"),
    [
        (torch.ones(B, H, dtype=torch.long), torch.ones(B, H), "of type torch.int64"),
        (torch.ones(B, H).double(), torch.ones(B, H), "of one float type"),
        (torch.ones(B, H, device="meta"), torch.ones(B, H), "lies on meta"),
        (torch.tensor(1.0), torch.ones(B, H), "no batch dimension"),
    ],
)
def test_inputs_that_are_unfit(x, h, reason):
    with pytest.raises(NotFused, match=reason):
        trace(cell_of(lambda self, x, h: h), x, h)


def test_a_result_that_is_no_state():
    with pytest.raises(NotFused, match=r"TypeError: Step must return \(output, state\)"):
        trace(cell_of(lambda self, x, h: (h, h, h)), torch.ones(B, H), torch.ones(B, H))


def test_an_error_inside_torch_names_the_cells_line():
    cell = nn.GRUCell(H, H)
    with pytest.raises(NotFused, match="the step raised"):
        trace(cell, torch.ones(B, H + 1), torch.ones(B, H))


class Box(NamedTuple):
    h: Tensor


class Plain:
    def __init__(self) -> None:
        self.rate = 0.5


def guarded() -> nn.Module:
    cell = Step(lambda self, x, h: Box(h.h * self.scale + x), b=torch.randn(H))
    cell.scale, cell.names, cell.options, cell.plain = 2.0, ["a", ["b"]], {"deep": {"x": 1}}, Plain()
    cell.inner, cell.mask = GRU(H, H), torch.ones(H)
    return cell


CHANGES = {
    "training": lambda cell: cell.eval(),
    "training of a submodule": lambda cell: cell.inner.r.eval(),
    "a number": lambda cell: setattr(cell, "scale", 3.0),
    "a list": lambda cell: cell.names.append("c"),
    "a nested list": lambda cell: cell.names[1].append("c"),
    "a nested dictionary": lambda cell: cell.options["deep"].update(x=2),
    "a plain object": lambda cell: setattr(cell.plain, "rate", 0.1),
    "a new attribute": lambda cell: setattr(cell, "more", 1),
    "an attribute gone": lambda cell: delattr(cell, "scale"),
    "a submodule": lambda cell: setattr(cell, "inner", GRU(H, H)),
    "a hook": lambda cell: cell.inner.register_forward_hook(lambda *_: None),
    "a parameter's shape": lambda cell: setattr(cell, "b", nn.Parameter(torch.ones(H + 1))),
    "a parameter gone": lambda cell: setattr(cell, "b", None),
    "the function": lambda cell: setattr(cell, "function", print),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_guard_notices(change):
    cell = guarded()
    guard = trace(cell, torch.ones(B, H), Box(torch.ones(B, H))).guard
    assert guard.holds()
    CHANGES[change](cell)
    assert not guard.holds()


def test_a_guard_does_not_mind_new_values():
    cell = guarded()
    guard = trace(cell, torch.ones(B, H), Box(torch.ones(B, H))).guard
    cell.b = nn.Parameter(torch.zeros(H))
    cell.mask = torch.zeros(H)
    cell.b.grad = torch.ones(H)
    cell.requires_grad_(False)
    with torch.no_grad():
        cell.b += 1
    assert guard.holds()


def test_a_guard_notices_that_parameters_are_no_longer_one():
    cell = cell_of(lambda self, x, h: h * self.b * self.other)
    cell.other = cell.b
    guard = trace(cell, torch.ones(B, H), torch.ones(B, H)).guard
    assert guard.holds()
    cell.other = nn.Parameter(torch.ones(H))
    assert not guard.holds()


def test_threads_trace_one_cell_at_once_beside_others_that_run_it():
    cell = LSTM(H, H)
    state = cell.initial_state(B)
    x = torch.randn(B, H)
    expected = cell(x, state)[0]
    found: list[Any] = []

    def work(tracing: bool) -> None:
        for _ in range(5):
            found.append(str(lowered(cell, x[:, None], state).program) if tracing else cell(x, state)[0])

    threads = [threading.Thread(target=work, args=(number % 2 == 0,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    texts = {each for each in found if isinstance(each, str)}
    assert len(found) == 20 and len(texts) == 1
    assert all(torch.equal(each, expected) for each in found if isinstance(each, Tensor))


@pytest.mark.parametrize("mode", [torch.no_grad, torch.enable_grad, torch.inference_mode])
def test_the_callers_mode_does_not_matter(mode):
    cell = GRU(H, H)
    usual = lowered(cell, torch.randn(B, 2, H), cell.initial_state(B)).program
    with mode():
        assert lowered(cell, torch.randn(B, 2, H), cell.initial_state(B)).program == usual


def test_the_number_of_rows_does_not_matter():
    cell = GRU(H, H)
    programs = {lowered(cell, torch.randn(n, 2, H), cell.initial_state(n)).program for n in (1, H, 7)}
    assert len(programs) == 1


def test_features_may_be_any_number():
    cell = nn.RNNCell(10007, 2)
    program = lowered(cell, torch.randn(1, 1, 10007), reference.initial_state(cell, 1)).program
    assert program.sequences == (10007,)


def test_the_first_trace_imports_no_symbolic_algebra():
    code = """
import sys, torch
from recurra.cells import CELLS
from recurra.recurrence import reference
from recurra.recurrence.lower import lower
from recurra.recurrence.trace import trace
cells = [make(4, 4) for name, make in CELLS.items() if name != "mlstm"]
for cell in [*cells, torch.nn.LSTMCell(4, 4), torch.nn.GRUCell(4, 4), torch.nn.RNNCell(4, 4)]:
    lower(trace(cell, torch.zeros(1, 4), reference.initial_state(cell, 1)))
    assert "sympy" not in sys.modules and "torch._dynamo" not in sys.modules, type(cell)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", ["amax", "amin", "sum", "mean"])
def test_a_weight_is_reduced_to_one_number(name):
    """Without dimensions, as torch lets one call it."""
    weight = torch.tensor([[1.0, -2.0], [0.5, 3.0]])
    cell = Step(lambda self, x, h: (h := torch.tanh(h @ self.W - getattr(self.W, name)() + x), h), W=weight)
    layer, x = Recurrent(cell), torch.randn(3, 4, 2)
    h, outputs = torch.zeros(3, 2), []
    for t in range(4):
        h = torch.tanh(h @ weight - getattr(weight, name)() + x[:, t])
        outputs.append(h)
    found, _ = layer(x, torch.zeros(3, 2))
    assert layer.explain().path == "cpu", layer.explain()
    torch.testing.assert_close(found, torch.stack(outputs, 1))
