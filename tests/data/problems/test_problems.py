"""What holds of every problem: determinism, shapes, the trivial and the best answer, and bad input."""

import numpy as np
import pytest
import torch

from recurra.data.problems import PROBLEMS, make_problem
from recurra.data.problems.draws import DEV, TEST, Draws
from recurra.data.problems.recall import copy_baseline
from recurra.errors import BadInput


@pytest.fixture(params=PROBLEMS)
def problem(request):
    return make_problem(request.param)


def own(examples, row):
    """One example without what lies behind its end."""
    steps = examples.x.shape[1] if examples.lengths is None else int(examples.lengths[row])
    answers = steps if examples.mask.shape[1] > 1 else 1
    parts = (examples.target, examples.mask, examples.judged, examples.truth)
    return [examples.x[row, :steps], *(part[row, :answers] for part in parts)]


def test_an_example_depends_on_seed_and_number_alone(problem):
    together = problem.examples(TEST, range(20))
    alone = problem.examples(TEST, [13])
    for one, other in zip(own(together, 13), own(alone, 0), strict=True):
        assert torch.equal(one, other)
    if problem.name != "periodic":
        others = [problem.examples(seed, [index]) for seed, index in ((DEV, 13), (0, 13), (TEST, 14))]
        assert any(not torch.equal(alone.x[:, :40], other.x[:, :40]) for other in others)


def test_examples_fit_their_problem(problem):
    found = problem.examples(0, range(30))
    batch, steps, inputs = found.x.shape
    answers = 1 if problem.ends else steps
    assert (batch, inputs) == (30, problem.inputs) and found.mask.shape == (30, answers)
    shape = (30, answers) if problem.kind == "classes" else (30, answers, problem.outputs)
    assert found.target.shape == found.truth.shape == shape
    assert problem.trivial(found).shape == problem.optimal(found).shape == (30, answers, problem.outputs)
    assert (found.judged <= found.mask).all() and found.judged.any(1).all()
    if found.lengths is not None:
        assert found.lengths.max() == steps
        behind = torch.arange(steps) >= found.lengths[:, None]
        assert found.x[behind].eq(0).all()
        if not problem.ends:
            assert not found.mask[behind].any()


def test_the_best_answer_is_right_and_the_trivial_one_is_not(problem):
    found = problem.examples(TEST, range(300))
    losses = [problem.loss(answer(found), found.target, found.mask) for answer in (problem.optimal, problem.trivial)]
    assert losses[0] < losses[1]
    right = [
        (problem.right(answer(found), found.truth) | ~found.judged).all(1).float().mean()
        for answer in (problem.optimal, problem.trivial)
    ]
    assert right[0] > 0.999 and right[1] < 0.4


def test_the_best_answer_is_where_the_loss_is_flat(problem):
    """Around it the loss rises whichever way it is left, so none is better: it is convex."""
    found = problem.examples(TEST, range(500))
    best = problem.optimal(found)
    direction = torch.randn(best.shape[2], generator=torch.Generator().manual_seed(0))
    at = [problem.loss(best + step * direction, found.target, found.mask) for step in (-1.0, 0.0, 1.0)]
    assert at[1] <= min(at) + 1e-6
    assert at[1] <= (at[0] + at[2]) / 2 + 1e-6


LN = np.log
TRIVIAL = {  # of a step; by hand
    "adding": 1 / 6,
    "adding-1997": (0.9 * (1 - 1 / 49) + 1) / 3 / 16,
    "copy-memory": 10 * LN(8) / 120,
    "delayed-recall": LN(4),
    "long-lag-2a": LN(2) / 100,
    "long-lag-2b": (99 * LN(99) + LN(2)) / 100,
    "long-lag-2c": LN(2),
    "periodic": 1 / 2,
    "spike-delays": 1 / 4,
    "temporal-order": LN(4),
    "temporal-order-3": LN(8),
    "temporal-xor": LN(2),
    "two-sequence-3a": 1 / 4,
    "two-sequence-3b": 1 / 4,
    "two-sequence-3c": 0.09 + 0.1,
}


@pytest.mark.parametrize("name", TRIVIAL)
def test_the_trivial_loss_is_what_a_simulation_finds(name):
    problem = make_problem(name)
    found = problem.examples(TEST, range(1000))
    answers = problem.trivial(found)
    rows = [
        float(problem.loss(*(each[None] for each in row)))
        for row in zip(answers, found.target, found.mask, strict=True)
    ]
    assert np.mean(rows) == pytest.approx(TRIVIAL[name], abs=4 * np.std(rows) / np.sqrt(len(rows)) + 1e-5)


def test_the_copying_baseline_is_that_of_the_paper():
    assert copy_baseline(100) == pytest.approx(TRIVIAL["copy-memory"])


def test_a_shorter_lag_has_the_same_features(problem):
    short = make_problem(problem.name, lag=problem.least_lag)
    assert problem.examples(0, range(3), short.lag).x.shape[2] == problem.inputs


def test_draws_of_a_row_do_not_depend_on_how_many_are_drawn():
    assert np.array_equal(Draws(3, [5]).uniform(4)[0], Draws(3, [1, 5]).uniform(9)[1, :4])
    found = Draws(0, range(100)).below(100, np.array([3] * 50 + [10] * 50))
    assert (found[:, :50].max(), found[:, 50:].max(), found.min()) == (2, 9, 0)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("addin", {}, "unknown problem 'addin'; did you mean 'adding'?"),
        ("adding", {"symbols": 3}, "--symbols: adding has no such choice; leave it out"),
        ("adding", {"lag": 1}, "--lag 1: adding needs 2 or more"),
        ("embedded-reber", {"lag": 5}, "--lag 5: embedded-reber needs 6 or more"),
        ("copy-memory", {"symbols": 1}, "--symbols 1: nothing has to be told apart"),
        ("periodic", {"shape": "cosin"}, "unknown value of --shape 'cosin'; did you mean 'cosine'?"),
    ],
)
def test_bad_input_is_named(name, options, said):
    with pytest.raises(BadInput) as error:
        make_problem(name, **options)
    assert said in str(error.value) and "\n" not in str(error.value)
