"""The regulariser Ω, which asks that errors neither vanish nor grow on their way back through time."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from recurra.errors import BadInput
from recurra.layers.recurrent import Recurrent
from recurra.layers.roles import recurrent_layers
from recurra.recurrence import reference
from recurra.recurrence.state import State, map_state, tensors


class GradientFlow:
    r"""Ω of Pascanu, Mikolov and Bengio, of every recurrent layer of a model, whatever its cell.

    .. math::
        \Omega = \sum_k \left( \frac{\left\| \frac{\partial E}{\partial s_{k+1}} \frac{\partial s_{k+1}}{\partial s_k}
        \right\|}{\left\| \frac{\partial E}{\partial s_{k+1}} \right\|} - 1 \right)^2

    summed over layers and steps, the mean of the rows. s is the whole state that a step hands on (an LSTM's h and s
    together), ∂E/∂s is total: of the output of the same step, where it is a part of the state, and of all that follows.

        flow = GradientFlow(model)
        with flow.watching():
            loss = ...
        loss.backward()
        (1e-2 * flow.omega()).backward()    # adds to the gradients of the cells' weights

    As in the paper's equation 10 the derivative is the immediate one: states s_k, inputs x_k and errors ∂E/∂s_{k+1} are
    constants, and only the step from s_k to s_{k+1} is differentiated, in all weights of the cell. (In the paper's
    model, s_{k+1} = W σ(s_k) + W_in x + b, that leaves W alone.)

    Steps are left out that no error reaches, or that carry it back to nothing that learns: the first of a sequence or
    window, unless its state came with a gradient or is learnt, and those before which a ``reset`` holds. Where an
    output is not a part of the state (LRU, SRU, mLSTM), what it contributes to the error at its own step is not
    counted. Errors are those of the window, as in truncated backpropagation; where a call dropped weights
    (:class:`recurra.layers.WeightDrop`), Ω is of the whole ones.

    A watched forward and backward pass has one sum more in each step; Ω then costs one step of the cell on all steps at
    once, as one batch, and its second derivative.

    Args:
        model: with at least one :class:`recurra.Recurrent` in it.

    Raises:
        BadInput: there is none. Modules of ``torch.nn`` hide their steps.

    Source: Pascanu, Mikolov and Bengio (2012), arXiv:1211.5063, equations 9 and 10.
    """

    def __init__(self, model: nn.Module) -> None:
        layers = recurrent_layers(model)
        if not layers:
            raise BadInput(
                f"gradient-flow: {type(model).__name__} has no Recurrent layer, whose steps could be watched; "
                "leave it out, or build the layer as recurra.Recurrent(cell)"
            )
        self._calls: list[_Call] = []
        self._watched = [_watched(layer) for layer in layers]

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Within, every call and step of the model's layers is recorded, in place of those recorded before."""
        self._calls = []
        for each in self._watched:
            vars(each.layer).update(forward=partial(self._call, each), step=partial(self._step, each))
        try:
            yield
        finally:
            for each in self._watched:
                del each.layer.forward, each.layer.step

    def omega(self) -> Float[Tensor, ""]:
        """Ω of the calls that were watched; to be asked for once the loss's ``backward`` has run."""
        terms = [call.term() for call in self._calls]
        return torch.stack(terms).sum() if terms else torch.zeros(())

    def _call(
        self,
        watched: "_WatchedLayer",
        x: Float[Tensor, "B T I"],
        state: State | None = None,
        lengths: Int[Tensor, " B"] | None = None,
        reset: Bool[Tensor, "B T"] | None = None,
    ) -> tuple[Tensor, State]:
        layer, shadow, record = watched
        if not torch.is_grad_enabled():
            return Recurrent.forward(layer, x, state, lengths, reset)
        record.start = start = layer.initial_state(len(x)) if state is None else state
        outputs, last, states = shadow.trajectory(x, start, lengths, reset)
        before = map_state(lambda first, every: torch.cat([first.unsqueeze(1), every[:, :-1]], 1), start, states)
        linked = x.new_ones(x.shape[:2], dtype=torch.bool) if reset is None else ~reset
        linked[:, 0] &= any(leaf.requires_grad for leaf in tensors(start))
        seen, before = _as_weights(record.cell, (record.seen, before))
        self._calls.append(_Call(record.cell, seen, before, record.errors, linked))
        return outputs, last

    def _step(self, watched: "_WatchedLayer", x: Float[Tensor, "B I"], state: State) -> tuple[Tensor, State]:
        outputs, last = self._call(watched, x.unsqueeze(1), state)
        return outputs.squeeze(1), last


