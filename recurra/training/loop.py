"""The training loop: batches in order, state carried from one to the next, and checkpoints to go on from."""

import math
import signal
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple, Protocol

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from recurra.errors import BadInput, NotFinite, Stopped
from recurra.metrics.score import Score
from recurra.recurrence.state import State, detach, map_state, tensors
from recurra.training.checkpoint import random_state, restore_random_state
from recurra.training.memory import keep_freed_memory
from recurra.training.not_finite import first_bad_number
from recurra.training.optimizers import build_optimizer
from recurra.training.progress import Moment, Progress, reporting
from recurra.training.run_folder import RunFolder
from recurra.training.schedule import Plateau, learning_rate
from recurra.training.settings import Settings
from recurra.training.signals import StopRequest, stop_requests

SECONDS_BETWEEN_CHECKPOINTS = 60.0
UPDATES_BETWEEN_RECORDS = 50
PRECISION = {"float32": "32-true", "bfloat16": "bf16-mixed", "float64": "64-true"}


class Loss(NamedTuple):
    """What one batch costs.

    Args:
        value: the scalar that is differentiated.
        mean: the same in the unit that is reported (nats per token, say).
        items: how many the batch has, in the unit of the reported speed.
        state: what the next batch starts from; None where batches are independent.
    """

    value: Tensor
    mean: Tensor
    items: int
    state: State | None


class Batches(Protocol):
    """The batches of one epoch, by number."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


@dataclass(frozen=True)
class Problem:
    """What is to be trained.

    Args:
        model: has ``initial_state(batch_size)`` where its loss carries a state.
        loss: of a batch, from the state that the batch before left (None at the start of an epoch).
        batches: of an epoch by its number; the same for the same number.
        validate: the score that chooses the best weights; ``model`` is in evaluation mode and without gradients.
    """

    model: nn.Module
    loss: Callable[[nn.Module, Any, State | None], Loss]
    batches: Callable[[int], Batches]
    validate: Callable[[nn.Module], Score]


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
    loss: float | None = None
    plateau: Plateau = field(default_factory=Plateau)


class _Objective(nn.Module):
    """Model and loss as one module, so that Fabric's wrapper (devices, precision) goes around both."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self.model = problem.model
        self._loss = problem.loss

    def forward(self, batch: Any, state: State | None) -> Loss:
        return self._loss(self.model, batch, state)


def pick_device(name: str) -> torch.device:
    """The device of that name; "auto" is the best there is, and what a run trained elsewhere falls back to."""
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = next((kind for kind, there in available.items() if there), "cpu")
    return torch.device(name if available.get(name) else "cpu")


def make_fabric(settings: Settings) -> Fabric:
    """Device and precision as the settings ask; one process.

    Raises:
        BadInput: a device that this machine lacks.
    """
    device = pick_device(settings.device)
    if settings.device not in ("auto", device.type):
        raise BadInput(f"--device {settings.device}: torch finds no such device here; leave it at auto")
    return Fabric(accelerator=device.type, devices=1, precision=PRECISION[settings.precision])  # type: ignore[arg-type]


def train(problem: Problem, settings: Settings, folder: RunFolder) -> None:
    """Train until the epochs, the time or the patience end; the best weights are then in the folder and in the model.

    Goes on from the folder's newest checkpoint where there is one, to the same numbers as a run never interrupted (for
    the same number of threads; a time limit cuts a run where the clock says).

    Raises:
        NotFinite: a loss or gradient was not finite; the last checkpoint, from before, is kept.
        Stopped: SIGINT or SIGTERM; a checkpoint was written.
        BadInput: the disk is full or a checkpoint is damaged.
    """
    keep_freed_memory()
    with stop_requests() as request, reporting() as progress:
        _Run(problem, settings, folder, request, progress).go()


