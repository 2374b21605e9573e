"""``LSTM``, ``GRU`` and ``RNN``: torch.nn's classes, whose ``forward`` runs each layer and direction as a recurrence.

They are subclasses because the contract is all of torch.nn's: constructor, draws, parameters, ``state_dict``,
``flatten_parameters``, ``isinstance``. Only ``forward`` differs. A call that is none for this library, by its device or
because something about it is wrong, goes to torch's own forward, which computes it or raises its own error.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import chain
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence

from recurra.layers.recurrent import Recurrent, begin
from recurra.nn.steps import GRUStep, LSTMStep, RNNStep, bind
from recurra.recurrence.batched import exact
from recurra.recurrence.fused import Begun
from recurra.recurrence.int8 import SUFFIXES, reading_int8
from recurra.recurrence.packing import Packing, pick
from recurra.recurrence.paths import begin_packed, end
from recurra.recurrence.request import Result
from recurra.recurrence.state import State, map_state
from recurra.recurrence.stream import short, short_again

Input = Tensor | PackedSequence
Weights = list[dict[str, Tensor]]
"""For each layer and direction, the tensors that a step binds."""


class LSTM(nn.LSTM):
    """``torch.nn.LSTM``: same arguments, parameters, ``state_dict``, results and errors (not for TorchScript).

    On a CPU each layer and direction is one :class:`recurra.Recurrent`. Torch's own kernels run where the input or a
    weight is on another device, for no rows, and for what torch refuses. Dropout between layers draws torch's own
    masks: the same seed gives the same result. Under autocast to bfloat16 results are of torch's types, but from step
    to step states are kept in float32.
    """

    def forward(self, input: Input, hx: tuple[Tensor, Tensor] | None = None) -> Any:
        """As ``torch.nn.LSTM``'s."""
        return _forward(self, input, hx, super().forward)


class GRU(nn.GRU):
    """``torch.nn.GRU``, as :class:`LSTM` is ``torch.nn.LSTM``."""

    def forward(self, input: Input, hx: Tensor | None = None) -> Any:
        """As ``torch.nn.GRU``'s."""
        return _forward(self, input, hx, super().forward)


class RNN(nn.RNN):
    """``torch.nn.RNN``, as :class:`LSTM` is ``torch.nn.LSTM``."""

    def forward(self, input: Input, hx: Tensor | None = None) -> Any:
        """As ``torch.nn.RNN``'s."""
        return _forward(self, input, hx, super().forward)


def _forward(layer: nn.RNNBase, input: Input, hx: State | None, torchs: Callable[..., Any]) -> Any:
    rounded = torch.is_autocast_enabled("cpu")
    if not rounded and (again := _short_again(layer, input, hx)) is not None:
        return again
    # each attribute is read once in a call: behind one may stand a parametrization
    weights = [dict(chain.from_iterable(_held(layer, name) for name in names)) for names in layer._all_weights]
    if not rounded:
        found = _answer(layer, weights, input, hx)
    elif torch.get_autocast_dtype("cpu") == torch.bfloat16:
        found = _answer(layer, weights, _map(input, exact), _map(hx, exact))
        # torch's GRU multiplies the state itself, by numbers in the wider type of the two
        if layer.mode != "GRU" or not _has_float32(input, hx):
            found = _map(found, Tensor.bfloat16)
    else:
        found = None
    if found is None and int8(layer):
        wanted = "takes float32 on the CPU, of the shapes that torch's takes"
        raise ValueError(f"{type(layer).__name__} with weights of int8 {wanted}")
    return torchs(input, hx) if found is None else found


def _held(layer: nn.RNNBase, name: str) -> Iterator[tuple[str, Tensor]]:
    """What a step binds for a weight of the layer: itself, or int8 and scales."""
    stem, kept = _kind(name), layer._buffers
    if name + SUFFIXES[0] in kept:
        yield from ((stem + suffix, kept[name + suffix]) for suffix in SUFFIXES)  # type: ignore[misc]
    else:
        yield stem, getattr(layer, name)


