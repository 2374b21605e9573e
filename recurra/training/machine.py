"""Device and precision, by way of Lightning Fabric; one process."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import torch
from lightning_fabric import Fabric

from recurra.errors import BadInput
from recurra.training.settings import Settings

SHARED_STEP = 100_000
"""Multiplications in a gate's product from hidden to hidden, from which on a step is worth sharing among threads."""

PRECISION = {"float32": "32-true", "bfloat16": "bf16-mixed", "float64": "64-true"}


def pick_device(name: str) -> torch.device:
    """The device of that name; "auto" is the best there is, and what a run trained elsewhere falls back to."""
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = next((kind for kind, there in available.items() if there), "cpu")
    return torch.device(name if available.get(name) else "cpu")


@contextmanager
def own_threads(settings: Settings) -> Iterator[None]:
    """While inside, torch has the number of threads of the settings, or one where a step is too small to be shared.

    Threads that share a step wait for each other. On two idle cores that gains a third at such a size and two thirds
    from ten times as much on; where another process wants one of the cores, it was measured to take twice the time.
    """
    before = torch.get_num_threads()
    small = settings.batch_size * settings.hidden_size**2 < SHARED_STEP
    torch.set_num_threads(settings.threads or (1 if small else before))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def check_machine(settings: Settings) -> None:
    """Refuse what this machine lacks; to be called before a run folder is made, so that nothing is left behind.

    Raises:
        BadInput: no such device, or no TensorBoard.
    """
    if settings.device not in ("auto", pick_device(settings.device).type):
        raise BadInput(f"--device {settings.device}: torch finds no such device here; leave it at auto")
    if settings.tensorboard and find_spec("tensorboard") is None:
        raise BadInput("--tensorboard needs TensorBoard: pip install 'recurra[tensorboard]'")


def make_fabric(device: torch.device, precision: str) -> Fabric:
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it announces what the settings asked for
    return Fabric(accelerator=device.type, devices=1, precision=PRECISION[precision])  # type: ignore[arg-type]


@contextmanager
def default_type(precision: str) -> Iterator[None]:
    """Fabric turns results, the carried state among them, into torch's default type: it must not cut off float64."""
    before = torch.get_default_dtype()
    if precision == "float64":
        torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
