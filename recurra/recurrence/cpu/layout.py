"""Where everything is while a loop runs: what the generated function is given, and in which order it is given it."""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from recurra.recurrence.cpu import pairs as bfloat16
from recurra.recurrence.program import Product, Program, Read, Weight, operands
from recurra.recurrence.schedule import Group, Schedule


class Tile(NamedTuple):
    """One call of the product kernel in each block: what is multiplied, and the columns of its result.

    Args:
        operand: the node that is multiplied.
        columns: for each vector of the result a product node, and which vector of the block it is.
        place: the first vector of the result in the block's working memory.
        accumulate: whether the result is added to what stands there.
        panel: where its packed weights begin, in elements of the float type.
        int8: whether these are of int8, four of which take the place of a float32.
    """

    operand: int
    columns: tuple[tuple[int, int], ...]
    place: int
    accumulate: bool
    panel: int
    int8: bool

    @property
    def kernel(self) -> tuple[int, bool]:
        """Which one: how many vectors it computes, and whether of int8."""
        return len(self.columns), self.int8


class Blocks(NamedTuple):
    """How the features of one width are cut: ``number`` blocks of ``vectors`` vectors of ``lanes``; the last one is
    moved back to end with the features, so that it may overlap the one before. ``offsets``: of a block's vectors."""

    width: int
    lanes: int
    vectors: int
    number: int
    offsets: tuple[int, ...]

    @property
    def size(self) -> int:
        return self.lanes * self.vectors


@dataclass(frozen=True, eq=False)
class Layout:
    """Everything the generator and the caller of a loop have to agree on. Two layouts are never equal.

    Args:
        schedule: what to compute.
        kept: states that are kept at every step, not only the last.
        delayed: sequences of which each step reads what belongs to the step before.
        packed: whether weights are packed before the loop; else they are read where they are.
        pairs: whether products are of operands rounded to bfloat16.
        lanes: elements of a vector register.
        sequences: sequences of the program that the loop reads.
        vectors: weights that are read as vectors.
        products: products computed in the loop.
        leaving: nodes that get a sequence of their own.
        scratch: the place of a node in the working memory of a row.
        scratch_size: of a row, in elements.
        blocks: by width.
        tiles: by stage and group.
        panels: the size of all packed weights, in elements.
        rounded: the operands that a stage's products need rounded, and where they stand, by stage.
        rounded_size: what they take of a row, in elements.
        halves: nodes whose series are of bfloat16.
    """

    schedule: Schedule
    kept: frozenset[int]
    delayed: frozenset[int]
    packed: bool
    pairs: bool
    lanes: int
    sequences: tuple[int, ...]
    vectors: tuple[int, ...]
    products: tuple[int, ...]
    leaving: tuple[int, ...]
    scratch: dict[int, int]
    scratch_size: int
    blocks: dict[int, Blocks]
    tiles: dict[tuple[int, int], tuple[Tile, ...]]
    panels: int
    rounded: tuple[dict[int, int], ...]
    rounded_size: int
    halves: frozenset[int]

    @property
    def program(self) -> Program:
        return self.schedule.program

    def places(self, depth: int) -> int:
        """How many elements ``depth`` numbers of an operand take in a product."""
        return bfloat16.places(depth) if self.pairs else depth


WORDS = ("steps", "batch", "by_rows", "alone", "barrier", "scratch", "tiles", "panels", "kernels", "packed", "begins")
"""The first arguments: numbers and addresses. Where ``packed`` is not 0 the panels hold the weights already. Threads
share rows where ``by_rows`` of them run, or more. ``begins`` is null, or says of a ragged batch where each step's rows
begin, as `packing.Packing` has it; a series then has the same stride for steps and for rows."""

NUMBERS = {"steps", "batch", "by_rows", "alone", "packed"}


