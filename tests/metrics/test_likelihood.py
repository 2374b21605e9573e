import math

import pytest

from recurra.metrics.likelihood import likelihood_scores


def values(scores):
    return {score.name: (score.value, score.unit, score.higher_is_better) for score in scores}


def test_a_fair_coin_costs_one_bit_a_character():
    found = likelihood_scores(100 * math.log(2), 100, 100, "here")
    assert found[0].name == "bits per character" and {score.signature for score in found} == {"here"}
    assert values(found) == {
        "bits per character": (pytest.approx(1.0), "bits", False),
        "perplexity": (pytest.approx(2.0), "per token", False),
        "cross-entropy": (pytest.approx(math.log(2)), "nats/token", False),
    }


def test_tokens_of_several_characters():
    found = values(likelihood_scores(60.0, 20, 80, ""))
    assert found["bits per character"][0] == pytest.approx(60 / 80 / math.log(2))
    assert found["perplexity"][0] == pytest.approx(math.exp(3))


def test_no_bits_per_character_where_tokens_do_not_spell_the_text():
    assert [score.name for score in likelihood_scores(60.0, 20, None, "")] == ["perplexity", "cross-entropy"]


def test_a_hopeless_model_has_infinite_perplexity():
    assert likelihood_scores(1e6, 10, None, "")[0].value == math.inf


def test_nothing_predicted_has_no_score():
    with pytest.raises(ValueError, match="no token"):
        likelihood_scores(0.0, 0, 0, "")
