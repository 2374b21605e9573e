"""Beam search against plain Python: all hypotheses enumerated, and a beam of one source that never stops early."""

import math

import pytest
import torch

from recurra.decoding.beam import beam_search
from recurra.decoding.greedy import greedy
from recurra.decoding.penalties import Coverage, no_penalty, per_length, wu
from recurra.recurrence.state import select
from tests.decoding.problems import END, Options, Translator, everything, narrow_search

PENALTIES = {
    "none": (no_penalty, lambda length: 1.0),
    "per length": (per_length, float),
    "wu": (wu(0.8), lambda length: ((5 + length) / 6) ** 0.8),
    "falling": (lambda lengths: 1 / lengths, lambda length: 1 / length),
}
COVERAGE = Coverage(0.4, lambda state: state.attention, lambda state: state.memory.lengths)
RULES = {
    "plain": {},
    "banned": {"banned": [2]},
    "banned by position": {"banned": lambda position: [position % 3 + 1]},
    "minimum": {"minimum": 3},
    "prefixes": {"prefixes": [[1, 2], [], [3, 3, 3], [2]]},
    "all": {"banned": [3], "minimum": 2, "prefixes": [[1], [3, 2], [], [2, 2, 1, 1]]},
}
SOURCES, MAXIMUM = 4, torch.tensor([4, 3, 5, 4])


def starts(rows):
    return torch.full((rows,), END)


def options_of(row, divisor, rules, beta=0.0):
    banned = rules.get("banned", ())
    return Options(
        maximum=MAXIMUM[row].item(),
        minimum=rules.get("minimum", 1),
        divisor=divisor,
        beta=beta,
        banned=banned if callable(banned) else lambda position: banned,
        prefix=tuple(rules.get("prefixes", [()] * SOURCES)[row]),
    )


def assert_same(found, expected):
    assert [each.tokens for each in found] == [each.tokens for each in expected]
    for one, other in zip(found, expected, strict=True):
        assert one.log_probability == pytest.approx(other.log_probability, rel=1e-12)
        assert one.score == pytest.approx(other.score, rel=1e-12)


@pytest.mark.parametrize("coverage", [None, COVERAGE], ids=["", "coverage"])
@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("penalty", PENALTIES)
def test_a_wide_beam_finds_what_enumeration_finds(penalty, rules, coverage):
    model, (divide, divisor) = Translator(), PENALTIES[penalty]
    state, rules = model.start(SOURCES), RULES[rules]
    options = dict(end=END, maximum=MAXIMUM, penalty=divide, coverage=coverage, **rules)
    found = beam_search(model.step, starts(SOURCES), state, beam=400, n_best=6, **options)
    for row, hypotheses in enumerate(found):
        each = options_of(row, divisor, rules, 0.4 if coverage else 0.0)
        assert_same(hypotheses, everything(model.step, select(state, torch.tensor([row])), each)[:6])


@pytest.mark.parametrize("coverage", [None, COVERAGE], ids=["", "coverage"])
@pytest.mark.parametrize("beam, n_best", [(1, 1), (2, 1), (2, 2), (3, 2), (5, 5)])
@pytest.mark.parametrize("penalty", PENALTIES)
def test_nothing_is_lost_by_stopping_early(penalty, beam, n_best, coverage):
    divide, divisor = PENALTIES[penalty]
    for seed in range(5):
        model = Translator(seed=seed, sharpness=1.0)
        state = model.start(SOURCES, seed=seed)
        options = dict(end=END, maximum=MAXIMUM, penalty=divide, coverage=coverage)
        found = beam_search(model.step, starts(SOURCES), state, beam=beam, n_best=n_best, **options)
        for row, hypotheses in enumerate(found):
            each = options_of(row, divisor, {}, 0.4 if coverage else 0.0)
            alone = select(state, torch.tensor([row]))
            assert_same(hypotheses, narrow_search(model.step, alone, each, beam)[:n_best])


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("penalty", PENALTIES)
def test_a_beam_of_one_is_greedy(penalty, rules):
    model, rules = Translator(), RULES[rules]
    options = dict(end=END, maximum=MAXIMUM, **rules)
    found = beam_search(model.step, starts(4), model.start(4), beam=1, penalty=PENALTIES[penalty][0], **options)
    expected = greedy(model.step, starts(4), model.start(4), **options)
    assert [[(each.tokens, each.log_probability)] for each in expected] == [[each[:2] for each in row] for row in found]


