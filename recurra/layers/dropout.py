"""Dropout for recurrent networks: every mask is drawn before the loop, from torch's global generator, never in a step.

While evaluating all of these do nothing, except :class:`Zoneout`, which then takes the expectation.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import dropout

from recurra.recurrence import reference
from recurra.recurrence.state import State, map_state, tensors


class MaskedInput(NamedTuple):
    """What a step under dropout receives: the wrapped cell's input, and masks that nest like (a part of) the state."""

    x: Any
    mask: State


class Dropout(nn.Module):
    """Plain dropout, as ``torch.nn.Dropout``, which on a CPU takes twice as long: it draws numbers one by one.

    Args:
        rate: the probability that a number is zero; the others are scaled by 1 / (1 - rate).
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = _checked(rate)

    def forward(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        if not self.training or not self.rate:
            return x
        # drawn in float32 whatever the type of x: bfloat16 has too few numbers between 0 and 1
        kept = torch.rand(x.shape, dtype=torch.float32, device=x.device).ge_(self.rate)
        return x * kept.to(x.dtype).div_(1 - self.rate)


class VariationalDropout(nn.Module):
    """Dropout whose mask is the same at every step of a sequence, another for each row and each call.

    Args:
        rate: the probability that a feature of a row is zero throughout; the others are scaled by 1 / (1 - rate).

    Source: Gal and Ghahramani (2016), arXiv:1512.05287.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = _checked(rate)

    def forward(self, x: Float[Tensor, "B T F"]) -> Float[Tensor, "B T F"]:
        return x * dropout(torch.ones_like(x[:, :1]), self.rate) if self.training else x


class RecurrentDropout(nn.Module):
    """A cell that reads back its hidden value through one mask per sequence.

    The masked tensor is the first of the state (the review's h). For cells that read h only through weights (LSTM,
    Elman). A GRU also carries h on, so that the units kept would grow by 1 / (1 - rate) at each step that its gate
    keeps: give it :class:`Zoneout` or :class:`WeightDrop` instead.

    Args:
        rate: the probability that a unit of a row is read as zero throughout; the others are scaled by 1 / (1 - rate).

    Source: Gal and Ghahramani (2016), arXiv:1512.05287.
    """

    def __init__(self, cell: nn.Module, rate: float) -> None:
        super().__init__()
        self.cell = cell
        self.rate = _checked(rate)

    def initial_state(self, batch_size: int) -> State:
        return reference.initial_state(self.cell, batch_size)

    def inputs(self, x: Float[Tensor, "B T I"]) -> Any:
        """The wrapped cell's inputs, with the mask at every step while training."""
        inner = reference.step_inputs(self.cell, x)
        if not self.training:
            return inner
        batch, steps = x.shape[:2]
        h = next(tensors(self.initial_state(batch)))
        mask = dropout(torch.ones_like(h), self.rate)
        return MaskedInput(inner, mask.unsqueeze(1).expand(batch, steps, *h.shape[1:]))

    def forward(self, x: Any, state: State) -> tuple[Tensor, State]:
        if not self.training:
            return reference.take_step(self.cell, x, state)
        h, *others = tensors(state)
        read = iter([h * x.mask, *others])
        return reference.take_step(self.cell, x.x, map_state(lambda _: next(read), state))


