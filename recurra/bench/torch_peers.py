"""Contenders that compute with PyTorch: Recurra itself, torch.nn, and loops in Python."""

import time
from collections.abc import Callable, Iterable
from typing import Any
from warnings import catch_warnings, simplefilter

import torch
from torch import Tensor, nn

from recurra import nn as drop_in
from recurra.bench.entry import autocast
from recurra.bench.problem import Contender, Problem, Results, stack_gates
from recurra.cells import PeepholeLSTM, to_torch
from recurra.layers import Recurrent
from recurra.recurrence import reference
from recurra.recurrence.state import map_state, tensors

UNROLLED = 64
"""Steps up to which a whole loop is given to torch.compile, which unrolls it; beyond, one step is."""


def recurra_layer(problem: Problem) -> Contender | None:
    """``Recurrent`` of the cell, batch first; of several layers or directions, the layer of ``recurra.nn``."""
    if problem.entry.way.stacked:
        return _torch_layer(problem, drop_in)
    layer = Recurrent(problem.cell)
    if problem.entry.streaming:
        return _stream(layer.step, problem.x[:, 0], problem.state)
    return _sequence(problem, lambda x: layer(x, problem.state)[0], problem.x, problem.cell)


def recurra_nn(problem: Problem) -> Contender | None:
    """The layer of ``recurra.nn`` that stands in for torch's; nothing where that is what Recurra is measured by."""
    return None if problem.entry.way.stacked else _torch_layer(problem, drop_in)


def torch_nn(problem: Problem) -> Contender | None:
    """``torch.nn.LSTM``, ``GRU`` or ``RNN``, time first as it is by default."""
    return _torch_layer(problem, nn)


def torch_cell(problem: Problem) -> Contender | None:
    """``torch.nn.LSTMCell`` and its like, where single steps are asked for."""
    if not problem.entry.streaming or not _in_torch(problem.cell):
        return None
    module = to_torch(problem.cell)
    cell = getattr(nn, f"{module.mode.partition('_')[0]}Cell")(module.input_size, module.hidden_size)
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in module.state_dict().items()})

    def step(x: Tensor, state: Any) -> tuple[Tensor, Any]:
        state = cell(x, state)
        return next(tensors(state)), state

    return _stream(step, problem.x[:, 0], _torch_state(problem.state))


def eager_loop(problem: Problem) -> Contender:
    """A ``for`` over calls of the cell, as one writes it."""
    step = problem.cell
    if problem.entry.streaming:
        return _stream(lambda x, state: reference.take_step(step, x, state), problem.x[:, 0], problem.state)
    return _sequence(problem, lambda x: _loop(step, x, problem.state), problem.x, problem.cell)


def torchrecurrent(problem: Problem) -> Contender | None:
    """torchrecurrent's peephole LSTM, a loop in Python, time first as it is by default."""
    if not isinstance(problem.cell, PeepholeLSTM) or problem.entry.streaming:
        return None
    from torchrecurrent import PeepholeLSTM as Layer

    layer = Layer(problem.entry.shape.H, problem.entry.shape.H)
    weights = stack_gates(problem.cell, problem.cell.state_dict())
    names = {"weight_ih": "W_x", "weight_hh": "W_h", "weight_ph": "p", "bias_ih": "b"}
    layer.cells[0].load_state_dict(
        {name: weights[ours] for name, ours in names.items()} | {"bias_hh": torch.zeros_like(weights["b"])}
    )
    state = map_state(lambda leaf: leaf.unsqueeze(0), tuple(problem.state))
    ours = {f"cells.0.{name}": kind for name, kind in names.items()}
    return _time_first(problem, lambda x: layer(x, state)[0], layer, ours)


def torch_compile(problem: Problem) -> Contender | None:
    """The loop over the cell given to ``torch.compile``: whole while that ends within a minute, else step by step."""
    if problem.entry.streaming:
        return None
    whole = problem.entry.shape.T <= UNROLLED
    torch._dynamo.reset()
    with catch_warnings(), torch.compiler.config.patch(force_disable_caches=True):  # type: ignore[attr-defined]
        simplefilter("ignore")  # it warns of the caches that are off; with them the second run would show no time
        if whole:
            run = torch.compile(_loop)
            contender = _sequence(
                problem, lambda x: run(problem.cell, x, problem.state), problem.x, problem.cell, note="whole loop"
            )
        else:
            step = torch.compile(problem.cell)
            contender = _sequence(
                problem, lambda x: _loop(step, x, problem.state), problem.x, problem.cell, note="one step, in a loop"
            )
        start = time.perf_counter()
        contender.call()
        seconds = time.perf_counter() - start
    return Contender(contender.call, contender.read, contender.note, seconds)


