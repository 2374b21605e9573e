"""Reading every sequence both ways: what a step outputs knows the whole sequence."""

from typing import NamedTuple, NoReturn

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.modules import module

from recurra.layers.recurrent import Recurrent, begin
from recurra.recurrence.fused import Begun
from recurra.recurrence.paths import end
from recurra.recurrence.ragged import reverse
from recurra.recurrence.request import Result
from recurra.recurrence.state import State


class BidirectionalState(NamedTuple):
    """The states in which the two directions ended: after each row's last step, and after its first."""

    forward: State
    backward: State


class Bidirectional(nn.Module):
    """Two sequence layers, one reading each row from its start, the other from its end; outputs side by side.

    A row is reversed by its own length, so padding is never read. ``reset`` marks where segments start. Read backwards,
    a segment starts at its last step: where ``reset`` holds at t, the backward layer is reset before the step at t - 1.

    Args:
        forward, backward: sequence layers (:class:`Recurrent`, :class:`Stack`); their output sizes may differ.

    Raises:
        ValueError: a ``state`` is passed, or one step is asked for: the backward direction begins at the end of the
            sequence, which a stream has not seen yet.

    Source: Schuster and Paliwal (1997); with LSTM, Graves and Schmidhuber (2005). The review, section 4.2.
    """

    def __init__(self, forward: nn.Module, backward: nn.Module) -> None:
        super().__init__()
        self.forwards = forward  # `forward` is the call itself
        self.backwards = backward

    def forward(
        self,
        x: Float[Tensor, "B T I"],
        state: State | None = None,
        lengths: Int[Tensor, " B"] | None = None,
        reset: Bool[Tensor, "B T"] | None = None,
    ) -> tuple[Float[Tensor, "B T O"], BidirectionalState]:
        """As :meth:`Recurrent.forward`, without ``state``; O is the sum of both layers' outputs."""
        if state is not None:
            _needs_the_future()
        begun = [_begin(self.forwards, x, lengths, reset)]
        if reset is not None:
            starts_after = torch.cat([reset[:, 1:], torch.zeros_like(reset[:, :1])], dim=1)
            reset = reverse(starts_after, lengths)
        begun.append(_begin(self.backwards, reverse(x, lengths), lengths, reset))
        (ahead, last, _), (back, first, _) = end(begun)
        return torch.cat([ahead, reverse(back, lengths)], dim=2), BidirectionalState(last, first)

    def initial_state(self, batch_size: int) -> NoReturn:
        """There is none to continue from: raises."""
        _needs_the_future()

    def step(self, x: Float[Tensor, "B I"], state: State) -> NoReturn:
        """Impossible: raises."""
        _needs_the_future()


def _begin(layer: nn.Module, x: Tensor, lengths: Tensor | None, reset: Tensor | None) -> Begun | Result:
    """A direction's call: up to where its loop runs, if a call of the layer is nothing but that."""
    if type(layer) is Recurrent and _is_plain(layer):
        return begin(layer, x, lengths=lengths, reset=reset)
    outputs, last = layer(x, lengths=lengths, reset=reset)
    return Result(outputs, last, None)


def _is_plain(layer: Recurrent) -> bool:
    """Whether nobody has hooked into the layer, or put something else in the place of its call."""
    hooks = (layer._forward_hooks, layer._forward_pre_hooks, layer._backward_hooks, layer._backward_pre_hooks)
    instead = "forward" in vars(layer) or layer._compiled_call_impl is not None
    return not instead and not any(hooks) and not module._has_any_global_hook()


def _needs_the_future() -> NoReturn:
    raise ValueError(
        "a bidirectional layer reads each sequence from its end as well, so it needs the future: it cannot take single "
        "steps or continue from a state; use a unidirectional layer, or pass whole segments without a state"
    )
