"""Ragged batches without padding: torch's PackedSequence for where things stand, each row by itself for what is
computed, and the interpreted program for the compiled loop."""

import random
from dataclasses import replace

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from recurra.cells import LSTM
from recurra.layers import Recurrent
from recurra.recurrence import batched, collect
from recurra.recurrence.batched import Arguments
from recurra.recurrence.cpu import execute as engine
from recurra.recurrence.cpu import pool
from recurra.recurrence.gradient import Wanted, differentiate
from recurra.recurrence.graph import Graph
from recurra.recurrence.interpret import interpret
from recurra.recurrence.packing import Packing, pack, pack_lengths, pick, unpack
from recurra.recurrence.program import Outer, Reduce, Span, Total
from tests.recurrence.programs import CELLS, Inputs, finish, gru, highway, inputs, layer_norm, lstm
from tests.recurrence.random_programs import random_program

RAGGED = {
    "all kinds": [3, 0, 6, 1, 6, 2, 0],
    "one longest": [1, 5, 1, 1],
    "all alike": [4, 4, 4],
    "ones": [1, 1, 1, 1],
    "a single row": [5],
    "a single step": [1],
    "one of many": [0, 0, 2, 0, 0],
    "none": [0, 0, 0],
}
LENGTHS = pytest.mark.parametrize("lengths", RAGGED.values(), ids=RAGGED)


@pytest.mark.parametrize("time_first", [False, True])
@pytest.mark.parametrize("lengths", [[3, 1, 6, 1, 6, 2], [4, 4, 4], [5], [1]])
def test_rows_are_packed_as_torch_packs_them(lengths, time_first):
    steps = max(lengths) + 2
    x = torch.randn(len(lengths), steps, 3, dtype=torch.float64, requires_grad=True)
    given = x.transpose(0, 1).contiguous().transpose(0, 1) if time_first else x
    packing = pack_lengths(torch.tensor(lengths, dtype=torch.int32))
    want = pack_padded_sequence(x, torch.tensor(lengths), batch_first=True, enforce_sorted=False)
    assert packing.running == want.batch_sizes.tolist() and packing.counts == {*packing.running}
    assert packing.lengths == sorted(lengths, reverse=True)
    # of rows of one length torch may take another first
    packing = Packing(packing.running, len(lengths), want.sorted_indices.tolist())
    assert packing.lengths == sorted(lengths, reverse=True)
    assert torch.equal(packing.unsorted(), want.unsorted_indices)
    found = pack(given, packing)
    assert torch.equal(found, want.data)
    whole = unpack(found, packing, steps)
    assert torch.equal(whole, pad_packed_sequence(want, batch_first=True, total_length=steps)[0])
    weight = torch.randn_like(whole)
    gradients = [torch.autograd.grad((each * weight).sum(), x, retain_graph=True)[0] for each in (whole, x)]
    inside = torch.arange(steps) < torch.tensor(lengths)[:, None]
    assert torch.equal(gradients[0], gradients[1] * inside[..., None])


@LENGTHS
def test_places_before_at_the_end_and_backwards(lengths):
    packing = pack_lengths(torch.tensor(lengths))
    longest_first = sorted(lengths, reverse=True)
    at = [(t, r) for t in range(max(lengths)) for r, length in enumerate(longest_first) if length > t]
    place = {pair: number for number, pair in enumerate(at)}
    assert list(zip(*(each.tolist() for each in packing.steps_and_rows), strict=True)) == at
    assert packing.begins.tolist() == [0, *(place.get((t, 0), len(at)) for t in range(max(lengths) + 1))]
    assert packing.before.tolist() == [place[t - 1, r] for t, r in at if t > 0]
    assert packing.ends.tolist() == [place[length - 1, r] for r, length in enumerate(longest_first) if length > 0]
    assert packing.backwards.tolist() == [place[longest_first[r] - 1 - t, r] for t, r in at]
    for begin in range(max(lengths)):
        part = packing.part(begin, max(lengths) - begin)
        assert part.lengths == [max(length - begin, 0) for length in longest_first]
        here = packing.slice(begin, max(lengths) - begin)
        assert (here.start, here.stop) == (place[begin, 0], len(at))


def close(found, want, tolerance):
    """Within the rounding of float64, of the largest number."""
    scale = max(1.0, float(want.abs().max())) if want.numel() else 1.0
    torch.testing.assert_close(found, want, rtol=0, atol=tolerance * scale)


