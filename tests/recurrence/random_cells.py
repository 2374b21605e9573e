"""Cells drawn at random: small modules of plain PyTorch, as users might write them, over everything that should fuse.

    cell = random_cell(random.Random(seed))        # in a long run
    cell = random_cell(random)                     # random from hypothesis's st.randoms(), which shrinks the cell

``print(cell)`` writes the step out, line by line. Values stay of order one and nothing jumps (where branches meet, they
are equal), so that results computed in another order can be compared.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WIDTHS = (1, 2, 3, 5, 7, 8, 9, 11, 13, 15, 16, 17, 19)
WIDEST = 40


class Record(NamedTuple):
    """A state of two tensors with names."""

    first: Tensor
    second: Tensor


def bounded(*growths: int) -> int:
    """How much the values of a form may outgrow those of its operands, in doublings: not at all, whatever they are."""
    return 0


def like(*growths: int) -> int:
    return max(growths)


def more(*growths: int) -> int:
    return sum(growths) + 1


def gated(a: Tensor, W: Tensor, b: Tensor) -> Tensor:
    u, v = F.linear(a, W, b).chunk(2, 1)
    return u * torch.sigmoid(v)


def added(a: Tensor, W: Tensor, b: Tensor) -> Tensor:
    u, v = F.linear(a, W, b).split(len(W) // 2, 1)
    return u + v


def hardsigmoid(a: Tensor) -> Tensor:
    """Torch's own, except in float64, where its gradient is 1/6 to seven digits only."""
    return F.hardsigmoid(a) if a.dtype == torch.float32 else torch.clamp(a + 3, 0, 6) / 6


def normed(a: Tensor) -> Tensor:
    return a * torch.rsqrt((a * a).mean(-1, keepdim=True) + 0.1)


def unstacked(a: Tensor, b: Tensor) -> Tensor:
    u, v = torch.stack((b, a), 1).unbind(1)
    return u - v


ELEMENTWISE: dict[str, tuple[int, Callable[..., int], Callable[..., Tensor]]] = {
    "tanh(a)": (1, bounded, torch.tanh),
    "sigmoid(a)": (1, bounded, torch.sigmoid),
    "sin(a)": (1, bounded, torch.sin),
    "cos(a)": (1, bounded, torch.cos),
    "erf(a)": (1, bounded, torch.erf),
    "hardsigmoid(a)": (1, bounded, hardsigmoid),
    "hardtanh(a)": (1, bounded, F.hardtanh),
    "clamp(a, -0.5, 0.7)": (1, bounded, lambda a: torch.clamp(a, -0.5, 0.7)),
    "clamp(a, min=-0.3)": (1, like, lambda a: torch.clamp(a, min=-0.3)),
    "1 - a": (1, more, lambda a: 1 - a),
    "-0.5 * a + 0.25": (1, like, lambda a: -0.5 * a + 0.25),
    "relu(a)": (1, like, torch.relu),
    "relu6(a)": (1, like, F.relu6),
    "leaky_relu(a)": (1, like, lambda a: F.leaky_relu(a, 0.1)),
    "elu(a)": (1, like, F.elu),
    "silu(a)": (1, like, F.silu),
    "gelu(a)": (1, like, F.gelu),
    "gelu(a, approximate='tanh')": (1, like, lambda a: F.gelu(a, approximate="tanh")),
    "softplus(a)": (1, more, F.softplus),
    "abs(a)": (1, like, torch.abs),
    "a**2": (1, lambda growth: 2 * growth, lambda a: a**2),
    "(abs(a) + 0.5) ** 1.5": (1, lambda growth: 2 * growth + 1, lambda a: (a.abs() + 0.5) ** 1.5),
    "exp(-abs(a))": (1, bounded, lambda a: torch.exp(-a.abs())),
    "log(a * a + 0.5)": (1, more, lambda a: torch.log(a * a + 0.5)),
    "sqrt(a * a + 0.5)": (1, more, lambda a: torch.sqrt(a * a + 0.5)),
    "rsqrt(a * a + 0.5)": (1, more, lambda a: torch.rsqrt(a * a + 0.5)),
    "a + b": (2, more, torch.add),
    "a - b": (2, more, torch.sub),
    "a * b": (2, lambda *growths: sum(growths), torch.mul),
    "a / (b * b + 0.5)": (2, more, lambda a, b: a / (b * b + 0.5)),
    "minimum(a, b)": (2, like, torch.minimum),
    "maximum(a, b)": (2, like, torch.maximum),
    "where(a > b, a, b)": (2, like, lambda a, b: torch.where(a > b, a, b)),
    "where(a < 0.1, 0.1, a) * b": (2, more, lambda a, b: torch.where(a < 0.1, 0.1, a) * b),
    "(a >= b) * (a - b)": (2, more, lambda a, b: (a >= b).to(a.dtype) * (a - b)),
    "a + 0.5 * b.detach()": (2, more, lambda a, b: a + 0.5 * b.detach()),
    "(a + b).mul_(0.5).tanh_()": (2, bounded, lambda a, b: (a + b).mul_(0.5).tanh_()),
    "lerp(a, b, sigmoid(c))": (3, like, lambda a, b, c: torch.lerp(a, b, torch.sigmoid(c))),
    "addcmul(a, b, c)": (3, more, torch.addcmul),
    "s * b + (1 - s) * c": (3, more, lambda a, b, c: a.sigmoid() * b + (1 - a.sigmoid()) * c),
}

