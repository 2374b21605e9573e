"""A checkpoint is one safetensors file: every tensor of a nested record, and the rest of it as JSON in the header.

One file is written whole or not at all, so a kill at any moment leaves the checkpoint before it. Nothing is pickled.
"""

import json
import os
import re
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from recurra.errors import BadInput
from recurra.files import replacing

Tree = Any
"""Dictionaries and lists of tensors, numbers, strings and None."""

_TENSOR, _INTEGER = "tensor:", "#"


def write_checkpoint(path: Path, tree: Tree) -> None:
    """Write ``tree`` atomically.

    Raises:
        BadInput: the disk is full or the folder not writable; a file that was there before is untouched.
    """
    tensors: dict[str, Tensor] = {}
    header = json.dumps(_strip(tree, "", tensors))
    with replacing(path) as part:
        try:
            save_file(tensors, part, {"recurra": header})
        except SafetensorError as error:
            # safetensors reports the system's error as text only
            if number := re.search(r"os error (\d+)", str(error)):
                raise OSError(int(number[1]), os.strerror(int(number[1])), str(part)) from error
            raise


def read_checkpoint(path: Path) -> Tree:
    """What :func:`write_checkpoint` wrote, on the CPU.

    Raises:
        BadInput: the file is missing, cut short, damaged, or not a checkpoint of this package.
    """
    try:
        with safe_open(path, "pt") as file:
            header = (file.metadata() or {})["recurra"]
            # a copy lies where torch would put it: how numbers are rounded depends on the alignment of their memory
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}
        return _fill(json.loads(header), tensors)
    except FileNotFoundError as error:
        raise BadInput(f"{path}: no such file; is the run folder complete?") from error
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise BadInput(f"{path}: damaged or not written by Recurra ({error}); {mend(path)}") from error


def mend(path: Path) -> str:
    """What to do about an unusable file, to end a message with."""
    if path.parent.name == "checkpoints":
        return "delete this file and resume: the run goes on from the checkpoint before it, or else from its beginning"
    return "restore it from a copy, or train again into another folder"


def _strip(tree: Tree, place: str, tensors: dict[str, Tensor]) -> Tree:
    """``tree`` with its tensors moved to ``tensors`` and replaced by their names."""
    if isinstance(tree, Tensor):
        if place in tensors:
            raise ValueError(f"{place}: two tensors of that name")
        tree = tree.detach()
        # safetensors refuses tensors that share memory (tied weights, slices)
        memory = tree.untyped_storage().data_ptr()
        shared = any(other.untyped_storage().data_ptr() == memory for other in tensors.values())
        tensors[place] = tree.clone(memory_format=torch.contiguous_format) if shared else tree.contiguous()
        return _TENSOR + place
    if isinstance(tree, dict):
        return {
            _key(key): _strip(value, f"{place}.{key}" if place else str(key), tensors) for key, value in tree.items()
        }
    if isinstance(tree, list | tuple):
        return [_strip(value, f"{place}.{number}", tensors) for number, value in enumerate(tree)]
    if isinstance(tree, str) and tree.startswith(_TENSOR):
        raise ValueError(f"{place}: a string may not start with {_TENSOR!r}")
    return tree


def _key(key: str | int) -> str:
    """A key as JSON can hold it, which would turn 0 into "0"."""
    if isinstance(key, int):
        return f"{_INTEGER}{key}"
    if key.startswith(_INTEGER):
        raise ValueError(f"{key}: a key may not start with {_INTEGER!r}")
    return key


def _fill(tree: Tree, tensors: dict[str, Tensor]) -> Tree:
    if isinstance(tree, dict):
        return {
            int(key.removeprefix(_INTEGER)) if key.startswith(_INTEGER) else key: _fill(value, tensors)
            for key, value in tree.items()
        }
    if isinstance(tree, list):
        return [_fill(value, tensors) for value in tree]
    if isinstance(tree, str) and tree.startswith(_TENSOR):
        return tensors[tree.removeprefix(_TENSOR)]
    return tree


def random_state() -> dict[str, Tensor]:
    """The state of every generator that training draws from."""
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state()
    if torch.backends.mps.is_available():
        states["mps"] = torch.mps.get_rng_state()
    return states


def restore_random_state(states: dict[str, Tensor]) -> None:
    """Put the generators back to :func:`random_state`."""
    torch.set_rng_state(states["cpu"])
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])
    if "mps" in states and torch.backends.mps.is_available():
        torch.mps.set_rng_state(states["mps"])
