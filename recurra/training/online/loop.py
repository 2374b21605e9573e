"""The loop of a stream: bytes as they come, each predicted before it is learnt; a checkpoint holds all the rest."""

import math
import signal
import time
from dataclasses import asdict, dataclass, field
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import nn

from recurra.data.byte_stream import ByteStream
from recurra.errors import NotFinite, Stopped
from recurra.training.checkpoint import Tree, random_state, restore_random_state
from recurra.training.denormals import flushing_denormals
from recurra.training.gradients import held_gradients
from recurra.training.loop import SECONDS_BETWEEN_CHECKPOINTS
from recurra.training.memory import keeping_freed_memory
from recurra.training.not_finite import bad_weights
from recurra.training.optimizers import build_optimizer, update_weights
from recurra.training.progress import Progress, Speed, StreamMoment, reporting
from recurra.training.run_folder import RunFolder
from recurra.training.schedule import Plateau, learning_rate
from recurra.training.settings import Settings
from recurra.training.signals import StopRequest, stop_requests

BYTES_BETWEEN_RECORDS = 10_000
BYTES_OF_LATE = 10_000.0
"""The recent score weighs a byte by exp(-age / this)."""


class Learnt(NamedTuple):
    """What predicting some bytes cost, in nats, and how many characters begin among them."""

    nats: float
    bytes: int
    characters: int


class OnlineModel(Protocol):
    """What learns from a stream."""

    model: nn.Module

    def learn(self, window: np.ndarray) -> Learnt:
        """Predict every byte but the first from those before it; leave the gradient of the mean cost in the weights."""

    def state_dict(self) -> Tree:
        """All that is needed to go on, beside the weights and torch's random state."""

    def load_state_dict(self, saved: Tree) -> None: ...


@dataclass
class Tally:
    """The prequential score: the cost of every byte by the weights from before it was learnt."""

    nats: float = 0.0
    bytes: int = 0
    characters: int = 0
    recent_nats: float = 0.0
    recent_characters: float = 0.0

    def add(self, learnt: Learnt) -> None:
        fade = math.exp(-learnt.bytes / BYTES_OF_LATE)
        self.nats += learnt.nats
        self.bytes += learnt.bytes
        self.characters += learnt.characters
        self.recent_nats = fade * self.recent_nats + learnt.nats
        self.recent_characters = fade * self.recent_characters + learnt.characters

    @property
    def overall(self) -> float:
        """Bits per character of all."""
        return self.nats / max(1, self.characters) / math.log(2)

    @property
    def recent(self) -> float:
        """Bits per character of late."""
        return self.recent_nats / max(1e-9, self.recent_characters) / math.log(2)


@dataclass
class StreamPosition:
    """How far learning has come. Of the bytes read, some may wait to be learnt: a checkpoint holds them too."""

    update: int = 0
    read: int = 0
    seconds: float = 0.0
    tally: Tally = field(default_factory=Tally)


def learn_stream(learner: OnlineModel, settings: Settings, steps: int, folder: RunFolder, stream: ByteStream) -> Tally:
    """Learn until the stream or the time ends; the last weights are then in the folder.

    Goes on from the folder's newest checkpoint where there is one, with what ``stream`` gives next.

    Args:
        steps: bytes between updates, the last time fewer.

    Raises:
        NotFinite: a loss or gradient was not finite; the last checkpoint, from before, is kept.
        Stopped: SIGINT or SIGTERM; a checkpoint was written.
        BadInput: the disk is full, a checkpoint is damaged, or the stream cannot be read on.
    """
    with stop_requests() as request, reporting() as progress, keeping_freed_memory(), flushing_denormals():
        return _StreamRun(learner, settings, steps, folder, request, progress).go(stream)


def stream_read(folder: RunFolder) -> int:
    """The bytes of its stream that a run has read, by its newest checkpoint."""
    saved = folder.load_checkpoint()
    return 0 if saved is None else saved["position"]["read"]


