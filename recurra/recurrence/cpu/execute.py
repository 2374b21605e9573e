"""Running a program on a processor: compile its loop once, then hand it tensors."""

import ctypes
from collections.abc import Generator
from functools import lru_cache
from math import ceil, prod
from typing import NamedTuple

import torch
from torch import Tensor

from recurra.recurrence.batched import (
    Arguments,
    Series,
    compute_deferred,
    compute_hoisted,
    hoisted_matrices,
    side_by_side,
)
from recurra.recurrence.collect import collect_rows, collect_weights
from recurra.recurrence.cpu import pool
from recurra.recurrence.cpu.factors import tile_memory
from recurra.recurrence.cpu.launch import Compiled, Launch, Memory, launch
from recurra.recurrence.cpu.layout import Layout, lay_out
from recurra.recurrence.cpu.loop import emit_loop
from recurra.recurrence.cpu.machine import DTYPES, DType, Machine, compile_module, host, lanes
from recurra.recurrence.cpu.products import kernels
from recurra.recurrence.cpu.room import room
from recurra.recurrence.cpu.tables import Table
from recurra.recurrence.cpu.team import BARRIER_BYTES
from recurra.recurrence.narrow import narrow, readable
from recurra.recurrence.packing import Full, Packing
from recurra.recurrence.program import Product, Program, operands, uses
from recurra.recurrence.schedule import schedule


class Outcome(NamedTuple):
    """What a run leaves behind; series of a ragged batch are packed, ``(N, width)``.

    Args:
        outputs: of every step, ``(T, B, width)``.
        states: the last ones, ``(B, width)``; a kept one is a view of its series.
        series: the states that were to be kept, after every step, ``(T, B, width)``.
        weights: gradients of weights, by weight.
        rows: gradients of rows, by row, ``(B, width)``.
    """

    outputs: list[Tensor]
    states: list[Tensor]
    series: dict[int, Tensor]
    weights: dict[int, Tensor]
    rows: dict[int, Tensor]


@lru_cache(maxsize=512)
def compile_program(
    program: Program,
    kept: frozenset[int],
    delayed: frozenset[int],
    dtype: DType,
    single: bool = False,
    packed: bool = True,
    machine: Machine | None = None,
    own: int | None = None,
    halves: frozenset[int] = frozenset(),
) -> Compiled:
    """Machine code for the loop of a program; the same for every number of steps and rows.

    Args:
        kept: the states wanted at every step.
        delayed: the sequences of which each step reads what belongs to the step before.
        single: for one step at a time: nothing is hoisted or deferred.
        packed: whether the loop packs weights, or reads them where they lie, which is faster for one step of few rows.
        machine: the host where it is not given.
        own: how many of the outputs are results; those that follow are remembered for a gradient.
        halves: sequences that come in bfloat16.
    """
    machine = machine or host()
    pool.pool()
    cut = schedule(program, single=single)
    pairs = packed and by_pairs(program, dtype, machine)
    series = narrow(cut, own, halves) if pairs else None
    layout = lay_out(cut, kept, delayed, lanes(machine, dtype), packed, series)
    products = kernels(machine, dtype, pairs)
    code = compile_module(emit_loop(layout, machine, dtype, products), machine, optimise=False)
    address = code.address("loop")
    function = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(address)
    nodes = map(layout.program.nodes.__getitem__, layout.products)
    work = sum(layout.places(node.depth) * node.width for node in nodes if isinstance(node, Product))
    tiles = tile_memory(layout, products)
    return Compiled(layout, code, function, address, code.address("share"), work, tiles, Table(layout, products))


def by_pairs(program: Program, dtype: DType, machine: Machine) -> bool:
    """Whether products are of operands rounded to bfloat16: where the machine cannot, or weights are int8, they are of
    float32."""
    return program.bfloat16 and not program.int8 and dtype == "float32" and machine.bfloat16 != ""


