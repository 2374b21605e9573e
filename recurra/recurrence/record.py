"""The calls that a step makes to PyTorch, recorded on tensors that hold no numbers: nothing is computed or changed.

A tensor is recorded as a :class:`View`, a place in a numbered storage, so that a slice and what it is a slice of, or a
result and what was written into it, are seen to be the same memory.
"""

import inspect
import linecache
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import jaxtyping
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from recurra.recurrence import reference, shapes
from recurra.recurrence.guard import Snapshot
from recurra.recurrence.state import State

_OUR_FOLDER = str(Path(__file__).parent) + os.sep
_TORCH_FOLDER = str(Path(torch.__file__).parent) + os.sep
_WRAPPERS = str(Path(jaxtyping.__file__).parent) + os.sep
_MODULE_FILE = nn.modules.module.__file__
_AUTOGRAD_FUNCTION = inspect.unwrap(torch.autograd.Function.apply.__func__).__code__  # type: ignore[attr-defined]
aten = torch.ops.aten


class Place(NamedTuple):
    """A line of the user's source."""

    file: str
    line: int

    def __str__(self) -> str:
        text = linecache.getline(self.file, self.line).strip()
        return f"{self.file}:{self.line}: {text}" if text else f"{self.file}:{self.line}"


class NotFused(Exception):
    """A step cannot become a program: ``reason`` says why; ``place`` and ATen's ``operation`` say where, when that is
    known."""

    def __init__(self, reason: str, place: Place | None = None, operation: str | None = None) -> None:
        super().__init__(reason if place is None else f"{reason} ({place})")
        self.reason = reason
        self.place = place
        self.operation = operation


class View(NamedTuple):
    """A tensor: a place in a storage."""

    storage: int
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: torch.dtype


class Call(NamedTuple):
    """A call to an ATen operation: tensors among the arguments and results are views."""

    function: torch._ops.OpOverload
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    results: tuple[View, ...]
    place: Place | None

    @property
    def name(self) -> str:
        return self.function._schema.name.removeprefix("aten::")


def run(recorder: "Recorder", cell: nn.Module, x: Any, state: State) -> reference.Step:
    """Take the step under the recorder's eyes, and undo what it does to the cell."""
    snapshot = Snapshot(cell)
    try:
        with (
            torch.inference_mode(False),
            torch.no_grad(),
            torch.autocast("cpu", enabled=False),
            forward_ad._set_fwd_grad_enabled(False),
            _Watch(recorder),
            recorder,
        ):
            step = reference.take_step(cell, x, state)
    except NotFused:
        raise
    except Exception as error:
        raise recorder.failure or _raised(error) from error
    finally:
        changed = snapshot.restore()
    if recorder.failure is not None:
        raise recorder.failure
    if changed is not None:
        raise NotFused(f"the step changes the cell's attribute {changed!r}")
    return step


def _raised(error: Exception) -> NotFused:
    """An error of the step's own (or of a tensor that only pretends): the reference says whether it is real."""
    where = error.__traceback__
    place = None
    while where is not None:
        if _users(where.tb_frame):
            place = Place(where.tb_frame.f_code.co_filename, where.tb_lineno)
        where = where.tb_next
    message = (str(error).splitlines() or [""])[0]
    return NotFused(f"the step raised {type(error).__name__}: {message}", place)


def _users(frame: FrameType) -> bool:
    file = frame.f_code.co_filename
    return not file.startswith((_OUR_FOLDER, _TORCH_FOLDER, _WRAPPERS, "<"))


class _Traced(Tensor):
    """A tensor without numbers, to the step a tensor like any other; ``meta`` holds its place."""

    meta: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def __new__(cls: type["_Traced"], meta: Tensor) -> "_Traced":
        traced = Tensor._make_wrapper_subclass(
            cls, meta.shape, meta.stride(), meta.storage_offset(), dtype=meta.dtype, device=torch.device("cpu")
        )
        traced.meta = meta
        return traced

    @classmethod
    def __torch_dispatch__(cls, *_: Any) -> Any:
        raise NotFused("a tensor of a traced step is used after the step")

    def __repr__(self) -> str:  # type: ignore[override]
        return f"traced{tuple(self.shape)}"