def test_all_that_can_be_said_has_probability_one():
    model = Translator()
    found = beam_search(model.step, starts(2), model.start(2), beam=500, n_best=500, end=END, maximum=4)
    for hypotheses in found:
        assert len(hypotheses) == 1 + 3 + 9 + 27 * 4
        assert sum(math.exp(each.log_probability) for each in hypotheses) == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_scores_are_those_of_the_tokens_fed_to_the_step(dtype):
    model, maximum = Translator(vocabulary=50, size=8, seed=1, sharpness=0.5), 12

    def step(tokens, state):
        logits, state = model.step(tokens, state)
        return logits.to(dtype), state

    options = dict(end=END, maximum=maximum, penalty=wu(0.6), minimum=5, prefixes=[[7, 8], [], [9]])
    found = beam_search(step, starts(3), model.start(3), beam=4, n_best=4, **options)
    for row, hypotheses in enumerate(found):
        assert len(hypotheses) == 4
        for hypothesis in hypotheses:
            state, before, total = select(model.start(3), torch.tensor([row])), starts(1), 0.0
            for token in hypothesis.tokens:
                logits, state = step(before, state)
                total += logits.double().log_softmax(1)[0, token].item()
                before = torch.tensor([token])
            length = len(hypothesis.tokens)
            rounding = length * 16 * 2**-23  # sums below 32, in float32
            assert hypothesis.log_probability == pytest.approx(total, abs=rounding)
            assert hypothesis.score == pytest.approx(total / ((5 + length) / 6) ** 0.6, abs=rounding)


@pytest.mark.parametrize("coverage", [None, COVERAGE], ids=["", "coverage"])
def test_sources_together_are_as_each_alone(coverage):
    model, rows = Translator(vocabulary=9, seed=2, sharpness=1.0), 7
    state, maximum = model.start(rows), torch.arange(rows) + 3
    options = dict(beam=4, n_best=4, end=END, penalty=per_length, coverage=coverage)
    together = beam_search(model.step, starts(rows), state, maximum=maximum, **options)
    assert len({len(row[0].tokens) for row in together}) > 2
    for row, found in enumerate(together):
        one = torch.tensor([row])
        assert_same(found, beam_search(model.step, starts(1), select(state, one), maximum=maximum[one], **options)[0])


def chain(probabilities):
    """A Markov chain as a step; the state names its rows, and what each call received is kept."""
    logs, seen = torch.tensor(probabilities, dtype=torch.float64).log(), []

    def step(tokens, state):
        seen.append(list(zip(state.tolist(), tokens.tolist(), strict=True)))
        return logs[tokens], state

    return step, seen


def test_work_ends_as_soon_as_no_open_hypothesis_can_win():
    step, seen = chain([[0.6, 0.3, 0.1], [0.1, 0.5, 0.4], [0.0, 0.5, 0.5]])
    found = beam_search(step, torch.tensor([1, 0]), torch.tensor([10, 20]), beam=2, end=0, maximum=30)
    # 20 is over at once: 0.6 ends, 0.3 goes on. 10 keeps 1 (0.5) and 2 (0.4); then 1 1 (0.25) and 2 1 or 1 2 (0.2);
    # an end costs a factor of ten, so 0.5^29 x 0.1 is far off: all are cut at the maximum.
    assert found[1][0][:2] == ([0], pytest.approx(math.log(0.6)))
    assert seen[0] == [(10, 1), (20, 0)] and seen[1] == [(10, 1), (10, 2)]
    assert len(seen) == 30 and {source for rows in seen[1:] for source, _ in rows} == {10}


