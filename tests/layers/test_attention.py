"""Attention beside sums over places, written out."""

import pytest
import torch

from recurra.layers.attention import AdditiveAttention, DotAttention, covered

Q, M, A = 4, 3, 5


def scored(layer, query, value):
    if isinstance(layer, DotAttention):
        return query @ (layer.key(value) if value.shape[0] == M else value)
    return layer.score(torch.tanh(layer.query(query) + layer.key(value)))[0]


@pytest.mark.parametrize("kind", ["dot", "additive"])
def test_weights_and_means_of_each_row(kind):
    torch.manual_seed(0)
    layer = (DotAttention(Q, M) if kind == "dot" else AdditiveAttention(Q, M, A)).double()
    queries, values, lengths = torch.randn(2, 6, Q).double(), torch.randn(2, 5, M).double(), torch.tensor([5, 2])
    found = layer(queries, layer.remember(values, lengths))
    for row, length in enumerate(lengths.tolist()):
        for t in range(6):
            scores = torch.stack([scored(layer, queries[row, t], values[row, s]) for s in range(length)])
            weights = scores.softmax(0)
            torch.testing.assert_close(found.weights[row, t, :length], weights)
            torch.testing.assert_close(found.contexts[row, t], weights @ values[row, :length])
    assert not found.weights[1, :, 2:].any()


def test_what_stands_behind_a_row_is_not_read():
    layer, values = DotAttention(Q, M), torch.randn(1, 4, M)
    other = values.clone()
    other[0, 2:] = torch.nan
    lengths, queries = torch.tensor([2]), torch.randn(1, 3, Q)
    one, two = (layer(queries, layer.remember(each, lengths)).contexts for each in (values, other))
    assert torch.equal(one, two)


def test_a_plain_dot_product_needs_equal_sizes():
    with pytest.raises(ValueError, match="a plain dot product needs equal sizes, got 4 and 3"):
        DotAttention(Q, M, weighted=False)
    layer, values = DotAttention(M, M, weighted=False), torch.randn(2, 4, M)
    found = layer(values[:, :1], layer.remember(values))
    torch.testing.assert_close(found.weights[:, 0], (values @ values[:, 0, :, None]).squeeze(2).softmax(1))


def test_attention_that_covers_goes_by_the_weights_before():
    torch.manual_seed(0)
    layer = AdditiveAttention(Q, M, A, covers=True).double()
    queries, values = torch.randn(2, 3, Q).double(), torch.randn(2, 5, M).double()
    memory, sums = layer.remember(values, torch.tensor([5, 2])), torch.zeros(2, 5, dtype=torch.float64)
    for t in range(3):
        _, weights = layer(queries[:, t : t + 1], memory)
        memory = covered(memory, weights)
        for row, length in enumerate((5, 2)):
            inner = layer.query(queries[row, t]) + layer.key(values[row]) + layer.seen(sums[row, :, None])
            scores = layer.score(torch.tanh(inner))[:length, 0]
            torch.testing.assert_close(weights[row, 0, :length], scores.softmax(0))
        sums = sums + weights[:, 0]
    torch.testing.assert_close(memory.seen, sums)
