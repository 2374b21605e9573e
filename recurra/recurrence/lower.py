"""From the calls of a trace to a program.

What has a batch dimension becomes the program's graph. What is computed from parameters alone is *invariant*: its calls
are kept, to be made again with the real parameters before each run. Slices and transposes of a parameter are neither:
the program reads the parameter itself.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor

from recurra.recurrence.aten import COMPARISONS, ON_TRUTH, POINTWISE
from recurra.recurrence.blocks import Memory, Piece, Row, WeightSource
from recurra.recurrence.graph import Graph
from recurra.recurrence.program import Apply, Node, Product, Program, Read, Reduce, Weight, operands
from recurra.recurrence.record import Call, NotFused, View
from recurra.recurrence.rowwise import FILLED, ROWWISE
from recurra.recurrence.trace import Trace

_COPIES = {"clone", "alias", "lift_fresh", "detach", "where", "masked_fill", "copy", "fill", "_to_copy"}
_LAYOUT = {"memory_format", "dtype", "layout", "device", "pin_memory", "non_blocking"}
_RESHAPES = {torch.ops.aten.view.default, torch.ops.aten._unsafe_view.default}


class Part(NamedTuple):
    """Features of a tensor ``(B, ...)``, flattened: the ``leaf``-th of a nesting, from ``start`` on."""

    leaf: int
    start: int
    width: int


@dataclass(frozen=True)
class Lowered:
    """A step as a program, and what its inputs are.

    Args:
        program: the step; its outputs are the parts of the step's output, one after another.
        sequences: which part of the step's input each of the program's sequences is.
        states: which part of the step's state each of the program's states is.
        output_shape: the features of the output, unflattened.
        state_shapes: the features of each leaf of the state, unflattened.
        parameters: the names of the tensors that :meth:`weights` needs, for `guard.fetch`.
    """

    program: Program
    sequences: tuple[Part, ...]
    states: tuple[Part, ...]
    output_shape: tuple[int, ...]
    state_shapes: tuple[tuple[int, ...], ...]
    parameters: tuple[str, ...]
    trace: Trace
    sources: tuple[WeightSource, ...]
    calls: tuple[Call, ...]

    def weights(self, values: Mapping[str, Tensor]) -> list[Tensor]:
        """The program's weights, differentiable with respect to ``values``."""
        known = self.invariants(values)
        found = []
        for view, shape, picked in self.sources:
            tensor = known[view]
            if picked is not None:
                sizes, strides, offset = picked
                tensor = tensor.reshape(-1)
                tensor = tensor.as_strided(sizes, strides, tensor.storage_offset() + offset)
            tensor = tensor if tensor.shape == shape else tensor.reshape(shape)
            found.append(tensor if tensor.dtype == torch.int8 else tensor.to(self.trace.dtype))
        return found

    def invariants(self, values: Mapping[str, Tensor]) -> dict[View, Tensor]:
        """Everything that is computed from ``values`` alone, the calls made again."""
        known = {view: values[name] for name, view in self.trace.named.items() if name in values}
        known |= self.trace.constants
        for call in self.calls:
            function = torch.reshape if call.function in _RESHAPES else call.function
            result = function(*_replaced(call.args, known), **_replaced(call.kwargs, known))
            results = result if isinstance(result, tuple | list) else [result]
            known.update(zip(call.results, results, strict=True))
        return known


def lower(trace: Trace) -> Lowered:
    """Turn a trace into a program.

    Raises:
        NotFused: with the first call that a program cannot say.
    """
    cuts: dict[tuple[str, int], set[int]] = {}
    for kind, leaves in (("sequence", trace.inputs), ("state", trace.states)):
        for leaf, view in enumerate(leaves):
            cuts[kind, leaf] = {0, prod(view.shape[1:])}
    while True:
        step = _Lowering(trace, cuts)
        lowered = step.run()
        if step.settled():
            return lowered


