"""The training loop: batches in order, state carried from one to the next, and checkpoints to go on from."""

import math
import signal
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, NoReturn

import torch
from torch import Tensor

from recurra.errors import NotFinite, Stopped
from recurra.metrics.score import Score
from recurra.recurrence.state import State, map_state, tensors
from recurra.training.checkpoint import Tree, random_state, restore_random_state
from recurra.training.denormals import flushing_denormals
from recurra.training.machine import check_machine, default_type, make_fabric, pick_device
from recurra.training.memory import keeping_freed_memory
from recurra.training.not_finite import bad_weights, first_bad_number
from recurra.training.problem import Problem
from recurra.training.progress import Moment, Progress, Speed, reporting
from recurra.training.run_folder import RunFolder
from recurra.training.schedule import Plateau, learning_rate
from recurra.training.settings import Settings
from recurra.training.signals import StopRequest, stop_requests
from recurra.training.update import BadNumber
from recurra.training.updates import build_update

SECONDS_BETWEEN_CHECKPOINTS = 60.0
UPDATES_BETWEEN_RECORDS = 50


@dataclass
class Position:
    """How far training has come; a checkpoint holds all of it."""

    epoch: int = 0
    batch: int = 0
    update: int = 0
    seconds: float = 0.0
    validations: int = 0
    without_gain: int = 0
    best: dict[str, Any] | None = None
    solved: bool = False
    loss: float | None = None
    plateau: Plateau = field(default_factory=Plateau)


def train(problem: Problem, settings: Settings, folder: RunFolder) -> None:
    """Train until the epochs, the time or the patience end; the best weights are then in the folder and in the model.

    Goes on from the folder's newest checkpoint where there is one, to the same numbers as a run never interrupted (for
    the same number of threads; a time limit cuts a run where the clock says).

    Raises:
        NotFinite: a loss, gradient or score was not finite; the last checkpoint, from before, is kept.
        Stopped: SIGINT or SIGTERM; a checkpoint was written.
        BadInput: the disk is full, a checkpoint is damaged, or this machine lacks what the settings ask for.
    """
    check_machine(settings)
    with (
        stop_requests() as request,
        reporting() as progress,
        default_type(settings.precision),
        keeping_freed_memory(),
        flushing_denormals(),
    ):
        run = _Run(problem, settings, folder, request, progress)
        try:
            run.go()
        finally:
            run.close()