class Job(NamedTuple):
    """A program to be run over ``steps`` steps, at least one; for a ragged batch those of its packing.

    Args:
        kept: the states wanted after every step; an output that is one of them takes no memory of its own.
        own: how many of the outputs are results; those that follow are remembered for a gradient. Where products are of
            operands rounded to bfloat16, most of what is remembered is of bfloat16, and sequences may be.
    """

    program: Program
    given: Arguments
    steps: int
    kept: frozenset[int] = frozenset()
    own: int | None = None


class Prepared(NamedTuple):
    """A job with its loop: the arguments as that reads them, and one of them that others are to be like."""

    compiled: Compiled
    given: Arguments
    frame: Full | Packing
    kept: frozenset[int]
    like: Tensor


def execute(
    program: Program, given: Arguments, steps: int, kept: frozenset[int] = frozenset(), own: int | None = None
) -> Outcome:
    """Run a `Job`."""
    return run_alone(prepare(Job(program, given, steps, kept, own)))


def prepare(job: Job) -> Prepared:
    """Find the loop for a job."""
    program, given, steps, kept, own = job
    like = next(iter([*given.states, *given.sequences]))
    given, halves = _readable(program, given, DTYPES[like.dtype])
    frame = given.packing or Full(steps, like.shape[-2])
    compiled = compile_program(program, kept, frozenset(given.starts), DTYPES[like.dtype], own=own, halves=halves)
    return Prepared(compiled, given, frame, kept, like)


def run_alone(prepared: Prepared) -> Outcome:
    """Run a job's loop."""
    course = launches(prepared)
    while True:
        try:
            next(course).run()
        except StopIteration as end:
            return end.value


def launches(prepared: Prepared, loops: int = 1) -> Generator[Launch, None, Outcome]:
    """All that a job does but to launch its loop, which whoever takes these does before going on.

    Args:
        loops: how many run side by side, each on its part of the threads.
    """
    compiled, given, frame, kept, like = prepared
    steps, batch = frame.steps, frame.batch
    layout, cut = compiled.layout, compiled.layout.schedule
    states = list(given.states)
    states += [like.new_zeros(batch, width) for width in layout.program.states[len(states) :]]
    slots = [room(like, *(frame.sizes if i in kept else (2, batch)), w) for i, w in enumerate(layout.program.states)]
    for index in {*range(len(slots))} - kept if given.packing else ():
        slots[index][:] = states[index]  # where a row finds it at whichever step it begins
    starts, series = states, _room(layout, frame.sizes, like)
    memory = memory_for(compiled, batch, like, frame.counts, loops)
    piece = _piece(layout, given, steps, batch * like.element_size())
    matrices = hoisted_matrices(cut, given.weights, layout.pairs)
    for begin in range(0, max(steps, 1), max(piece, 1)):
        size = min(piece, steps - begin)
        if begin > 0:
            before = frame.slice(begin - 1, 1)
            states = [slot[before] if index in kept else slot[1] for index, slot in enumerate(slots)]
        here, packing = frame.slice(begin, size), given.packing and given.packing.part(begin, size)
        part = given._replace(sequences=[each[here] for each in given.sequences], states=states, packing=packing)
        hoisted = compute_hoisted(cut, part, size, matrices, layout.halves if layout.pairs else None)
        leaving = {node: series[node][here] for node in layout.leaving}
        after = [slot[here] if index in kept else slot for index, slot in enumerate(slots)]
        yield launch(compiled, size, batch, part, hoisted | leaving, after, memory, packed=begin > 0)
    if begin == 0:
        series |= hoisted
    for state in kept:
        series.setdefault(layout.program.next[state], slots[state])
    last = [
        frame.last(slot, start, kept=index in kept, backwards=layout.program.backwards)
        for index, (slot, start) in enumerate(zip(slots, starts, strict=True))
    ]
    return _outcome(layout, given, series, last, {index: slots[index] for index in kept})


