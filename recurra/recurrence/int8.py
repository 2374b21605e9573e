"""Weights kept as int8, with a float32 scale for each row.

A module reads such a weight as the product of the two, a float32 matrix like any other: that is what it means, on every
path and device. A compiled loop multiplies by the int8 and scales what comes of it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float, Int8
from torch import Tensor, nn

from recurra.recurrence.graph import Graph, Value
from recurra.recurrence.lower import Lowered, needed, read_by, views_in
from recurra.recurrence.masks import moved
from recurra.recurrence.program import Product, Weight
from recurra.recurrence.record import View

LARGEST = 127
"""Of the int8 that are used: with -128 the range would not be symmetric."""

SUFFIXES = ("_int8", "_scale")
"""What is kept in place of a parameter, by the ends of its buffers' names."""


def rounded(weight: Float[Tensor, "N K"]) -> tuple[Int8[Tensor, "N K"], Float[Tensor, " N"]]:
    """The weight as int8 and scales: each row's largest number becomes ±127, the others the nearest of 255 values, so
    that none moves by more than half a scale. A row of zeros has the scale 1."""
    largest = weight.detach().abs().amax(1)
    scale = torch.where(largest > 0, largest / LARGEST, 1.0)
    return (weight.detach() / scale.unsqueeze(1)).round().clamp(-LARGEST, LARGEST).to(torch.int8), scale


def hold_as_int8(module: nn.Module, names: Sequence[str]) -> None:
    """Put buffers in the place of the module's own parameters of these names, matrices: ``W`` becomes ``W_int8`` and
    ``W_scale``, and reading ``module.W`` gives their product. The module stays the same object, of a subclass."""
    for name in names:
        for suffix, value in zip(SUFFIXES, rounded(module._parameters.pop(name)), strict=True):  # type: ignore[arg-type]
            module.register_buffer(name + suffix, value)
    module.__class__ = reading_int8(type(module), tuple(names))


def reading_int8(kind: type[nn.Module], names: tuple[str, ...]) -> type[nn.Module]:
    """The class of a module of ``kind`` whose weights ``names`` are kept as int8."""

    def weight(name: str) -> property:
        quantized, scale = (name + suffix for suffix in SUFFIXES)
        return property(lambda self: getattr(self, quantized) * getattr(self, scale).unsqueeze(1))

    def reduced(self: nn.Module, _: Any) -> tuple[Any, ...]:
        return _made_again, (kind, names), self.__getstate__()  # copies and pickles make the class anew

    own = {"__reduce_ex__": reduced, "__module__": kind.__module__}
    return type(kind.__name__, (kind,), own | {name: weight(name) for name in names})


def _made_again(kind: type[nn.Module], names: tuple[str, ...]) -> nn.Module:
    again = reading_int8(kind, names)
    return again.__new__(again)


def matrices(lowered: Lowered) -> list[str]:
    """The paths of the tensors of the cell that are matrices, and that the step does nothing with but multiply by."""
    vectors, sources = _vectors(lowered), enumerate(lowered.sources)
    whole = {index for index, (_, shape, picked) in sources if len(shape) == 2 and picked is None} - vectors
    chosen = {lowered.sources[index].view for index in whole}
    others = {source.view.storage for index, source in enumerate(lowered.sources) if index not in whole}
    others |= {view.storage for call in lowered.calls for view in views_in((call.args, call.kwargs))}
    return [path for path, view in lowered.trace.named.items() if view in chosen and view.storage not in others]


def by_int8(lowered: Lowered) -> Lowered:
    """The step with products by int8, where a float32 matrix that only products read is int8 times a scale for each of
    its rows. What a row of the matrix gives is scaled; where the matrix is read transposed, what the row is given."""
    found = dict(_kept_so(lowered)) if lowered.trace.dtype == torch.float32 else {}
    if not found:
        return lowered
    program = lowered.program
    scales = {index: len(program.weights) + place for place, index in enumerate(found)}
    graph, values = Graph(), list[Value]()
    for node in program.nodes:
        if isinstance(node, Product) and node.index in found:
            operand, scale = values[node.operand], graph.weight(scales[node.index], node.rows)
            where = node.index, node.rows, node.columns, node.transposed
            values.append(
                graph.product(operand * scale, *where) if node.transposed else graph.product(operand, *where) * scale
            )
        else:
            values.append(graph.add(moved(node, values)))
    sources = [
        source._replace(view=found[index][0]) if index in found else source
        for index, source in enumerate(lowered.sources)
    ]
    sources += [sources[index]._replace(view=found[index][1], shape=found[index][1].shape) for index in found]
    calls = needed(lowered.trace, lowered.calls, {source.view for source in sources})
    return replace(
        lowered,
        program=replace(
            program,
            weights=tuple(source.shape for source in sources),
            nodes=tuple(graph.nodes),
            next=tuple(values[node].index for node in program.next),
            outputs=tuple(values[node].index for node in program.outputs),
            int8=tuple(found),
        ),
        parameters=read_by(lowered.trace, calls, sources),
        sources=tuple(sources),
        calls=calls,
    )


def _kept_so(lowered: Lowered) -> Iterator[tuple[int, tuple[View, View]]]:
    """The weights that are such products, with their factors."""
    named = {view.storage: view for view in lowered.trace.named.values()}
    vectors = _vectors(lowered)
    made = {call.results[0]: call for call in lowered.calls if call.function is torch.ops.aten.mul.Tensor}
    for index, (view, shape, picked) in enumerate(lowered.sources):
        if view not in made or picked is not None or index in vectors:
            continue
        quantized, scale = (named.get(each.storage) if isinstance(each, View) else None for each in made[view].args)
        if quantized is None or scale is None or quantized.dtype != torch.int8:
            continue
        if shape == view.shape == quantized.shape and made[view].args[1].shape == (*scale.shape, 1) == (shape[0], 1):
            yield index, (quantized, scale)


def _vectors(lowered: Lowered) -> set[int]:
    """The weights that the step reads the numbers of."""
    return {node.index for node in lowered.program.nodes if isinstance(node, Weight)}
