"""Recurra as a user's program sees it."""

import subprocess
import sys

import pytest
import torch

import recurra
from tests.commands.conftest import write_text


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RECURRA_CACHE", str(tmp_path / "cache"))


def test_import_is_light():
    script = "import sys, recurra; dir(recurra); sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], timeout=60).returncode == 0


def test_every_name_is_there_and_others_are_not():
    for name in recurra.__all__:
        assert getattr(recurra, name) is not None
    assert set(dir(recurra)) == set(recurra.__all__)
    with pytest.raises(AttributeError, match="no attribute 'fti'"):
        recurra.fti  # noqa: B018


def test_fit_look_sample_and_load(tmp_path):
    book = write_text(tmp_path / "book.txt")
    options = dict(cell="gru", hidden_size=8, batch_size=4, steps=10, epochs=1, baselines=False)
    run = recurra.fit("language-model", book, out=tmp_path / "book", **options)
    drawn = run.sample("the", length=30, seed=1)
    again = recurra.load(tmp_path / "book")
    assert drawn == again.sample("the", length=30, seed=1) and drawn.startswith("the")
    assert again.scores == run.scores and again.config.cell == "gru"
    assert again.evaluate()["model"] == run.final_scores()["model"]


def test_words_that_training_called_unknown_are_never_drawn(tmp_path):
    text = write_text(tmp_path / "text.txt")
    text.write_text("once upon a time\n" + text.read_text())
    options = dict(unit="words", min_count=2, hidden_size=4, batch_size=4, steps=10, epochs=1, baselines=False)
    run = recurra.fit("language-model", text, out=tmp_path / "run", **options)
    unknown = run.data.vocabulary.unknown
    assert unknown is not None and unknown in run.data.train[0:10]
    drawn = run.sample(length=300, temperature=5.0, seed=0)
    assert len(drawn.split()) > 200 and run.data.vocabulary.decode([unknown]).strip() not in drawn.split()


def test_text_stops_where_it_would_go_on_with_the_stop_text(tmp_path):
    text = write_text(tmp_path / "text.txt")
    options = dict(hidden_size=8, batch_size=4, steps=10, epochs=1, baselines=False)
    run = recurra.fit("language-model", text, out=tmp_path / "run", **options)
    whole = run.sample(length=300, seed=0)
    stop = whole[200:203]
    assert run.sample(length=300, seed=0, stop=stop) == whole[: whole.index(stop)]


def test_mistakes_are_bad_input(tmp_path):
    book = write_text(tmp_path / "book.txt")
    with pytest.raises(recurra.BadInput, match="unknown option 'hiden_size'; did you mean 'hidden_size'"):
        recurra.fit("language-model", book, out=tmp_path / "out", hiden_size=8)
    with pytest.raises(recurra.BadInput, match="unknown task 'langage-model'; did you mean 'language-model'"):
        recurra.fit("langage-model", book, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_cell_over_ragged_sequences():
    x, lengths = torch.randn(3, 5, 4), torch.tensor([5, 2, 3])
    y, state = recurra.Recurrent(recurra.cells.PeepholeLSTM(4, 6))(x, lengths=lengths)
    assert torch.equal(state.h, y[torch.arange(3), lengths - 1])
    assert torch.equal(recurra.select(state, torch.tensor([2])).h, state.h[2:])
