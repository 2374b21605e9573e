"""Every sequence once an epoch, in batches that pad little and come in another order each time."""

import numpy as np
import pytest

from recurra.data.buckets import Buckets, by_length

LENGTHS = np.random.default_rng(0).geometric(0.06, size=2_000)


def batches(**options):
    options = {"seed": 0, "epoch": 0} | options
    buckets = Buckets(LENGTHS, 32, **options)
    return [buckets[number] for number in range(len(buckets))]


@pytest.mark.parametrize("most_steps", [None, 400])
def test_every_sequence_comes_once(most_steps):
    assert sorted(np.concatenate(batches(most_steps=most_steps))) == list(range(2_000))


def test_padding_is_counted_and_small():
    buckets = Buckets(LENGTHS, 32, seed=0, epoch=0)
    found = [buckets[number] for number in range(len(buckets))]
    padded = sum(len(batch) * LENGTHS[batch].max() for batch in found)
    assert buckets.padding == pytest.approx(1 - LENGTHS.sum() / padded)
    order = np.random.default_rng(1).permutation(2_000)
    random = sum(len(part) * LENGTHS[part].max() for part in np.array_split(order, 63))
    assert 4 * buckets.padding < 1 - LENGTHS.sum() / random


def test_order_follows_from_seed_and_epoch():
    same = zip(batches(), batches(), strict=True)
    assert all(np.array_equal(one, other) for one, other in same)
    firsts = {tuple(batches(seed=seed, epoch=epoch)[0]) for seed in (0, 1) for epoch in (0, 1)}
    assert len(firsts) == 4


def test_no_batch_has_more_steps_than_allowed():
    for batch in batches(most_steps=400):
        assert len(batch) == 1 or len(batch) * LENGTHS[batch].max() <= 400


def test_the_longest_stands_last():
    assert all(LENGTHS[batch].max() == LENGTHS[batch[-1]] for batch in batches())


def test_no_sequences_at_all():
    empty = Buckets([], 32, seed=0, epoch=0)
    assert len(empty) == 0 and empty.padding == 0


def test_by_length_from_the_shortest_on():
    found = by_length([5, 1, 9, 3, 1], 2, None)
    assert [batch.tolist() for batch in found] == [[1, 4], [3, 0], [2]]
    assert [batch.tolist() for batch in by_length([5, 1, 9, 3, 1], 3, 8)] == [[1, 4], [3], [0], [2]]
