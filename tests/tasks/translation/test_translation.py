"""A run of a translator from its files to translations, and what it is told of bad input."""

import io
import json
from types import SimpleNamespace

import pytest
import torch

from recurra.data.vocabulary import load_vocabulary
from recurra.errors import BadInput
from recurra.tasks.comparison import compare
from recurra.tasks.explanation import explain_run
from recurra.tasks.run import fit, load
from recurra.tasks.sources import Sources
from recurra.tasks.translation.scoring import answers
from tests.tasks.translation.files import numerals, write_pairs

SMALL = dict(
    hidden_size=24, embedding_size=12, unit="words", min_count=1, batch_size=16, learning_rate=0.01, dropout=0.0,
    smoothing=0.0, tied=False, baselines=False,
)  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("translation")
    patch = pytest.MonkeyPatch()
    patch.setenv("RECURRA_CACHE", str(folder / "cache"))
    train = write_pairs(folder, "train", numerals(400))
    dev, test = write_pairs(folder, "dev", numerals(40, seed=1)), write_pairs(folder, "test", numerals(40, seed=2))
    yield fit("translation", *train, dev=dev, test=test, out=folder / "run", epochs=12, **SMALL | {"baselines": True})
    patch.undo()


def type_in(monkeypatch, text):
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(text.encode()), isatty=lambda: False))


def test_it_learns_and_leaves_a_run(run):
    scores = {score["name"]: score for score in run.scores["scores"]["test"]}
    assert scores["BLEU"]["value"] > 90 and scores["perplexity"]["value"] < 1.5
    assert "german stems" in scores["METEOR"]["signature"] and "beam=5" in scores["BLEU"]["signature"]
    names = {path.name for path in run.path.rglob("*.png")}
    attended = {f"attention-{number}.png" for number in (1, 2, 3)}
    assert names == {"learning-curve.png", "scores.png", "by-length-test.png", "beam.png"} | attended
    others = {name: found[0]["value"] for name, found in run.scores["baselines"].items()}
    assert others["copy"] < others["translation-memory"] < scores["BLEU"]["value"]


def test_lines_come_back_in_order(run, monkeypatch, tmp_path):
    pairs = numerals(60, seed=3)
    (tmp_path / "new.en").write_text("".join(f"{source}\n" for source, _ in pairs[:30]) + "\n \n" + "four\r\n")
    found = run.predict(tmp_path / "new.en").split("\n")
    assert found[30:] == ["", "", "vier", ""]
    right = sum(one == wanted for one, (_, wanted) in zip(found, pairs[:30], strict=False))
    assert right >= 27
    type_in(monkeypatch, "two\n\nnine ten\n")
    assert run.predict("-") == "zwei\n\nneun zehn\n"
    type_in(monkeypatch, "two\n\nnine ten\n")
    assert run.predict("-", stream=True) == "zwei\n\nneun zehn\n"


def test_a_line_is_cut_and_said_so_and_an_unknown_one_ends(run, monkeypatch, capsys):
    type_in(monkeypatch, "one " * 3_000 + "\nxyz\n")
    found = run.predict("-").split("\n")
    assert len(found) == 3 and len(found[0].split()) <= 2 * 1_000 + 10
    assert "standard input: line 1: only its first 1,000 tokens are read" in capsys.readouterr().err


def test_what_is_scored_is_what_predict_writes(run, tmp_path, capsys):
    lines = ["one " * 1_200, "", "two three", "one " * 1_000]
    english, german = write_pairs(tmp_path, "odd", [(line.strip(), "eins") for line in lines])
    data = run.task.read_test(Sources.named([english, german], None, None), run.config, run.path)
    found = answers(run.model, data, data.test, data.search)
    assert [one.found for one in found] == run.predict(english).splitlines()
    assert found[1].found == "" and found[0].found == found[3].found
    capsys.readouterr()
    load(run.path).evaluate(str(english), str(german))
    assert "test part: of 1 sources only the first 1,000 tokens are read" in capsys.readouterr().err


def test_dollars_are_drawn_as_they_are(tmp_path, monkeypatch):
    monkeypatch.setenv("RECURRA_CACHE", str(tmp_path / "cache"))
    pairs = [(f"$$ {source} $_$", f"$$ {target} a$\\foo$") for source, target in numerals(40)]
    run = fit("translation", *write_pairs(tmp_path, "train", pairs), out=tmp_path / "run", **SMALL | {"epochs": 1})
    assert (run.path / "README.md").exists() and next(run.path.rglob("attention-1.png"))


