"""The models that a classifier has to beat: what they score, beside a run and in a comparison."""

import numpy as np
import pytest

from recurra.baselines.hmm_classifier import GaussianHMMs
from recurra.errors import BadInput
from recurra.tasks.classification.baselines import best_markov, fit_markov, score_majority, score_markov
from recurra.tasks.classification.config import Config
from recurra.tasks.classification.contenders import contender, count
from recurra.tasks.classification.reading import read_cases_in_parts
from recurra.tasks.comparison import compare
from recurra.tasks.run import fit
from recurra.tasks.sources import Sources
from tests.tasks.classification.files import reviews, topics, waves


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RECURRA_CACHE", str(tmp_path / "cache"))


def read(file, **options):
    return read_cases_in_parts(Sources.named((str(file),), None, None), Config(**options))


def test_the_majority_is_right_as_often_as_its_class_comes(tmp_path):
    lines = ["often some words\n"] * 70 + ["seldom other words\n"] * 30
    (tmp_path / "lines.txt").write_text("".join(lines))
    data = read(tmp_path / "lines.txt")
    assert score_majority(data, data, "test")[0].value == pytest.approx(70)


def test_labels_of_which_nothing_is_known_are_given_always_or_never(tmp_path):
    data = read(topics(tmp_path / "topics.csv", 300), separator=";")
    micro = score_majority(data, data, "dev")[0].value  # always, since F1 rewards it
    having = data.dev.targets.sum()
    assert micro == pytest.approx(200 * having / (data.dev.targets.size + having))


def test_markov_models_of_texts_and_series(tmp_path):
    texts = read(reviews(tmp_path / "reviews.csv", 300), text="review", label="side")
    assert score_markov(fit_markov(texts, 1), texts, "test")[0].value > 90
    series = read(waves(tmp_path / "waves.ts", 120))
    model = fit_markov(series, None)
    assert isinstance(model, GaussianHMMs)
    labels = [series.meaning.classes[number] for number in series.train.targets]
    again = GaussianHMMs.fit([series.train[case] for case in range(len(labels))], labels)
    cases = [series.test[case] for case in range(len(series.test))]
    right = np.array(again.predict(cases)) == np.array(series.meaning.classes)[series.test.targets]
    assert score_markov(model, series, "test")[0].value == pytest.approx(100 * right.mean())


def test_the_order_of_n_grams_is_that_which_does_best_on_dev(tmp_path):
    """Classes that differ in the order of two words, which no 1-gram tells; 2-grams and 3-grams do."""
    lines = ["up red blue\n", "down blue red\n"] * 50
    (tmp_path / "lines.txt").write_text("".join(lines))
    data = read(tmp_path / "lines.txt")
    name, model = best_markov(data)
    assert name == "2-gram" and score_markov(model, data, "test")[0].value == 100
    assert score_markov(fit_markov(data, 1), data, "test")[0].value == 50


def test_markov_models_of_some_of_many_steps(tmp_path, monkeypatch):
    monkeypatch.setattr("recurra.tasks.classification.baselines.MOST_STEPS", 300)
    data = read(waves(tmp_path / "waves.ts", 120))
    assert score_markov(fit_markov(data, None), data, "test")[0].value > 80


def test_models_that_are_not_for_such_cases_are_refused(tmp_path):
    series, several = read(waves(tmp_path / "waves.ts", 60)), read(topics(tmp_path / "t.csv", 60), separator=";")
    with pytest.raises(BadInput, match="these are series, whose model is hmm"):
        fit_markov(series, 2)
    with pytest.raises(BadInput, match="needs one label a case"):
        fit_markov(several, 2)
    with pytest.raises(BadInput, match="these are texts, whose models are n-grams"):
        fit_markov(read(reviews(tmp_path / "r.csv", 60), text="review", label="side"), None)


def test_what_a_comparison_can_name(tmp_path):
    assert contender("majority") is contender("hmm") is contender("3-gram") is None
    assert contender("gru") == {"model": "recurrent", "cell": "gru"}
    assert contender("window-3") == {"model": "window", "window": 3} and contender("window") == {"model": "window"}
    with pytest.raises(BadInput, match="did you mean 'majority'"):
        contender("majorty")
    data = read(waves(tmp_path / "waves.ts", 60))
    parameters, seconds, scores = count("hmm", data)
    assert parameters == fit_markov(data, None).parameters and seconds > 0 and set(scores) == {"dev", "test"}
    assert count("majority", data)[0] == 2


def test_a_comparison_of_counted_and_trained(tmp_path):
    options = {"time_limit": 1.0, "hidden_size": 8, "batch_size": 8, "learning_rate": 0.02}
    found = compare(
        "classification",
        waves(tmp_path / "waves.ts", 60),
        models=["majority", "hmm", "window-3", "gru"],
        out=tmp_path / "compared",
        **options,
    )
    assert [result.name for result in found.results] == ["majority", "hmm", "window-3", "gru"] and not found.failed
    best = {result.name: result.scores["test"][0].value for result in found.results}
    assert best["majority"] == 50 and min(best["hmm"], best["gru"]) > 80
    assert (tmp_path / "compared" / "time.png").exists() and (tmp_path / "compared" / "parameters.png").exists()


def test_a_run_has_its_baselines_beside_it(tmp_path):
    run = fit(
        "classification", waves(tmp_path / "waves.ts", 60), out=tmp_path / "run", epochs=2, hidden_size=8, cell="gru"
    )
    assert list(run.final_scores()) == ["model", "majority", "hmm", "window-5"]
    assert all(scores[0].name == "accuracy" for scores in run.final_scores().values())