class _Input(NamedTuple):
    """What a watched step receives: the cell's own input, and zeros that its state is moved by."""

    x: Any
    moved: State


class _Record:
    """What a call of a layer leaves to be looked at. Apart from the cell, whose attributes a compiled loop relies on.

    Attributes:
        start: what the state of the next call begins as.
        seen: what the steps of the last call received, ``(B, T, ...)``.
        errors: of that call the zeros, whose ``grad`` the loss's backward leaves.
    """

    def __init__(self, cell: nn.Module) -> None:
        self.cell = cell
        self.start: State = None
        self.seen: Any = None
        self.errors: State = None

    def inputs(self, x: Float[Tensor, "B T I"]) -> _Input:
        """The cell's inputs, and the zeros."""
        batch, steps = x.shape[:2]
        self.seen = reference.step_inputs(self.cell, x)
        self.errors = map_state(lambda leaf: leaf.new_zeros(batch, steps, *leaf.shape[1:]).requires_grad_(), self.start)
        return _Input(self.seen, self.errors)


class _Watched(nn.Module):
    """A cell whose every state is moved by zeros: the gradient of a zero is the error at that state."""

    def __init__(self, record: _Record) -> None:
        super().__init__()
        self.cell = record.cell
        self.inputs = record.inputs

    def forward(self, x: _Input, state: State) -> tuple[Tensor, State]:
        output, new = reference.take_step(self.cell, x.x, state)
        moved = map_state(torch.add, new, x.moved)
        pairs = zip(tensors(new), tensors(moved), strict=True)
        return next((after for before, after in pairs if before is output), output), moved


class _WatchedLayer(NamedTuple):
    """A layer, the one that runs in its place, and what that leaves."""

    layer: Recurrent
    shadow: Recurrent
    record: _Record


def _watched(layer: Recurrent) -> _WatchedLayer:
    record = _Record(layer.cell)
    shadow = Recurrent(_Watched(record), initial_state=layer.initial_state, remember=layer.remember)
    return _WatchedLayer(layer, shadow, record)


class _Call(NamedTuple):
    """One call of a layer: what its steps received, the states before them, the errors at those after them, and which
    steps carry an error on to what learns."""

    cell: nn.Module
    inputs: Any
    before: State
    errors: State
    linked: Bool[Tensor, "B T"]

    def term(self) -> Float[Tensor, ""]:
        """What the call adds to Ω."""
        rows = len(next(tensors(self.before)))
        found = [torch.zeros_like(zero) if zero.grad is None else zero.grad for zero in tensors(self.errors)]
        errors = [error.flatten(0, 1) for error in _as_weights(self.cell, found)]
        # the ratio does not depend on the error's length: brought to about one, its square neither over- nor underflows
        largest = torch.stack([error.flatten(1).abs().amax(1) for error in errors]).amax(0)
        alive = (largest > torch.finfo(largest.dtype).tiny) & self.linked.flatten()
        if not alive.any():
            return largest.new_zeros(())
        errors = [error[alive] / _beside(largest[alive], error) for error in errors]
        x, before = map_state(lambda leaf: leaf.flatten(0, 1)[alive], (self.inputs, self.before))
        ratios = _norms(_carried_back(self.cell, x, before, errors)) / _norms(errors)
        return (ratios - 1).square().sum() / rows


def _carried_back(cell: nn.Module, x: Any, before: State, errors: list[Tensor]) -> list[Tensor]:
    """The errors at states, carried back by one step: at the states before."""
    with torch.enable_grad():
        before = map_state(lambda leaf: leaf.requires_grad_(), before)
        after = tensors(reference.take_step(cell, x, before).state)
        pairs = [(new, error) for new, error in zip(after, errors, strict=True) if new.requires_grad]
        states, given = zip(*pairs, strict=True)
        leaves = list(tensors(before))
        found = torch.autograd.grad(states, leaves, given, create_graph=True, materialize_grads=True)
    return list(found)


def _as_weights(cell: nn.Module, nest: Any) -> Any:
    """The nest's numbers, as constants, in the type of the cell's weights: under autocast they come in another."""
    dtype = next((parameter.dtype for parameter in cell.parameters()), torch.get_default_dtype())
    return map_state(lambda leaf: leaf.detach().to(dtype) if leaf.is_floating_point() else leaf, nest)


def _norms(parts: list[Tensor]) -> Tensor:
    """The 2-norm of every row, over all parts."""
    return torch.linalg.vector_norm(torch.cat([part.flatten(1) for part in parts], 1), dim=1)


def _beside(rows: Tensor, like: Tensor) -> Tensor:
    return rows.view(-1, *[1] * (like.dim() - 1))
