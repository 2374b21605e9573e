"""The loop against a plain one, and everything that may interrupt it."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn, optim
from torch.optim import lr_scheduler

from recurra.errors import BadInput, Stopped
from recurra.metrics.score import Score
from recurra.training.problem import Problem
from recurra.training.progress import Moment
from recurra.training.run_folder import RunFolder
from recurra.training.settings import Settings
from tests.disk import small_disk
from tests.training import tiny

PLAIN: dict[str, Any] = {
    "epochs": 2,
    "optimizer": "sgd",
    "learning_rate": 0.1,
    "schedule": "constant",
    "clip_norm": None,
    "precision": "float64",
}


def plain_loop(
    model: Any, optimizer: optim.Optimizer, *, epochs: int, accumulate: int, clip: Callable[[], Any], after: Any = None
) -> None:
    """What the loop is to do, with nothing but torch."""
    for _ in range(epochs):
        state, windows = None, tiny.windows()
        for start in range(0, len(windows), accumulate):
            group = windows[start : start + accumulate]
            losses = []
            for x, y in group:
                predicted, state = model(x.double(), state)
                losses.append((predicted - y.double()).square().mean())
                state = type(state)(*(leaf.detach() for leaf in state))
            optimizer.zero_grad()
            torch.stack(losses).mean().backward()
            clip()
            optimizer.step()
            if after:
                after.step()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"accumulate": 2},
        {"accumulate": 4},  # the last group of an epoch is smaller
        {"clip_norm": 0.01},
        {"clip_value": 0.002},
        {"clip_norm": 0.05, "clip_value": 0.01},
        {"optimizer": "nesterov", "momentum": 0.7, "weight_decay": 0.1},
        {"optimizer": "adamw", "weight_decay": 0.1, "schedule": "cosine", "clip_norm": 0.01},
    ],
    ids=str,
)
def test_equals_a_plain_loop(tmp_path: Path, options: dict[str, Any]) -> None:
    settings = Settings(**{**PLAIN, **options})
    expected = tiny.problem().model.double()
    rule: dict[str, Callable[[], optim.Optimizer]] = {
        "sgd": lambda: optim.SGD(expected.parameters(), 0.1),
        "nesterov": lambda: optim.SGD(expected.parameters(), 0.1, momentum=0.7, nesterov=True, weight_decay=0.1),
        "adamw": lambda: optim.AdamW(expected.parameters(), 0.1, weight_decay=0.1),
    }
    optimizer = rule[settings.optimizer]()
    cosine = settings.schedule == "cosine"
    clipped = []

    def clip() -> None:
        if settings.clip_norm is not None:
            clipped.append(nn.utils.clip_grad_norm_(expected.parameters(), settings.clip_norm) > settings.clip_norm)
        if settings.clip_value is not None:
            clipped.append(any((p.grad.abs() > settings.clip_value).any() for p in expected.parameters()))
            nn.utils.clip_grad_value_(expected.parameters(), settings.clip_value)

    plain_loop(
        expected,
        optimizer,
        epochs=2,
        accumulate=settings.accumulate,
        clip=clip,
        after=lr_scheduler.CosineAnnealingLR(optimizer, 2 * tiny.WINDOWS) if cosine else None,
    )
    assert all(clipped)
    tiny.fit(tmp_path / "run", settings)
    found = tiny.last_checkpoint(tmp_path / "run")["model"]
    torch.testing.assert_close(found, dict(expected.state_dict()), rtol=1e-10, atol=1e-13)


def test_accumulated_batches_equal_one_batch_of_both(tmp_path: Path) -> None:
    """Without a carried state, two batches of two rows are one of four."""
    (x0, y0), (x1, y1) = tiny.windows()[:2]

    def train_on(name: str, data: list[Any], accumulate: int) -> Any:
        given = tiny.problem()
        stateless = Problem(
            given.model,
            lambda model, batch, state: tiny.squared_error(model, batch, None)._replace(state=None),
            lambda epoch: data,
            given.validate,
        )
        tiny.fit(tmp_path / name, Settings(**{**PLAIN, "accumulate": accumulate}), stateless)
        return tiny.last_checkpoint(tmp_path / name)["model"]

    one = train_on("one", [(torch.cat([x0, x1]), torch.cat([y0, y1]))], 1)
    both = train_on("both", [(x0, y0), (x1, y1)], 2)
    torch.testing.assert_close(one, both, rtol=1e-12, atol=1e-15)


class Interrupted:
    """Batches of which one, when it is taken, sends this process a signal."""

    def __init__(self, at: int, number: int) -> None:
        self.data, self.at, self.number = tiny.windows(), at, number

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> Any:
        if index == self.at:
            signal.raise_signal(self.number)
        return self.data[index]


def interrupt(path: Path, settings: Settings, given: Problem, at: int, number: int = signal.SIGTERM) -> None:
    """Train until a signal arrives in the middle of an update of the first epoch."""
    batches = Interrupted(at, number)
    with pytest.raises(Stopped) as caught:
        tiny.fit(path, settings, replace(given, batches=lambda epoch: batches))
    assert caught.value.number == number


def folder_contents(path: Path) -> Any:
    folder = RunFolder.open(path)
    return [folder.load_checkpoint(), folder.load_weights(), folder.metrics()]


LONG: dict[str, Any] = {"epochs": 3, "learning_rate": 0.05}


@pytest.mark.parametrize(
    "options",
    [
        *({"optimizer": name} for name in ("sgd", "momentum", "nesterov", "adagrad", "adadelta", "rmsprop", "adam")),
        {"optimizer": "adamw", "accumulate": 2, "warm_up": 5},
        {"schedule": "plateau", "decay_after": 0, "validate_every": 2},
        {"schedule": "step"},
        {"precision": "bfloat16"},
        {"precision": "float64"},
        {"validate_every": 1, "early_stopping": 4, "learning_rate": 0.5},
    ],
    ids=str,
)
def test_an_interrupted_run_ends_with_the_same_numbers(tmp_path: Path, options: dict[str, Any]) -> None:
    settings = Settings(**{**LONG, **options})
    whole = tiny.fit(tmp_path / "whole", settings, dropout=0.5)
    interrupt(tmp_path / "cut", settings, tiny.problem(dropout=0.5), at=3)
    saved = tiny.last_checkpoint(tmp_path / "cut")
    assert saved["position"]["batch"] > 3 and saved["position"]["epoch"] == 0
    assert saved["threads"] == torch.get_num_threads()
    resumed = tiny.fit(tmp_path / "cut", settings, dropout=0.5, seed=99)  # nothing of the new weights may matter
    assert tiny.same(folder_contents(tmp_path / "whole"), folder_contents(tmp_path / "cut"))
    assert tiny.same(dict(whole.model.state_dict()), dict(resumed.model.state_dict()))


@pytest.mark.parametrize("cell", ["gru", "peephole-lstm", "jordan"])
def test_the_states_of_other_cells_come_back(tmp_path: Path, cell: str) -> None:
    settings = Settings(**LONG)
    tiny.fit(tmp_path / "whole", settings, cell=cell)
    interrupt(tmp_path / "cut", settings, tiny.problem(cell), at=2)
    tiny.fit(tmp_path / "cut", settings, cell=cell, seed=99)
    assert tiny.same(folder_contents(tmp_path / "whole"), folder_contents(tmp_path / "cut"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_validating_the_last_time(tmp_path: Path, number: int) -> None:
    settings, given = Settings(**{**LONG, "epochs": 1}), tiny.problem()
    tiny.fit(tmp_path / "whole", settings)

    def validate(model: nn.Module) -> Score:
        os.kill(os.getpid(), number)
        return given.validate(model)

    with pytest.raises(Stopped, match=f"stopped after update {tiny.WINDOWS}; .* is saved"):
        tiny.fit(tmp_path / "cut", settings, Problem(given.model, given.loss, given.batches, validate))
    tiny.fit(tmp_path / "cut", settings, seed=99)
    assert tiny.same(folder_contents(tmp_path / "whole"), folder_contents(tmp_path / "cut"))


def test_before_the_first_checkpoint_a_run_starts_over(tmp_path: Path) -> None:
    settings = Settings(**LONG)
    tiny.fit(tmp_path / "whole", settings, dropout=0.5)
    folder = RunFolder.create(tmp_path / "cut", tiny.record())
    folder.log({"update": 1, "loss": 123.0})  # a run killed early leaves this
    tiny.fit(tmp_path / "cut", settings, dropout=0.5)
    assert tiny.same(folder_contents(tmp_path / "whole"), folder_contents(tmp_path / "cut"))


def test_a_run_that_has_ended_trains_no_more(tmp_path: Path) -> None:
    tiny.fit(tmp_path / "run", Settings(**LONG))
    before = folder_contents(tmp_path / "run")
    again = tiny.fit(tmp_path / "run", Settings(**LONG), seed=99)
    assert tiny.same(folder_contents(tmp_path / "run"), before)
    assert tiny.same(dict(again.model.state_dict()), before[1])


def test_the_mend_for_a_damaged_checkpoint_works(tmp_path: Path) -> None:
    settings = Settings(**{**LONG, "checkpoint_every": 2})
    tiny.fit(tmp_path / "whole", settings)
    interrupt(tmp_path / "cut", settings, tiny.problem(), at=3)
    folder = RunFolder.open(tmp_path / "cut")
    assert [path.stem[-2:] for path in folder.checkpoints()] == ["02", "04"]
    expected = folder_contents(tmp_path / "whole")
    for _ in range(2):  # the second time no checkpoint is left
        damaged = folder.checkpoints()[-1]
        os.truncate(damaged, damaged.stat().st_size // 2)
        with pytest.raises(BadInput, match=rf"{damaged}: damaged .* delete this file and resume"):
            tiny.fit(tmp_path / "cut", settings)
        damaged.unlink()
        for newer in folder.checkpoints()[1:]:
            newer.unlink()
    assert folder.checkpoints() == []
    tiny.fit(tmp_path / "cut", settings)
    assert tiny.same(folder_contents(tmp_path / "cut"), expected)


def test_a_full_disk_loses_nothing_and_the_run_goes_on_once_there_is_room(tmp_path: Path) -> None:
    settings = Settings(**{**LONG, "checkpoint_every": 1})
    tiny.fit(tmp_path / "whole", settings)
    given = tiny.problem()
    with small_disk(tmp_path, 256) as disk:
        filler = disk / "filler"

        class Filling(Interrupted):
            def __getitem__(self, index: int) -> Any:
                if index == 3:
                    free = os.statvfs(disk)
                    filler.write_bytes(bytes(free.f_bavail * free.f_bsize))
                return self.data[index]

        batches = Filling(-1, 0)
        with pytest.raises(BadInput, match=r"update-0000000004.safetensors: no space left on the disk"):
            tiny.fit(disk / "run", settings, Problem(given.model, given.loss, lambda epoch: batches, given.validate))
        assert [path.stem[-1] for path in RunFolder.open(disk / "run").checkpoints()] == ["2", "3"]
        assert not list((disk / "run").rglob(".*"))
        assert tiny.last_checkpoint(disk / "run")["position"]["update"] == 3
        filler.unlink()
        tiny.fit(disk / "run", settings, seed=99)
        assert tiny.same(folder_contents(disk / "run"), folder_contents(tmp_path / "whole"))


@pytest.mark.parametrize("other", ["gru", "weights"])
def test_a_checkpoint_of_another_run(tmp_path: Path, other: str) -> None:
    tiny.fit(tmp_path / "other", Settings(**LONG), cell="lstm" if other == "weights" else other)
    theirs = RunFolder.open(tmp_path / "other")
    file = theirs.path / "model.safetensors" if other == "weights" else theirs.checkpoints()[-1]
    folder = RunFolder.create(tmp_path / "run", tiny.record())
    (folder.path / "checkpoints").mkdir()
    (folder.path / "checkpoints" / "update-0000000018.safetensors").write_bytes(file.read_bytes())
    with pytest.raises(BadInput, match="update-0000000018.safetensors: not a checkpoint of this run .* delete this"):
        tiny.fit(folder.path, Settings(**LONG))


def test_checkpoints_come_when_asked_and_hold_nothing_of_fabric(tmp_path: Path) -> None:
    saved: list[str] = []

    def batches(epoch: int) -> Any:
        saved.append(",".join(path.stem[-2:] for path in RunFolder.open(tmp_path / "run").checkpoints()))
        return tiny.windows()

    given = tiny.problem()
    names = list(given.model.state_dict())
    tiny.fit(
        tmp_path / "run",
        Settings(**{**LONG, "checkpoint_every": 4}),
        Problem(given.model, given.loss, batches, given.validate),
    )
    assert saved == ["", "04", "08,12"]
    assert list(tiny.last_checkpoint(tmp_path / "run")["model"]) == names
    assert list(RunFolder.open(tmp_path / "run").load_weights()) == names
    assert type(given.model) is tiny.Network and "forward" not in vars(given.model)


def scores(values: list[float]) -> Callable[[nn.Module], Score]:
    given = iter(values)
    return lambda model: Score("made up", next(given), "units", False, "none")


@pytest.mark.parametrize(("options", "updates"), [({}, 5 * tiny.WINDOWS), ({"validate_every": 1}, 5)])
def test_early_stopping_keeps_the_best_weights(tmp_path: Path, options: dict[str, Any], updates: int) -> None:
    """Two validations without gain after the third, the best: the fifth is the last."""
    given = tiny.problem()
    seen = []
    validate = scores([3.0, 3.5, 1.0, 1.0, 2.0])

    def watched(model: nn.Module) -> Score:
        seen.append({name: value.clone() for name, value in model.state_dict().items()})
        return validate(model)

    settings = Settings(**{**LONG, "epochs": 50, "early_stopping": 2, **options})
    tiny.fit(tmp_path / "run", settings, Problem(given.model, given.loss, given.batches, watched))
    assert len(seen) == 5
    assert tiny.last_checkpoint(tmp_path / "run")["position"]["update"] == updates
    assert tiny.same(RunFolder.open(tmp_path / "run").load_weights(), seen[2])
    assert tiny.same(dict(given.model.state_dict()), seen[2]) and not tiny.same(seen[2], seen[4])


def test_the_rate_falls_on_a_plateau(tmp_path: Path) -> None:
    given = tiny.problem()
    settings = Settings(**{**LONG, "epochs": 5, "schedule": "plateau", "decay": 0.1, "decay_after": 1})
    validate = scores([3.0, 3.0, 4.0, 1.0, 1.0])  # after the third, two have passed without gain
    tiny.fit(tmp_path / "run", settings, Problem(given.model, given.loss, given.batches, validate))
    records = RunFolder.open(tmp_path / "run").metrics()
    rates = [record["learning_rate"] for record in records if "learning_rate" in record]
    assert rates == pytest.approx([0.05, 0.05, 0.05, 0.005, 0.005])


@pytest.mark.parametrize(
    ("precision", "inside", "weights"),
    [
        ("float32", torch.float32, torch.float32),
        ("bfloat16", torch.bfloat16, torch.float32),
        ("float64", torch.float64, torch.float64),
    ],
)
def test_the_precision_is_really_used(tmp_path: Path, precision: Any, inside: Any, weights: Any) -> None:
    given, seen = tiny.problem(), set()
    model: Any = given.model
    model.output.register_forward_hook(lambda module, args, result: seen.add((module.training, result.dtype)))
    tiny.fit(tmp_path / "run", Settings(**{**LONG, "precision": precision}), given)
    assert seen == {(True, inside), (False, weights)}
    interrupt(tmp_path / "cut", Settings(**{**LONG, "precision": precision}), tiny.problem(), at=3)
    saved = tiny.last_checkpoint(tmp_path / "cut")
    moments = [value for entry in saved["optimizer"]["state"].values() for key, value in entry.items() if key != "step"]
    kinds = {value.dtype for value in (*saved["model"].values(), *saved["state"], *moments)}
    assert kinds == {weights}
    if precision == "float64":  # what was carried was never rounded on its way
        assert any(not torch.equal(value, value.float().double()) for value in saved["state"])
    assert torch.get_default_dtype() is torch.float32


def test_a_time_limit_ends_the_run_and_lasts_over_an_interruption(tmp_path: Path) -> None:
    settings = Settings(**{**LONG, "epochs": 1_000_000, "time_limit": 2.0})
    given = tiny.problem()

    class Slow(Interrupted):
        def __getitem__(self, index: int) -> Any:
            time.sleep(0.05)
            return super().__getitem__(index)

    batches = Slow(5, signal.SIGTERM)
    with pytest.raises(Stopped):
        tiny.fit(tmp_path / "run", settings, Problem(given.model, given.loss, lambda epoch: batches, given.validate))
    before = tiny.last_checkpoint(tmp_path / "run")["position"]
    assert before["seconds"] >= 0.25  # six batches, each a twentieth of a second late
    time.sleep(0.1)  # time between two sittings does not count
    slow = Slow(-1, signal.SIGTERM)
    tiny.fit(tmp_path / "run", settings, Problem(given.model, given.loss, lambda epoch: slow, given.validate))
    after = tiny.last_checkpoint(tmp_path / "run")["position"]
    assert after["seconds"] >= 2.0
    assert after["update"] <= before["update"] + (2.0 - before["seconds"]) / 0.05 + 1
    assert RunFolder.open(tmp_path / "run").metrics()[-1].keys() >= {"validation"}


def test_progress_never_passes_the_end_of_a_time_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moments: list[Moment] = []

    class Kept:
        def show(self, moment: Moment) -> None:
            moments.append(moment)

        def note(self, text: str) -> None: ...

    monkeypatch.setattr("recurra.training.loop.reporting", lambda: nullcontext(Kept()))
    given = tiny.problem()

    def late(epoch: int) -> Any:
        time.sleep(0.2)  # the first update ends twice the limit after the start
        return given.batches(epoch)

    settings = Settings(**{**LONG, "epochs": 1_000_000, "time_limit": 0.1})
    tiny.fit(tmp_path / "run", settings, Problem(given.model, given.loss, late, given.validate))
    assert [(moment.done, moment.left) for moment in moments] == [(1.0, 0.0)]


def test_records_tell_loss_rate_speed_and_validation(tmp_path: Path) -> None:
    tiny.fit(tmp_path / "run", Settings(**{**LONG, "schedule": "constant", "tensorboard": True}))
    records = RunFolder.open(tmp_path / "run").metrics()
    assert [record["update"] for record in records] == [6, 6, 12, 12, 18, 18]
    assert [record["epoch"] for record in records] == [1, 1, 2, 2, 3, 3]
    for loss, validation in zip(records[::2], records[1::2], strict=True):
        assert loss["learning_rate"] == 0.05 and 0 < loss["loss"] < 2 and loss["items_per_second"] > 0
        assert validation["unit"] == "units" and isinstance(validation["best"], bool)
    best = min(record["validation"] for record in records[1::2])
    assert tiny.last_checkpoint(tmp_path / "run")["position"]["best"]["value"] == best
    assert events(tmp_path / "run") == {
        "loss": [(record["update"], record["loss"]) for record in records[::2]],
        "learning_rate": [(record["update"], 0.05) for record in records[::2]],
        "validation": [(record["update"], record["validation"]) for record in records[1::2]],
    }


def test_what_a_crash_makes_an_update_record_twice_tensorboard_shows_once(tmp_path: Path) -> None:
    settings, given = Settings(**{**LONG, "checkpoint_every": 5, "tensorboard": True}), tiny.problem()

    def batches(epoch: int) -> Any:
        if epoch == 2:  # two epochs are recorded, but the checkpoint is from before the end of the second
            raise ZeroDivisionError
        return tiny.windows()

    with pytest.raises(ZeroDivisionError):
        tiny.fit(tmp_path / "run", settings, Problem(given.model, given.loss, batches, given.validate))
    assert [record["update"] for record in RunFolder.open(tmp_path / "run").metrics()] == [6, 6, 12, 12]
    assert tiny.last_checkpoint(tmp_path / "run")["position"]["update"] == 10
    tiny.fit(tmp_path / "run", settings)
    assert [step for step, _ in events(tmp_path / "run")["loss"]] == [6, 12, 18]


def events(run: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard reads from a run folder."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(run / "tensorboard")).Reload()
    return {
        tag: [(event.step, pytest.approx(event.value, rel=1e-6)) for event in read.Scalars(tag)]
        for tag in read.Tags()["scalars"]
    }


def test_a_device_that_is_not_there(tmp_path: Path) -> None:
    if torch.backends.mps.is_available():
        pytest.skip("this machine has the device")
    with pytest.raises(BadInput, match="--device mps: torch finds no such device here; leave it at auto"):
        tiny.fit(tmp_path / "run", Settings(device="mps"))


def test_an_epoch_without_batches_is_an_error_not_an_endless_loop(tmp_path: Path) -> None:
    given = tiny.problem()
    with pytest.raises(ValueError, match="at least one batch"):
        tiny.fit(tmp_path / "run", Settings(), Problem(given.model, given.loss, lambda epoch: [], given.validate))


class Solving:
    """Scores that say when a problem is solved: the scores get worse, and it is solved at some validations."""

    def __init__(self, solved: set[int]) -> None:
        self.solved, self.seen = solved, 0
        self.problem = replace(tiny.problem(), validate=self.validate, solved=lambda: self.seen in self.solved)

    def validate(self, model: nn.Module) -> Score:
        self.seen += 1
        return Score("error", 1.0 + self.seen, "units", False, "tiny")


@pytest.mark.parametrize("ends", [True, False])
def test_solved_weights_are_the_best_and_may_end_training(tmp_path: Path, ends: bool) -> None:
    settings = Settings(epochs=5, validate_every=1)
    solving = Solving({3, 4})
    tiny.fit(tmp_path / "run", settings, replace(solving.problem, ends_solved=ends))
    records = [record for record in RunFolder.open(tmp_path / "run").metrics() if "validation" in record]
    assert [record["update"] for record in records if record["best"]] == [1, 3]
    assert [record["update"] for record in records if record.get("solved")] == ([3] if ends else [3, 4])
    assert len(records) == (3 if ends else 5 * tiny.WINDOWS)