ROWWISE: dict[str, tuple[Callable[..., int], Callable[..., Tensor]]] = {
    "softmax(a, -1)": (bounded, lambda a: torch.softmax(a, -1)),
    "layer_norm(a)": (more, lambda a: F.layer_norm(a, a.shape[-1:], eps=0.1)),
    "a * rsqrt(mean(a * a) + 0.1)": (more, normed),
    "a - a.mean(-1, keepdim=True)": (more, lambda a: a - a.mean(-1, keepdim=True)),
    "a.mean(1, keepdim=True)": (like, lambda a: a.mean(1, keepdim=True)),
    "tanh(a.sum(-1)).unsqueeze(-1)": (bounded, lambda a: a.sum(-1).tanh().unsqueeze(-1)),
    "a.amax(-1, keepdim=True)": (like, lambda a: a.amax(-1, keepdim=True)),
    "a.var(-1, keepdim=True, unbiased=False)": (
        lambda growth: 2 * growth,
        lambda a: a.var(-1, keepdim=True, unbiased=False),
    ),
}

PARAMETERS: dict[str, tuple[tuple[str, ...], Callable[..., Tensor]]] = {
    "a * p": (("vector",), lambda a, p: a * p),
    "a + p": (("vector",), lambda a, p: a + p),
    "a * softplus(p) + q": (("vector", "vector"), lambda a, p, q: a * F.softplus(p) + q),
    "a * p, a number": (("number",), lambda a, p: a * p),
    "LayerNorm(a)": (("norm",), lambda a, norm: norm(a)),
}

PRODUCTS: dict[str, tuple[tuple[str, ...], Callable[..., Tensor]]] = {
    "linear(a, W)": (("matrix",), F.linear),
    "linear(a, W, b)": (("matrix", "bias"), F.linear),
    "a @ W.t() + b": (("matrix", "bias"), lambda a, W, b: a @ W.t() + b),
    "addmm(b, a, W.t())": (("matrix", "bias"), lambda a, W, b: torch.addmm(b, a, W.t())),
    "a @ W": (("transposed",), lambda a, W: a @ W),
    "Linear(a)": (("linear",), lambda a, linear: linear(a)),
    "linear(a, W * mask)": (("matrix", "mask"), lambda a, W, mask: F.linear(a, W * mask)),
    "linear(a, W[1:, :-2])": (("larger",), lambda a, W: F.linear(a, W[1:, :-2])),
    "u * sigmoid(v) of linear(a, W, b).chunk(2)": (("double", "double bias"), gated),
    "u + v of linear(a, W, b).split(n)": (("double", "double bias"), added),
    "linear(a, W - W.t())": (("matrix",), lambda a, W: F.linear(a, W - W.t() if len(W) == W.shape[1] else 0.5 * W)),
}


class Instruction(NamedTuple):
    """One value of the step: ``function`` of earlier values, of what the cell holds under ``names``, of ``numbers``."""

    form: str
    function: Callable[..., Tensor]
    operands: tuple[int, ...]
    names: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()

    def __str__(self) -> str:
        values = [f"v{operand}" for operand in self.operands]
        return ", ".join([f"{self.form}: {' '.join(values)}", *self.names, *map(str, self.numbers)])