class _StreamRun:
    """The state of one run."""

    def __init__(
        self,
        learner: OnlineModel,
        settings: Settings,
        steps: int,
        folder: RunFolder,
        request: StopRequest,
        progress: Progress,
    ) -> None:
        self.learner, self.settings, self.steps, self.folder = learner, settings, steps, folder
        self.request, self.progress = request, progress
        learner.model.train()
        self.parameters = [p for p in learner.model.parameters() if p.requires_grad]
        self.optimizer = build_optimizer(self.parameters, settings)
        self.position = StreamPosition()
        self.pending = np.zeros(0, np.uint8)
        torch.set_num_threads(folder.record.get("threads", torch.get_num_threads()))
        folder.resume(self._take_over)
        folder.keep_metrics(lambda record: record["update"] <= self.position.update)
        self._started = time.monotonic() - self.position.seconds
        self._saved = time.monotonic()
        self._speed = Speed()

    def go(self, stream: ByteStream) -> Tally:
        self._learn_windows(stream.size)
        for piece in stream:
            self.position.read = stream.read
            self.pending = np.concatenate([self.pending, np.frombuffer(piece, np.uint8)])
            self._learn_windows(stream.size)
            if not piece:
                self._speed.pause()
            self._answer_request()
            if self._out_of_time():
                break
        if len(self.pending) > 1 and not self._out_of_time():
            self._update(len(self.pending) - 1, stream.size)
        self._record()
        self._save()
        return self.position.tally

    def _learn_windows(self, size: int | None) -> None:
        """What is pending, up to less than a window."""
        while len(self.pending) > self.steps and not self._out_of_time():
            self._update(self.steps, size)

    def _update(self, steps: int, size: int | None) -> None:
        position, settings = self.position, self.settings
        self.optimizer.zero_grad(set_to_none=True)
        learnt = self.learner.learn(self.pending[: steps + 1])
        gradients = held_gradients(self.parameters)
        norm = nn.utils.get_total_norm(gradients)
        if not (math.isfinite(learnt.nats) and norm.isfinite()):
            self._stop_not_finite("loss" if not math.isfinite(learnt.nats) else "gradient")
        rate = learning_rate(settings, update=position.update, epoch=0, done=0.0, plateau=Plateau())
        update_weights(self.optimizer, gradients, norm, rate, settings)
        self.pending = self.pending[steps:]
        position.update += 1
        before = position.tally.bytes // BYTES_BETWEEN_RECORDS
        position.tally.add(learnt)
        position.seconds = time.monotonic() - self._started
        self._speed.add(learnt.bytes)
        if position.tally.bytes // BYTES_BETWEEN_RECORDS > before:
            self._record()
        self._show(size)
        self._answer_request()
        every = settings.checkpoint_every
        overdue = time.monotonic() - self._saved >= SECONDS_BETWEEN_CHECKPOINTS
        if position.update % every == 0 if every else overdue:
            self._save()

    def _show(self, size: int | None) -> None:
        position, tally = self.position, self.position.tally
        done = None if size is None else min(1.0, (position.read - len(self.pending)) / max(1, size))
        self.progress.show(StreamMoment(done, tally.bytes, tally.recent, tally.overall, self._speed.value))

    def _record(self) -> None:
        position, tally = self.position, self.position.tally
        self.folder.log(
            {
                "update": position.update,
                "bytes": tally.bytes,
                "seconds": round(position.seconds, 2),
                "items_per_second": round(self._speed.value, 1),
                "bits_per_character": tally.overall,
                "bits_per_character_of_late": tally.recent,
                "loss": tally.nats / max(1, tally.bytes),
            }
        )

    def _out_of_time(self) -> bool:
        limit = self.settings.time_limit
        return limit is not None and time.monotonic() - self._started >= limit

    def _answer_request(self) -> None:
        if self.request.number is None:
            return
        self._save()
        name = signal.Signals(self.request.number).name
        learnt = f"{self.position.tally.bytes:,} bytes were learnt"
        raise Stopped(f"{name}: stopped, {learnt}; {self.folder.path} is saved", self.request.number)

    def _save(self) -> None:
        model = self.learner.model
        if bad_weights(model):
            self._stop_not_finite("result")
        self.folder.save_weights(model.state_dict())
        self.folder.save_checkpoint(
            self.position.update,
            {
                "position": asdict(self.position),
                "pending": torch.from_numpy(self.pending.copy()),
                "model": model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "learner": self.learner.state_dict(),
                "random": random_state(),
                "threads": torch.get_num_threads(),
            },
        )
        self._saved = time.monotonic()

    def _take_over(self, saved: Tree) -> None:
        self.position = StreamPosition(**{**saved["position"], "tally": Tally(**saved["position"]["tally"])})
        self.pending = saved["pending"].numpy()
        self.learner.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.learner.load_state_dict(saved["learner"])
        torch.set_num_threads(saved["threads"])
        restore_random_state(saved["random"])

    def _stop_not_finite(self, what: str) -> None:
        kept = self.folder.checkpoints()
        raise NotFinite(
            f"{self.folder.path}: the {what} of update {self.position.update + 1} is not finite; "
            f"{'the checkpoint ' + kept[-1].name + ' is kept; ' if kept else ''}"
            "learn again with a lower --learning-rate or --clip-norm"
        )
