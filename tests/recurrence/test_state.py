from typing import NamedTuple

import pytest
import torch

from recurra.recurrence.state import choose, detach, map_state, same_structure, select, tensors, time_steps


class Pair(NamedTuple):
    h: object
    s: object


def nested(rows=3):
    a, b, c, d = torch.arange(rows * 8.0).view(4, rows, 2)
    return {"one": Pair(h=a, s=[b, (c,)]), "two": d}


def test_map_keeps_records_lists_tuples_and_dictionaries():
    one = nested()
    result = map_state(torch.add, one, map_state(lambda leaf: leaf * 10, one))
    assert (
        isinstance(result["one"], Pair) and isinstance(result["one"].s, list) and isinstance(result["one"].s[1], tuple)
    )
    assert list(result) == ["one", "two"]
    for got, leaf in zip(tensors(result), tensors(one), strict=True):
        assert torch.equal(got, leaf * 11)


@pytest.mark.parametrize("walk", [lambda state: map_state(torch.neg, state), lambda state: list(tensors(state))])
def test_what_is_no_state_is_named(walk):
    with pytest.raises(TypeError, match="not str"):
        walk((torch.zeros(1), "h"))


def test_select_by_index_repeats_and_reorders_and_by_mask_drops():
    state = nested()
    for got, leaf in zip(tensors(select(state, torch.tensor([2, 0, 2, 2]))), tensors(state), strict=True):
        assert torch.equal(got, torch.stack([leaf[2], leaf[0], leaf[2], leaf[2]]))
    for got, leaf in zip(tensors(select(state, torch.tensor([False, True, True]))), tensors(state), strict=True):
        assert torch.equal(got, leaf[1:])


def test_structure_is_nesting_not_names_or_shapes():
    a = torch.zeros(1)
    assert same_structure(Pair(a, [a]), (torch.ones(5), (a,)))
    assert same_structure({"h": a}, {"h": a})
    for other in (a, (a,), (a, a, a), ((a, a), a), (a, {"h": a}), {"h": a, "s": a}):
        assert not same_structure((a, a), other)
    assert not same_structure({"h": a}, {"s": a})


def test_choose_takes_whole_rows_and_leaves_the_rest_without_gradient():
    yes = (torch.ones(3, 2, 2, requires_grad=True), torch.ones(3, requires_grad=True))
    no = tuple(torch.zeros_like(leaf, requires_grad=True) for leaf in yes)
    rows = torch.tensor([True, True, False])
    result = choose(rows, yes, no)
    for leaf in result:
        assert torch.equal(leaf, rows.double().view(-1, *[1] * (leaf.dim() - 1)).expand_as(leaf).float())
    sum(leaf.sum() for leaf in result).backward()
    assert torch.equal(yes[1].grad, torch.tensor([1.0, 1, 0])) and torch.equal(no[1].grad, torch.tensor([0.0, 0, 1]))


def test_detach_cuts_every_tensor():
    a = torch.ones(1, 1, requires_grad=True)
    assert not any(leaf.requires_grad for leaf in tensors(detach({"h": a * 2, "s": [a * 3]})))


def test_time_steps_are_the_slices_of_every_tensor():
    sequences = {"x": torch.rand(2, 3, 4), "mask": (torch.rand(2, 3),)}
    steps = list(time_steps(sequences))
    assert len(steps) == 3
    for t, step in enumerate(steps):
        assert torch.equal(step["x"], sequences["x"][:, t]) and torch.equal(step["mask"][0], sequences["mask"][0][:, t])