@lru_cache(maxsize=1024)
def arguments(layout: Layout) -> list[tuple[str, int, str]]:
    """What follows them: (kind, index, and for each word whether it is an address "a" or a stride "s" in elements).

    A delayed sequence gives each step what belongs to the step before, and has a tensor for the first step; so has a
    state, whose other tensor holds what the steps leave.
    """
    plain = [index for index in layout.sequences if index not in layout.delayed]
    return [
        *(("sequence", index, "ass") for index in plain),
        *(("delayed", index, "assas") for index in layout.sequences if index in layout.delayed),
        *(("entering", node, "ass") for node in layout.schedule.entering),
        *(("row", index, "as") for index in range(len(layout.program.rows))),
        *(("vector", index, "a") for index in layout.vectors),
        *(("product", node, "ass") for node in layout.products),
        *(("state", index, "aa") for index in range(len(layout.program.states))),
        *(("leaving", node, "ass") for node in layout.leaving),
    ]


def lay_out(
    schedule: Schedule,
    kept: frozenset[int],
    delayed: frozenset[int],
    lanes: int,
    packed: bool,
    halves: frozenset[int] | None = None,
) -> Layout:
    """Find a place for everything; the arguments are those of `Layout`, with no ``halves`` but None where products are
    not of rounded operands."""
    program, pairs = schedule.program, halves is not None
    inside = [node for stage in schedule.stages for group in stage.groups for node in (*group.products, *group.nodes)]
    parts = [
        part for stage in schedule.stages for group in stage.groups for ps in group.products.values() for part in ps
    ]
    reduces = [node for stage in schedule.stages for node in stage.reduces]
    read = {operand for node in (*inside, *parts, *reduces) for operand in operands(program.nodes[node])}
    leaves = [program.nodes[node] for node in sorted(read)]
    kept_nodes = {program.next[index] for index in kept}
    leaving = tuple(node for node in schedule.leaving if node not in kept_nodes)
    homeless = _homeless(schedule, set(leaving), packed)
    scratch, size = {}, 0
    for node in [*reduces, *homeless]:
        scratch[node] = size
        size += program.nodes[node].width
    blocks = _blocks(schedule, lanes)
    tiles, panels = _tiles(schedule, blocks, lanes, pairs) if packed else ({}, 0)
    rounded = _rounded(schedule, pairs)
    return Layout(
        schedule,
        kept,
        delayed,
        packed,
        pairs,
        lanes,
        tuple(sorted({leaf.index for leaf in leaves if isinstance(leaf, Read) and leaf.kind == "sequence"})),
        tuple(sorted({leaf.index for leaf in leaves if isinstance(leaf, Weight)})),
        tuple(sorted(parts)),
        leaving,
        scratch,
        size,
        blocks,
        tiles,
        panels,
        *rounded,
        halves or frozenset(),
    )


def _homeless(schedule: Schedule, leaving: set[int], packed: bool) -> list[int]:
    """Nodes that are stored though they are no result; without packing also every product."""
    at_home = leaving | {*schedule.program.next}
    groups = [group for stage in schedule.stages for group in stage.groups]
    stored = [node for group in groups for node in group.stores if node not in at_home]
    return stored if packed else sorted({*stored, *(node for group in groups for node in group.products)} - at_home)


COLUMNS = 4
"""Vectors of a product kernel: with six rows they fill the 32 registers of AVX-512."""

SLOWNESS = {1: 1.6, 2: 1.2, 3: 1.05}
"""What a kernel of fewer vectors costs for each, measured; of `COLUMNS` or more: 1."""


def _blocks(schedule: Schedule, lanes: int) -> dict[int, Blocks]:
    found: dict[int, Blocks] = {}
    groups = [group for stage in schedule.stages for group in stage.groups]
    for width in {group.width for group in groups}:
        own = [group for group in groups if group.width == width]
        abreast = max((_most_abreast(schedule.program, group) for group in own), default=0)
        found[width] = _cut(width, lanes, abreast)
    return found


