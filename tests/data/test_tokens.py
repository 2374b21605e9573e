import gzip
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from recurra.data.tokens import read_corpus
from recurra.data.vocabulary import build_vocabulary
from recurra.errors import BadInput

LINES = "".join(f"line {n} of the tëxt, in words\n" for n in range(400))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RECURRA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(LINES)
    return path


def spelt(corpus):
    return {name: corpus.vocabulary.decode(getattr(corpus, name)[:]) for name in ("train", "dev", "test")}


def test_characters_are_cut_exactly(text):
    corpus = read_corpus([text], unit="characters")
    first, second = len(LINES) * 9 // 10, len(LINES) * 95 // 100
    assert spelt(corpus) == {"train": LINES[:first], "dev": LINES[first:second], "test": LINES[second:]}
    assert corpus.characters == {"train": first, "dev": second - first, "test": len(LINES) - second}


@pytest.mark.parametrize("unit", ["words", "pretokenised", "bpe"])
def test_other_units_are_cut_at_the_next_line_and_encoded_as_the_whole(text, unit):
    if unit == "bpe":
        pytest.importorskip("tokenizers", reason="needs the text extra")
    corpus = read_corpus([text], unit=unit, vocabulary_size=300)
    first, second = (LINES.index("\n", int(len(LINES) * share) - 1) + 1 for share in (0.9, 0.95))
    parts = {"train": LINES[:first], "dev": LINES[first:second], "test": LINES[second:]}
    own = build_vocabulary(unit, [parts["train"]], size=300)
    for name, part in parts.items():
        assert np.array_equal(np.asarray(getattr(corpus, name)), own.encode(part))
        assert corpus.characters[name] == len(part)


def test_a_cut_on_a_line_end_stays_and_one_without_goes_to_a_blank(tmp_path):
    path = tmp_path / "t"
    path.write_text("aaaa bbb\n" * 10)
    corpus = read_corpus([path], unit="words", fractions=(0.8, 0.1, 0.1))
    assert corpus.characters == {"train": 72, "dev": 9, "test": 9}
    path.write_text("aaaa bbbb " * 10)
    assert read_corpus([path], unit="words", fractions=(0.82, 0.08, 0.1)).characters["train"] == 84


def test_given_parts_are_used_whole_and_the_rest_comes_from_train(text, tmp_path):
    (tmp_path / "other").write_text("öther text")
    both = read_corpus([text], tmp_path / "other", tmp_path / "other", unit="characters")
    assert spelt(both)["train"] == LINES and both.characters == {"train": len(LINES), "dev": 10, "test": 10}
    assert both.dev[0:1].tolist() == [0]  # ö is not in the training text
    cut = len(LINES) * 95 // 100
    dev = read_corpus([text], tmp_path / "other", unit="characters")
    assert len(dev.train) == cut and spelt(dev)["test"] == LINES[cut:] and len(dev.dev) == 10
    test = read_corpus([text], test=tmp_path / "other", unit="characters")
    assert len(test.train) == cut and spelt(test)["dev"] == LINES[cut:] and len(test.test) == 10
    assert set(test.hashes) == {str(text), str(tmp_path / "other")}


def test_vocabulary_is_learnt_from_the_training_part_alone(tmp_path):
    (tmp_path / "t").write_text("ab" * 45 + "cdefghijkl")
    corpus = read_corpus([tmp_path / "t"], unit="characters")
    assert corpus.vocabulary.characters == "ab" and not corpus.dev[:].any() and not corpus.test[:].any()


def test_a_saved_vocabulary_tests_on_a_whole_text(text):
    vocabulary = build_vocabulary("characters", ["line"])
    corpus = read_corpus([text], unit="words", vocabulary=vocabulary, fractions=(0, 0, 1))
    assert len(corpus.train) == len(corpus.dev) == 0 and corpus.vocabulary is vocabulary
    assert np.array_equal(np.asarray(corpus.test), vocabulary.encode(LINES))
    assert len(np.asarray(corpus.train)) == 0


