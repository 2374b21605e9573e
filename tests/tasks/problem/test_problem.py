"""A network that recalls a symbol, and everything a run of it can be asked."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file

from recurra.data.problems import PROBLEMS, make_problem
from recurra.data.problems.draws import DEV, TEST
from recurra.errors import BadInput
from recurra.tasks.problem.config import Config
from recurra.tasks.problem.problems import TrainingBatches, first_lag, make_data
from recurra.tasks.problem.scoring import accepted, answer_of, judge, outcome, parts
from recurra.tasks.problem.task import build, problem
from recurra.tasks.run import fit, load

SMALL = dict(hidden_size=16, batch_size=25, learning_rate=0.02, epoch_size=250, part_size=120, cell="gru", threads=1)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("problem") / "run"
    return fit("problem", "delayed-recall", out=out, lag=6, symbols=2, **SMALL)


def test_it_is_solved_and_training_ends(run):
    loss, right, sequences, solved = run.scores["scores"]["test"]
    assert (solved["value"], solved["name"]) == (1.0, "solved") and sequences["value"] >= 99 and loss["value"] < 0.1
    assert right["signature"] == "test|delayed-recall|lag=6|symbols=2|sequences=120"
    records = run.folder.metrics()
    assert [record["update"] for record in records if record.get("solved")] == [run.scores["solved"]["update"]]
    assert run.scores["solved"] == {name: records[-1][name] for name in ("update", "seconds")}
    assert records[-1]["update"] < 250 / 25 * 100  # of all rounds
    trivial, optimal = (run.scores["baselines"][name] for name in ("trivial", "optimal"))
    assert trivial[0]["value"] == pytest.approx(0.6931, abs=1e-3) and optimal[0]["value"] < 1e-6
    assert (trivial[3]["value"], optimal[3]["value"]) == (0.0, 1.0)


def test_it_is_loaded_and_scored_alike(run):
    again = load(run.path)
    assert [score.to_json() for score in again.evaluate()["model"]] == run.scores["scores"]["test"]
    assert [path.name for path in again.present()] == ["learning-curve.png", "scores.png", "lags.png"]
    said = again.report()
    assert "first solved after update" in said[0] and "at most 1 % of sequences are answered wrong" in said[0]
    assert [line.split(":")[0] for line in said[1:]] == ["lag 3", "lag 6 (trained)", "lag 12", "lag 24"]


def test_a_run_that_does_not_say_what_it_learnt_is_refused(run, tmp_path):
    shutil.copytree(run.path, tmp_path / "run")
    (tmp_path / "run" / "problem.json").write_text("{}")
    with pytest.raises(BadInput, match=r"problem\.json: does not name the problem"):
        load(tmp_path / "run").evaluate()


@pytest.mark.parametrize("name", ["temporal-xor", "anbn", "spike-delays", "periodic"])
def test_runs_draw_what_they_do_step_by_step(tmp_path, name):
    own = dict(SMALL, lag=4, epochs=1, epoch_size=50, part_size=20, baselines=False)
    found = fit("problem", name, out=tmp_path / "run", **own)
    more = {
        "temporal-xor": {"lags.png", "answers.png", "places.png"},
        "anbn": {"lags.png", "states.png"},
        "spike-delays": {"answers.png"},
        "periodic": {"answers.png"},
    }[name]
    assert {path.name for path in found.path.rglob("*.png")} == {"learning-curve.png", "scores.png"} | more


@pytest.mark.parametrize(
    ("name", "precision"),
    [
        *((name, torch.float32) for name in PROBLEMS),
        *((name, torch.float64) for name in ("adding", "anbn", "copy-memory")),
    ],
)
def test_every_problem_trains(name, precision):
    torch.set_default_dtype(precision)
    try:
        config = Config(
            cell="elman", lag=max(make_problem(name).least_lag, 4), hidden_size=4, batch_size=3, part_size=5
        )
        data = make_data(name, config)
        learner = problem(config, data, build(config, data))
        loss = learner.loss(learner.model, learner.batches(0)[0], None)
        loss.value.backward()
        score = learner.validate(learner.model)
    finally:
        torch.set_default_dtype(torch.float32)
    assert loss.value.dtype == precision and loss.value.isfinite() and score.value > 0
    assert all(parameter.grad is not None for parameter in learner.model.parameters())


def test_training_batches_go_on_where_the_last_ended():
    config = Config(lag=5, batch_size=4, epoch_size=10)
    data = make_data("adding", config)
    batches = [TrainingBatches(build(config, data), data.problem, config, epoch) for epoch in (0, 1)]
    assert len(batches[0]) == 3
    drawn = torch.cat([each[index].x for each in batches for index in range(3)])
    torch.testing.assert_close(drawn, data.problem.examples(0, range(24)).x)


def test_a_curriculum_begins_short_and_doubles_what_is_solved(tmp_path):
    options = dict(SMALL, lag=30, symbols=2, curriculum="grow", checkpoint_every=10, baselines=False, seed=1, epochs=60)
    run = fit("problem", "delayed-recall", out=tmp_path / "whole", **options)
    assert run.scores["solved"]["update"] > 10 and int(run.model.lag) == 30
    config = run.config
    assert first_lag(run.data.problem, config) == 10
    batch = TrainingBatches(build(config, run.data), run.data.problem, config, 0)[0]
    assert batch.x.shape[1] == 11

    cut = tmp_path / "cut"
    shutil.copytree(run.path, cut)
    (cut / "scores.json").unlink()
    *_, before, newest = sorted((cut / "checkpoints").iterdir())
    newest.unlink()
    again = fit("problem", "delayed-recall", out=cut, resume=True, **options)
    one, other = (load_file(each.path / "model.safetensors") for each in (run, again))
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
    assert again.scores["solved"]["update"] == run.scores["solved"]["update"]


def plainly(asked, answer, seed, size):
    """Loss, part of sequences right, and mean error, an example at a time."""
    losses, right, errors = [], 0, []
    for index in range(size):
        found = asked.examples(seed, [index])
        outputs = answer(found)
        losses.append((float(asked.loss(outputs, found.target, found.mask)), int(found.mask.sum())))
        judged = found.judged[0]
        right += bool(asked.right(outputs, found.truth)[0][judged].all())
        errors += (outputs - found.truth)[0][judged].abs().flatten().tolist() if asked.kind == "numbers" else [0.0]
    return (
        sum(loss * count for loss, count in losses) / sum(count for _, count in losses),
        100 * right / size,
        sum(errors) / len(errors),
    )


@pytest.mark.parametrize("name", ["adding-1997", "spike-delays", "temporal-xor", "embedded-reber", "two-sequence-3c"])
def test_scores_are_those_of_single_sequences(name):
    torch.manual_seed(0)
    config = Config(lag=30, hidden_size=4)
    data = make_data(name, config)
    model = build(config, data)
    model.output.weight.data.mul_(30)
    answer = answer_of(model)
    found = judge(data.problem, answer, parts(data.problem, TEST, 300))
    loss, right, error = plainly(data.problem, answer, TEST, 300)
    assert (found.loss, found.sequences, found.error) == pytest.approx((loss, right, error), rel=1e-4)


def test_solved_is_what_the_criterion_says():
    asked = make_problem("adding", lag=20)

    def off(share, error):
        """Answers of which a share is off by more than is allowed, and the others by less."""
        return lambda found: (
            found.truth + torch.where(torch.arange(len(found.x)) < share * len(found.x), error, 0.039)[:, None, None]
        )

    def solved(answer):
        return judge(asked, answer, iter([asked.examples(DEV, range(200))])).solved

    assert solved(off(0.01, 0.05)) and not solved(off(0.015, 0.05)) and solved(off(0.5, 0.0399))
    mean = make_problem("two-sequence-3c")
    for error, wanted in ((0.0149, True), (0.0151, False)):
        assert judge(mean, lambda found, error=error: found.truth + error, parts(mean, DEV, 50)).solved is wanted


def test_a_language_is_known_up_to_the_first_string_that_is_not():
    asked = make_problem("anbn", lag=3)

    def up_to(last):
        def answer(found):
            wrong = found.lengths > 1 + 2 * last
            return torch.where(wrong[:, None, None], -1.0, 1.0) * (2 * found.truth - 1)

        return answer

    assert [accepted(asked, up_to(last), 30) for last in (0, 1, 17, 30)] == [0, 1, 17, 30]
    every = judge(asked, up_to(2), parts(asked, DEV, 7))
    assert every.sequences == pytest.approx(100 * 2 / 3) and not every.solved  # all strings up to 3, whatever the size

    data = make_data("anbn", Config(lag=3))
    found, test = outcome(data, up_to(4), "dev"), outcome(data, up_to(4), "test")
    right, wrong = (torch.nn.functional.softplus(torch.tensor(-sign)).item() for sign in (1.0, -1.0))
    steps = [1 + 2 * n for n in range(1, 7)]  # the dev part has strings up to 6, of which this knows those up to 4
    assert found.loss == pytest.approx((right * sum(steps[:4]) + wrong * sum(steps[4:])) / sum(steps))
    assert test.loss == pytest.approx(right) and found.solved and test.solved


@pytest.mark.parametrize(
    ("data", "options", "said"),
    [
        ((), {}, "name one, for instance recurra fit problem adding"),
        (("adding", "anbn"), {}, "name one"),
        (("addin",), {}, "unknown problem 'addin'; did you mean 'adding'?"),
        (("adding",), {"symbols": 4}, "--symbols: adding has no such choice"),
        (("temporal-order",), {"lag": 5}, "--lag 5: temporal-order needs 10 or more"),
        (("adding",), {"lag": 1}, "--lag 1: must be greater than or equal to 2"),
        (("adding",), {"cell": "lsmt"}, "did you mean 'lstm'"),
    ],
)
def test_bad_input_leaves_nothing(tmp_path, data, options, said):
    with pytest.raises(BadInput) as error:
        fit("problem", *data, out=tmp_path / "run", **options)
    assert said in str(error.value) and not (tmp_path / "run").exists()


def test_a_problem_is_its_name_though_a_folder_has_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "adding").mkdir()
    own = dict(SMALL, lag=4, epochs=1, epoch_size=25, part_size=10, baselines=False)
    run = fit("problem", "adding", out="run", **own)
    assert json.loads((tmp_path / "run" / "config.json").read_text())["data"]["train"] == ["adding"]
    with pytest.raises(BadInput, match="a run is scored on its own problem"):
        run.evaluate("adding")