def _has_float32(input: Any, hx: Any) -> bool:
    return any(
        isinstance(given, Tensor) and given.dtype == torch.float32 for given in (getattr(input, "data", None), hx)
    )


def _map(given: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """An input, a state or a result with its tensors changed; what is none of these stays."""
    match given:
        case PackedSequence():
            return given._replace(data=change(given.data))
        case Tensor():
            return change(given)
        case tuple() | list():
            return type(given)(_map(part, change) for part in given)
        case _:
            return given


def _answer(layer: nn.RNNBase, weights: Weights, input: Input, hx: State | None) -> Any:
    """What torch's forward would return; None where that is to do it."""
    if (found := _short(layer, weights, input, hx)) is not None:
        return found
    if not _takes(layer, weights, input, hx):
        return None
    if isinstance(input, PackedSequence):
        return _run_packed(layer, weights, input, hx)
    if input.dim() == 3:
        return _run_batch(layer, weights, input, hx)
    rows = 0 if layer.batch_first else 1
    hx = None if hx is None else map_state(lambda leaf: leaf.unsqueeze(1), hx)
    outputs, last = _run_batch(layer, weights, input.unsqueeze(rows), hx)
    return outputs.squeeze(rows), map_state(lambda leaf: leaf.squeeze(1), last)


def _short(layer: nn.RNNBase, weights: Weights, input: Any, hx: Any) -> tuple[Tensor, State] | None:
    """A short call of a layer that has been called before; None for whatever else is asked."""
    recurrents = _RECURRENTS.get(layer)
    if recurrents is None:
        return None

    def one(number: int, x: Tensor, state: State, time: int) -> tuple[Tensor, State] | None:
        recurrent = recurrents[number]
        bind(recurrent.cell, weights[number])
        return short(recurrent.cell, recurrent.plans, x, state, time, True)

    return _through(layer, input, hx, one)


def _short_again(layer: nn.RNNBase, input: Any, hx: Any) -> tuple[Tensor, State] | None:
    """The same, but None also where it is not like the call before, or a weight is not the layer's own."""
    recurrents = _RECURRENTS.get(layer)
    if recurrents is None or any(each.plans.stepper is None for each in recurrents):
        return None
    attributes, own = vars(layer), layer._parameters
    kept = int8(layer) if layer._buffers else ()

    def one(number: int, x: Tensor, state: State, time: int) -> tuple[Tensor, State] | None:
        recurrent, names = recurrents[number], layer._all_weights[number]
        weights: dict[str, Any] = {_kind(name): own[name] for name in names if name in own and name not in attributes}
        if kept:
            weights |= chain.from_iterable(_held(layer, name) for name in kept if name in names)
        bind(recurrent.cell, weights)
        return short_again(recurrent.cell, recurrent.plans, x, state, time, True)

    return _through(layer, input, hx, one)


One = Callable[[int, Tensor, State, int], tuple[Tensor, State] | None]
"""A call of one layer and direction: which one, its input and state, and the dimension of time."""


def _through(layer: nn.RNNBase, input: Any, hx: Any, one: One) -> tuple[Tensor, State] | None:
    """A call of all layers and directions, each by ``one``; None where there is none, or hx is no such layer's."""
    if not isinstance(input, Tensor) or input.dim() != 3:
        return None
    time, x = int(layer.batch_first), input
    if input.shape[time] != 1:
        if layer.bidirectional:
            return None
        time, x = 0, input.transpose(0, 1) if layer.batch_first else input
    found = _through_all(layer, x, hx, time, one)
    turned = found is not None and layer.batch_first and time == 0
    return (found[0].transpose(0, 1), found[1]) if turned and found is not None else found


def _through_all(layer: nn.RNNBase, x: Tensor, hx: Any, time: int, one: One) -> tuple[Tensor, State] | None:
    count, several = len(layer._all_weights), layer.mode == "LSTM"
    if hx is None:
        zeros = [x.new_zeros(count, x.shape[1 - time], size) for size in _state_sizes(layer)]
        hx = tuple(zeros) if several else zeros[0]
    leaves = hx if several and isinstance(hx, tuple | list) else [hx]
    if not all(isinstance(leaf, Tensor) and leaf.dim() == 3 and len(leaf) == count for leaf in leaves):
        return None
    if count == 1:
        return one(0, x, tuple(leaves) if several else hx, time)
    if layer.training and layer.dropout:
        return None
    ends, directions = list[Any](), 2 if layer.bidirectional else 1
    starts: Any = list(zip(*(leaf.split(1) for leaf in leaves), strict=True)) if several else hx.split(1)
    for first in range(0, count, directions):
        outputs = []
        for number in range(first, first + directions):
            found = one(number, x, starts[number], time)
            if found is None:
                return None
            outputs.append(found[0])
            ends.append(found[1])
        x = outputs[0] if directions == 1 else torch.cat(outputs, 2)
    return x, tuple(map(torch.cat, zip(*ends, strict=True))) if several else torch.cat(ends)


@cache
def _kind(name: str) -> str:
    """Which of a step's weights one of a layer's is."""
    return name.partition("_l")[0]


def _takes(layer: nn.RNNBase, weights: Weights, input: Any, hx: Any) -> bool:
    """Whether a call is well formed, and one for the CPU."""
    rows = _rows(layer, input)
    if rows is None:
        return False
    state: Sequence[Any] = []
    if hx is not None:
        state = hx if layer.mode == "LSTM" and isinstance(hx, tuple | list) else [hx]
        if not all(isinstance(leaf, Tensor) for leaf in state):
            return False
        if [list(leaf.shape) for leaf in state] != [[len(weights), *rows, size] for size in _state_sizes(layer)]:
            return False
    x = input.data if isinstance(input, PackedSequence) else input
    own = [weight for group in weights for weight in group.values() if weight.dtype != torch.int8]
    others = [*state, *own]
    return x.device.type == "cpu" and all(other.dtype == x.dtype and other.device == x.device for other in others)


def _rows(layer: nn.RNNBase, input: Any) -> list[int] | None:
    """The input's batch size as hx has it, [] for an unbatched input; None for what is no input, or has no elements."""
    if isinstance(input, PackedSequence):
        x, rows, formed = input.data, [int(input.batch_sizes[0])], input.data.dim() == 2
    elif isinstance(input, Tensor):
        x, formed = input, input.dim() in (2, 3)
        rows = [x.shape[0 if layer.batch_first else 1]] if x.dim() == 3 else []
    else:
        return None
    return rows if formed and x.shape[-1] == layer.input_size and x.numel() > 0 else None


def _state_sizes(layer: nn.RNNBase) -> list[int]:
    """Features of each tensor of the state: of h, and for an LSTM of c."""
    return [layer.proj_size or layer.hidden_size] + [layer.hidden_size] * (layer.mode == "LSTM")


def _run_packed(
    layer: nn.RNNBase, weights: Weights, packed: PackedSequence, hx: State | None
) -> tuple[PackedSequence, State]:
    packing = Packing(packed.batch_sizes.tolist(), int(packed.batch_sizes[0]))
    if hx is not None:
        hx = layer.permute_hidden(hx, packed.sorted_indices)
    outputs, last = _run(layer, weights, packed.data, hx, packing)
    return packed._replace(data=outputs), layer.permute_hidden(last, packed.unsorted_indices)


def _run_batch(layer: nn.RNNBase, weights: Weights, input: Tensor, hx: State | None) -> tuple[Tensor, State]:
    if layer.batch_first:
        return _run(layer, weights, input, hx, None)
    outputs, last = _run(layer, weights, input.transpose(0, 1), hx, None)
    return outputs.transpose(0, 1).contiguous(), last  # contiguous as torch's: models call view on it


def _run(
    layer: nn.RNNBase, weights: Weights, x: Tensor, hx: State | None, packing: Packing | None
) -> tuple[Tensor, State]:
    """All layers over ``x`` (B, T, I), packed (N, I). Tensors of ``hx`` and of the state returned are
    (layers · directions, B, H)."""
    if hx is None:
        batch = x.shape[0] if packing is None else packing.batch
        zeros = [x.new_zeros(batch, size).expand(len(weights), -1, -1) for size in _state_sizes(layer)]
        hx = tuple(zeros) if layer.mode == "LSTM" else zeros[0]
    directions = 2 if layer.bidirectional else 1
    ends = []
    for first in range(0, len(weights), directions):
        if first > 0:
            x = _between(layer, x, packing)
        begun = []
        for k in range(first, first + directions):
            start = map_state(lambda leaf, k=k: leaf[k], hx)
            turned = x if k == first else _turned(x, packing)
            begun.append(_begin(_recurrents(layer)[k], weights[k], turned, start, packing))
        found = end(begun)
        outputs = [found[0].outputs, *(_turned(backwards.outputs, packing) for backwards in found[1:])]
        ends += [result.state for result in found]
        x = torch.cat(outputs, dim=-1) if layer.bidirectional else outputs[0]
    together = torch.stack if len(ends) > 1 else lambda leaves: leaves[0].unsqueeze(0)
    return x, map_state(lambda *leaves: together(leaves), *ends)


def _begin(
    recurrent: Recurrent, weights: dict[str, Tensor], x: Tensor, start: State, packing: Packing | None
) -> Begun | Result:
    """One direction of a layer, up to where its loop runs."""
    bind(recurrent.cell, weights)
    if packing is None:
        return begin(recurrent, x, start)
    return begin_packed(recurrent.cell, recurrent.plans, x, start, packing)


def _turned(series: Tensor, packing: Packing | None) -> Tensor:
    """Every row read from its end."""
    return series.flip(1) if packing is None else pick(series, packing.backwards)


def _between(layer: nn.RNNBase, x: Tensor, packing: Packing | None) -> Tensor:
    """Dropout between layers. Torch draws its masks in the memory of its own outputs: time first, or packed."""
    if not layer.training or layer.dropout == 0:
        return x
    if packing is not None:
        return F.dropout(x, layer.dropout)
    return F.dropout(x.transpose(0, 1).contiguous(), layer.dropout).transpose(0, 1)


# Beside the layers, not in them: copies, pickles and state_dict of a layer are torch's, and a layer of torch's that
# becomes one of these needs nothing.
_RECURRENTS: WeakKeyDictionary[nn.RNNBase, list[Recurrent]] = WeakKeyDictionary()


def _recurrents(layer: nn.RNNBase) -> list[Recurrent]:
    """A recurrence for each layer and direction, kept from call to call, and with it what it has compiled."""
    if layer not in _RECURRENTS:
        _RECURRENTS[layer] = [Recurrent(_step(layer)) for _ in layer._all_weights]
    return _RECURRENTS[layer]


def forget(layer: nn.RNNBase) -> None:
    """Compile anew at the next call of a layer whose weights are int8 now, and let go of those they were.

    Torch keeps them in a list besides; of what stands in their place there it can make nothing.
    """
    layer._flat_weights_names = [name + SUFFIXES[0] * (name in int8(layer)) for name in layer._flat_weights_names]
    layer._init_flat_weights()
    _RECURRENTS.pop(layer, None)


def matrices_of(layer: nn.RNNBase) -> list[str]:
    """The names of the layer's weights that are no biases."""
    return [name for name in chain.from_iterable(layer._all_weights) if name.startswith("weight")]


def int8(layer: nn.RNNBase) -> list[str]:
    """Those of them that are kept as int8."""
    return [name for name in matrices_of(layer) if name + SUFFIXES[0] in layer._buffers]


def _step(layer: nn.RNNBase) -> nn.Module:
    if isinstance(layer, nn.RNN):
        step: nn.Module = RNNStep(layer.nonlinearity)
    else:
        step = LSTMStep() if isinstance(layer, nn.LSTM) else GRUStep()
    if names := int8(layer):
        step.__class__ = reading_int8(type(step), tuple(sorted({name.partition("_l")[0] for name in names})))
    return step