class RandomCell(nn.Module):
    """A step that is a list of instructions; value 0 is x, the states follow. Built by `random_cell`."""

    def __init__(self, input_size: int, widths: list[int], container: str) -> None:
        super().__init__()
        self.input_size, self.widths, self.container = input_size, widths, container
        self.starts = nn.ParameterList(0.5 * torch.randn(width) for width in widths)
        self.instructions: list[Instruction] = []
        self.next: list[int] = []
        self.output: int | None = None

    def initial_state(self, batch_size: int) -> Any:
        """Learnt, and not zero."""
        return self.packed([start.expand(batch_size, -1) for start in self.starts])

    def packed(self, leaves: list[Tensor]) -> Any:
        """The tensors in the container that this cell keeps its state in."""
        match self.container:
            case "tensor":
                return leaves[0]
            case "record":
                return Record(*leaves)
            case "dict":
                return {f"s{k}": leaf for k, leaf in enumerate(leaves)}
        return list(leaves) if self.container == "list" else tuple(leaves)

    def unpacked(self, state: Any) -> list[Tensor]:
        if self.container == "tensor":
            return [state]
        return list(state.values()) if self.container == "dict" else list(state)

    def forward(self, x: Tensor, state: Any) -> Any:
        """One step: the output and the state, or the state alone."""
        values = [x, *self.unpacked(state)]
        for _, function, operands, names, numbers in self.instructions:
            held = [getattr(self, name) for name in names]
            values.append(function(*(values[operand] for operand in operands), *held, *numbers))
        state = self.packed([values[k] for k in self.next])
        return state if self.output is None else (values[self.output], state)

    def extra_repr(self) -> str:
        """The step, line by line."""
        first = len(self.widths) + 1
        lines = [f"v0 is x ({self.input_size}), then {self.container} of {self.widths}"]
        lines += [f"v{first + k} = {each}" for k, each in enumerate(self.instructions)]
        return "\n".join([*lines, f"next {self.next}, output {'the state' if self.output is None else self.output}"])