def ragged_inputs(program, lengths, dtype=torch.float64):
    """A packing, and random inputs whose sequences are packed."""
    packing = pack_lengths(torch.tensor(lengths))
    numbers = inputs(program, max(lengths), len(lengths), dtype)
    sequences = [pack(each.transpose(0, 1), Packing(packing.running, len(lengths))) for each in numbers.sequences]
    return packing, Inputs(sequences, *numbers[1:])


@LENGTHS
@pytest.mark.parametrize("backwards", [False, True])
def test_the_meaning_of_a_ragged_run_is_that_of_each_row_by_itself(lengths, backwards):
    program = replace(lstm(), backwards=backwards)
    total = Total("row", 0, Span(0, 5), program.outputs[0])
    outer = Outer(1, Span(0, 5), Span(0, 5), *program.outputs, *program.outputs)
    program = replace(program, rows=(5,), sums=(total, outer))
    packing, given = ragged_inputs(program, lengths)
    found = interpret(program, *given, packing=packing)
    outputs = unpack(found.outputs[0], Packing(packing.running, len(lengths)), max(lengths) or 1)
    of_all = torch.zeros(5, 5, dtype=torch.float64)
    for row, length in enumerate(packing.lengths):
        x = given.sequences[0][(packing.steps_and_rows[1] == row).nonzero()[:, 0]]
        starts = [state[row : row + 1] for state in given.states]
        alone = interpret(program, [x[:, None]], starts, [given.rows[0][row : row + 1]], given.weights, steps=length)
        close(outputs[row, :length], alone.outputs[0][:, 0], 1e-14)
        assert not outputs[row, length:].any()
        for one, other in zip(found.states, alone.states, strict=True):
            close(one[row], other[0], 1e-14)
        close(found.sums[0][row], alone.sums[0][0], 1e-14)
        of_all += alone.sums[1]
    close(found.sums[1], of_all, 1e-13)


def everything(program):
    return Wanted(*((True,) * len(each) for each in (program.sequences, program.weights, program.rows)))


def assert_runs_as_interpreted(program, lengths, kept=frozenset()):
    packing, given = ragged_inputs(program, lengths)
    found = engine.execute(program, Arguments(*given, packing=packing), packing.steps, kept)
    want = interpret(program, *given, steps=packing.steps, packing=packing)
    for one, other in zip([*found.outputs, *found.states], [*want.outputs, *want.states], strict=True):
        close(one, other, 1e-13)
    sums = {"weight": found.weights, "row": found.rows}
    totals = {"weight": [torch.zeros_like(each) for each in given.weights], "row": [0 * each for each in given.rows]}
    for item, value in zip(program.sums, want.sums, strict=True):
        kind, spans = ("weight", (item.rows, item.columns)) if isinstance(item, Outer) else (item.kind, (item.span,))
        totals[kind][item.index][(..., *(slice(span.start, span.start + span.size) for span in spans))] += value
    for kind, results in sums.items():
        for index, one in results.items():
            other = totals[kind][index]
            close(one, other, 1e-13)


def has_maximum(program):
    """Its adjoint has to be given the very numbers that the maximum was taken of."""
    return any(isinstance(node, Reduce) and node.operation == "max" for node in program.nodes)


@LENGTHS
@pytest.mark.parametrize("name", CELLS)
def test_the_loop_runs_a_ragged_batch_forward_and_backward(name, lengths):
    adjoint = differentiate(CELLS[name], everything(CELLS[name]))
    for kept in (frozenset(), frozenset(range(len(CELLS[name].states)))):
        assert_runs_as_interpreted(adjoint.forward, lengths, kept)
    if not has_maximum(CELLS[name]):
        assert_runs_as_interpreted(adjoint.backward, lengths)


@pytest.mark.parametrize("seed", range(20))
def test_any_program_runs_a_ragged_batch(seed):
    draw = random.Random(seed)
    program = random_program(draw)
    lengths = [draw.randint(0, 5) for _ in range(draw.randint(1, 6))]
    adjoint = differentiate(program, everything(program))
    for half in adjoint[: 1 if has_maximum(program) else 2]:
        assert_runs_as_interpreted(half, lengths)


def row_outside(before):
    """A row, and products of it and of an input, as a sum over rows and steps: none of it within the loop."""
    graph = Graph()
    x, row = graph.read("sequence", 0, 3), graph.read("row", 0, 3)
    whole = Span(0, 3)
    product = graph.product(x * row, 0, whole, whole)
    h = (graph.read("state", 0, 3) + (product if before else x)).apply("tanh")
    program = finish(graph, [h], [product], sequences=[3], rows=[3], weights=[(3, 3)])
    return replace(program, sums=(Total("row", 0, whole, product.index), Outer(0, whole, whole, row.index, h.index)))


