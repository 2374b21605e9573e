"""What a person sees while a model trains: a live bar in a terminal, plain lines elsewhere. Both go to stderr."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import rich.progress


@dataclass(frozen=True)
class Moment:
    """Where training stands.

    Args:
        done: part of the whole, 0 to 1.
        loss: mean training loss of late, in the unit of the task's loss.
        score: the last validation's score as text, "" before the first.
        speed: items (tokens, sequences) a second.
        left: seconds to the end.
    """

    epoch: int
    update: int
    done: float
    loss: float
    score: str
    speed: float
    left: float

    def line(self) -> str:
        score = f"  validation {self.score}" if self.score else ""
        return (
            f"epoch {self.epoch}  update {self.update}  loss {self.loss:.4f}{score}  {_thousands(self.speed)}/s  "
            f"{_clock(self.left)} left"
        )


@dataclass(frozen=True)
class StreamMoment:
    """Where learning from a stream stands.

    Args:
        done: part of the whole, 0 to 1; None where the stream has no known end.
        read: bytes learnt.
        recent, overall: bits per character, of late and of all.
        speed: bytes a second.
    """

    done: float | None
    read: int
    recent: float
    overall: float
    speed: float

    def line(self) -> str:
        return (
            f"{self.read:,} bytes  {self.recent:.4f} bits per character of late, {self.overall:.4f} in all  "
            f"{_thousands(self.speed)}/s"
        )


class Shown(Protocol):
    """What can be shown: a part of the whole where that is known, and a line."""

    @property
    def done(self) -> float | None: ...

    def line(self) -> str: ...


class Progress(Protocol):
    def show(self, moment: Shown) -> None: ...
    def note(self, text: str) -> None: ...


class _Lines:
    """At most one line each ten seconds."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def show(self, moment: Shown) -> None:
        if time.monotonic() - self._last >= 10:
            self._last = time.monotonic()
            self.note(moment.line() if moment.done is None else f"{moment.done:4.0%}  {moment.line()}")

    def note(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


@contextmanager
def reporting() -> Iterator[Progress]:
    """A live bar where stderr is a terminal, else lines."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    console = Console(stderr=True)
    columns = (BarColumn(bar_width=24), TaskProgressColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as bar:
        yield _Bar(bar)


class _Bar:
    def __init__(self, bar: "rich.progress.Progress") -> None:
        self._bar = bar
        self._task = bar.add_task("starting", total=1.0)

    def show(self, moment: Shown) -> None:
        total = None if moment.done is None else 1.0
        self._bar.update(self._task, total=total, completed=moment.done or 0.0, description=moment.line())

    def note(self, text: str) -> None:
        self._bar.console.print(text, highlight=False, markup=False)


class Speed:
    """Items a second of late; time spent on anything but updates does not count."""

    def __init__(self) -> None:
        self.value = 0.0
        self._since: float | None = None

    def add(self, items: int) -> None:
        """Count the items of one batch, done now."""
        now = time.monotonic()
        if self._since is not None:
            speed = items / max(now - self._since, 1e-9)
            self.value = 0.95 * self.value + 0.05 * speed if self.value else speed
        self._since = now

    def pause(self) -> None:
        """What happens until the next batch is done does not count, nor does that batch."""
        self._since = None


def _thousands(number: float) -> str:
    return f"{number / 1000:.1f}k" if number >= 1000 else f"{number:.0f}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
