"""Narrowed distributions against brute force; draws against their probabilities."""

import math

import pytest
import torch

from recurra.decoding.sampling import narrow, sample

LOGITS = torch.tensor([[2.0, -1.0, 0.5, 0.5, 3.0, -4.0], [0.0, 0.0, 0.0, 0.0, 0.0, 0.1]])


def brute_force(logits, temperature, top_k, top_p):
    """One row at a time in plain Python: the likeliest first, of equals the one with the smaller number."""
    result = []
    for row in logits.double().tolist():
        weights = [math.exp((value - max(row)) / temperature) for value in row]
        order = sorted(range(len(row)), key=lambda token: (-weights[token], token))[:top_k]
        total, reached, kept = sum(weights[token] for token in order), 0.0, []
        for token in order:
            if top_p is None or reached < top_p:
                kept.append(token)
            reached += weights[token] / total
        mass = sum(weights[token] for token in kept)
        result.append([weights[token] / mass if token in kept else 0.0 for token in range(len(row))])
    return torch.tensor(result)


@pytest.mark.parametrize("temperature", [1.0, 0.3, 5.0])
@pytest.mark.parametrize("top_k", [None, 1, 2, 3, 100])
@pytest.mark.parametrize("top_p", [None, 0.05, 0.5, 0.9, 1.0])
def test_narrow_agrees_with_brute_force(temperature, top_k, top_p):
    found = narrow(LOGITS, temperature=temperature, top_k=top_k, top_p=top_p)
    torch.testing.assert_close(found, brute_force(LOGITS, temperature, top_k, top_p), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("temperature", [0.0, 1e-38, 1e-50])
def test_no_temperature_leaves_the_likeliest(temperature):
    found = narrow(10 * LOGITS, temperature=temperature)
    assert found.tolist() == [[0, 0, 0, 0, 1, 0], [0, 0, 0, 0, 0, 1]]


def test_no_token_comes_after_the_probability_is_reached_exactly():
    assert narrow(torch.zeros(1, 4), top_p=0.5).tolist() == [[0.5, 0.5, 0, 0]]


def test_narrow_leaves_its_logits_as_they_were():
    logits = LOGITS.clone()
    narrow(logits, temperature=0.5, top_k=2, top_p=0.5)
    assert torch.equal(logits, LOGITS)


@pytest.mark.parametrize("options", [{"temperature": -0.1}, {"top_k": 0}, {"top_p": 0.0}, {"top_p": 1.1}])
def test_values_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match="need temperature"):
        narrow(LOGITS, **options)


def chain(tokens, state):
    """A Markov chain over three tokens; the state counts the steps."""
    return torch.tensor([[0.6, 0.3, 0.1], [0.1, 0.1, 0.8], [0.3, 0.3, 0.4]]).log()[tokens], state + 1


def test_draws_are_as_frequent_as_the_probabilities():
    rows, steps = 500, 8
    drawn = sample(chain, torch.zeros(rows, dtype=torch.long), torch.zeros(rows), generator=torch.manual_seed(0))
    before, counts = torch.zeros(rows, dtype=torch.long), torch.zeros(3, 3)
    for _, tokens in zip(range(steps), drawn, strict=False):
        counts.index_put_((before, tokens), torch.ones(rows), accumulate=True)
        before = tokens
    probabilities = chain(torch.arange(3), torch.zeros(3))[0].exp()
    expected = counts.sum(1, keepdim=True) * probabilities
    chi_square = ((counts - expected) ** 2 / expected).sum().item()
    assert chi_square < 22.5  # 0.999 quantile of chi-square with 3 rows of 2 degrees of freedom each


def test_the_state_goes_from_step_to_step():
    seen = []

    def step(tokens, state):
        seen.append(int(state[0]))
        return chain(tokens, state)

    drawn = sample(step, torch.zeros(1, dtype=torch.long), torch.zeros(1), generator=torch.manual_seed(0))
    for _ in range(4):
        next(drawn)
    assert seen == [0, 1, 2, 3]