@pytest.mark.parametrize("before", [True, False])
def test_rows_outside_the_loop_stand_beside_their_own_steps(before):
    assert_runs_as_interpreted(row_outside(before), RAGGED["all kinds"])


@LENGTHS
def test_a_delayed_sequence_begins_with_its_start(lengths):
    program = lstm(5, 5)
    packing, given = ragged_inputs(program, lengths)
    start = torch.randn(len(lengths), 5, dtype=torch.float64)
    first = packing.total - len(packing.before)
    moved = torch.cat([start[:first], given.sequences[0][packing.before]])
    late = Arguments(*given, starts={0: start}, packing=packing)
    found = engine.execute(program, late, packing.steps)
    want = interpret(program, [moved], *given[1:], packing=packing)
    for one, other in zip([*found.outputs, *found.states], [*want.outputs, *want.states], strict=True):
        close(one, other, 1e-14)


def test_a_ragged_loop_in_pieces(monkeypatch):
    """Where the hoisted values of all steps would be too many: two steps at a time; rows end in any of the pieces."""
    monkeypatch.setattr(engine, "MOST_HOISTED", 0)
    monkeypatch.setattr(engine, "PIECE", 1)
    for program in (lstm(3, 17), gru("before", 3, 9)):
        for lengths in ([7, 0, 5, 1, 4, 2, 7], [6, 2, 2], [1, 0]):
            for kept in (frozenset(), frozenset(range(len(program.states)))):
                assert_runs_as_interpreted(program, lengths, kept)


PROGRAMS = {
    "one stage": lambda hidden: lstm(3, hidden),
    "two stages": lambda hidden: gru("before", 3, hidden),
    "depth two": lambda hidden: highway(3, hidden),
    "sums over the features": lambda hidden: layer_norm(3, hidden),
}


@pytest.mark.skipif(pool.pool() is None, reason="PyTorch has no OpenMP pool here that can be found")
@pytest.mark.parametrize("fewest", [0, 4, 100], ids=["rows shared", "while there are four", "features shared"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_every_team_gives_the_same_bits_as_rows_end_and_begin(program, fewest, monkeypatch):
    """Few rows and many, more than threads and less; forward, and backward, where rows begin at any step."""

    def run(half, packing, numbers, team):
        monkeypatch.setattr(engine, "team_for", lambda work, batch, **_: (team, fewest < 100))
        monkeypatch.setattr(engine, "rows_to_share", lambda work, team, pairs: fewest)
        outcome = engine.execute(half, Arguments(*numbers, packing=packing), packing.steps)
        return [*outcome.outputs, *outcome.states]

    for hidden, lengths in ((1, [2]), (17, [9, 0, 3, 3, 1, 8, 8]), (96, [5, 4]), (33, [*range(14)])):
        step = PROGRAMS[program](hidden)
        for half in differentiate(step, everything(step))[:2]:
            packing, numbers = ragged_inputs(half, lengths, torch.float32)
            alone = run(half, packing, numbers, 1)
            for team in (2, 3, 5):
                for one, other in zip(run(half, packing, numbers, team), alone, strict=True):
                    assert torch.equal(one, other), (hidden, lengths, team)


def test_no_product_sees_padding(monkeypatch):
    """Of the large products of a call, those of the input, and of the gradients of weights and of the input."""
    lengths = torch.tensor([9, 1, 4, 0, 2])
    layer, x = Recurrent(LSTM(3, 7)), torch.randn(5, 11, 3, requires_grad=True)
    layer(x, lengths=lengths)[0].sum().backward()
    sizes = []
    real = batched.product_of

    def product_of(left, right, *more):
        sizes.append({*left.shape, *right.shape} - {3, 7, 28})
        return real(left, right, *more)

    monkeypatch.setattr(batched, "product_of", product_of)
    monkeypatch.setattr(collect, "product_of", product_of)
    layer(x, lengths=lengths)[0].sum().backward()
    assert len(sizes) >= 3 and all(max(size) <= 16 for size in sizes)


def test_picking_rows_has_a_gradient_of_a_gradient():
    x = torch.randn(4, 2, dtype=torch.float64, requires_grad=True)
    places = torch.tensor([2, 0])
    assert torch.autograd.gradgradcheck(lambda x: pick(x, places).square(), x)
    assert pick(x, None) is x