def random_cell(random: Any) -> RandomCell:
    """A cell of one to three states, up to three products in a row and a dozen equations, its weights drawn as well."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(random.randrange(2**32))
        return _Draft(random).cell


class _Draft:
    def __init__(self, random: Any) -> None:
        self.random = random
        states = [random.choice(WIDTHS) for _ in range(random.randint(1, 3))]
        containers = ["tuple", "list", "dict"] + {1: ["tensor", "tensor"], 2: ["record", "record"]}.get(len(states), [])
        self.cell = RandomCell(random.choice(WIDTHS), states, random.choice(containers))
        self.widths = [self.cell.input_size, *states]
        self.growths = [2, *(1 for _ in states)]
        self.matrices: list[str] = []
        for _ in range(random.randint(0, 3)):
            self.product()
            self.equations()
        self.equations()
        for k in range(len(states)):
            self.cell.next.append(self.next_state(k))
        self.cell.output = random.choice([None, self.cell.next[0], self.any(), self.any()])

    def equations(self) -> None:
        kinds = [self.elementwise, self.elementwise, self.elementwise, self.rowwise, self.parameter, self.shape]
        for _ in range(self.random.randint(1, 4)):
            self.random.choice(kinds)()

    def any(self, among: list[int] | None = None) -> int:
        """A value; one that nothing has used yet, as often as not."""
        among = list(range(len(self.widths))) if among is None else among
        unused = [value for value in self.unused() if value in among]
        return self.random.choice([self.random.choice(among), self.random.choice(unused or among)])

    def unused(self) -> list[int]:
        used = {operand for each in self.cell.instructions for operand in each.operands} | {*self.cell.next}
        return [value for value in range(len(self.widths)) if value not in used]

    def add(self, instruction: Instruction, width: int, growth: int) -> int:
        """What grew too much is brought back by a tanh."""
        self.cell.instructions.append(instruction)
        self.widths.append(width)
        self.growths.append(growth)
        value = len(self.widths) - 1
        return value if growth <= 3 else self.add(Instruction("tanh(a)", torch.tanh, (value,)), width, 0)

    def elementwise(self) -> int:
        form = self.random.choice(list(ELEMENTWISE))
        arity, growth, function = ELEMENTWISE[form]
        first = self.any()
        fitting = [k for k, width in enumerate(self.widths) if width in (1, self.widths[first])]
        operands = (first, *(self.any(fitting) for _ in range(arity - 1)))
        width = max(self.widths[k] for k in operands)
        return self.add(Instruction(form, function, operands), width, growth(*(self.growths[k] for k in operands)))

    def rowwise(self) -> int:
        form = self.random.choice(list(ROWWISE))
        growth, function = ROWWISE[form]
        value = self.any()
        width = 1 if any(word in form.split(" * ")[0] for word in ("keepdim", "unsqueeze")) else self.widths[value]
        width = self.widths[value] if form.startswith("a - ") else width
        return self.add(Instruction(form, function, (value,)), width, growth(self.growths[value]))

    def parameter(self) -> int:
        form = self.random.choice(list(PARAMETERS))
        kinds, function = PARAMETERS[form]
        value = self.any()
        names = tuple(self.held(kind, self.widths[value], 0) for kind in kinds)
        return self.add(Instruction(form, function, (value,), names), self.widths[value], self.growths[value] + 1)

    def product(self, width: int | None = None, value: int | None = None) -> int:
        again = self.used_before(width)
        if value is None and again and self.random.random() < 0.4:
            form, name, value, width = self.random.choice(again)
            instruction = Instruction(form, PRODUCTS[form][1], (value,), (name,))
            return self.add(instruction, width, self.growths[value] + 1)
        form = self.random.choice(list(PRODUCTS))
        kinds, function = PRODUCTS[form]
        value = self.any() if value is None else value
        width = width or self.random.choice(WIDTHS)
        names = tuple(self.held(kind, width, self.widths[value]) for kind in kinds)
        return self.add(Instruction(form, function, (value,), names), width, self.growths[value] + 1)

    def sum_of(self, a: int, b: int) -> int:
        growth = more(self.growths[a], self.growths[b])
        return self.add(Instruction("a + b", torch.add, (a, b)), self.widths[a], growth)

    def used_before(self, width: int | None) -> list[tuple[str, str, int, int]]:
        """Products with matrices that the cell has already: form, name, value, width."""
        found = []
        for name in self.matrices:
            rows, columns = getattr(self.cell, name).shape
            for form, wants, gives in (("linear(a, W)", columns, rows), ("a @ W", rows, columns)):
                values = [k for k, each in enumerate(self.widths) if each == wants and width in (None, gives)]
                found += [(form, name, value, gives) for value in values]
        return found

    def shape(self) -> int:
        a, b = self.any(), self.any()
        width, growth = self.widths[a], like(self.growths[a], self.growths[b])
        cut = self.random.randint(1, max(width - 1, 1))
        forms = [("a[:, n:]", lambda a, n: a[:, n:], (a,), (width - cut,), cut)]
        if width + self.widths[b] <= WIDEST:
            forms.append(("cat(a, b)", lambda a, b: torch.cat((a, b), 1), (a, b), (), width + self.widths[b]))
        if width > 1:
            forms.append(("a.split((n, m), 1)[1]", lambda a, *n: a.split(n, 1)[1], (a,), (width - cut, cut), cut))
            forms.append(("a.chunk(2, 1)[0]", lambda a: a.chunk(2, 1)[0], (a,), (), (width + 1) // 2))
        if width == self.widths[b]:
            forms.append(("u - v of stack((b, a), 1).unbind(1)", unstacked, (a, b), (), width))
        form, function, operands, numbers, width = self.random.choice(forms)
        return self.add(Instruction(form, function, operands, (), numbers), width, growth + 1)

    def held(self, kind: str, rows: int, columns: int) -> str:
        """The name of a new parameter, buffer or module of the cell."""
        cell, count = self.cell, len(list(self.cell.children())) + len(list(self.cell.parameters()))
        shapes = {"transposed": (columns, rows), "double": (2 * rows, columns), "larger": (rows + 1, columns + 2)}
        name = f"{kind.replace(' ', '_')}_{count}"
        match kind:
            case "vector" | "bias":
                setattr(cell, name, nn.Parameter(0.5 * torch.randn(rows)))
            case "double bias":
                setattr(cell, name, nn.Parameter(0.5 * torch.randn(2 * rows)))
            case "number":
                setattr(cell, name, nn.Parameter(0.5 + torch.rand(self.random.choice([(), (1,)]))))
            case "norm":
                norm = nn.LayerNorm(rows, eps=0.1)
                nn.init.normal_(norm.weight)
                nn.init.normal_(norm.bias)
                setattr(cell, name, norm)
            case "linear":
                setattr(cell, name, nn.Linear(columns, rows, bias=self.random.random() < 0.5))
            case "mask":
                cell.register_buffer(name, (torch.rand(rows, columns) < 0.7).float())
            case _:
                setattr(cell, name, nn.Parameter(torch.randn(shapes.get(kind, (rows, columns))) / columns**0.5))
                self.matrices.append(name)
        return name

    def next_state(self, k: int) -> int:
        """A bounded value as wide as the state, mixed with what it was; now and then a state as it was."""
        width = self.cell.widths[k]
        states = [j + 1 for j, each in enumerate(self.cell.widths) if each == width]
        fitting = [j for j, each in enumerate(self.widths) if each == width and j not in states]
        choice = self.random.randrange(10)
        if choice == 0:
            return self.random.choice(states)
        value = self.any(fitting) if fitting and choice < 8 else self.product(width)
        # what nothing depends on is not tested: most of it is led here
        for loose in self.unused()[: self.random.choice([0, 2, 8])]:
            if loose != value:
                value = self.sum_of(value, self.product(width, loose))
        if self.growths[value] > 0 or choice > 6:
            value = self.add(Instruction("tanh(a)", torch.tanh, (value,)), width, 0)
        if choice % 3 == 0:
            mix = ELEMENTWISE["lerp(a, b, sigmoid(c))"][2]
            gate = self.any([j for j, each in enumerate(self.widths) if each in (1, width)])
            value = self.add(Instruction("lerp(a, b, sigmoid(c))", mix, (k + 1, value, gate)), width, 0)
        return value
