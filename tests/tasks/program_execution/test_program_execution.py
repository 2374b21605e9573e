"""A network that learns to add one digit, and everything a run of it can be asked."""

import io
from types import SimpleNamespace

import pytest
import torch

from recurra.data.programs import Level, Program
from recurra.errors import BadInput
from recurra.tasks.comparison import compare
from recurra.tasks.program_execution.config import Config
from recurra.tasks.program_execution.prediction import programs
from recurra.tasks.program_execution.problems import TrainingBatches, batch, goal, promoted, read_code, write_answer
from recurra.tasks.program_execution.scoring import answers, by_level, character_accuracy
from recurra.tasks.program_execution.task import build
from recurra.tasks.run import fit, load

SMALL = dict(problem="copy", length=3, hidden_size=64, layers=1, cell="gru", embedding_size=16, batch_size=32,
             learning_rate=0.01, epoch_size=3200, epochs=10, part_size=120)  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return fit("program-execution", out=tmp_path_factory.mktemp("execution") / "run", **SMALL)


def test_it_learns_and_leaves_a_run(run):
    characters, whole = run.scores["scores"]["test"]
    assert characters["value"] > 88 and whole["value"] > 60  # of numbers that it has not seen
    assert characters["signature"] == "test|copy|length=3|problems=120|teacher forcing"
    assert run.scores["baselines"]["blind-trigram"][0]["value"] < 60
    assert {path.name for path in run.path.rglob("*.png")} == {"learning-curve.png", "scores.png", "accuracy.png"}
    assert run.model.level.tolist() == [3, 1]


def test_it_is_loaded_and_answers(run, monkeypatch):
    again = load(run.path)
    scores = [score.to_json() for score in again.evaluate()["model"]]
    assert scores == run.scores["scores"]["test"]
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"123\n\n907\n")))
    found = again.predict("-").split("\n")
    assert [len(text) for text in found] == [3, 3, 0]
    assert len(again.report()) == 8


def test_a_character_of_no_program_is_named(run, monkeypatch):
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"12\n3\xc3\xa4\n")))
    with pytest.raises(BadInput, match="standard input: line 2: the character 'ä' is in no program"):
        run.predict("-")


def test_files_are_refused(tmp_path):
    (tmp_path / "data").write_text("1\n")
    with pytest.raises(BadInput, match="programs are drawn, not read; leave it out"):
        fit("program-execution", tmp_path / "data", out=tmp_path / "run", **SMALL)


def test_programs_end_with_a_line_that_prints():
    lines = ["a=1", "print(a)", "", "print(2)"]
    assert list(programs(lines, "x.py", copies=False)) == [(2, "a=1\nprint(a)"), (4, "print(2)")]
    with pytest.raises(BadInput, match="x.py: line 1: the program that ends here prints nothing"):
        list(programs(["a=1"], "x.py", copies=False))


@pytest.mark.parametrize(
    ("options", "read"), [({}, "12"), ({"reversed": True}, "21"), ({"doubled": True}, "1212"),
                          ({"reversed": True, "doubled": True}, "2121")],
)  # fmt: skip
def test_a_batch_asks_for_the_answer_alone(options, read):
    config = Config(problem="copy", length=2, **options)
    found = batch([Program("12", "34"), Program("5", "6")], config)
    inside = read_code("12", config)
    assert write_answer(inside) == read
    asked = found.wanted[0] >= 0
    assert asked.tolist() == [False] * len(read) + [True] * 3
    assert write_answer(found.wanted[0][asked].tolist()) == "34" and found.wanted[0][asked][-1] == 0
    assert write_answer(found.tokens[0][len(read) + 1 :].tolist()) == "34"
    assert (found.wanted[1] >= 0).sum() == 2
    assert found.lengths.tolist() == [len(read) + 3, len(read) // 2 + 2]


def test_the_loss_of_a_batch_is_that_of_its_problems(run):
    programs = [Program("print(1)", "1"), Program("print(12+34)", "46"), Program("2", "2")]
    with torch.no_grad():
        together = run.model.loss(*batch(programs, run.config))
        alone = [run.model.loss(*batch([program], run.config)) for program in programs]
    torch.testing.assert_close(together, sum(alone))


def test_accuracy_is_that_of_single_steps(run):
    model, config = run.model, run.config
    problems = run.data.test[:5]
    right = count = 0
    for program in problems:
        tokens = torch.tensor([read_code(program.code, config)])
        state = model.begin(tokens, torch.tensor([tokens.shape[1]]))
        last = torch.zeros(1, dtype=torch.long)
        for letter in (*program.output, None):
            logits, state = model.step(last, state)
            wanted = read_code(letter, config)[0] if letter else 0
            right, count = right + int(logits.argmax() == wanted), count + 1
            last = torch.tensor([wanted])
    assert character_accuracy(model, problems, config) == pytest.approx(100 * right / count)


def test_answers_are_written_alone_and_together_alike(run):
    codes = [program.code for program in run.data.test[:7]]
    together = answers(run.model, codes, run.config)
    assert together == [answers(run.model, [code], run.config)[0] for code in codes]


def test_levels_rise_by_length_and_then_by_nesting():
    last, level, seen = Level(3, 2), Level(1, 1), []
    while promoted(level, last) != level:
        seen.append(level)
        level = promoted(level, last)
    assert [*seen, level] == [Level(n, m) for m in (1, 2) for n in (1, 2, 3)]


@pytest.mark.parametrize("curriculum", ["none", "naive", "mixed", "combined"])
def test_a_curriculum_chooses_how_hard_problems_are(curriculum):
    config = Config(problem="copy", length=4, curriculum=curriculum, batch_size=400, hidden_size=4, layers=1)
    batches = TrainingBatches(build(config), config, 0)
    lengths = ((batches[0].wanted >= 0).sum(1) - 1).tolist()
    wanted = {"none": {4}, "naive": {1}, "mixed": {1, 2, 3, 4}, "combined": {1, 2, 3, 4}}[curriculum]
    assert set(lengths) == wanted
    if curriculum == "combined":
        assert lengths.count(1) > 200  # half of them, and a quarter of the rest
    assert torch.equal(batches[3].tokens, batches[3].tokens)


def test_levels_of_other_kinds_than_programs_are_lengths(run):
    assert goal(run.config) == Level(3, 1)
    assert list(by_level(run.model, run.config, 20)) == [Level(1, 1), Level(2, 1), Level(3, 1)]


def test_models_are_compared_with_blind_counts(run, tmp_path):
    options = {name: value for name, value in SMALL.items() if name != "cell"} | dict(epochs=1)
    found = compare("program-execution", models=["blind-trigram", "elman"], out=tmp_path / "models", **options)
    assert [one.to_json() for one in found.results[0].scores["test"]] == run.scores["baselines"]["blind-trigram"]
    assert found.results[1].scores["test"][0].name == "character accuracy"
