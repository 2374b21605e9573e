"""Taggings scored one by one, in plain Python, beside the sums, gradients and best ones of the layer."""

from itertools import product

import pytest
import torch

from recurra.layers.crf import CRF

K = 3


def layer_of(dtype=torch.float64, **masks):
    draw = torch.manual_seed(0)
    layer = CRF(K, **masks).to(dtype)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=draw))
    return layer


def problem(batch=4, steps=5, dtype=torch.float64):
    draw = torch.manual_seed(1)
    e = torch.randn(batch, steps, K, generator=draw, dtype=torch.float64).to(dtype)
    return e, torch.tensor([5, 1, 3, 2])[:batch]


def every(layer, e, length):
    """All allowed taggings of a row with their scores."""
    A, allowed = layer.sums.cell.A, layer.sums.cell.allowed
    for tags in product(range(K), repeat=length):
        if (
            layer.first[tags[0]]
            and layer.last[tags[-1]]
            and all(allowed[pair] for pair in zip(tags, tags[1:], strict=False))
        ):
            score = layer.a[tags[0]] + layer.b[tags[-1]] + sum(e[t, tag] for t, tag in enumerate(tags))
            yield tags, score + sum(A[pair] for pair in zip(tags, tags[1:], strict=False))


def log_sum(layer, e, length):
    return torch.stack([score for _, score in every(layer, e, length)]).logsumexp(0)


MASKS = {
    "all": {},
    "some": {
        "allowed": torch.tensor([[True, False, True], [True, True, False], [False, True, True]]),
        "first": torch.tensor([True, True, False]),
        "last": torch.tensor([False, True, True]),
    },
}
masked = pytest.mark.parametrize("masks", MASKS.values(), ids=MASKS)


def padded(rows, steps=5):
    return torch.tensor([[*row, *[-1] * (steps - len(row))] for row in rows])


@masked
def test_likelihoods_and_their_gradients(masks):
    layer, (e, lengths) = layer_of(**masks), problem()
    e.requires_grad_()
    rows = [max(every(layer, e[i], n), key=lambda pair: hash(pair[0]))[0] for i, n in enumerate(lengths.tolist())]
    found = layer.log_likelihood(e, padded(rows), lengths)
    scores = [dict(every(layer, e[i], n))[rows[i]] for i, n in enumerate(lengths.tolist())]
    wanted = torch.stack([s - log_sum(layer, e[i], n) for i, (s, n) in enumerate(zip(scores, lengths, strict=True))])
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)
    leaves = [e, *layer.parameters()]
    weights = torch.tensor([1.0, -0.5, 2.0, 0.3], dtype=torch.float64)
    pairs = zip(*(torch.autograd.grad((each * weights).sum(), leaves) for each in (found, wanted)), strict=True)
    for one, other in pairs:
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-12)


@masked
def test_probabilities_of_single_tags(masks):
    layer, (e, lengths) = layer_of(**masks), problem()
    found = layer.marginals(e, lengths)
    for i, length in enumerate(lengths.tolist()):
        wanted, total = torch.zeros(5, K, dtype=torch.float64), log_sum(layer, e[i], length)
        for tags, score in every(layer, e[i], length):
            for t, tag in enumerate(tags):
                wanted[t, tag] += (score - total).exp().detach()
        torch.testing.assert_close(found[i], wanted, rtol=1e-12, atol=1e-12)


@masked
def test_the_best_tagging(masks):
    layer, (e, lengths) = layer_of(**masks), problem()
    found = layer.decode(e, lengths)
    best = [max(every(layer, e[i], n), key=lambda pair: pair[1]) for i, n in enumerate(lengths.tolist())]
    assert torch.equal(found.tags, padded([tags for tags, _ in best]))
    torch.testing.assert_close(found.scores, torch.stack([score for _, score in best]).detach(), rtol=1e-13, atol=0)


def test_float32_and_scores_far_apart():
    layer, (e, lengths) = layer_of(), problem()
    e = 60 * e
    exact = torch.stack([log_sum(layer, e[i], n) for i, n in enumerate(lengths.tolist())])
    tags = layer.decode(e, lengths).tags
    small = layer_of(torch.float32)
    found = small.log_likelihood(e.float(), tags, lengths)
    scores = torch.stack(
        [dict(every(layer, e[i], n))[tuple(tags[i, :n].tolist())] for i, n in enumerate(lengths.tolist())]
    )
    torch.testing.assert_close(found.double(), scores - exact, rtol=0, atol=1e-4)  # roundings of scores up to 500
    assert small.marginals(e.float(), lengths).isfinite().all()


def test_autocast_changes_nothing():
    layer, (e, lengths) = layer_of(torch.float32), problem()
    e = e.bfloat16()
    tags = layer.decode(e.float(), lengths).tags
    with torch.autocast("cpu", torch.bfloat16):
        found = layer.log_likelihood(e, tags, lengths), layer.marginals(e, lengths), layer.decode(e, lengths).scores
    wanted = [layer.log_likelihood(e.float(), tags, lengths), layer.marginals(e.float(), lengths)]
    for one, other in zip(found, [*wanted, layer.decode(e.float(), lengths).scores], strict=True):
        assert torch.equal(one, other)


def test_the_sum_over_taggings_runs_as_a_compiled_loop():
    layer, (e, lengths) = layer_of(torch.float32), problem(dtype=torch.float32)
    layer.log_likelihood(e, torch.zeros(4, 5, dtype=torch.int64), lengths)
    assert str(layer.sums.explain()).startswith("_Forward runs as one compiled loop")


def test_what_is_refused():
    layer, (e, lengths) = layer_of(**MASKS["some"]), problem()
    with pytest.raises(ValueError, match="not allowed to follow each other"):
        layer.log_likelihood(e, torch.tensor([[0, 1, 1, 1, 1]] * 4), lengths)
    with pytest.raises(ValueError, match=r"e must be \(batch, time, 3\), got \(4, 5, 2\)"):
        layer.decode(e[..., :2])
    with pytest.raises(ValueError, match=r"lengths must be \(4,\) in 1 to 5"):
        layer.decode(e, torch.tensor([5, 0, 1, 2]))
    with pytest.raises(ValueError, match="tags must be at least 1, got 0"):
        CRF(0)
    with pytest.raises(ValueError, match=r"allowed must be \(3, 3\), got \(2, 3\)"):
        CRF(3, torch.ones(2, 3, dtype=torch.bool))