class _Lowering:
    """One pass over the calls, with inputs and states cut at ``cuts``."""

    def __init__(self, trace: Trace, cuts: dict[tuple[str, int], set[int]]) -> None:
        self.trace = trace
        self.before = {what: set(places) for what, places in cuts.items()}
        self.memory = Memory(Graph(), trace.batch, cuts)
        self.calls: list[Call] = []
        self.parts: dict[str, list[Part]] = {"sequence": [], "state": []}
        for kind, leaves in (("sequence", trace.inputs), ("state", trace.states)):
            for leaf, view in enumerate(leaves):
                self._given(kind, leaf, view)
        for view in (*trace.named.values(), *trace.constants):
            self.memory.invariants[view.storage] = view
        for view, value in trace.constants.items():
            if value.dim() == 0:
                self.memory.uniform[view.storage] = float(value)

    def settled(self) -> bool:
        """Whether nothing had to be cut that was not."""
        return self.memory.cuts == self.before

    def _given(self, kind: str, leaf: int, view: View) -> None:
        places = sorted(self.memory.cuts[kind, leaf])
        pieces = []
        for start, end in zip(places, places[1:], strict=False):
            node = Read(kind, len(self.parts[kind]), end - start)
            self.parts[kind].append(Part(leaf, start, end - start))
            self.memory.reads[node] = kind, leaf, start
            pieces.append(Piece(self.memory.graph.add(node), end - start))
        self.memory.rows[view.storage] = Row(pieces, places[-1])

    def run(self) -> Lowered:
        for call in self.trace.calls:
            try:
                self._call(call)
            except NotFused as error:
                raise NotFused(error.reason, error.place or call.place, str(call.function)) from None
        following: list[int] = []
        results = {}
        for leaf, view in enumerate(self.trace.next):
            results[view] = self._state(leaf, view)
            following += results[view]
        output = self.trace.output
        outputs = results[output] if output in results else self._nodes(self._result(output))
        return self._lowered(tuple(following), tuple(outputs))

    def _state(self, leaf: int, view: View) -> list[int]:
        """The nodes that become the parts of a state, which is cut wherever they are."""
        places = self.memory.cuts["state", leaf]
        pieces = self._result(view)
        end = 0
        for piece in pieces:
            end += piece.size
            places.add(end)
        whole = self.memory.new(pieces, (self.trace.batch, end))
        ordered = sorted(places)
        found = []
        for start, stop in zip(ordered, ordered[1:], strict=False):
            part = whole._replace(offset=start, shape=(self.trace.batch, stop - start))
            found += self._nodes(self.memory.pieces(part, part.shape))
        return found

    def _result(self, view: View) -> list[Piece]:
        """What the step returns; where it cannot be said, the line that made it is named."""
        try:
            return self.memory.pieces(view, view.shape)
        except NotFused as error:
            makers = [call.place for call in self.trace.calls if view in call.results]
            raise NotFused(error.reason, makers[-1] if makers else None) from None

    def _nodes(self, pieces: list[Piece]) -> list[int]:
        return [self.memory.whole(piece).index for piece in pieces]

    def _call(self, call: Call) -> None:
        views = list(views_in((call.args, call.kwargs)))
        memory = self.memory
        writes = call.function._schema.is_mutable
        filled = call.name in FILLED and not writes
        batched = not filled and any(view.storage in memory.rows for view in views)
        seen = call.results if filled else (*views, *call.results)
        batched = batched or any(memory.batch_dimension(view.shape) is not None for view in seen)
        if not writes and call.results and all(r.storage in {v.storage for v in views} for r in call.results):
            if not batched:
                self.calls.append(call)
            return
        if not batched:
            self._invariant(call, writes)
            return
        if call.results[0].dtype not in (self.trace.dtype, torch.bool):
            raise NotFused(f"{call.name} makes {call.results[0].dtype} of {self.trace.dtype}")
        if writes and call.results[0].storage not in memory.rows:
            raise NotFused("values of the batch are written into a tensor that has no batch dimension")
        results = self._computed(call, call.name.removesuffix("_") if writes else call.name)
        for view, pieces in zip(call.results, results, strict=False):
            memory.write(view, pieces)

    def _invariant(self, call: Call, writes: bool) -> None:
        for view in call.results:
            self.memory.invariants.setdefault(view.storage, view)
            if writes and view.storage in self.memory.read_invariants:
                raise NotFused("a tensor is changed after it was used")
            self.memory.uniform.pop(view.storage, None)
        if call.name in FILLED and not writes:
            (view,) = call.results
            value = FILLED[call.name](*call.args)
            value = value if view.dtype.is_floating_point or value == value else 0
            self.memory.uniform[view.storage] = value
            given = {"dtype": view.dtype}
            call = call._replace(function=torch.ops.aten.full.default, args=(view.shape, value), kwargs=given)
        self.calls.append(call)

    def _computed(self, call: Call, name: str) -> list[list[Piece]]:
        """The results' pieces."""
        given = {key: value for key, value in call.kwargs.items() if key not in _LAYOUT}
        shape = call.results[0].shape
        if name in FILLED:
            size = prod(max(1, n // self.trace.batch) if n % self.trace.batch == 0 else n for n in shape)
            return [[Piece(self.memory.graph.scalar(FILLED[name](*call.args)), size)]]
        if name in ROWWISE:
            found: Any = ROWWISE[name](self.memory, *call.args, **given)
            return found if found and isinstance(found[0], list) else [found]
        function = self._pointwise(name, call)
        positions = [isinstance(arg, View) or _is_number(arg) for arg in call.args]
        self._refuse_batch_size(call)

        def applied(*values: Any) -> Any:
            remaining = iter(values)
            args = [next(remaining) if position else arg for position, arg in zip(positions, call.args, strict=True)]
            named = {key: next(remaining) if isinstance(value, View) else value for key, value in given.items()}
            return function(*args, **named)

        values = [arg for arg, position in zip(call.args, positions, strict=True) if position]
        values += [value for value in given.values() if isinstance(value, View)]
        return [self.memory.map(applied, values, shape)]

    def _pointwise(self, name: str, call: Call) -> Any:
        truth = call.results[0].dtype == torch.bool
        if name == "_to_copy" and truth and call.args[0].dtype != torch.bool:
            return COMPARISONS["to_truth"]
        if truth and name in ON_TRUTH:
            return ON_TRUTH[name]
        if name not in POINTWISE or (truth and name not in COMPARISONS and name not in _COPIES):
            raise NotFused(f"{call.function} is not an operation that can be fused")
        if name == "nan_to_num":
            return partial(POINTWISE[name], largest=torch.finfo(self.trace.dtype).max)
        return POINTWISE[name]

    def _refuse_batch_size(self, call: Call) -> None:
        for number in (*call.args, *call.kwargs.values()):
            if _is_number(number) and number and number % self.trace.batch == 0:
                raise NotFused("the number of rows is used as a number")

    def _lowered(self, following: tuple[int, ...], outputs: tuple[int, ...]) -> Lowered:
        nodes, order = _kept(self.memory.graph.nodes, {*following, *outputs})
        if self.settled():
            self.memory.separate(order)
        weights = list(self.memory.weights)
        used = sorted({node.index for node in nodes if isinstance(node, Weight | Product)})
        read = sorted({node.index for node in nodes if isinstance(node, Read) and node.kind == "sequence"})
        nodes = tuple(_renumbered(node, used, read) for node in nodes)
        sources = tuple(weights[index] for index in used)
        calls = needed(self.trace, self.calls, {source.view for source in sources})
        sequences = tuple(self.parts["sequence"][index] for index in read if index >= 0)
        states = tuple(self.parts["state"])
        return Lowered(
            program=Program(
                tuple(part.width for part in sequences),
                tuple(part.width for part in states),
                (),
                tuple(source.shape for source in sources),
                nodes,
                tuple(order[index] for index in following),
                tuple(order[index] for index in outputs),
            ),
            sequences=sequences,
            states=states,
            output_shape=self.trace.output.shape[1:],
            state_shapes=tuple(view.shape[1:] for view in self.trace.states),
            parameters=read_by(self.trace, calls, sources),
            trace=self.trace,
            sources=sources,
            calls=calls,
        )


def needed(trace: Trace, calls: Sequence[Call], views: set[View]) -> tuple[Call, ...]:
    """The calls that make the invariants ``views``, or write into their memory."""
    kept = []
    known = {*trace.named.values(), *trace.constants}
    views = views - known
    for call in reversed(calls):
        writes = call.function._schema.is_mutable and call.results[0].storage in {view.storage for view in views}
        if writes or not views.isdisjoint(call.results):
            kept.append(call)
            views = views.union(views_in((call.args, call.kwargs))) - known
    return tuple(reversed(kept))


def read_by(trace: Trace, calls: Sequence[Call], sources: Sequence[WeightSource]) -> tuple[str, ...]:
    """The names of the tensors that calls and sources read."""
    storages = {view.storage for call in calls for view in views_in((call.args, call.kwargs))}
    storages |= {source.view.storage for source in sources}
    return tuple(name for name, view in trace.named.items() if view.storage in storages)


def _kept(nodes: list[Node], roots: set[int]) -> tuple[tuple[Node, ...], dict[int, int]]:
    """The nodes that the roots are computed from, numbered anew."""
    needed = set(roots)
    for index in reversed(range(len(nodes))):
        if index in needed:
            needed.update(operands(nodes[index]))
    order = {index: place for place, index in enumerate(sorted(needed))}
    return tuple(_moved(nodes[index], order) for index in order), order


def _moved(node: Node, order: Mapping[int, int]) -> Node:
    match node:
        case Apply():
            return replace(node, operands=tuple(order[operand] for operand in node.operands))
        case Product() | Reduce():
            return replace(node, operand=order[node.operand])
        case _:
            return node


def _renumbered(node: Node, weights: list[int], sequences: list[int]) -> Node:
    match node:
        case Weight() | Product():
            return replace(node, index=weights.index(node.index))
        case Read(kind="sequence"):
            return replace(node, index=sequences.index(node.index))
        case _:
            return node


def _is_number(value: Any) -> bool:
    return isinstance(value, bool | int | float)


def views_in(value: Any) -> Iterator[View]:
    """The tensors among a call's arguments."""
    if isinstance(value, View):
        yield value
    elif isinstance(value, tuple | list):
        for part in value:
            yield from views_in(part)
    elif isinstance(value, dict):
        yield from views_in(list(value.values()))


def _replaced(value: Any, known: Mapping[View, Tensor]) -> Any:
    if isinstance(value, View):
        return known[value]
    if isinstance(value, tuple | list):
        return type(value)([_replaced(part, known) for part in value])
    if isinstance(value, dict):
        return {name: _replaced(part, known) for name, part in value.items() if name != "device"}
    return value
