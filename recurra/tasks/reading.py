"""What a person sees while a large text is read: nothing for the first seconds, then how far it is. On stderr."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SECONDS_OF_SILENCE = 3.0


@contextmanager
def reading() -> Iterator[Callable[[int, int], None]]:
    """Give what is to be called with the bytes done and the bytes in all."""
    terminal = sys.stderr.isatty()
    pause = 0.2 if terminal else 10.0
    due = time.monotonic() + SECONDS_OF_SILENCE
    shown = False

    def report(done: int, total: int) -> None:
        nonlocal due, shown
        if time.monotonic() < due or not total:
            return
        due, shown = time.monotonic() + pause, True
        text = f"reading the text: {done / total:4.0%} of {total / 1e6:,.0f} MB"
        print(f"\r{text}" if terminal else text, end="" if terminal else "\n", file=sys.stderr, flush=True)

    try:
        yield report
    finally:
        if terminal and shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
