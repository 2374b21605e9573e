"""A checkpoint is one safetensors file: every tensor of a nested record, and the rest of it as JSON in the header.

One file is written whole or not at all, so a kill at any moment leaves the checkpoint before it. Nothing is pickled.
"""

import errno
import json
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

_TENSOR = "tensor:"


def write_checkpoint(path: Path, tree: Tree) -> None:
    """Write ``tree`` atomically.

    Raises:
        BadInput: the disk is full; a file that was there before is untouched.
    """
    tensors: dict[str, Tensor] = {}
    header = json.dumps(_strip(tree, "", tensors))
    with replacing(path) as part:
        try:
            save_file(tensors, part, {"recurra": header})
        except SafetensorError as error:
            # safetensors reports the system's error as text only
            if "os error 28" in str(error) or "os error 122" in str(error):
                raise OSError(errno.ENOSPC, str(error)) from error
            raise


def read_checkpoint(path: Path, device: str = "cpu") -> Tree:
    """What :func:`write_checkpoint` wrote.

    Raises:
        BadInput: the file is missing, cut short, damaged, or not a checkpoint of this package.
    """
    try:
        with safe_open(path, "pt", device=device) as file:
            header = (file.metadata() or {})["recurra"]
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        return _fill(json.loads(header), tensors)
    except FileNotFoundError as error:
        raise BadInput(f"{path}: no such file; is the run folder complete?") from error
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise BadInput(f"{path}: damaged or not written by Recurra ({error}); {_mend(path)}") from error


def _mend(path: Path) -> str:
    if path.parent.name == "checkpoints":
        return "delete this file and resume: the run goes on from the checkpoint before it"
    return "restore it from a copy, or train again into another folder"


def _strip(tree: Tree, place: str, tensors: dict[str, Tensor]) -> Tree:
    """``tree`` with its tensors moved to ``tensors`` and replaced by their names."""
    if isinstance(tree, Tensor):
        # safetensors refuses tensors that share memory (tied weights)
        shared = any(tree.data_ptr() == other.data_ptr() and tree.numel() for other in tensors.values())
        tensors[place] = tree.detach().clone() if shared else tree.detach().contiguous()
        return _TENSOR + place
    if isinstance(tree, dict):
        keys = {key: f"#{key}" if isinstance(key, int) else key for key in tree}  # JSON would turn 0 into "0"
        return {
            keys[key]: _strip(value, f"{place}.{key}" if place else str(key), tensors) for key, value in tree.items()
        }
    if isinstance(tree, list | tuple):
        return [_strip(value, f"{place}.{number}", tensors) for number, value in enumerate(tree)]
    if isinstance(tree, str) and tree.startswith(_TENSOR):
        raise ValueError(f"{place}: a string may not start with {_TENSOR!r}")
    return tree


def _fill(tree: Tree, tensors: dict[str, Tensor]) -> Tree:
    if isinstance(tree, dict):
        return {int(key[1:]) if key.startswith("#") else key: _fill(value, tensors) for key, value in tree.items()}
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
    return states


def restore_random_state(states: dict[str, Tensor]) -> None:
    """Put the generators back to :func:`random_state`."""
    torch.set_rng_state(states["cpu"])
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])
