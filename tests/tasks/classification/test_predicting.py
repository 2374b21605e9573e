"""A run of a classifier from its files to its predictions, whole and in a stream."""

import csv
import io
import json
from types import SimpleNamespace

import numpy as np
import pytest

from recurra.errors import BadInput
from recurra.tasks.run import fit, load
from tests.tasks.classification.files import SIDES, reviews, topics, waves

SMALL = {"hidden_size": 12, "batch_size": 16, "learning_rate": 0.02, "baselines": False, "cell": "gru"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Finished runs: texts one way and both ways, series, and texts of several labels."""
    folder = tmp_path_factory.mktemp("runs")
    patch = pytest.MonkeyPatch()
    patch.setenv("RECURRA_CACHE", str(folder / "cache"))
    train, series = reviews(folder / "train.csv", 240), waves(folder / "waves.ts", 120)
    named = {"text": "review", "label": "side"}
    found = SimpleNamespace(
        folder=folder,
        ahead=fit("classification", train, out=folder / "ahead", direction="forward", epochs=8, **named, **SMALL),
        both=fit("classification", train, out=folder / "both", epochs=1, **named, **SMALL),
        series=fit("classification", series, out=folder / "series", direction="forward", epochs=8, **SMALL),
        several=fit(
            "classification", topics(folder / "t.csv", 300), out=folder / "t", separator=";", epochs=20, **SMALL
        ),
    )
    yield found
    patch.undo()


def table(text):
    return list(csv.DictReader(io.StringIO(text)))


def type_in(monkeypatch, text):
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(text.encode())))


def test_it_learns_and_leaves_a_run(runs):
    for run in (runs.ahead, runs.series):
        accuracy = run.scores["scores"]["test"][0]
        assert accuracy["name"] == "accuracy" and accuracy["value"] > 90
        names = {path.name for path in run.path.rglob("*.png")}
        assert names == {"learning-curve.png", "scores.png", "confusion-test.png", "seen-test.png"}
    assert json.loads((runs.ahead.path / "classes.json").read_text())["classes"] == ["blame", "fact", "praise"]
    assert runs.several.scores["scores"]["test"][0]["value"] > 85
    assert not (runs.several.path / "pictures" / "confusion-test.png").exists()


def test_a_table_comes_back_with_its_own_columns(runs):
    new = reviews(runs.folder / "new.csv", 100, seed=5)
    rows, given = table(runs.ahead.predict(new)), table(new.read_text())
    assert [{name: row[name] for name in ("id", "review", "side")} for row in rows] == given
    assert list(rows[0]) == ["id", "review", "side", "predicted", "p(blame)", "p(fact)", "p(praise)"]
    for row in rows:
        chances = {name: float(row[f"p({name})"]) for name in SIDES}
        assert sum(chances.values()) == pytest.approx(1, abs=1e-4) and row["predicted"] == max(chances, key=chances.get)
    assert sum(row["predicted"] == row["side"] for row in rows) > 90


def test_lines_may_end_as_on_windows(runs, monkeypatch):
    options = SMALL | dict(unit="characters", epochs=1, direction="forward", text="review", label="side")
    run = fit("classification", reviews(runs.folder / "few.csv", 60), out=runs.folder / "letters", **options)
    for stream in (False, True):
        found = []
        for end in ("\n", "\r\n"):
            type_in(monkeypatch, f"the good film{end}grim plot{end}")
            found.append([float(row["p(praise)"]) for row in table(run.predict("-", stream=stream))])
        assert found[0] == pytest.approx(found[1], abs=2e-6)  # printed with six digits


def test_closed_input_is_refused(runs, monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(BadInput, match="standard input is closed"):
        runs.ahead.predict("-")


def test_labels_may_be_missing(runs):
    rows = table(runs.ahead.predict(reviews(runs.folder / "bare.csv", 9, labels=False)))
    assert len(rows) == 9 and list(rows[0])[:3] == ["id", "review", "predicted"]


def test_series_come_back_by_where_they_stand(runs):
    file = waves(runs.folder / "new.ts", 70, seed=3, labels=False)
    rows = table(runs.series.predict(file))
    assert list(rows[0]) == ["case", "predicted", "p(fall)", "p(rise)"] and len(rows) == 70
    assert rows[64]["case"] == f"{file}: line {9 + 64}"
    assert [row["predicted"] for row in rows[:40]].count("rise") == 20


def test_several_labels_are_joined_as_they_were_given(runs):
    file = topics(runs.folder / "new-topics.csv", 60, seed=9)
    thresholds = runs.several.model.thresholds.tolist()
    rows = table(runs.several.predict(file))
    for row in rows:
        chances = [float(row[f"p({name})"]) for name in ("blame", "fact", "praise")]
        given = [name for name, p, t in zip(sorted(SIDES), chances, thresholds, strict=True) if p >= t]
        assert row["predicted"] == ";".join(given)
    assert sum(set(row["predicted"].split(";")) == set(row["label"].split(";")) for row in rows) > 40


def test_a_line_of_standard_input_is_a_text(runs, monkeypatch):
    type_in(monkeypatch, "a good film\nthe grim plot\n")
    rows = table(runs.both.predict("-"))
    assert [row["case"] for row in rows] == ["standard input: line 1", "standard input: line 2"]


def test_series_of_standard_input_are_parted_by_an_empty_line(runs, monkeypatch):
    up, down = np.linspace(50, 70, 6), np.linspace(50, 30, 9)
    lines = ["\n".join(f"{value},{value}" for value in series) for series in (up, down)]
    type_in(monkeypatch, f"{lines[0]}\n\n\n{lines[1]}\n")
    rows = table(runs.series.predict("-"))
    assert [row["predicted"] for row in rows] == ["rise", "fall"]
    assert [row["case"] for row in rows] == ["standard input: line 1", "standard input: line 9"]


def test_a_stream_of_words_gives_what_each_beginning_gives(runs, monkeypatch):
    type_in(monkeypatch, "a\ngood\nfilm\n\nthe\ngrim plot\n")
    rows = table(runs.ahead.predict("-", stream=True))
    assert [row["step"] for row in rows] == ["1", "2", "3", "1", "3"]
    type_in(monkeypatch, "a\na good\na good film\nthe\nthe grim plot\n")
    whole = table(runs.ahead.predict("-"))
    for row, wanted in zip(rows, whole, strict=True):
        assert row["predicted"] == wanted["predicted"]
        for name in SIDES:
            assert float(row[f"p({name})"]) == pytest.approx(float(wanted[f"p({name})"]), rel=1e-4, abs=1e-6)


def test_a_stream_of_series_answers_each_line_as_it_comes(runs):
    from recurra.tasks.classification.predicting import _stream
    from recurra.tasks.classification.reading import Meaning

    asked = []

    def lines():
        for value in range(5):
            asked.append(value)
            yield f"{value},{value}"

    rows = _stream(runs.series.model, runs.series.config, Meaning.load(runs.series.path), lines())
    next(rows)
    for step in range(1, 6):
        assert next(rows).startswith(f"{step},") and len(asked) == step


def test_a_bidirectional_model_says_why_it_cannot_answer_a_stream(runs):
    with pytest.raises(BadInput, match="from its end as well, so it cannot answer a stream; .*--direction forward"):
        runs.both.predict("-", stream=True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1,2\n1,x\n", "line 2: could not convert string to float: 'x'"),
        ("1,2,3\n", "line 1: 3 numbers where 2 are wanted"),
        ("1,2\n1,nan\n", "line 2: a number is not finite"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_broken_steps_are_named_with_their_line(runs, monkeypatch, text, said, stream):
    type_in(monkeypatch, text)
    if "3 numbers" in said and not stream:
        said = "line 1: a series of 3 dimensions, the model was trained on 2"
    with pytest.raises(BadInput, match=f"standard input: {said}"):
        runs.series.predict("-", stream=stream)


def test_the_other_kind_of_input_is_refused(runs):
    with pytest.raises(BadInput, match="is a text, the model was trained on series"):
        runs.series.predict(reviews(runs.folder / "texts.csv", 3).rename(runs.folder / "review.txt"))
    with pytest.raises(BadInput, match="is a series of numbers, the model was trained on text"):
        runs.ahead.predict(waves(runs.folder / "other.ts", 3))


def test_a_report_names_the_worst_cases(runs):
    (runs.folder / "odd.csv").write_text('id,review,side\n0,"a good, lovely film",praise\n1,so bad,praise\n')
    lines = load(runs.ahead.path).report(str(runs.folder / "odd.csv"))
    assert "1 of 2 wrong; the worst:" in lines
    worst = lines[lines.index("1 of 2 wrong; the worst:") + 1]
    assert worst.startswith(f"{runs.folder / 'odd.csv'}: line 3: praise, called blame (p ") and worst.endswith(
        ": so bad"
    )
    several = runs.several.report()
    assert several[0].startswith("thresholds of the greatest F1 on dev: blame 0.")


def test_evaluating_other_files(runs):
    found = load(runs.ahead.path).evaluate(str(reviews(runs.folder / "more.csv", 90, seed=8)))
    assert list(found) == ["model", "majority", "1-gram"]
    assert found["model"][0].value > 90 and found["majority"][0].value == pytest.approx(100 / 3)
    assert "cases=90" in found["model"][0].signature
    several = load(runs.several.path).evaluate(str(topics(runs.folder / "other-topics.csv", 90, seed=8)))
    assert list(several) == ["model", "majority"] and several["model"][0].value > several["majority"][0].value
