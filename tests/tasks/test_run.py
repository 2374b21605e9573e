"""What a run does about the places around it: its folder, its data, the caller's threads."""

import pytest
import torch

import recurra
from recurra.errors import BadInput
from tests.commands.conftest import write_text

TINY = {"hidden_size": 8, "batch_size": 4, "steps": 10, "epochs": 1}


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECURRA_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def text(tmp_path):
    return write_text(tmp_path / "text.txt")


def test_an_output_folder_inside_the_data_is_refused(tmp_path):
    texts = tmp_path / "texts"
    texts.mkdir()
    write_text(texts / "text.txt")
    with pytest.raises(BadInput, match="lies inside the data folder"):
        recurra.fit("language-model", texts, out=texts / "run", **TINY)
    assert [path.name for path in texts.iterdir()] == ["text.txt"]


def test_a_run_whose_text_has_gone_says_so_and_still_scores_other_texts(tmp_path, text, capsys):
    run = recurra.fit("language-model", text, out=tmp_path / "run", baselines=False, **TINY)
    expected = run.evaluate()["model"][0].value
    text.rename(tmp_path / "moved.txt")
    with pytest.raises(BadInput, match="text.txt"):
        recurra.load(tmp_path / "run").evaluate()
    other = recurra.load(tmp_path / "run").evaluate(str(tmp_path / "moved.txt"))
    assert list(other) == ["model"] and "without n-grams" in capsys.readouterr().err
    assert other["model"][0].value == pytest.approx(expected, rel=0.5)


def test_a_run_killed_before_its_card_was_written_gets_it_when_resumed(tmp_path, text):
    run = recurra.fit("language-model", text, out=tmp_path / "run", baselines=False, **TINY)
    card = run.path / "README.md"
    before = card.read_text()
    card.unlink()
    recurra.fit("language-model", text, out=tmp_path / "run", resume=True, **TINY)
    assert card.read_text() == before


def test_the_callers_number_of_threads_comes_back(tmp_path, text):
    torch.set_num_threads(2)
    try:
        run = recurra.fit("language-model", text, out=tmp_path / "run", baselines=False, **TINY)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    assert run.folder.record["threads"] == 1  # its steps are small


@pytest.mark.parametrize("options", [{"optimizer": "nesterov", "momentum": 0.0}, {"seed": 2**63}])
def test_what_torch_would_refuse_later_is_refused_at_once(tmp_path, text, options):
    with pytest.raises(BadInput, match="--" + list(options)[-1]):
        recurra.fit("language-model", text, out=tmp_path / "run", **TINY, **options)
    assert not (tmp_path / "run").exists()