def test_a_finished_run_is_loaded_again_and_scored_on_other_pairs(run, tmp_path):
    again = load(run.path)
    new = write_pairs(tmp_path, "new", numerals(30, seed=9))
    found = again.evaluate(*map(str, new))
    assert found["model"][0].value > 85 and "sentences=30" in found["model"][0].signature
    report = again.report(*map(str, new))
    assert report[0].endswith("by-length-test.png") and len(report) == 12
    assert json.dumps([score.to_json() for score in again.evaluate()["model"]]) == json.dumps(
        run.scores["scores"]["test"]
    )


@pytest.mark.parametrize(
    "options",
    [
        dict(attention="none", bridge="last", direction="reversed", cell="lstm", layers=2),
        dict(attention="additive", direction="forward", joint=True, unit="characters"),
        dict(attention="general", feeding=True, tied=True, lower=True, best_by="loss", beam=1),
        dict(attention="dot", direction="forward", unit="bpe", vocabulary_size=300),
        dict(unit="moses", scheduled_sampling=0.5, epochs=2),
        dict(attention="additive", coverage=True, tied=True),
        dict(copying="mixed", joint=True, feeding=True),
        dict(copying="only", joint=True, scheduled_sampling=0.5, epochs=2),
        dict(preset="luong-2015", layers=1, hidden_size=12, embedding_size=12),
    ],
)
def test_every_kind_of_model_trains_and_comes_back(tmp_path, monkeypatch, options):
    monkeypatch.setenv("RECURRA_CACHE", str(tmp_path / "cache"))
    paths = write_pairs(tmp_path, "train", numerals(60))
    run = fit("translation", *paths, out=tmp_path / "run", **SMALL | {"epochs": 1} | options)
    before = {score["name"]: score["value"] for score in run.scores["scores"]["test"]}
    after = {score.name: score.value for score in load(run.path).evaluate()["model"]}
    assert after == before


def test_a_preset_gives_way_to_what_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("RECURRA_CACHE", str(tmp_path / "cache"))
    paths = write_pairs(tmp_path, "train", numerals(60))
    run = fit("translation", *paths, out=tmp_path / "run", preset="sutskever-2014", epochs=1, layers=1, hidden_size=8,
              embedding_size=6, unit="words", min_count=1, baselines=False)  # fmt: skip
    assert run.config.direction == "reversed" and run.config.learning_rate == 0.7 and run.config.hidden_size == 8


def test_pairs_that_teach_nothing_are_counted(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("RECURRA_CACHE", str(tmp_path / "cache"))
    pairs = [*numerals(60), ("", "eins"), ("one", "eins " * 20), ("one two " * 20, "eins zwei " * 20), ("one", "")]
    paths = write_pairs(tmp_path, "train", pairs)
    dev = write_pairs(tmp_path, "dev", numerals(5))
    fit("translation", *paths, dev=dev, test=dev, out=tmp_path / "run", longest=30, epochs=1, **SMALL)
    said = capsys.readouterr().err
    assert f"left out of 64 pairs: 2 with an empty side, the first {paths[0]}: line 61; 1 longer than 30" in said
    assert f"1 with sides more than 3 times apart (--ratio), the first {paths[0]}: line 62" in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(feeding=True, attention="none"), "--feeding needs an attention"),
        (dict(bridge="last"), "--bridge last hands over the state of layers that read one way"),
        (dict(attention="dot"), "--attention dot compares vectors of one size"),
        (dict(coverage=True), "--coverage is a part of additive attention"),
        (dict(copying="mixed"), "--copying mixed writes tokens of the source; add --joint"),
        (dict(copying="only", joint=True, attention="none"), "--copying only goes by where the decoder attends"),
        (dict(ratio=1.0), "--ratio 1.0: must be greater than 1"),
    ],
)
def test_options_that_do_not_go_together(tmp_path, monkeypatch, options, message):
    monkeypatch.setenv("RECURRA_CACHE", str(tmp_path / "cache"))
    paths = write_pairs(tmp_path, "train", numerals(30))
    with pytest.raises(BadInput, match=message):
        fit("translation", *paths, out=tmp_path / "run", **SMALL | options)
    assert not (tmp_path / "run").exists()


def test_nothing_is_left_to_learn_from(tmp_path, monkeypatch):
    monkeypatch.setenv("RECURRA_CACHE", str(tmp_path / "cache"))
    paths = write_pairs(tmp_path, "train", [("one", "")] * 30)
    with pytest.raises(BadInput, match="no pair is left to learn from; left out are .* with an empty side"):
        fit("translation", *paths, out=tmp_path / "run", **SMALL)