class _Watch(TorchFunctionMode):
    """Sees what PyTorch's own tracing does not: the grad mode, gradients' book-keeping, numbers read out."""

    METHODS: Mapping[str, str] = {
        "requires_grad_": "the step changes whether a tensor requires a gradient",
        "register_hook": "the step registers a hook on a tensor",
        "numpy": "the step reads a tensor's numbers",
        "tolist": "the step reads a tensor's numbers",
        "__array__": "the step reads a tensor's numbers",
        "data_ptr": "the step reads a tensor's address",
    }
    ATTRIBUTES: Mapping[str, str] = {
        "requires_grad": "the step asks whether a tensor requires a gradient",
        "grad_fn": "the step asks how a tensor was computed",
        "is_leaf": "the step asks how a tensor was computed",
        "data": "the step reads a tensor's .data",
    }
    FORBIDDEN: Mapping[Any, str] = {
        torch._C._set_grad_enabled: "the step switches gradients on or off",
        **{getattr(Tensor, name): reason for name, reason in METHODS.items()},
        **{getattr(Tensor, name).__get__: reason for name, reason in ATTRIBUTES.items()},
        **{getattr(Tensor, name).__set__: "the step sets a tensor's attribute" for name in ("requires_grad", "data")},
    }

    def __init__(self, recorder: "Recorder") -> None:
        super().__init__()
        self.recorder = recorder

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        reason = self.FORBIDDEN.get(function)
        if reason is not None:
            raise self.recorder.fail(reason)
        return function(*args, **(kwargs or {}))