def _most_abreast(program: Program, group: Group) -> int:
    """The most products that one operand begins."""
    operands_of = [program.nodes[part].operand for parts in group.products.values() for part in parts]  # type: ignore[union-attr]
    return max((operands_of.count(operand) for operand in operands_of), default=0)


def _cut(width: int, lanes: int, abreast: int) -> Blocks:
    """Blocks of as many vectors as keep the kernel busy without computing much twice."""
    if width < lanes:
        size = 1 << (width.bit_length() - 1)
        starts = sorted({*range(0, width - size + 1, size), width - size})
        return Blocks(width, size, 1, 1, tuple(starts))

    def cost(vectors: int) -> float:
        computed = -(-width // (vectors * lanes)) * vectors * lanes
        return computed * SLOWNESS.get(vectors * abreast, 1.0)

    most = min(width // lanes, max(1, COLUMNS // abreast if abreast else 1))
    vectors = min(range(1, most + 1), key=lambda count: (cost(count), -count))
    count = -(-width // (vectors * lanes))
    return Blocks(width, lanes, vectors, count, tuple(range(0, vectors * lanes, lanes)))


def _tiles(
    schedule: Schedule, blocks: dict[int, Blocks], lanes: int, pairs: bool
) -> tuple[dict[tuple[int, int], tuple[Tile, ...]], int]:
    """The kernel calls of each group, and the size of all their panels."""
    found: dict[tuple[int, int], tuple[Tile, ...]] = {}
    size = 0
    for stage, its in enumerate(schedule.stages):
        for position, group in enumerate(its.groups):
            tiles = []
            calls = _calls(schedule.program, group, blocks[group.width].vectors)
            for operand, columns, place, accumulate, int8 in calls:
                first = schedule.program.nodes[columns[0][0]]
                assert isinstance(first, Product)
                tiles.append(Tile(operand, columns, place, accumulate, size, int8))
                places = bfloat16.places(first.depth) if pairs else first.depth
                size += blocks[group.width].number * places * len(columns) * lanes // (4 if int8 else 1)
            found[stage, position] = tuple(tiles)
    return found, size


def _rounded(schedule: Schedule, pairs: bool) -> tuple[tuple[dict[int, int], ...], int]:
    """Where each stage's operands stand, and the most that a stage takes."""
    program, found, most = schedule.program, [], 0
    for stage in schedule.stages if pairs else ():
        parts = [program.nodes[part] for group in stage.groups for parts in group.products.values() for part in parts]
        places, size = {}, 0
        for operand in sorted({operand for part in parts for operand in operands(part)}):
            places[operand] = size
            size += bfloat16.row_places(program.nodes[operand].width)
        found.append(places)
        most = max(most, size)
    return tuple(found), most


def _calls(
    program: Program, group: Group, vectors: int
) -> list[tuple[int, tuple[tuple[int, int], ...], int, bool, bool]]:
    """Runs of neighbouring results that one operand contributes to: (operand, columns, place, accumulate, int8)."""
    runs: list[tuple[int, list[tuple[int, int]], int, bool, bool]] = []
    turns = max((len(parts) for parts in group.products.values()), default=0)
    for turn in range(turns):
        for place, parts in enumerate(group.products.values()):
            if turn >= len(parts):
                continue
            node = program.nodes[parts[turn]]
            assert isinstance(node, Product)
            int8 = node.index in program.int8
            columns = [(parts[turn], vector) for vector in range(vectors)]
            last = runs[-1] if runs else None
            fits = (
                last is not None
                and last[0] == node.operand
                and last[3] == (turn > 0)
                and last[4] == int8
                and last[2] + len(last[1]) == place * vectors
                and len(last[1]) + vectors <= max(COLUMNS, vectors)
            )
            if fits and last is not None:
                last[1].extend(columns)
            else:
                runs.append((node.operand, columns, place * vectors, turn > 0, int8))
    return [(operand, tuple(columns), place, accumulate, int8) for operand, columns, place, accumulate, int8 in runs]