class _Run:
    """The state of one training run."""

    def __init__(
        self, problem: Problem, settings: Settings, folder: RunFolder, request: StopRequest, progress: Progress
    ) -> None:
        self.problem, self.settings, self.folder = problem, settings, folder
        self.request, self.progress = request, progress
        self.fabric = make_fabric(pick_device(settings.device), settings.precision)
        self.updates = build_update(problem, settings, self.fabric)
        self.position = Position()
        self.rate = settings.learning_rate
        self.state: State | None = None
        problem.model.train()
        self._restore()
        self._started = time.monotonic() - self.position.seconds
        self._saved = time.monotonic()
        self._speed = Speed()
        self._events = _tensorboard(folder, self.position.update) if settings.tensorboard else None

    def go(self) -> None:
        while not self._ended():
            self._epoch()
        self._save()
        if self.request.number is not None:
            self._stop(self.request.number)
        self.problem.model.load_state_dict(self.folder.load_weights())

    def close(self) -> None:
        if self._events:
            self._events.close()

    def _epoch(self) -> None:
        """From where the position is to the end of its epoch, or of training."""
        position = self.position
        batches = self.problem.batches(position.epoch)
        if not len(batches):
            raise ValueError("an epoch needs at least one batch")
        epoch_ended = False
        while not (epoch_ended or self._ended()):
            after = min(position.batch + self.settings.accumulate, len(batches))
            self._update([batches[index] for index in range(position.batch, after)], self._done(len(batches)))
            position.batch = after
            epoch_ended = after == len(batches)
            if epoch_ended:
                position.epoch, position.batch, self.state = position.epoch + 1, 0, None
            self._after_update(epoch_ended, len(batches))

    def _update(self, group: list[Any], done: float) -> None:
        position = self.position
        self.rate = learning_rate(
            self.settings, update=position.update, epoch=position.epoch, done=done, plateau=position.plateau
        )
        try:
            losses, items, self.state = self.updates.make(group, self.state, self.rate)
        except BadNumber as error:
            self._stop_not_finite(f"{error.what} update {position.update + 1}", *error.attempts)
        for loss in losses:
            position.loss = loss if position.loss is None else 0.98 * position.loss + 0.02 * loss
        self._speed.add(items)
        position.update += 1

    def _after_update(self, epoch_ended: bool, batches: int) -> None:
        position, settings = self.position, self.settings
        position.seconds = time.monotonic() - self._started
        due = self._validation_due(epoch_ended) or self._ended()
        if due or position.update % UPDATES_BETWEEN_RECORDS == 0:
            self._record({"loss": position.loss, "learning_rate": self.rate})
        if due:
            self._validate()
        done = self._done(batches)
        left = position.seconds * (1 - done) / done
        score = f"{Score(**position.best).value:.4f} best" if position.best else ""
        self.progress.show(
            Moment(position.epoch + 1, position.update, done, position.loss or 0.0, score, self._speed.value, left)
        )
        if self.request.number is not None:
            self._stop(self.request.number)
        every = settings.checkpoint_every
        overdue = time.monotonic() - self._saved >= SECONDS_BETWEEN_CHECKPOINTS
        if position.update % every == 0 if every else overdue:
            self._save()

    def _validation_due(self, epoch_ended: bool) -> bool:
        position, settings = self.position, self.settings
        if settings.validate_every is not None:
            return position.update % settings.validate_every == 0
        tenths = 10 * position.seconds / settings.time_limit if settings.time_limit else 0
        return epoch_ended or tenths >= position.validations + 1

    def _validate(self) -> None:
        model, position = self.problem.model, self.position
        model.eval()
        with torch.no_grad():
            score = self.problem.validate(model)
            if not math.isfinite(score.value):
                self._stop_not_finite(
                    f"validation score after update {position.update}",
                    lambda: torch.tensor(self.problem.validate(model).value),
                )
        model.train()
        best = Score(**position.best) if position.best else None
        solved = self.problem.solved()
        improved = best is None or solved > position.solved or (solved == position.solved and score.better_than(best))
        if improved:
            position.best, position.solved = score.to_json(), solved
            self.folder.save_weights(model.state_dict())
        position.validations += 1
        position.without_gain = 0 if improved else position.without_gain + 1
        position.plateau.after_validation(improved, self.settings)
        position.seconds = time.monotonic() - self._started
        self._speed.pause()
        found = {"validation": score.value, "unit": score.unit, "best": improved}
        self._record(found | ({"solved": True} if solved else {}))
        self.progress.note(
            f"update {position.update}: validation {score.value:.4f} {score.unit}{' (best so far)' if improved else ''}"
        )

    def _record(self, values: dict[str, Any]) -> None:
        position = self.position
        self.folder.log(
            {
                "update": position.update,
                "epoch": position.epoch,
                "seconds": round(position.seconds, 2),
                "items_per_second": round(self._speed.value, 1),
                **values,
            }
        )
        if self._events:
            for name, value in values.items():
                if isinstance(value, float):
                    self._events.add_scalar(name, value, position.update)

    def _done(self, batches: int) -> float:
        """The part of all training that lies behind, 0 to 1, in an epoch of so many batches."""
        position, settings = self.position, self.settings
        by_updates = (position.epoch + position.batch / batches) / settings.epochs
        by_time = position.seconds / settings.time_limit if settings.time_limit else 0.0
        return min(1.0, max(by_updates, by_time))

    def _ended(self) -> bool:
        position, settings = self.position, self.settings
        impatient = settings.early_stopping is not None and position.without_gain >= settings.early_stopping
        out_of_time = settings.time_limit is not None and position.seconds >= settings.time_limit
        enough = position.solved and self.problem.ends_solved
        return position.epoch >= settings.epochs or out_of_time or impatient or enough

    def _save(self) -> None:
        position = self.position
        if bad_weights(self.problem.model):
            self._stop_not_finite(f"result of update {position.update}")
        self.folder.save_checkpoint(
            position.update,
            {
                "position": asdict(position),
                "model": self.problem.model.state_dict(),
                "optimizer": self.updates.optimizer.state_dict(),
                "state": None if self.state is None else list(tensors(self.state)),
                "random": random_state(),
                "threads": torch.get_num_threads(),
            },
        )
        self._saved = time.monotonic()

    def _restore(self) -> None:
        torch.set_num_threads(self.folder.record.get("threads", torch.get_num_threads()))
        self.folder.resume(self._take_over)
        update = self.position.update
        self.folder.keep_metrics(lambda record: record["update"] <= update)

    def _take_over(self, saved: Tree) -> None:
        self.position = Position(**{**saved["position"], "plateau": Plateau(**saved["position"]["plateau"])})
        self.problem.model.load_state_dict(saved["model"])
        self.updates.optimizer.load_state_dict(saved["optimizer"])
        if saved["state"] is not None:
            model: Any = self.problem.model
            leaves = iter(self.fabric.to_device(saved["state"]))
            self.state = map_state(lambda _: next(leaves), model.initial_state(1))
        torch.set_num_threads(saved["threads"])
        restore_random_state(saved["random"])

    def _stop(self, number: int) -> None:
        self._save()
        name = signal.Signals(number).name
        raise Stopped(f"{name}: stopped after update {self.position.update}; {self.folder.path} is saved", number)

    def _stop_not_finite(self, what: str, *attempts: Callable[[], Tensor]) -> NoReturn:
        model = self.problem.model
        found = (first_bad_number(model, attempt, self.updates.backward) for attempt in attempts)
        place = bad_weights(model) or next(filter(None, found), "a sum over places that are finite each")
        kept = self.folder.checkpoints()
        raise NotFinite(
            f"{self.folder.path}: the {what} is not finite; the first bad number arose in {place}; "
            f"{'the checkpoint ' + kept[-1].name + ' is kept; ' if kept else ''}"
            "train again with a lower --learning-rate or --clip-norm"
        )


def _tensorboard(folder: RunFolder, update: int) -> Any:
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder.path / "tensorboard"), purge_step=update + 1)