def test_one_file_for_a_part_is_no_pair(run, tmp_path):
    (tmp_path / "alone.en").write_text("one\n")
    with pytest.raises(BadInput, match="1 file where two texts or a table are needed"):
        load(run.path).evaluate(str(tmp_path / "alone.en"))


def test_candidates_are_scored_and_sorted(run, monkeypatch):
    lines = "two three\tzwei drei\ntwo three\tdrei drei\ntwo three\tzwei vier\none\teins\none\tzwei\n"
    type_in(monkeypatch, lines)
    rows = [line.split("\t") for line in "".join(run.task.rerank(run, "-")).splitlines()]
    assert [row[:2] for row in rows if row[1] in ("zwei drei", "eins")] == [rows[0][:2], rows[3][:2]]
    scores = [float(row[2]) for row in rows]
    assert scores[:3] == sorted(scores[:3], reverse=True) and scores[3] > scores[4]
    type_in(monkeypatch, "one\teins\t-90\none\tzwei\t-1\n")
    rows = [line.split("\t") for line in "".join(run.task.rerank(run, "-")).splitlines()]
    assert rows[0][:3] == ["one", "zwei", "-1"] and float(rows[0][3]) < float(rows[1][3])
    type_in(monkeypatch, "one\teins\t-1.23456789\tkept\n")
    assert "".join(run.task.rerank(run, "-")).startswith("one\teins\t-1.23456789\tkept\t-")


def test_a_found_translation_has_the_score_of_its_candidate(run):
    from recurra.tasks.translation.reading import Sides
    from recurra.tasks.translation.reranking import log_probabilities
    from recurra.tasks.translation.search import Search
    from recurra.tasks.translation.translating import translate

    sides = Sides.load(run.path, run.config)
    (best,) = translate(run.model, [sides.source.encode("four five six")], Search(beam=5, n_best=3))
    assert len(best) == 3
    texts = [("four five six", sides.target.decode(one.tokens)) for one in best]
    again = log_probabilities(run.model, sides, texts)
    assert again == pytest.approx([one.log_probability for one in best], abs=1e-4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("one\teins\nno tab\n", "standard input: line 2 has no tab"),
        ("a\tb\tc\n", "line 1: 'c' is no number"),
        ("a\tb\tnan\n", "line 1: 'nan' is no number"),
        ("a\tb\t-1\na\tc\n", "line 2: either all lines of a source have a third column or none has"),
    ],
)
def test_candidates_that_are_none(run, monkeypatch, text, message):
    type_in(monkeypatch, text)
    with pytest.raises(BadInput, match=message):
        list(run.task.rerank(run, "-"))


def test_several_translations_can_be_asked_for_and_sorted_again(run, monkeypatch):
    type_in(monkeypatch, "two  three\none\n\n")
    lines = run.predict("-", beam=4, n_best=3)
    rows = [line.split("\t") for line in lines.splitlines()]
    assert [row[0] for row in rows] == ["two three"] * 3 + ["one"] * 3 and rows[0][1] == "zwei drei"
    type_in(monkeypatch, lines)
    again = [line.split("\t") for line in "".join(run.task.rerank(run, "-")).splitlines()]
    assert all(float(row[2]) == pytest.approx(float(row[3]), abs=1e-3) for row in again)
    with pytest.raises(BadInput, match="--n-best 3: a beam of 2 keeps no more"):
        run.predict("-", beam=2, n_best=3)


def test_the_wrong_direction_is_refused(run, tmp_path):
    english, german = write_pairs(tmp_path, "new", numerals(5))
    with pytest.raises(BadInput, match="new.de: the run reads en and writes de; give it en, or train the other way"):
        load(run.path).evaluate(str(german), str(english))
    with pytest.raises(BadInput, match="new.de: the run reads en and writes de"):
        load(run.path).predict(german)