def test_second_reading_takes_everything_from_the_cache(text, cache):
    first = read_corpus([text], unit="words")
    before = {path: path.stat().st_mtime_ns for path in cache.rglob("*.*")}
    assert len(before) == 7  # one vocabulary, three parts of two files
    again = read_corpus([text], unit="words")
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*.*")} == before
    assert spelt(again) == spelt(first)
    assert len(read_corpus([text], unit="words", min_count=2).vocabulary) < len(first.vocabulary)
    other = read_corpus([text], unit="words", vocabulary=build_vocabulary("words", ["in words"]))
    assert np.asarray(other.train).max() == 2
    text.write_text(LINES + "one more")
    assert len(read_corpus([text], unit="words").test) > len(first.test)


@pytest.mark.parametrize("damage", ["shortened", "unrecorded", "garbled"])
def test_damaged_cache_is_noticed_and_made_again(text, cache, damage):
    want = spelt(read_corpus([text], unit="characters"))
    for path in cache.rglob("tokens.*"):
        if damage == "shortened" and path.suffix == ".bin":
            path.write_bytes(path.read_bytes()[:-1])
        elif damage != "shortened" and path.suffix == ".json":
            path.unlink() if damage == "unrecorded" else path.write_text("{")
        elif path.suffix == ".bin":
            path.write_bytes(b"?" * path.stat().st_size)  # must not be trusted without its record
    for path in (cache / "vocabularies").iterdir():
        path.write_text("{")
    assert spelt(read_corpus([text], unit="characters")) == want


def test_a_kill_while_encoding_leaves_nothing_that_is_trusted(text, cache):
    script = f"""
import os, signal
from pathlib import Path
from recurra.data.text import TextSource
from recurra.data.tokens import read_corpus
TextSource.__init__.__kwdefaults__["block"] = 64
def progress(done, total):
    if done > 0.8 * total and list(Path({str(cache)!r}).rglob("*.part")):
        os.kill(os.getpid(), signal.SIGKILL)
read_corpus([Path({str(text)!r})], unit="characters", progress=progress)
"""
    killed = subprocess.run([sys.executable, "-c", script], env=os.environ, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert list(cache.rglob("*.part")) and not list(cache.rglob("tokens.json"))
    assert "".join(spelt(read_corpus([text], unit="characters")).values()) == LINES


def test_stretches_are_those_of_the_array_and_cannot_be_written(text):
    tokens = read_corpus([text], unit="characters").train
    whole = np.asarray(tokens)
    assert len(tokens) == len(whole)
    for stretch in (slice(0, 5), slice(7, 7), slice(9, 3), slice(-4, None), slice(len(whole) - 2, len(whole) + 9)):
        assert np.array_equal(tokens[stretch], whole[stretch])
    with pytest.raises(ValueError, match="read-only"):
        tokens[:5][0] = 1
    with pytest.raises(ValueError, match="step of 2"):
        tokens[::2]


def test_progress_reaches_the_bytes_of_the_text_with_and_without_cache(text):
    size = text.stat().st_size
    for _ in range(2):
        seen = []
        read_corpus([text], unit="words", progress=lambda done, total, seen=seen: seen.append((done, total)))
        done = [now for now, _ in seen]
        assert done == sorted(done) and done[-1] == size and {total for _, total in seen} == {size}


def test_bad_input_and_shares(text, tmp_path, monkeypatch):
    for fractions in [(0.9, 0.2, 0.05), (1.1, -0.1, 0.0)]:
        with pytest.raises(ValueError, match="sum to 1"):
            read_corpus([text], unit="words", fractions=fractions)
    with pytest.raises(BadInput, match="missing: no such file"):
        read_corpus([text], tmp_path / "missing", unit="words")
    monkeypatch.setenv("RECURRA_CACHE", str(text / "below-a-file"))
    with pytest.raises(BadInput, match="cannot be made .*; set RECURRA_CACHE"):
        read_corpus([text], unit="words")


@pytest.mark.skipif("RECURRA_DATA" not in os.environ, reason="RECURRA_DATA does not name the folder of public sets")
def test_penn_treebank_has_its_published_counts(tmp_path):
    folder = Path(os.environ["RECURRA_DATA"]) / "ptb"
    files = [folder / f"ptb.{part}.txt.gz" for part in ("train", "valid", "test")]
    corpus = read_corpus(files[:1], *files[1:], unit="pretokenised")
    assert (len(corpus.train), len(corpus.dev), len(corpus.test)) == (929_589, 73_760, 82_430)
    assert len(corpus.vocabulary) == 10_000
    text = gzip.decompress(files[1].read_bytes()).decode()
    assert corpus.vocabulary.decode(corpus.dev[:]).split() == text.split()
