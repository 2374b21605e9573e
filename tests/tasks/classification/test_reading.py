"""Files to parts: classes, vocabulary, lengths, what is cut, and everything that is refused."""

import gzip
from dataclasses import replace

import numpy as np
import pytest

from recurra.data.vocabulary import build_vocabulary
from recurra.errors import BadInput
from recurra.tasks.classification.config import Config
from recurra.tasks.classification.reading import Meaning, read_cases_in_parts, read_only_test
from recurra.tasks.sources import Sources
from tests.tasks.classification.files import reviews, topics, waves

REVIEWS = {"text": "review", "label": "side"}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RECURRA_CACHE", str(tmp_path / "cache"))


def read(*train, dev=None, test=None, **options):
    named = Sources.named(tuple(map(str, train)), dev and str(dev), test and str(test))
    return read_cases_in_parts(named, Config(**options))


def test_texts_become_tokens_of_a_vocabulary_of_the_training_part(tmp_path):
    (tmp_path / "test.csv").write_text("id,review,side\n0,Good zebra,praise\n")
    data = read(reviews(tmp_path / "train.csv", 90), test=tmp_path / "test.csv", lower=True, **REVIEWS)
    vocabulary = data.meaning.vocabulary
    assert data.meaning.classes == ("blame", "fact", "praise") and data.meaning.kind == "text"
    assert [len(part) for part in (data.train, data.dev, data.test)] == [81, 9, 1]
    for case in range(len(data.train)):
        text = data.train.store.text(int(data.train.rows[case]))
        assert vocabulary.decode(data.train[case]) == text and data.train.lengths[case] == len(text.split())
    assert data.test[0].tolist() == [vocabulary.encode("good")[0], vocabulary.unknown]
    assert data.test.targets.tolist() == [2] and data.test.place(0) == f"{tmp_path / 'test.csv'}: line 2"


def test_series_keep_their_numbers_and_lengths(tmp_path):
    data = read(waves(tmp_path / "waves.ts", 60))
    assert data.meaning == Meaning("series", 2, ("fall", "rise"), False, False, None, None)
    assert [len(part) for part in (data.train, data.dev, data.test)] == [48, 6, 6]
    assert all(data.train[case].shape == (data.train.lengths[case], 2) for case in range(48))
    lines = (tmp_path / "waves.ts").read_text().splitlines()[8:]
    row = int(data.dev.rows[3])
    first, second, label = lines[row].split(":")
    wanted = np.array([first.split(","), second.split(",")], np.float32).T
    assert np.array_equal(data.dev[3], wanted) and data.meaning.classes[data.dev.targets[3]] == label


def test_a_second_reading_takes_the_cases_from_the_cache(tmp_path, monkeypatch):
    file = waves(tmp_path / "waves.ts", 20)
    first = read(file)
    monkeypatch.setattr("recurra.tasks.classification.store.read_cases", None)
    assert np.array_equal(read(file).train[0], first.train[0]) and read(file).train.place(0) == first.train.place(0)
    monkeypatch.undo()


def test_changed_files_are_read_anew(tmp_path, monkeypatch):
    monkeypatch.setenv("RECURRA_CACHE", str(tmp_path / "cache"))
    first = read(waves(tmp_path / "waves.ts", 20))
    second = read(waves(tmp_path / "waves.ts", 20, seed=1))
    assert first.hashes != second.hashes and not np.array_equal(first.train[0], second.train[0])


def test_a_folder_hashes_as_what_is_in_it(tmp_path):
    for side, text in (("up", "good"), ("down", "bad")):
        (tmp_path / "classes" / side).mkdir(parents=True)
        for number in range(5):
            (tmp_path / "classes" / side / f"{number}.txt").write_text(text)
    first = read(tmp_path / "classes").hashes
    assert len(first) == 1
    (tmp_path / "classes" / "up" / "0.txt").write_text("better")
    assert read(tmp_path / "classes").hashes.keys() == first.keys() and read(tmp_path / "classes").hashes != first


def test_several_labels_are_columns_of_zeros_and_ones(tmp_path):
    data = read(topics(tmp_path / "topics.csv", 80), separator=";")
    assert data.meaning.multilabel and data.meaning.classes == ("blame", "fact", "praise")
    assert data.train.targets.dtype == np.float32 and data.train.targets.shape == (len(data.train), 3)
    for case, row in enumerate(data.train.rows.tolist()):
        names = {data.meaning.classes[k] for k in np.flatnonzero(data.train.targets[case])}
        assert names == set(data.train.store.labels[row])


def test_long_cases_are_cut_and_it_is_said(tmp_path, capsys):
    data = read(waves(tmp_path / "waves.ts", 60), longest=7)
    assert data.train.lengths.max() == 7 and data.train[int(data.train.lengths.argmax())].shape == (7, 2)
    long = int((data.train.steps.lengths[data.train.rows] > 7).sum())
    assert f"train: {long} of 48 cases cut to 7 steps" in capsys.readouterr().err