@lru_cache(maxsize=512)
def output_types(program: Program, own: int, dtype: torch.dtype) -> list[torch.dtype]:
    """The types of what `execute` gives for each output."""
    if not by_pairs(program, DTYPES[dtype], host()):
        return [dtype] * len(program.outputs)
    cut = schedule(program)
    halves = narrow(cut, own)
    return [torch.bfloat16 if node in halves else dtype for node in cut.program.outputs]


def _readable(program: Program, given: Arguments, dtype: DType) -> tuple[Arguments, frozenset[int]]:
    """The arguments with the sequences that the loop can read, and which of them are of bfloat16."""
    rounded = frozenset(i for i, each in enumerate(given.sequences) if each.dtype == torch.bfloat16)
    if not rounded:
        return given, rounded
    left = readable(program, rounded) - frozenset(given.starts) if by_pairs(program, dtype, host()) else frozenset()
    sequences = [each.float() if i in rounded - left else each for i, each in enumerate(given.sequences)]
    return given._replace(sequences=sequences), left


def gathers(program: Program, steps: int, batch: int, dtype: DType) -> bool:
    """Whether the loop had better take products of inputs itself: see `Program`.

    Their results are then never written, and its tiles are as fast as torch's product or faster, where there are rows
    enough for what reading all weights once more in every step takes, or so little to do that another call costs more.
    A single row of bfloat16, for which a tile takes as long as for sixteen, is cheaper hoisted, but for few steps of
    few features.
    """
    elements = _elements(program)
    if by_pairs(program, dtype, host()):
        return batch > 1 or steps * elements < LITTLE[True]
    if steps == 1 or program.int8:
        return False
    team, by_rows = team_for(elements, batch)
    rows, own = (batch // team, elements) if by_rows else (batch, elements // team)  # of a thread
    many = rows >= min(max(2, own // ELEMENTS_A_ROW), MANY)
    return many or steps * batch * elements < LITTLE[False]


def rounding_pays(program: Program, steps: int, batch: int) -> bool:
    """Whether products of operands rounded to bfloat16 save a call more than it takes to prepare them."""
    return steps * batch * _elements(program) >= ROUNDED


ROUNDED = 40_000_000
"""Multiplications from which on they do."""


def _elements(program: Program) -> int:
    """Of all matrices: the multiplications of a row's step."""
    return sum(prod(shape) for shape in program.weights if len(shape) == 2)


def is_little(program: Program, steps: int, batch: int, dtype: DType, gradients: bool) -> bool:
    """Whether the loop is all there is to compute, and takes so little time that what comes around it counts."""
    return is_small(program, steps, batch, gradients) and gathers(program, steps, batch, dtype)


def is_small(program: Program, steps: int, batch: int, gradients: bool) -> bool:
    """Whether a call takes so little time that what comes around its loop counts."""
    weights = sum(prod(shape) for shape in program.weights)
    numbers = weights + sum(node.width for node in program.nodes)
    return weights <= CACHED and steps * batch * numbers < SHORT[gradients]


SHORT = {False: 200_000_000, True: 400_000_000}
"""Multiplications, of the loop forward, below which the Python around it is more than a twentieth of a call, without
gradients and with."""


LITTLE = {False: 15_000_000, True: 50_000_000}
"""Multiplications of what it takes to call torch, and for pairs to round and stack the weights."""

ELEMENTS_A_ROW, MANY = 45_000, 24
"""How many of the weights that a thread reads each of its rows pays for: a cache passes them on while the rows are
multiplied. So many rows pay for any."""

MOST_HOISTED, PIECE = 16 << 20, 8 << 20
"""Bytes of hoisted values above which they are computed for some steps at a time, and how many then: they stay in the
cache until the loop has read them, and the memory of all of them is not needed."""


def _piece(layout: Layout, given: Arguments, steps: int, row_bytes: int) -> int:
    """How many steps to take at a time, an even number where it is not all of them."""
    cut, program = layout.schedule, layout.program
    later = {*program.outputs, *(operand for node in cut.deferred for operand in operands(program.nodes[node]))}
    later |= {node for item in program.sums for node in uses(item)}
    places = sum(program.nodes[node].width / (1 + (node in layout.halves)) for node in cut.entering)
    bytes_each = ceil(row_bytes * places)
    whole = program.backwards or given.starts or not later.isdisjoint(cut.hoisted)
    if whole or bytes_each * steps <= MOST_HOISTED:
        return steps
    return max(2, PIECE // bytes_each // 2 * 2)


def memory_for(
    compiled: Compiled, batch: int, like: Tensor, counts: frozenset[int] = frozenset(), loops: int = 1
) -> Memory:
    """For ``batch`` rows; ``counts``: how many run at a time, if not all of them; ``loops``: run side by side."""
    layout = compiled.layout
    pairs = layout.pairs
    team, shared = team_for(compiled.work, batch, pairs=pairs, loops=loops)
    by_rows = batch + 1 if not shared else rows_to_share(compiled.work, team, pairs) if counts else 0
    tiles, row = compiled.tile_memory
    tensors = (
        torch.zeros(BARRIER_BYTES // 8, dtype=torch.int64),
        room(like, 2 * batch * layout.scratch_size),
        room(like, team * (tiles + row * batch)),
        room(like, layout.panels),
    )
    for rows in counts or {batch}:
        kernels = compiled.table.address(rows, team if rows >= by_rows else 1)
    return Memory(team, by_rows, tensors, kernels)


def _outcome(layout: Layout, given: Arguments, series: Series, last: list[Tensor], kept: dict[int, Tensor]) -> Outcome:
    cut, program = layout.schedule, layout.program
    if cut.deferred:
        series = series | compute_deferred(cut, given, series, layout.pairs)
    totals = {position: last[state] for position, state in cut.carried.items()}
    weights = collect_weights(program, given, series, totals, layout.pairs)
    rows = collect_rows(program, given, series, totals)
    return Outcome([series[node] for node in program.outputs], last[: len(given.states)], kept, weights, rows)


def _room(layout: Layout, sizes: tuple[int, ...], like: Tensor) -> Series:
    """Memory for what leaves the loop; side by side what one product will read."""
    width = {node: layout.program.nodes[node].width for node in layout.leaving}
    dtype = {node: torch.bfloat16 if node in layout.halves else like.dtype for node in layout.leaving}
    found: Series = {}
    for kind in sorted({*dtype.values()}, key=str):
        together = [node for node in side_by_side(layout.schedule) if dtype.get(node) == kind]
        columns = room(like, *sizes, sum(width[node] for node in together), dtype=kind)
        found |= zip(together, columns.split([width[node] for node in together], dim=-1), strict=True)
    alone = [node for node in layout.leaving if node not in found]
    return found | {node: room(like, *sizes, width[node], dtype=dtype[node]) for node in alone}


SMALLEST_SHARE = 20_000
"""Multiplications in one step below which threads cost more than they save."""


def team_for(
    work: int, batch: int, least: int = SMALLEST_SHARE, pairs: bool = False, loops: int = 1
) -> tuple[int, bool]:
    """How many threads for so many multiplications in a row's step, and whether they share rows or features.

    Args:
        least: multiplications in one step below which it is one thread.
        pairs: whether a multiplication is of two numbers in bfloat16.
        loops: how many run side by side, each on its part of the threads.
    """
    team = pool.threads() // loops
    if team <= 1 or work * batch < least:
        return 1, False
    return team, batch >= rows_to_share(work, team, pairs)


def rows_to_share(work: int, team: int, pairs: bool) -> int:
    """From how many rows on a team shares them."""
    few, many = ROWS_EACH[pairs]
    return team * (few if work <= CACHED else many)


CACHED = 500_000
"""Elements of the weights that fit into one core's cache, two mebibytes."""

ROWS_EACH = {False: (4, 12), True: (32, 64)}
"""Rows for each thread from which on sharing rows is faster than sharing features: nobody waits, but everyone reads all
weights. The second number holds where they do not fit into the cache. Tiles of pairs compute so fast that reading is
more of it, and take as long for one row as for sixteen."""