class Recorder(TorchDispatchMode):
    """Records every call to ATen, and answers with tensors of the right shape."""

    def __init__(self, names: list[tuple[str, Tensor]]) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self.constants: dict[View, Tensor] = {}
        self.named: dict[str, View] = {}
        self.failure: NotFused | None = None
        self._known: dict[int, tuple[str, Tensor]] = {}
        for name, tensor in names:
            self._known.setdefault(id(tensor), (name, tensor))
        self._stand_ins: dict[int, Tensor] = {}
        self._storages: dict[int, int] = {}
        self._alive: list[Tensor] = []
        self._own: set[int] = set()
        self._made: set[int] = set()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # True would import the whole of torch._dynamo, seconds of it, at the first call

    def given(self, leaf: Tensor, batch: int) -> _Traced:
        return _Traced(torch.empty(batch, *leaf.shape[1:], dtype=leaf.dtype, device="meta"))

    def fail(self, reason: str, place: Place | None = None) -> NotFused:
        """The error to raise; it is kept, since the step may catch it."""
        self.failure = self.failure or NotFused(reason, place or self._place()[0])
        return self.failure

    def view(self, tensor: Tensor) -> View:
        meta: Any = self._meta(tensor, None)
        return View(self._storage(meta), meta.storage_offset(), tuple(meta.shape), meta.stride(), meta.dtype)

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        place, custom = self._place()
        if custom:
            raise self.fail("the step calls a torch.autograd.Function, whose backward a program would lose", place)
        if torch.is_inference_mode_enabled():
            raise self.fail("the step switches to inference mode", place)
        self._refuse(function, place)
        if function is aten.lift_fresh.default and type(args[0]) is Tensor:
            return self._constant(args[0])
        if function is aten.detach.default and self._storage(self._meta(args[0], place)) in self._made:
            return _Traced(args[0].meta)  # PyTorch's own doing at times, and nothing flows into it anyway
        kwargs = self._on_meta(function, kwargs or {}, place)
        targets = self._written(function, args, kwargs, place)
        args_meta, kwargs_meta = _mapped(lambda tensor: self._meta(tensor, place), (args, kwargs))
        try:
            name = function._opname.removesuffix("_") if targets else function._opname
            result: Any = shapes.result(name, args_meta, kwargs_meta)
            if result is None or (targets and result.shape != targets[0].shape):
                result = function(*args_meta, **kwargs_meta)
        except NotImplementedError as error:
            raise self.fail(f"{function} has no shape without numbers", place) from error
        if function is aten.detach.default:
            result = torch.empty(result.shape, dtype=result.dtype, device="meta")
        traced = targets[0] if targets else _mapped(self._wrapped, result)
        if function is aten.detach.default:  # in truth the same memory, which is not the step's to write to any more
            self._own.discard(self._storage(traced.meta))
        given: list[Tensor] = []
        _mapped(given.append, (args, kwargs))
        args, kwargs = _mapped(self.view, (args, kwargs))
        results: list[View] = []
        _mapped(lambda tensor: results.append(self.view(tensor)), traced)
        if not given:
            self._made.update(view.storage for view in results)
        self.calls.append(Call(function, args, kwargs, tuple(results), place))
        return traced

    def _refuse(self, function: Any, place: Place | None) -> None:
        if torch.Tag.nondeterministic_seeded in function.tags:
            raise self.fail("the step draws random numbers", place)
        if function is aten._local_scalar_dense.default:
            raise self.fail("a Python value or branch depends on a tensor's numbers", place)
        if torch.Tag.data_dependent_output in function.tags or torch.Tag.dynamic_output_shape in function.tags:
            raise self.fail(f"the result of {function} depends on a tensor's numbers", place)
        if function is aten.as_strided.default:
            raise self.fail("the step looks into memory by strides", place)
        if torch.Tag.inplace_view in function.tags:
            raise self.fail(f"{function} changes a tensor's shape in place", place)

    def _constant(self, tensor: Tensor) -> _Traced:
        """A tensor made of Python's numbers."""
        traced = self._wrapped(torch.empty(tensor.shape, dtype=tensor.dtype, device="meta"))
        with torch.no_grad():
            self.constants[self.view(traced)] = tensor.clone()
        return traced

    def _on_meta(self, function: Any, kwargs: dict[str, Any], place: Place | None) -> dict[str, Any]:
        """Tensors are made without numbers, wherever the step wants them."""
        if all(argument.name != "device" for argument in function._schema.arguments):
            return kwargs
        device = kwargs.get("device")
        if device is not None and torch.device(device).type != "cpu":
            raise self.fail(f"the step uses the device {device}", place)
        return {**kwargs, "device": "meta"}

    def _written(self, function: Any, args: Any, kwargs: dict[str, Any], place: Place | None) -> list[Any]:
        """The tensors that a call writes to; all must be the step's own."""
        written = []
        for position, argument in enumerate(function._schema.arguments):
            if argument.alias_info is None or not argument.alias_info.is_write:
                continue
            target = args[position] if position < len(args) else kwargs.get(argument.name)
            if position > 0 or not isinstance(target, Tensor):
                raise self.fail(f"{function} writes to its arguments", place)
            if self._storage(self._meta(target, place)) not in self._own:
                raise self.fail("the step writes to a tensor that it did not make", place)
            self._made.discard(self._storage(self._meta(target, place)))
            written.append(target)
        return written

    def _wrapped(self, meta: Tensor) -> _Traced:
        """A result: a view of something known, or a new tensor, which is then the step's own."""
        if meta.untyped_storage()._cdata not in self._storages:
            meta = meta if meta.is_contiguous() else torch.empty(meta.shape, dtype=meta.dtype, device="meta")
            self._own.add(self._storage(meta))
        return _Traced(meta)

    def _meta(self, tensor: Tensor, place: Place | None) -> Tensor:
        if isinstance(tensor, _Traced):
            return tensor.meta
        if id(tensor) not in self._stand_ins:
            if id(tensor) not in self._known:
                raise self.fail("the step reads a tensor that is no parameter, buffer or attribute of the cell", place)
            if tensor.device.type != "cpu":
                raise self.fail(f"a parameter lies on {tensor.device}", place)
            meta = torch.empty(tensor.shape, dtype=tensor.dtype, device="meta")
            self._stand_ins[id(tensor)] = meta
            self.named[self._known[id(tensor)][0]] = self.view(_Traced(meta))
        return self._stand_ins[id(tensor)]

    def _storage(self, meta: Tensor) -> int:
        storage = meta.untyped_storage()._cdata
        if storage not in self._storages:
            self._storages[storage] = len(self._storages)
            self._alive.append(meta)  # or its address would be used again
        return self._storages[storage]

    def _place(self) -> tuple[Place | None, bool]:
        """The line of the user's that is being run, and whether it is within a torch.autograd.Function."""
        frame: FrameType | None = sys._getframe(1)
        users, fallback, custom = None, None, False
        while frame is not None and (frame.f_code.co_filename, frame.f_code.co_name) != (__file__, "run"):
            if frame.f_code is _AUTOGRAD_FUNCTION:
                users, custom = None, True  # the line that calls it, not one of its own
            if users is None and _users(frame):
                users = Place(frame.f_code.co_filename, frame.f_lineno)
            if not frame.f_code.co_filename.startswith((_OUR_FOLDER, _MODULE_FILE, _WRAPPERS, "<")):
                fallback = Place(frame.f_code.co_filename, frame.f_lineno)
            frame = frame.f_back
        return users or fallback, custom


def _mapped(function: Callable[[Tensor], Any], value: Any) -> Any:
    """A nesting of arguments with ``function`` of each tensor in its place."""
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, tuple | list):
        return type(value)([_mapped(function, part) for part in value])
    if isinstance(value, dict):
        return {name: _mapped(function, part) for name, part in value.items()}
    return value