def test_numbers_sort_by_value_before_names(tmp_path):
    labels = ["10", "9", "-1.5", "b", "10b"] * 6
    (tmp_path / "lines.txt").write_text("".join(f"{label} some words\n" for label in labels))
    assert read(tmp_path / "lines.txt").meaning.classes == ("-1.5", "9", "10", "10b", "b")


def test_a_text_without_words_is_one_unknown_word(tmp_path):
    meaning = Meaning("text", 1, ("a", "b"), False, False, None, build_vocabulary("words", ["some words"]))
    assert meaning.tokens(" \t").tolist() == [0]


def test_the_meaning_comes_back_from_a_run_folder(tmp_path):
    for vocabulary in (None, build_vocabulary("words", ["some words"])):
        kind = "text" if vocabulary else "series"
        meaning = Meaning(kind, 1, ("a", "ü"), True, True, 9, vocabulary)
        meaning.save(tmp_path)
        again = Meaning.load(tmp_path)
        assert replace(again, vocabulary=None) == replace(meaning, vocabulary=None)
        assert vocabulary is None or again.vocabulary.to_json() == vocabulary.to_json()
    (tmp_path / "classes.json").write_text("{")
    with pytest.raises(BadInput, match="classes.json: damaged"):
        Meaning.load(tmp_path)
    with pytest.raises(BadInput, match="cannot be read"):
        Meaning.load(tmp_path / "elsewhere")


def test_a_class_with_one_case_stays_in_the_training_part(tmp_path, capsys):
    lines = ["a x\n", "b y\n"] * 10 + ["rare z\n"]
    (tmp_path / "lines.txt").write_text("".join(lines))
    data = read(tmp_path / "lines.txt")
    assert "rare" in data.meaning.classes
    assert f"{tmp_path / 'lines.txt'}: line 21: the only case of the class 'rare'" in capsys.readouterr().err


def test_a_label_that_training_did_not_see_is_named_with_its_line(tmp_path):
    (tmp_path / "test.csv").write_text("id,review,side\n0,good,praise\n1,what,doubt\n")
    train = reviews(tmp_path / "train.csv", 30)
    with pytest.raises(BadInput, match=r"test.csv: line 3: the label 'doubt' does not occur .*blame, fact, praise"):
        read(train, test=tmp_path / "test.csv", **REVIEWS)


@pytest.mark.parametrize("lines", ["a x\n" * 30, "a x\na y\n"])
def test_one_class_is_refused(tmp_path, lines):
    (tmp_path / "lines.txt").write_text(lines)
    with pytest.raises(BadInput, match=r"lines.txt: (has only the class 'a'|too few cases)"):
        read(tmp_path / "lines.txt")


def test_too_few_cases_to_cut_from_are_refused(tmp_path):
    (tmp_path / "lines.txt").write_text("a x\nb y\n")
    with pytest.raises(BadInput, match="too few cases to cut a test part from; give more, or --test FILE"):
        read(tmp_path / "lines.txt")


def test_cases_of_another_kind_than_trained_on_are_refused(tmp_path):
    series, texts = waves(tmp_path / "waves.ts", 30), reviews(tmp_path / "reviews.csv", 30)
    config, named = Config(**REVIEWS), lambda path: Sources.named((str(path),), None, None)
    of_texts, of_series = read(texts, **REVIEWS).meaning, read(series).meaning
    with pytest.raises(BadInput, match=r"waves.ts: line 9: is a series of numbers, the model was trained on text"):
        read_only_test(named(series), config, of_texts)
    with pytest.raises(BadInput, match=r"reviews.csv: line 2: is a text, the model was trained on series of numbers"):
        read_only_test(named(texts), config, of_series)
    with pytest.raises(BadInput, match="series of 3 dimensions, the model was trained on 2"):
        read_only_test(named(waves(tmp_path / "more.ts", 5, dimensions=3)), config, of_series)
    with pytest.raises(BadInput, match="more.ts: .* a series of 3 dimensions"):
        read(series, test=tmp_path / "more.ts")


def test_all_of_other_data_is_the_test_part(tmp_path):
    meaning = read(waves(tmp_path / "waves.ts", 30)).meaning
    with gzip.open(tmp_path / "other.ts.gz", "wb") as file:
        file.write(waves(tmp_path / "other.ts", 7, seed=3).read_bytes())
    data = read_only_test(Sources.named((str(tmp_path / "other.ts.gz"),), None, None), Config(), meaning)
    assert [len(part) for part in (data.train, data.dev, data.test)] == [0, 0, 7]


def test_other_data_has_the_encoding_of_the_set_that_was_learnt(tmp_path):
    meaning = read(reviews(tmp_path / "train.csv", 30), **REVIEWS).meaning
    (tmp_path / "other.csv").write_bytes("id,review,side\n0,café good,praise\n".encode("latin-1"))
    other = Sources.named((str(tmp_path / "other.csv"),), None, None)
    assert read_only_test(other, Config(**REVIEWS), meaning, "latin-1").test.store.text(0) == "café good"
    with pytest.raises(BadInput, match="line 2: byte 0xe9 is not of utf-8"):
        read_only_test(other, Config(**REVIEWS), meaning)
