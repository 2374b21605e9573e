import json

import pytest

from recurra.metrics.score import Score


@pytest.mark.parametrize(("higher", "better"), [(True, 2.0), (False, 1.0)])
def test_better_follows_the_direction(higher, better):
    one, two = (Score("accuracy", value, "", higher, "test") for value in (1.0, 2.0))
    assert one.better_than(two) == (better == 1.0)
    assert two.better_than(one) == (better == 2.0)
    assert not one.better_than(one)


def test_scores_measured_otherwise_are_not_comparable():
    score = Score("perplexity", 1.0, "per token", False, "dev")
    for other in (Score("perplexity", 1.0, "per token", False, "test"), Score("error", 1.0, "per token", False, "dev")):
        with pytest.raises(ValueError, match="not comparable"):
            score.better_than(other)


def test_json_brings_a_score_back():
    score = Score("perplexity", 82.7, "per token", False, "test|words")
    assert Score(**json.loads(json.dumps(score.to_json()))) == score