class Zoneout(nn.Module):
    """A cell whose units each keep their previous value with some probability, drawn anew at each step.

    While evaluating, a unit becomes the expectation: rate times its previous value plus (1 - rate) times its new one.
    Where the cell's output is one of its state's tensors, the output is that tensor after zoneout.

    Args:
        rate: for the whole state, or for each field of a named state: ``{"h": 0.05, "s": 0.5}``.

    Raises:
        ValueError: a rate outside [0, 1), or fields that are not the state's.

    Source: Krueger et al. (2017), arXiv:1606.01305.
    """

    def __init__(self, cell: nn.Module, rate: float | Mapping[str, float]) -> None:
        super().__init__()
        self.cell = cell
        self.rates = _rates(rate, self.initial_state(1))

    def initial_state(self, batch_size: int) -> State:
        return reference.initial_state(self.cell, batch_size)

    def inputs(self, x: Float[Tensor, "B T I"]) -> Any:
        """The wrapped cell's inputs, with which units keep their value at each step while training."""
        inner = reference.step_inputs(self.cell, x)
        if not self.training:
            return inner
        batch, steps = x.shape[:2]

        def kept(leaf: Tensor, rate: float) -> Bool[Tensor, "B T ..."]:
            return torch.empty(batch, steps, *leaf.shape[1:], dtype=torch.bool, device=leaf.device).bernoulli_(rate)

        return MaskedInput(inner, map_state(kept, self.initial_state(batch), self.rates))

    def forward(self, x: Any, state: State) -> tuple[Tensor, State]:
        if self.training:
            output, new = reference.take_step(self.cell, x.x, state)
            mixed = map_state(torch.where, x.mask, state, new)
        else:
            output, new = reference.take_step(self.cell, x, state)
            mixed = map_state(lambda old, new, rate: rate * old + (1 - rate) * new, state, new, self.rates)
        pairs = zip(tensors(new), tensors(mixed), strict=True)
        return next((after for before, after in pairs if before is output), output), mixed


class WeightDrop(nn.Module):
    """A sequence layer that loses single weights, not units: one mask in each call, the same for all rows and steps.

    Parameters keep their names, under ``layer.``; a checkpoint holds the whole weights.

    Args:
        layer: a sequence layer (:class:`Recurrent`, :class:`Bidirectional`, :class:`Stack`).
        rate: the probability that a weight is zero throughout a call; the others are scaled by 1 / (1 - rate).
        names: the weights to drop, by the last parts of their names. Those from hidden to hidden are called ``W_h`` in
            this library's cells and ``weight_hh`` in torch's.

    Raises:
        ValueError: a rate outside [0, 1), or a name that no parameter has.

    Source: Merity, Keskar and Socher (2017), arXiv:1708.02182; DropConnect, Wan et al. (2013).
    """

    def __init__(self, layer: nn.Module, rate: float, names: Sequence[str] = ("W_h",)) -> None:
        super().__init__()
        self.layer = layer
        self.rate = _checked(rate)
        self.names = [found for name in names for found in _parameters_called(name, layer)]

    def initial_state(self, batch_size: int) -> State:
        layer: Any = self.layer
        return layer.initial_state(batch_size)

    def forward(
        self,
        x: Float[Tensor, "B T I"],
        state: State | None = None,
        lengths: Int[Tensor, " B"] | None = None,
        reset: Bool[Tensor, "B T"] | None = None,
    ) -> tuple[Float[Tensor, "B T O"], State]:
        """As the layer's own."""
        if not self.training:
            return self.layer(x, state, lengths, reset)
        dropped = {name: dropout(self.layer.get_parameter(name), self.rate) for name in self.names}
        return functional_call(self.layer, dropped, (x, state, lengths, reset))

    def step(self, x: Float[Tensor, "B I"], state: State) -> tuple[Float[Tensor, "B O"], State]:
        """As the layer's own; while training, with a mask of its own."""
        outputs, state = self(x.unsqueeze(1), state)
        return outputs.squeeze(1), state


def _checked(rate: float) -> float:
    if not 0 <= rate < 1:
        raise ValueError(f"a rate is a probability in [0, 1), got {rate}")
    return float(rate)


def _rates(rate: float | Mapping[str, float], state: State) -> State:
    """One rate for each tensor of the state."""
    if not isinstance(rate, Mapping):
        uniform = _checked(rate)
        return map_state(lambda _: uniform, state)
    fields = getattr(state, "_fields", ())
    if set(rate) != set(fields):
        raise ValueError(f"rates are given for {sorted(rate)}, but the fields of the state are {sorted(fields)}")
    return type(state)(*(_rates(rate[name], part) for name, part in zip(fields, state, strict=True)))


def _parameters_called(name: str, layer: nn.Module) -> list[str]:
    known = [parameter for parameter, _ in layer.named_parameters()]
    found = [parameter for parameter in known if f".{parameter}".endswith(f".{name}")]
    if not found:
        raise ValueError(f"no parameter is called {name!r}; the layer has {', '.join(known)}")
    return found