class _Run:
    """The state of one training run."""

    def __init__(
        self, problem: Problem, settings: Settings, folder: RunFolder, request: StopRequest, progress: Progress
    ) -> None:
        self.problem, self.settings, self.folder = problem, settings, folder
        self.request, self.progress = request, progress
        self.fabric = make_fabric(settings)
        self.parameters = [p for p in problem.model.parameters() if p.requires_grad]
        optimizer = build_optimizer(self.parameters, settings)
        self.objective, self.optimizer = self.fabric.setup(_Objective(problem), optimizer)
        self.position = Position()
        self.state: State | None = None
        problem.model.train()
        self._events = _tensorboard(folder) if settings.tensorboard else None
        self._restore()
        self._started = time.monotonic() - self.position.seconds
        self._saved = time.monotonic()
        self._speed = _Speed()

    def go(self) -> None:
        while not self._ended():
            self._epoch()
        self._save()
        self.problem.model.load_state_dict(self.folder.load_weights())

    def _epoch(self) -> None:
        position = self.position
        batches = self.problem.batches(position.epoch)
        while position.batch < len(batches) and not self._out_of_time():
            group = [
                batches[i] for i in range(position.batch, min(position.batch + self.settings.accumulate, len(batches)))
            ]
            self._update(group, self._done(len(batches)))
            position.batch += len(group)
            ended = position.batch >= len(batches)
            if ended:
                position.epoch, position.batch, self.state = position.epoch + 1, 0, None
            self._after_update(ended, len(batches))
            if ended:
                return

    def _update(self, group: list[Any], done: float) -> None:
        position, settings = self.position, self.settings
        rate = learning_rate(
            settings, update=position.update, epoch=position.epoch, done=done, plateau=position.plateau
        )
        for parameter_group in self.optimizer.param_groups:
            parameter_group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        for batch in group:
            batch = self.fabric.to_device(batch)
            before = self.state, random_state()
            loss = self.objective(batch, self.state)
            self.fabric.backward(loss.value / len(group))
            mean = loss.mean.item()
            if not math.isfinite(mean):
                self._stop_not_finite("loss", batch, *before)
            self.state = None if loss.state is None else detach(loss.state)
            position.loss = mean if position.loss is None else 0.98 * position.loss + 0.02 * mean
            self._speed.add(loss.items)
        norm = nn.utils.get_total_norm([p.grad for p in self.parameters if p.grad is not None])
        if not norm.isfinite():
            self._stop_not_finite("gradient", batch, *before)
        if settings.clip_norm is not None:
            nn.utils.clip_grads_with_norm_(self.parameters, settings.clip_norm, norm)
        if settings.clip_value is not None:
            nn.utils.clip_grad_value_(self.parameters, settings.clip_value)
        self.optimizer.step()
        position.update += 1

    def _after_update(self, epoch_ended: bool, batches: int) -> None:
        position, settings = self.position, self.settings
        position.seconds = time.monotonic() - self._started
        done = self._done(batches)
        if settings.validate_every is not None:
            due = position.update % settings.validate_every == 0
        else:
            tenths = 10 * position.seconds / settings.time_limit if settings.time_limit else 0
            due = epoch_ended or tenths >= position.validations + 1
        if position.update % UPDATES_BETWEEN_RECORDS == 0 or due:
            self._record({"loss": position.loss, "learning_rate": self.optimizer.param_groups[0]["lr"]})
        if due or self._ended():
            self._validate()
        left = position.seconds * (1 - done) / done if done > 0 else 0.0
        score = f"{Score(**position.best).value:.4f} best" if position.best else ""
        self.progress.show(
            Moment(position.epoch + 1, position.update, done, position.loss or 0.0, score, self._speed.value, left)
        )
        every = settings.checkpoint_every
        overdue = time.monotonic() - self._saved >= SECONDS_BETWEEN_CHECKPOINTS
        if self.request.number is not None:
            self._stop(self.request.number)
        if position.update % every == 0 if every else (overdue or epoch_ended):
            self._save()

    def _validate(self) -> None:
        model, position = self.problem.model, self.position
        model.eval()
        with torch.no_grad():
            score = self.problem.validate(model)
        model.train()
        best = Score(**position.best) if position.best else None
        improved = best is None or score.better_than(best)
        if improved:
            position.best = score.to_json()
            self.folder.save_weights(model.state_dict())
        position.validations += 1
        position.without_gain = 0 if improved else position.without_gain + 1
        position.plateau.after_validation(improved, self.settings)
        position.seconds = time.monotonic() - self._started
        self._speed.pause()
        self._record({"validation": score.value, "unit": score.unit, "best": improved})
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
        position, settings = self.position, self.settings
        by_updates = (position.epoch + position.batch / batches) / settings.epochs
        return max(by_updates, position.seconds / settings.time_limit) if settings.time_limit else by_updates

    def _out_of_time(self) -> bool:
        return self.settings.time_limit is not None and self.position.seconds >= self.settings.time_limit

    def _ended(self) -> bool:
        patience = self.settings.early_stopping
        impatient = patience is not None and self.position.without_gain >= patience
        return self.position.epoch >= self.settings.epochs or self._out_of_time() or impatient

    def _save(self) -> None:
        position = self.position
        self.folder.save_checkpoint(
            position.update,
            {
                "position": asdict(position),
                "model": self.problem.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "state": None if self.state is None else list(tensors(self.state)),
                "random": random_state(),
                "threads": torch.get_num_threads(),
            },
        )
        self._saved = time.monotonic()

    def _restore(self) -> None:
        saved = self.folder.load_checkpoint()
        update = saved["position"]["update"] if saved else -1
        self.folder.keep_metrics(lambda record: record["update"] <= update)
        if saved is None:
            return
        self.position = Position(**{**saved["position"], "plateau": Plateau(**saved["position"]["plateau"])})
        self.problem.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
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

    def _stop_not_finite(self, what: str, batch: Any, state: State | None, generators: dict[str, Tensor]) -> None:
        restore_random_state(generators)
        place = first_bad_number(self.problem.model, lambda: self.objective(batch, state).value)
        kept = self.folder.checkpoints()
        raise NotFinite(
            f"{self.folder.path}: the {what} is not finite at update {self.position.update + 1}; the first bad number "
            f"arose in {place}; {'the checkpoint ' + kept[-1].name + ' is kept; ' if kept else ''}"
            "train again with a lower --learning-rate or --clip-norm"
        )


class _Speed:
    """Items a second of late; time spent on anything but updates does not count."""

    def __init__(self) -> None:
        self.value = 0.0
        self._since: float | None = None

    def add(self, items: int) -> None:
        now = time.monotonic()
        if self._since is not None:
            speed = items / max(now - self._since, 1e-9)
            self.value = 0.95 * self.value + 0.05 * speed if self.value else speed
        self._since = now

    def pause(self) -> None:
        self._since = None


def _tensorboard(folder: RunFolder) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise BadInput("--tensorboard needs TensorBoard: pip install 'recurra[tensorboard]'") from error
    return SummaryWriter(str(folder.path / "tensorboard"))