def test_both_sides_may_begin_with_language_models(tmp_path, monkeypatch):
    monkeypatch.setenv("RECURRA_CACHE", str(tmp_path / "cache"))
    paths = write_pairs(tmp_path, "train", numerals(60))
    same = dict(cell="gru", hidden_size=24, layers=2, embedding_size=12)
    models = [
        fit(
            "language-model",
            path,
            out=tmp_path / path.suffix,
            unit="words",
            epochs=1,
            baselines=False,
            batch_size=2,
            steps=5,
            **same,
        )
        for path in paths
    ]
    starts = dict(encoder_from=models[0].path, decoder_from=models[1].path)
    options = SMALL | same | dict(direction="forward", epochs=1, learning_rate=1e-9)
    run = fit("translation", *paths, out=tmp_path / "run", **options, **starts)
    encoder, decoder = run.model.encoder, run.model.decoder
    for part, model in ((encoder, models[0].model), (decoder, models[1].model)):
        torch.testing.assert_close(part.embedding.weight[1:], model.embedding.weight, rtol=0, atol=1e-6)
        for one, other in zip(part.layers.parameters(), model.layers.parameters(), strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-6)
    torch.testing.assert_close(decoder.output.bias[1:], models[1].model.output.bias, rtol=0, atol=1e-6)
    own = load_vocabulary(models[1].path / "vocabulary.json")
    assert load(run.path).data.sides.target.vocabulary.to_json() == own.to_json()
    with pytest.raises(BadInput, match="--encoder-from .*: its layers are others; use --cell gru --layers 2"):
        fit("translation", *paths, out=tmp_path / "other", **options | {"hidden_size": 20}, **starts)
    with pytest.raises(BadInput, match="is a run of translation; name one of language-model"):
        fit("translation", *paths, out=tmp_path / "other", **options, encoder_from=run.path)


def test_embeddings_may_begin_with_vectors(tmp_path, monkeypatch):
    monkeypatch.setenv("RECURRA_CACHE", str(tmp_path / "cache"))
    paths = write_pairs(tmp_path, "train", numerals(60))
    (tmp_path / "vectors.txt").write_text("two " + " ".join(["0.25"] * 12) + "\n")
    options = SMALL | dict(epochs=1, learning_rate=1e-9, source_vectors=tmp_path / "vectors.txt")
    run = fit("translation", *paths, out=tmp_path / "run", **options)
    (number, _) = run.data.sides.source.encode("two").tolist()
    assert run.model.encoder.embedding.weight[number].tolist() == pytest.approx([0.25] * 12, abs=1e-6)


def test_models_are_compared_with_a_copy_and_a_memory(tmp_path, monkeypatch):
    monkeypatch.setenv("RECURRA_CACHE", str(tmp_path / "cache"))
    paths, dev = write_pairs(tmp_path, "train", numerals(80)), write_pairs(tmp_path, "dev", numerals(10, seed=1))
    options = {name: value for name, value in SMALL.items() if name != "baselines"} | dict(epochs=2, beam=1)
    names = ["copy", "translation-memory", "gru"]
    found = compare("translation", *paths, dev=dev, models=names, out=tmp_path / "models", **options)
    copy, memory, gru = found.results
    run = fit("translation", *paths, dev=dev, out=tmp_path / "run", **options | dict(epochs=1), baselines=True)
    for result in (copy, memory):
        assert [one.to_json() for one in result.scores["test"]] == run.scores["baselines"][result.name]
    assert (copy.parameters, memory.parameters) == (0, len(run.data.train))
    assert gru.scores["dev"][0].to_json() == load(tmp_path / "models" / "gru").scores["scores"]["dev"][0]
    assert {path.name for path in (tmp_path / "models").glob("*.png")} == {"time.png", "parameters.png"}
    with pytest.raises(BadInput, match="unknown model 'lstmm'; did you mean 'lstm'"):
        compare("translation", *paths, models=["lstmm"], out=tmp_path / "other", **options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (dict(), "For all steps at once, after the layers: the scores of all places"),
        (dict(feeding=True), "every step waits, because it reads what was attended to a step before"),
        (dict(attention="additive", coverage=True), "every step waits, because it goes by what was attended to before"),
        (dict(attention="none", bridge="last", direction="forward"), "no attention: all steps of a batch are one call"),
    ],
)
def test_it_is_said_what_runs_inside_the_loop(tmp_path, monkeypatch, options, said):
    monkeypatch.setenv("RECURRA_CACHE", str(tmp_path / "cache"))
    paths = write_pairs(tmp_path, "train", numerals(30))
    parts = dict(explain_run(fit("translation", *paths, out=tmp_path / "run", **SMALL | dict(epochs=1) | options)))
    assert said in parts.pop("decoder")
    assert all(text.startswith("GRU runs as one compiled loop") for text in parts.values())
    first, alone = "encoder.layers.layers.0", options.get("direction") == "forward"
    layers = [first] if alone else [f"{first}.forwards", f"{first}.backwards"]
    assert sorted(name for names in parts for name in names.split(", ")) == sorted([*layers, "decoder.layers.layers.0"])
