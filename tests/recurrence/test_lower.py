"""Steps as programs: values and gradients against the reference, in float64."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, parametrize

from recurra.cells import CELLS, GRU, LSTM, GRUState
from recurra.layers import RecurrentDropout, Zoneout
from recurra.recurrence import reference
from recurra.recurrence.program import Apply, Product, Read
from recurra.recurrence.state import map_state
from recurra.recurrence.trace import NotFused
from tests.recurrence.lowering import Step, by_program, by_reference, equal, lowered

pytestmark = pytest.mark.usefixtures("double")

B, T, I, H = 3, 4, 6, 8  # noqa: E741


def random(*shape: int) -> Tensor:
    return torch.randn(*shape)


def start(cell: nn.Module) -> Any:
    return map_state(lambda leaf: torch.randn_like(leaf) * 0.5, reference.initial_state(cell, B))


@pytest.mark.parametrize("name", sorted(set(CELLS) - {"mlstm"}))
def test_every_cell_of_the_library(name):
    cell = CELLS[name](I, H)
    step = equal(cell, random(B, T, I), start(cell), rtol=1e-9, atol=1e-11)
    program = step.program
    assert program.outputs == program.next[:1] or name in (
        "recurrent-highway",
        "lru",
        "sru",
        "slstm",
        "jordan",
        "lstmp",
    )


def test_a_matrix_memory_says_why_not():
    if "mlstm" not in CELLS:
        pytest.skip("no cell with a matrix memory")
    cell = CELLS["mlstm"](I, H)
    with pytest.raises(NotFused, match=r"both change from row to row.*mlstm\.py:\d+"):
        lowered(cell, random(B, T, I), start(cell))


@pytest.mark.parametrize("kind", [nn.LSTMCell, nn.GRUCell, nn.RNNCell])
@pytest.mark.parametrize("bias", [True, False])
def test_cells_of_torch(kind, bias):
    cell = kind(I, H, bias=bias)
    step = equal(cell, random(B, T, I), start(cell))
    assert sorted(step.parameters) == sorted(name for name, _ in cell.named_parameters())
    # each stacked weight is read in place, gate by gate
    assert all(source.view in step.trace.named.values() and source.picked is None for source in step.sources)
    assert not step.calls


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("wrap", [lambda cell: RecurrentDropout(cell, 0.3), lambda cell: Zoneout(cell, 0.3)])
def test_masks_are_inputs(wrap, training):
    cell = wrap(LSTM(I, H)).train(training)
    x = reference.step_inputs(cell, random(B, T, I))
    step = equal(cell, x, start(cell))
    assert len(step.sequences) == (1 if not training else 3 if isinstance(cell, Zoneout) else 2)


def test_cells_that_others_wrote():
    pytest.importorskip("torchrecurrent")
    from tests.recurrence.foreign import NAMES, foreign_layer

    assert len(NAMES) == 41
    for name in NAMES:
        layer = foreign_layer(name, H, H, torch.float64)
        state = map_state(lambda leaf: torch.randn_like(leaf) * 0.5, layer.initial_state(B))
        # torch's gradient of hardsigmoid is 1/6 to seven digits only, in float64 too
        equal(layer.cell, random(B, T, H), state, rtol=1e-6, atol=1e-7)


KINKS = [-25.0, -3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0]
POSITIVE = [0.1, 0.5, 1.0, 1.5, 2.0, 3.0, 7.0, 21.0]

ELEMENTWISE = {
    "neg": lambda x: -x,
    "abs": torch.abs,
    "square": torch.square,
    "exp": torch.exp,
    "exp2": torch.exp2,
    "expm1": torch.expm1,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "erf": torch.erf,
    "erfc": torch.erfc,
    "sin": torch.sin,
    "cos": torch.cos,
    "tan": lambda x: torch.tan(x / 20),
    "relu": torch.relu,
    "relu6": F.relu6,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.1),
    "elu": F.elu,
    "selu": F.selu,
    "celu": lambda x: F.celu(x, 1.5),
    "silu": F.silu,
    "mish": F.mish,
    "gelu": F.gelu,
    "gelu tanh": lambda x: F.gelu(x, approximate="tanh"),
    "softplus": F.softplus,
    "softplus with beta": lambda x: F.softplus(x, 2.0, 5.0),
    "hardtanh": F.hardtanh,
    "hardswish": F.hardswish,
    "hardshrink": F.hardshrink,
    "softshrink": F.softshrink,
    "softsign": F.softsign,
    "logsigmoid": F.logsigmoid,
    "tanhshrink": F.tanhshrink,
    "threshold": lambda x: F.threshold(x, 0.5, -2.0),
    "clamp": lambda x: x.clamp(-1.0, 0.5),
    "clamp_min": lambda x: x.clamp(min=-0.5),
    "clamp_max": lambda x: x.clamp_max(0.5),
    "clamp by tensors": lambda x: torch.clamp(x, x.tanh(), x.exp()),
    "floor": torch.floor,
    "round": torch.round,
    "trunc": torch.trunc,
    "frac": torch.frac,
    "sign": torch.sign,
    "rsub": lambda x: 2 - x,
    "rsub alpha": lambda x: torch.rsub(x, x.exp(), alpha=3),
    "add alpha": lambda x: torch.add(x, x.tanh(), alpha=0.5),
    "sub alpha": lambda x: torch.sub(x, x.tanh(), alpha=2),
    "div": lambda x: x.tanh() / (x.abs() + 1),
    "scalar over tensor": lambda x: 1 / (x * x + 1),
    "power 3": lambda x: x**3,
    "power -2": lambda x: (x.abs() + 1) ** -2,
    "2 to the power": lambda x: 2**x,
    "minimum": lambda x: torch.minimum(x, x * 2),
    "maximum": lambda x: torch.maximum(x, -x),
    "where": lambda x: torch.where(x > 0.5, x, x * x),
    "where scalar": lambda x: torch.where((x <= 0.5) & (x != 0), x, 3.0),
    "where twice scalar": lambda x: x * torch.where(x < 0, -1.0, 2.0),
    "logic": lambda x: x * ((x > 0) | ~(x >= -1)) + ((x < 0) ^ (x == -3)),
    "logical": lambda x: x * torch.logical_and(x, x > -1) + torch.logical_not(x) * torch.logical_or(x, x < 9),
    "truth as float": lambda x: x * (x > 0).to(x.dtype) + (x < 0).double(),
    "float as truth": lambda x: x * x.bool(),
    "masked_fill": lambda x: x.masked_fill(x > 0.5, 4.0),
    "lerp": lambda x: torch.lerp(x, x * x, 0.3),
    "lerp by tensor": lambda x: torch.lerp(x, x * x, x.sigmoid()),
    "addcmul": lambda x: torch.addcmul(x, x.tanh(), x, value=0.5),
    "addcdiv": lambda x: torch.addcdiv(x, x.tanh(), x.exp(), value=0.5),
    "logaddexp": lambda x: torch.logaddexp(x, x.abs()),
    "nan_to_num": lambda x: torch.nan_to_num(x, 1.0),
    "isnan": lambda x: x * torch.isnan(x),
    "detach": lambda x: x * x.detach(),
    "detach what was written into": lambda x: x * into_empty(x).detach(),
    "in place": lambda x: x.clone().mul_(2).add_(x, alpha=0.5).clamp_(-4, 0.6).sigmoid_(),
    "in a slice": lambda x: in_a_slice(x),
    "into empty": lambda x: into_empty(x),
    "zero_ and fill_": lambda x: x * 0 + torch.empty_like(x).zero_() + x.clone().fill_(2.0),
    "like": lambda x: x + torch.zeros_like(x) - torch.ones_like(x) * 2 + torch.full_like(x, 0.5),
    "new": lambda x: x + x.new_zeros(x.shape) + x.new_ones(x.shape[1]) + x.new_full((1, 1), 3.0),
    "made": lambda x: x * torch.eye(x.shape[1])[0] + torch.arange(x.shape[1]) * torch.tensor(2.0),
    "rows made": lambda x: x + torch.zeros(x.shape[0], x.shape[1]) + torch.ones(x.shape[0], 1),
    "list": lambda x: x * torch.tensor([1.0, -1.0] * (x.shape[1] // 2)),
}

ON_POSITIVE = {
    "log": torch.log,
    "log1p": torch.log1p,
    "log2": torch.log2,
    "log10": torch.log10,
    "sqrt": torch.sqrt,
    "rsqrt": torch.rsqrt,
    "reciprocal": torch.reciprocal,
    "power 0.5": lambda x: x**0.5,
    "power -0.5": lambda x: x**-0.5,
    "power 1.7": lambda x: x**1.7,
    "power by tensor": lambda x: x ** x.tanh(),
}


def in_a_slice(x: Tensor) -> Tensor:
    whole = x * 1
    whole[:, 2:4] = x[:, :2] * 3
    part = whole[:, 1:]
    whole[:, 0].mul_(5)
    part += 1
    return whole


def into_empty(x: Tensor) -> Tensor:
    whole = torch.empty(x.shape[0], x.shape[1])
    whole[:, :3] = x[:, 5:]
    whole[:, 3:] = 2.0
    return whole


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise(name):
    function = ELEMENTWISE[name]
    cell = Step(lambda self, x, h: (function(h) + x, x))
    equal(cell, random(B, T, H), torch.tensor([KINKS] * B) + torch.tensor([[0.0], [0.0], [0.01]]))


@pytest.mark.parametrize("name", ON_POSITIVE)
def test_elementwise_on_positive(name):
    function = ON_POSITIVE[name]
    cell = Step(lambda self, x, h: (function(h) + x, x.abs() + 0.1))
    equal(cell, random(B, T, H), torch.tensor([POSITIVE] * B))


@pytest.mark.parametrize("name", ["elu", "softplus", "mish", "gelu", "logsigmoid", "silu"])
def test_far_from_zero_gradients_stay_finite(name):
    cell = Step(lambda self, x, h: (ELEMENTWISE[name](h) + x, x))
    state = torch.tensor([[-1000.0, -800.0, -100.0, 30.0, 100.0, 700.0, 800.0, 1000.0]] * B)
    equal(cell, random(B, T, H), state)


@pytest.mark.parametrize(
    "name", ["clamp", "relu", "hardtanh", "softplus", "threshold", "leaky_relu", "elu", "abs", "where"]
)
def test_nan_goes_through_as_nan(name):
    cell = Step(lambda self, x, h: (ELEMENTWISE[name](h) + x, x))
    run = by_program(cell, random(B, 1, H), torch.full((B, H), math.nan))
    assert run.outputs.isnan().all()


FEATURES = {
    "sum": lambda x: x + x.sum(-1, keepdim=True),
    "mean": lambda x: x * x.mean(1).unsqueeze(1),
    "var": lambda x: x / (x.var(1, keepdim=True) + 1),
    "biased var": lambda x: x / (x.var(1, keepdim=True, correction=0) + 1),
    "std": lambda x: x / x.std(-1, keepdim=True),
    "amax": lambda x: x - x.amax(1, keepdim=True),
    "amin": lambda x: x - x.amin(1, keepdim=True),
    "max": lambda x: x - x.max(1, keepdim=True).values,
    "norm": lambda x: x / x.norm(dim=1, keepdim=True),
    "norm 1": lambda x: x / x.norm(p=1, dim=1, keepdim=True),
    "normalize": lambda x: F.normalize(x, dim=1),
    "norm inf": lambda x: x / x.norm(p=math.inf, dim=1, keepdim=True),
    "softmax": lambda x: x.softmax(1),
    "log_softmax": lambda x: x.log_softmax(-1),
    "logsumexp": lambda x: x - x.logsumexp(1, keepdim=True),
    "grouped softmax": lambda x: x.view(-1, 2, 4).softmax(2).flatten(1),
    "softmax over groups": lambda x: x.view(-1, 2, 4).softmax(1).flatten(1),
    "grouped sum": lambda x: x + x.view(-1, 4, 2).sum(2).repeat(1, 2),
    "sum over groups": lambda x: x + x.view(-1, 2, 4).sum(1).repeat(1, 2),
    "layer_norm": lambda x: F.layer_norm(x, (8,)),
    "rms_norm": lambda x: F.rms_norm(x, (8,)),
    "group_norm": lambda x: F.group_norm(x, 4),
    "any": lambda x: x * (x > 1).any(1, keepdim=True) + (x > -9).all(1, keepdim=True),
    "chunk": lambda x: torch.cat(x.chunk(4, 1)[::-1], 1),
    "split": lambda x: torch.cat([part.tanh() for part in x.split([1, 4, 3], 1)], 1),
    "slice": lambda x: torch.cat([x[:, 3:], x[:, :3]], -1),
    "select": lambda x: x * x[:, 2:3] + x[:, 3].unsqueeze(1),
    "unbind": lambda x: torch.cat(x.view(-1, 2, 4).unbind(1), 1),
    "stack": lambda x: torch.stack([x[:, :4].tanh(), x[:, 4:]], 1).flatten(1),
    "stack first": lambda x: torch.stack([x.tanh(), x, x * 2])[1] + torch.stack([x, x.exp()])[1],
    "stack last": lambda x: torch.stack([x[:, :4], x[:, 4:].exp()], -1).sum(-1).repeat(1, 2),
    "cat of groups": lambda x: torch.cat([x.view(-1, 2, 4), x.view(-1, 2, 4).exp()], 2)[:, 1],
    "reshape": lambda x: x.reshape(-1, 2, 1, 4).squeeze(2).reshape(x.shape[0], -1),
    "narrow": lambda x: x.narrow(1, 0, 4).repeat(1, 2),
    "expand": lambda x: x[:, :1].expand(-1, 8) + x,
    "outer sum": lambda x: (x[:, :2, None] + x[:, None, 4:]).flatten(1),
    "transposed": lambda x: (x.t() * 2).t() + x,
    "glu": lambda x: F.glu(x, 1).repeat(1, 2),
    "dot": lambda x: x * (x.unsqueeze(1) @ x.tanh().unsqueeze(2)).squeeze(2),
}


@pytest.mark.parametrize("name", FEATURES)
def test_features(name):
    function = FEATURES[name]
    cell = Step(lambda self, x, h: (y := function(h * 1.5 + x * 0.5), torch.tanh(y)))
    equal(cell, random(B, T, H), random(B, H), rtol=1e-10)


@pytest.mark.parametrize("name", ["chunk", "split", "slice", "select", "grouped softmax", "reshape", "outer sum"])
def test_slices_of_inputs_and_states_partition_them(name):
    function = FEATURES[name]
    cell = Step(lambda self, x, h: function(h) * 0.5 + function(x), W=random(H, H))
    step = equal(cell, random(B, T, H), random(B, H), rtol=1e-10)
    reads = {node for node in step.program.nodes if isinstance(node, Read)}
    assert all(read.width == getattr(step.program, f"{read.kind}s")[read.index] for read in reads)
    assert sum(step.program.states) == H


PRODUCTS = {
    "linear": lambda s, x, h: F.linear(x, s.U, s.b) + F.linear(h, s.W),
    "x @ W": lambda s, x, h: x @ s.U.t() + h @ s.W,
    "addmm": lambda s, x, h: torch.addmm(s.b, h, s.W, beta=0.5, alpha=2.0) + x @ s.U.T,
    "of a concatenation": lambda s, x, h: torch.cat([x, h], 1) @ s.both.t(),
    "rows": lambda s, x, h: x @ s.U.t() + torch.cat([h @ s.W[:, :3], h @ s.W[:, 3:]], 1),
    "columns": lambda s, x, h: x @ s.U.t() + h[:, :3] @ s.W[:3] + h[:, 3:] @ s.W[3:],
    "split weight": lambda s, x, h: (
        sum(a @ w for a, w in zip(h.chunk(2, 1), s.W.chunk(2, 0), strict=True)) + x @ s.U.t()
    ),
    "transposed product": lambda s, x, h: (s.W @ h.t()).t() + (s.U @ x.t()).t() + s.b,
    "vector": lambda s, x, h: h * (h @ s.b).unsqueeze(1) + x @ s.U.t(),
    "matrix times column": lambda s, x, h: torch.matmul(s.W, h.unsqueeze(-1)).squeeze(-1) + x @ s.U.t(),
    "einsum": lambda s, x, h: torch.einsum("bi,oi->bo", h, s.W) + torch.einsum("bi,oi->bo", x, s.U),
    "heads": lambda s, x, h: torch.einsum("bnd,nde->bne", h.view(-1, 2, 4), s.heads).flatten(1) + x @ s.U.t(),
    "same for all heads": lambda s, x, h: (h.view(-1, 2, 4) @ s.heads[0]).flatten(1) + x @ s.U.t(),
    "third dimension": lambda s, x, h: x @ s.U.t() + torch.cat([h @ s.stack[0], h @ s.stack[1, :, :0]], 1),
    "invariant": lambda s, x, h: x @ s.U.t() + h @ (s.W - s.W.t() - 0.1 * torch.eye(8)),
    "masked weight": lambda s, x, h: x @ s.U.t() + h @ (s.W * s.mask).tril(),
    "diagonal": lambda s, x, h: x @ s.U.t() + h * s.W.diagonal() + h * s.W[2] + h * s.W[:, 1] + s.b[::2].repeat(2),
    "peephole": lambda s, x, h: x @ s.U.t() + s.b * h + s.b.view(1, -1) + s.b.unsqueeze(0).expand(x.shape[0], -1),
    "of a broadcast": lambda s, x, h: (
        x @ s.U.t() + torch.ones(h.shape[0], 8) @ s.W + h.sum(1, True).expand(-1, 8) @ s.W
    ),
    "scalar parameter": lambda s, x, h: x @ s.U.t() * s.scale + torch.exp(s.scale) * h,
    "layer norm": lambda s, x, h: F.layer_norm(h @ s.W, (8,), s.b, s.b) + x @ s.U.t(),
    "prelu": lambda s, x, h: F.prelu(h + x @ s.U.t(), s.b),
    "group norm": lambda s, x, h: F.group_norm(h + x @ s.U.t(), 2, s.b, s.b),
    "rms norm": lambda s, x, h: F.rms_norm(h + x @ s.U.t(), (8,), s.b),
    "written": lambda s, x, h: x @ s.U.t() + h * written(s.b),
    "detached": lambda s, x, h: x @ s.U.t() + h @ s.W.detach() + h @ s.W,
}


def written(b: Tensor) -> Tensor:
    scale = torch.zeros(8)
    scale[2:4] = b[:2]
    scale[5].add_(3.0)
    return scale


@pytest.mark.parametrize("name", PRODUCTS)
def test_products_and_parameters(name):
    tensors = {
        "W": random(H, H) / 4,
        "U": random(H, I) / 4,
        "b": random(H),
        "both": random(H, I + H) / 4,
        "heads": random(2, 4, 4) / 4,
        "stack": random(2, H, H) / 4,
        "scale": torch.tensor(0.3),
        "mask": torch.rand(H, H) < 0.5,
    }
    equal(Step(PRODUCTS[name], **tensors), random(B, T, I), random(B, H) / 2, rtol=1e-10)


@pytest.mark.parametrize(
    "name", ["rows", "columns", "split weight", "of a concatenation", "heads", "same for all heads"]
)
def test_parts_of_a_parameter_are_read_in_place(name):
    tensors = {"W": random(H, H), "U": random(H, I), "both": random(H, I + H), "heads": random(2, 4, 4)}
    step = lowered(Step(PRODUCTS[name], **tensors), random(B, T, I), random(B, H))
    assert not step.calls and all(source.picked is None for source in step.sources)
    read = {node.index for node in step.program.nodes if isinstance(node, Product)}
    assert len(read) == len(step.program.weights) == (1 if name == "of a concatenation" else 2)


def test_invariants_are_computed_from_original_parameters():
    cell = parametrizations.weight_norm(nn.RNNCell(I, H), "weight_hh")
    step = equal(cell, random(B, T, I), start(cell))
    assert "parametrizations.weight_hh.original0" in step.parameters and len(step.calls) == 1

    class Symmetric(nn.Module):
        def forward(self, x):
            return x.triu() + x.triu(1).t()

    parametrize.register_parametrization(cell, "weight_ih", nn.Identity())
    other = nn.RNNCell(H, H)
    parametrize.register_parametrization(other, "weight_hh", Symmetric())
    equal(other, random(B, T, H), start(other))
    equal(cell, random(B, T, I), start(cell))


def test_attributes_are_fetched_anew():
    cell = GRU(I, H)
    cell.mask = torch.ones(H)
    step_cell = Step(lambda self, x, h: GRUState(self.inner(x, h)[0] * self.inner.mask), inner=cell)
    state = start(cell)
    step = lowered(step_cell, random(B, T, I), state)
    assert "inner.mask" in step.parameters
    cell.mask = torch.rand(H)
    x = random(B, T, I)
    expected, found = by_reference(step_cell, x, state), by_program(step_cell, x, state, step)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-13)


def test_parameters_may_lie_anywhere_in_memory():
    cell = Step(lambda self, x, h: x * self.b[::2] + h @ self.W.diagonal().diag() + (h @ self.W[:, 1::2]).repeat(1, 2))
    memory = random(2 * H * H + 2 * H)
    cell.b = memory[3 : 3 + 2 * H]
    cell.W = memory[2 * H :].view(2, H, H)[1].t()
    equal(cell, random(B, T, H), random(B, H) / 4)


def test_shared_parameters_keep_one_weight():
    weight = random(H, H)
    cell = Step(lambda self, x, h: torch.tanh(x @ self.a) + h @ self.b, a=weight)
    cell.b = cell.a
    step = equal(cell, random(B, T, H), random(B, H))
    assert step.parameters == ("a",) and len(step.program.weights) == 1


def test_states_nest_in_any_way():
    def step(self, x, state):
        a, (b, c) = state["a"], state["rest"]
        a = torch.tanh(a + x[0] @ self.W)
        return a[:, :2] * b.sum((1, 2)).unsqueeze(1), {"a": a, "rest": [b * 0.5 + x[1].unsqueeze(2), c * a[:, 0]]}

    cell = Step(step, W=random(I, H))
    state = {"a": random(B, H), "rest": [random(B, 2, 3), random(B)]}
    step = equal(cell, (random(B, T, I), random(B, T, 2)), state)
    assert step.output_shape == (2,) and step.state_shapes == ((H,), (2, 3), ())


def test_states_of_pieces_are_carried_in_pieces():
    cell = Step(lambda self, x, h: torch.cat([torch.tanh(h[:, 4:] + x), h[:, :4] * 0.5], 1))
    step = equal(cell, random(B, T, 4), random(B, 8))
    assert step.program.states == (4, 4) and step.program.outputs == step.program.next


def test_the_output_that_is_a_state_is_the_same_node():
    cell = nn.LSTMCell(I, H)
    program = lowered(cell, random(B, T, I), start(cell)).program
    assert program.outputs == program.next[:1]
    assert sum(isinstance(node, Apply) and node.operation == "tanh" for node in program.nodes) == 2


def test_what_is_not_used_is_not_there():
    cell = Step(lambda self, x, h: (h * x[0], h + self.b), b=random(H), unused=random(H))
    step = equal(cell, (random(B, T, H), random(B, T, 5)), random(B, H))
    assert step.sequences == ((0, 0, H),) and step.parameters == ("b",)


NOT_FUSED = {
    "over the batch": (lambda s, x, h: h + x.sum(0), "reduces over the batch"),
    "over everything": (lambda s, x, h: h + x.mean(), "reduces over the batch"),
    "batch joined": (lambda s, x, h: torch.cat([h, x])[: h.shape[0]], "batch"),
    "first row": (lambda s, x, h: h + x[:1], "single rows|batch"),
    "rows shifted": (lambda s, x, h: h + x.roll(1, 0), "roll"),
    "cumulative": (lambda s, x, h: h.cumsum(1), "aten.cumsum.default is not an operation that can be fused"),
    "sorted": (lambda s, x, h: h.sort(1).values, "sort"),
    "convolved": (lambda s, x, h: F.conv1d(h[:, None], s.kernel, padding=1)[:, 0], "convolution"),
    "integers": (lambda s, x, h: h * (x > 0).long(), "int64"),
    "other float": (lambda s, x, h: (h.float() * 2).double(), "makes torch.float32 of torch.float64"),
    "permuted": (lambda s, x, h: ((h @ s.wide).view(-1, 16, 16).transpose(1, 2).flatten(1), h), "one by one"),
    "row by row": (lambda s, x, h: (x.unsqueeze(2) @ h.unsqueeze(1)).sum(2), "both change from row to row"),
    "batch as number": (lambda s, x, h: h / x.shape[0], "number of rows"),
    "changed later": (lambda s, x, h: changed_later(s, h), "changed after it was used"),
    "batch moved": (lambda s, x, h: h.t().reshape(h.shape), "batch"),
}


def changed_later(cell: Step, h: Tensor) -> Tensor:
    scale = cell.b * 2
    h = h * scale
    scale.add_(1)
    return h * scale


@pytest.mark.parametrize("name", NOT_FUSED)
def test_what_a_program_cannot_say(name):
    function, reason = NOT_FUSED[name]
    wide = random(H, 256) if name == "permuted" else random(1)
    cell = Step(function, b=random(H), kernel=random(1, 1, 3), wide=wide)
    with pytest.raises(NotFused, match=reason) as caught:
        lowered(cell, random(B, T, H), random(B, H))
    assert caught.value.place is not None and caught.value.place.file == __file__
    assert "\n" not in str(caught.value)
