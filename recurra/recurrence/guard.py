"""What a trace took for granted about a cell: everything Python can see of it but its tensors' values."""

from collections.abc import Iterator
from operator import itemgetter
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_module

_OPAQUE = (type, ModuleType, FunctionType, BuiltinFunctionType, MethodType, torch.Generator)
_TENSORS = ("_parameters", "_buffers")
_ASIDE = {
    *_TENSORS,
    "_non_persistent_buffers_set",
    *(f"_{when}_hooks" for when in ("state_dict", "state_dict_pre", "load_state_dict_pre", "load_state_dict_post")),
    *(f"_forward_{what}" for what in ("hooks_with_kwargs", "hooks_always_called", "pre_hooks_with_kwargs")),
}
"""Attributes of a module that say nothing about a step: tensors have a guard of their own, and the last three follow
from the hooks themselves."""
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def named_tensors(cell: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Parameters, buffers and tensors that are plain attributes of the cell or its submodules, by their paths."""
    for path, module in cell.named_modules():
        for space in (*(vars(module)[name] for name in _TENSORS), vars(module)):
            for name, value in space.items():
                if isinstance(value, Tensor):
                    yield f"{path}.{name}".lstrip("."), value


def fetch(cell: nn.Module, path: str) -> Tensor:
    """The tensor that :func:`named_tensors` calls ``path``, as it is now."""
    owner, _, name = path.rpartition(".")
    value = getattr(cell.get_submodule(owner), name)
    if not isinstance(value, Tensor):
        raise TypeError(f"{path} was a tensor and is now a {type(value).__name__}")
    return value


def hooked(cell: nn.Module) -> str | None:
    """The path and class of a module that has hooks, which a trace would not call again."""
    for path, module in cell.named_modules():
        if any(vars(module).get(name) for name in _HOOKS):
            return f"{path or 'the cell'} ({type(module).__name__})"
    return "every module" if torch_module._has_any_global_hook() else None


class Guard:
    """Tells in a few microseconds whether a cell still is what it was: its training flags, numbers, strings, lists and
    other attributes, its submodules, its hooks, the shapes of its tensors and which of them are one. What the cell
    reads from elsewhere (class attributes, globals) is not looked at."""

    def __init__(self, cell: nn.Module) -> None:
        self._spaces = []
        self._shapes = []
        for space in _spaces(cell):
            names = [name for name, value in space.items() if name not in _ASIDE and not isinstance(value, Tensor)]
            if names:
                getter = itemgetter(*names)
                self._spaces.append((space, len(space), getter, _frozen(getter(space))))
            for name in _TENSORS:
                tensors = space.get(name)
                if isinstance(tensors, dict) and tensors:
                    self._shapes.append((space, name, _shapes(tensors)))
        self._ties = _ties(cell)
        self._cell = cell

    def holds(self) -> bool:
        """Whether the trace still stands."""
        return self.attributes_hold() and self._tensors_hold()

    def attributes_hold(self) -> bool:
        """Whether all but the tensors of the cell is as it was."""
        try:
            for space, size, getter, expected in self._spaces:
                if len(space) != size or getter(space) != expected:
                    return False
            return not torch_module._has_any_global_hook()
        except (KeyError, TypeError, ValueError, RuntimeError):
            return False  # an attribute is gone, or its comparison has no answer

    def _tensors_hold(self) -> bool:
        """Whether the tensors have the shapes they had, and are tied as they were."""
        try:
            for space, name, shapes in self._shapes:
                if _shapes(space[name]) != shapes:
                    return False
            return all(fetch(self._cell, one) is fetch(self._cell, other) for one, other in self._ties)
        except (KeyError, AttributeError, TypeError):
            return False


class Snapshot:
    """A cell's attributes as they are, to be found again: lists, dictionaries and sets in them included."""

    def __init__(self, cell: nn.Module) -> None:
        self._kept: dict[int, tuple[Any, Any, str]] = {}
        for space in _spaces(cell):
            for name, value in space.items():
                self._keep(value, "" if name in (*_TENSORS, "_modules") else name)
            self._keep(space, "")

    def _keep(self, value: Any, name: str) -> None:
        if not isinstance(value, dict | list | set) or id(value) in self._kept:
            return
        self._kept[id(value)] = (value, value.copy(), name)
        for part in value.values() if isinstance(value, dict) else value:
            self._keep(part, name)

    def restore(self) -> str | None:
        """Undo what changed, and name one attribute that did."""
        changed = None
        for value, copy, name in self._kept.values():
            difference = _difference(value, copy)
            if difference is None:
                continue
            changed = changed or name or difference
            value.clear()
            value.extend(copy) if isinstance(value, list) else value.update(copy)
        return changed


def _difference(value: Any, copy: Any) -> str | None:
    """What differs between a container and its copy; the same objects in the same places do not."""
    if isinstance(value, dict):
        for name in {**value, **copy}:
            if name not in value or name not in copy or not _same(value[name], copy[name]):
                return str(name)
        return None
    if isinstance(value, set):
        return None if value == copy else "a set"
    alike = len(value) == len(copy) and all(map(_same, value, copy))
    return None if alike else "a list"


def _same(one: Any, other: Any) -> bool:
    return one is other or (isinstance(one, bool | int | float | str) and type(one) is type(other) and one == other)


def _spaces(cell: nn.Module) -> Iterator[dict[str, Any]]:
    """The attributes of the cell, of its submodules, and of plain objects that they hold."""
    seen: set[int] = set()
    for module in cell.modules():
        yield vars(module)
        for value in vars(module).values():
            plain = hasattr(value, "__dict__") and not isinstance(value, (Tensor, nn.Module, *_OPAQUE))
            if plain and id(value) not in seen and not type(value).__module__.startswith("torch."):
                seen.add(id(value))
                yield vars(value)


def _ties(cell: nn.Module) -> list[tuple[str, str]]:
    """Pairs of paths that lead to one tensor."""
    first: dict[int, str] = {}
    found = []
    for path, tensor in named_tensors(cell):
        if id(tensor) in first:
            found.append((first[id(tensor)], path))
        first.setdefault(id(tensor), path)
    return found


def _shapes(tensors: dict[str, Tensor | None]) -> list[Any]:
    """Shapes, types and devices: a loop reads numbers by their address."""
    return [None if tensor is None else (tensor.shape, tensor.dtype, tensor.device) for tensor in tensors.values()]


def _frozen(value: Any) -> Any:
    """A copy of a nesting of containers that holds the same things."""
    if type(value) is tuple:
        return tuple(map(_frozen, value))
    if type(value) is list:
        return list(map(_frozen, value))
    if isinstance(value, dict):
        copy = value.copy()
        copy.update({key: _frozen(part) for key, part in value.items()})
        return copy
    return value.copy() if isinstance(value, set) else value