def _loop(step: Callable[..., Any], x: Tensor, state: Any) -> Tensor:
    outputs = []
    for x_t in x.unbind(1):
        output, state = reference.take_step(step, x_t, state)  # type: ignore[arg-type]
        outputs.append(output)
    return torch.stack(outputs, dim=1)


def _in_torch(cell: nn.Module) -> bool:
    try:
        to_torch(cell)
    except (TypeError, ValueError):
        return False
    return True


def _torch_layer(problem: Problem, library: Any) -> Contender | None:
    if not _in_torch(problem.cell):
        return None
    layer = _stack(problem, library)
    state = map_state(lambda *leaves: torch.stack(leaves), *map(_torch_state, problem.states))
    if problem.entry.streaming:
        return _stream(layer, problem.x.transpose(0, 1).contiguous(), state)
    names = {"weight_ih_l0": "W_x", "weight_hh_l0": "W_h", "bias_ih_l0": "b"}
    if problem.entry.way.stacked:
        names = {name: name for name, _ in layer.named_parameters()}
    return _time_first(problem, lambda x: layer(x, state)[0], layer, names)


def _stack(problem: Problem, library: Any) -> nn.RNNBase:
    """A layer of torch.nn, or of what stands in for it, with the weights of all cells."""
    modules, way = [to_torch(cell) for cell in problem.cells], problem.entry.way
    layer: nn.RNNBase = getattr(library, modules[0].mode.partition("_")[0])(
        modules[0].input_size, modules[0].hidden_size, num_layers=way.layers, bidirectional=way.bidirectional
    )
    with torch.no_grad():
        for names, module in zip(layer._all_weights, modules, strict=True):
            for own, weight in zip(names, module.parameters(), strict=True):
                layer.get_parameter(own).copy_(weight)
    return layer


def _torch_state(state: Any) -> Any:
    """A record as torch.nn has it: a tuple of two tensors, or one tensor."""
    return tuple(state) if len(state) == 2 else state[0]


def _stream(step: Callable[[Tensor, Any], tuple[Tensor, Any]], x: Tensor, state: Any) -> Contender:
    """Each call takes the state that the one before left."""

    @torch.no_grad()
    def call() -> Tensor:
        nonlocal state
        output, state = step(x, state)
        return output

    return Contender(call, lambda output: {"outputs": output.reshape(x.numel() // x.shape[-1], 1, -1)})


def _sequence(
    problem: Problem, run: Callable[[Tensor], Tensor], x: Tensor, module: nn.Module, *, note: str = ""
) -> Contender:
    """Batch first; in training the gradients for x and for every parameter of ``module``."""
    run = _in_precision(problem, run)
    if not problem.entry.training:
        return Contender(torch.no_grad()(lambda: run(x)), lambda outputs: {"outputs": outputs}, note)
    names, weights = zip(*module.named_parameters(), strict=True)

    def read(gradients: Iterable[Tensor]) -> Results:
        given, *rest = gradients
        return {"x": given, **stack_gates(module, dict(zip(names, rest, strict=True)))}

    return Contender(_gradients(run, x, weights, problem.gradient), read, note)


def _time_first(
    problem: Problem, run: Callable[[Tensor], Tensor], layer: nn.Module, names: dict[str, str]
) -> Contender:
    """Time first; ``names`` says which of the layer's parameters are compared, and as what."""
    run = _in_precision(problem, run)
    x = problem.x.transpose(0, 1).contiguous()
    if not problem.entry.training:
        return Contender(torch.no_grad()(lambda: run(x)), lambda outputs: {"outputs": outputs.transpose(0, 1)})
    own, weights = zip(*layer.named_parameters(), strict=True)

    def read(gradients: Iterable[Tensor]) -> Results:
        given, *rest = gradients
        found = {names[name]: value for name, value in zip(own, rest, strict=True) if name in names}
        return {"x": given.transpose(0, 1), **found}

    return Contender(_gradients(run, x, weights, problem.gradient.transpose(0, 1).contiguous()), read)


def _in_precision(problem: Problem, run: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """A context for every call, as one writes it around a model's forward pass; none for float32, which needs none."""
    precision = problem.entry.way.precision
    return run if precision == "float32" else autocast(precision)(run)


def _gradients(
    run: Callable[[Tensor], Tensor], x: Tensor, weights: tuple[Tensor, ...], gradient: Tensor
) -> Callable[[], tuple[Tensor, ...]]:
    """The outputs' gradient is given in their own type, which under autocast is the library's choice."""
    x = x.clone().requires_grad_()
    given = {kind: gradient.to(kind) for kind in (torch.float32, torch.bfloat16)}

    def call() -> tuple[Tensor, ...]:
        outputs = run(x)
        return torch.autograd.grad(outputs, (x, *weights), given[outputs.dtype])

    return call