def test_a_length_penalty_searches_on_as_far_as_it_must():
    """After a start of 0.5, the end (0.5) or a sure token for ever, with a sure end after three."""
    step, seen = chain([[0.5, 0.5, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [1, 0, 0, 0]])
    options = dict(beam=2, end=0, maximum=30)
    assert beam_search(step, starts(1), starts(1), **options)[0][0].tokens == [0]
    assert len(seen) == 1  # what goes on is no likelier, and cannot become so
    seen.clear()
    best = beam_search(step, starts(1), starts(1), penalty=per_length, **options)[0][0]
    assert best == ([1, 2, 3, 0], pytest.approx(math.log(0.5)), pytest.approx(math.log(0.5) / 4))
    assert len(seen) == 4


def test_a_batch_has_never_more_rows_than_its_open_sources_times_beam():
    model, maximum = Translator(vocabulary=9, sharpness=0.3), torch.tensor([3, 20, 8])
    options = dict(beam=4, n_best=4, end=END, penalty=per_length)
    beam_search(model.step, starts(3), model.start(3), maximum=maximum, **options)
    assert model.rows[0] == 3 and max(model.rows[:3]) == 12
    assert max(model.rows[3:8]) == 8 and max(model.rows[8:]) == 4 and len(model.rows) <= 20


def test_of_equal_hypotheses_the_shorter_then_the_smaller_tokens_come_first():
    step, _ = chain([[1 / 3] * 3, [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    found = beam_search(step, starts(2), starts(2), beam=3, n_best=3, end=0, maximum=3)
    assert [[each.tokens for each in row] for row in found] == [[[0], [1, 0], [2, 0]]] * 2
    step, _ = chain([[0.25] * 4] * 4)
    found = beam_search(step, starts(1), starts(1), beam=5, n_best=5, end=None, maximum=2)[0]
    assert [each.tokens for each in found] == [[0, 0], [0, 1], [0, 2], [0, 3], [1, 0]]


def test_impossible_tokens_are_never_chosen_unless_forced():
    step, _ = chain([[0.0, 1.0, 0.0], [0.5, 0.5, 0.0], [0.9, 0.1, 0.0]])
    found = beam_search(step, starts(1), starts(1), beam=3, n_best=3, end=0, maximum=3)[0]
    assert [each.tokens for each in found] == [[1, 0], [1, 1, 0], [1, 1, 1]]
    options = dict(beam=2, n_best=2, end=0, maximum=3, prefixes=[[2]])
    forced = beam_search(step, starts(1), starts(1), **options)[0]
    assert [each.tokens for each in forced] == [[2, 0], [2, 1, 0]]
    assert [each.log_probability for each in forced] == [each.score for each in forced] == [-math.inf] * 2


def test_a_hypothesis_without_a_next_token_is_given_up():
    step, _ = chain([[0.0, 0.4, 0.6], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    found = beam_search(step, starts(1), starts(1), beam=2, n_best=2, end=0, maximum=4, banned=lambda at: [2] * at)
    assert found == [[([1, 0], pytest.approx(math.log(0.4)), pytest.approx(math.log(0.4)))]]
    with pytest.raises(ValueError, match="row 1: no token may come after any hypothesis"):
        beam_search(step, torch.tensor([0, 2]), starts(2), beam=2, end=0, maximum=4, banned=[2])


def test_without_an_end_token_hypotheses_are_cut():
    step, _ = chain([[0.9, 0.1], [0.2, 0.8]])
    found = beam_search(step, torch.tensor([0, 1]), starts(2), beam=2, n_best=2, end=None, maximum=torch.tensor([3, 2]))
    assert [[each.tokens for each in row] for row in found] == [[[0, 0, 0], [0, 0, 1]], [[1, 1], [0, 0]]]
    assert found[1][1].score == pytest.approx(math.log(0.2 * 0.9))


def test_what_the_search_kept_is_shown_where_asked():
    step, _ = chain([[0.3, 0.6, 0.1], [0.5, 0.1, 0.4], [0.9, 0.05, 0.05]])
    grown = []
    options = dict(beam=2, n_best=2, end=0, maximum=4)
    beam_search(step, starts(1), starts(1), watch=grown.append, **options)
    first, second = grown[:2]
    assert first.tokens.tolist() == [[1, 0]] and first.parents.tolist() == [[0, 0]]
    assert second.tokens.tolist() == [[0, 2]] and second.parents.tolist() == [[0, 0]]
    expected = torch.tensor([[0.3, 0.24]], dtype=torch.float64).log()
    torch.testing.assert_close(second.log_probabilities, expected, rtol=1e-12, atol=0)


def test_gradients_are_not_kept_and_inference_mode_is_no_matter():
    model = Translator()
    model.output.requires_grad_()
    options = dict(beam=3, n_best=3, end=END, maximum=4)
    plain = beam_search(model.step, starts(2), model.start(2), **options)
    with torch.inference_mode():
        assert beam_search(model.step, starts(2), model.start(2), **options) == plain


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("position", [0, 2])
def test_logits_that_are_no_numbers_are_refused(bad, position):
    def step(tokens, state):
        logits = torch.zeros(len(tokens), 5)
        logits[state[:, 0] == 1, 3] = bad if state[0, 1] == position else 0.0
        return logits, state + torch.tensor([0, 1])

    state = torch.tensor([[0, 0], [1, 0]])
    with pytest.raises(ValueError, match=f"got NaN or \\+inf at position {position} of row 1"):
        beam_search(step, starts(2), state, beam=2, end=None, maximum=4)


def test_attention_that_is_no_number_is_refused_where_it_counts():
    model, state = Translator(), Translator().start(2)  # one position of five is the first source's, two the second's

    def nan_from(position):
        def attention(state):
            return state.attention.index_fill(1, torch.arange(position, 5), math.nan)

        return dict(beam=2, end=END, maximum=4, coverage=COVERAGE._replace(attention=attention))

    found = beam_search(model.step, starts(2), state, **nan_from(2))
    assert found == beam_search(model.step, starts(2), state, beam=2, end=END, maximum=4, coverage=COVERAGE)
    with pytest.raises(ValueError, match="need attention weights, got NaN at position 0"):
        beam_search(model.step, starts(2), state, **nan_from(1))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"beam": 0}, "need 1 <= n_best <= beam, got n_best 1 and beam 0"),
        ({"n_best": 3}, "n_best 3 and beam 2"),
        ({"maximum": 0}, "need 1 <= minimum <= maximum"),
        ({"maximum": torch.tensor([3, 1]), "minimum": 2}, "need 1 <= minimum <= maximum"),
        ({"maximum": torch.tensor([3])}, r"need one maximum or one for each of 2 rows, got \(1,\)"),
        ({"end": 4}, r"need end and banned tokens from 0 to 3, got \[4\]"),
        ({"banned": [-1]}, r"need end and banned tokens from 0 to 3, got \[-1, 0\]"),
        ({"prefixes": [[1]]}, "need a prefix for each of 2 rows, got 1"),
        ({"prefixes": [[], [1, 0]]}, "prefix of row 1: need at most 4 tokens from 0 on without the end token 0"),
        ({"prefixes": [[], [1] * 5]}, "prefix of row 1: need at most 4 tokens"),
        ({"prefixes": [[4], []]}, "need forced tokens from 0 to 3, got 4"),
        ({"penalty": lambda lengths: lengths - 1}, "need a penalty above 0"),
        ({"coverage": COVERAGE._replace(beta=-0.1)}, "need coverage with beta >= 0, got -0.1"),
    ],
)
def test_arguments_out_of_range_are_refused(options, message):
    model = Translator()
    with pytest.raises(ValueError, match=message):
        beam_search(model.step, starts(2), model.start(2), **{"beam": 2, "end": END, "maximum": 4, **options})


def test_no_source_is_no_work():
    model = Translator()
    assert beam_search(model.step, starts(0), model.start(0), beam=2, end=END, maximum=4) == [] and model.rows == []
