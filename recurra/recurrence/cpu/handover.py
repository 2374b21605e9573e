"""Tensors handed to a loop by compiled code: each looked at, their addresses taken, and the loop run, in one call.

Python takes a tenth of a microsecond for each question about a tensor, and a step would ask some sixty. DLPack's
exchange interface, one C function of torch, answers them all; nothing that could have changed is taken for granted.
"""

import ctypes
import threading
from functools import cache
from typing import Any, NamedTuple

import llvmlite.binding as llvm
import llvmlite.ir as ir
import torch
from torch import Tensor, nn

from recurra.recurrence.cpu.control import FunctionPointer, counted, repeat
from recurra.recurrence.cpu.layout import WORDS
from recurra.recurrence.cpu.machine import Code, compile_module, host
from recurra.recurrence.cpu.vector import INT32, INT64, POINTER, Index, Value, int64

DONE, UNLIKE, SCATTERED = 0, 1, 2
"""What is returned: the loop has run; a tensor is another than it was to be; all are, but one is not contiguous."""

TABLE = ("tensors", "expected*", "entries", "entry*", "copies", "copy*", "words*", "loop", "parallel")
"""What is given besides the tensors. ``tensors``: how many these are; ``expected``: for each, what `expected` says;
``entry``: for each address among the loop's arguments the place of its word, the tensor, and bytes behind its start;
``copy``: for each copy to make when the loop has run its source among the tensors, bytes behind its start, its target
and its size; ``words``: the loop's arguments; ``parallel``: what opens a parallel region."""


def expected(shape: tuple[int, ...], dtype: torch.dtype) -> list[int]:
    """How a tensor has to be: its dimensions and type as DLPack has them in one word, and its shape."""
    kind, lanes = 2 if dtype.is_floating_point else 0, 1
    return [len(shape) | kind << 32 | dtype.itemsize * 8 << 40 | lanes << 48, *shape]


class _Exchange(ctypes.Structure):
    """DLPack's ``DLPackExchangeAPI``, version 1."""

    _fields_ = (
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        *((name, ctypes.c_void_p) for name in ("before", "allocate", "export", "adopt", "look", "stream")),
    )


class Handover(NamedTuple):
    """The compiled function: ``call(list of tensors, address of the table, threads)``, and what it returns."""

    call: Any
    code: Code


_lock = threading.Lock()


def handover() -> Handover | None:
    """The process's function, good for ever; None where torch's interface is another."""
    with _lock:  # two of them made at the same time would leave one to be freed under its callers
        return _handover()


@cache
def _handover() -> Handover | None:
    capsule = getattr(Tensor, "__dlpack_c_exchange_api__", None)
    if capsule is None:
        return None
    kind = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)
    open_capsule = kind(("PyCapsule_GetPointer", ctypes.pythonapi))
    exchange = _Exchange.from_address(open_capsule(capsule, b"dlpack_exchange_api"))
    if exchange.major != 1 or not exchange.look:
        return None
    code = compile_module(_Emitter(exchange.look).module, host(), optimise=False)
    call = ctypes.PYFUNCTYPE(ctypes.c_int64, ctypes.py_object, ctypes.c_void_p, ctypes.c_int64)
    return Handover(call(code.address("handover")), code)


FUNCTIONS = {
    "loop": FunctionPointer(ir.FunctionType(ir.VoidType(), [POINTER])),
    "parallel": FunctionPointer(ir.FunctionType(ir.VoidType(), [POINTER, POINTER, INT32, INT32])),
}


class _Emitter:
    """Emits ``handover(tensors*, table*, team)``, which holds Python's lock but while the loop runs."""

    def __init__(self, look: int) -> None:
        self.module = ir.Module("handover")
        function = ir.Function(self.module, ir.FunctionType(INT64, [POINTER, POINTER, INT64]), "handover")
        tensors, table, team = function.args
        self.builder = ir.IRBuilder(function.append_basic_block("enter"))
        self.table = {}
        for number, name in enumerate(TABLE):
            kind = FUNCTIONS.get(name) or (POINTER if name.endswith("*") else INT64)
            self.table[name.rstrip("*")] = self._word(table, number, kind)
        self.addresses = self.builder.alloca(INT64, size=self.table["tensors"])
        self.look = self._known("look", look, INT32, [POINTER, POINTER])
        self._take(tensors)
        self._fill()
        thread = self._call("PyEval_SaveThread", POINTER)
        self._run(team)
        self._call("PyEval_RestoreThread", ir.VoidType(), thread)
        self._copy()
        self.builder.ret(int64(DONE))

    def _take(self, tensors: Value) -> None:
        """Each tensor's address, where it is as it has to be."""
        builder = self.builder
        seen = builder.alloca(INT64, size=int64(6))  # a ``DLTensor``

        def one(index: Value, carried: list[Value]) -> list[Value]:
            first, scattered = carried
            item = self._call("PyList_GetItem", POINTER, tensors, index)
            self._leave_unless(self._is_plain(item), UNLIKE)
            with builder.if_then(builder.icmp_signed("!=", builder.call(self.look, [item, seen]), INT32(0))):
                self._call("PyErr_Clear", ir.VoidType())
                builder.ret(int64(UNLIKE))
            data, device, kind = (self._word(seen, number) for number in range(3))
            on_cpu = builder.icmp_signed("==", device, int64(1))
            alike = builder.icmp_signed("==", kind, self._word(self.table["expected"], first))
            self._leave_unless(builder.and_(on_cpu, alike), UNLIKE)
            builder.store(data, self._place(self.addresses, index))
            dimensions, first = builder.and_(kind, int64(0xFFFFFFFF)), builder.add(first, int64(1))
            apart = self._compare(dimensions, first, *(self._word(seen, number, POINTER) for number in (3, 4)))
            return [builder.add(first, dimensions), builder.or_(scattered, apart)]

        _, scattered = counted(builder, 0, self.table["tensors"], 1, [int64(0), int64(0)], one)
        self._leave_unless(builder.icmp_signed("==", scattered, int64(0)), SCATTERED)

    def _is_plain(self, item: Value) -> Value:
        """Whether an object is a tensor or a parameter, not of a class derived from these."""
        kind = self._call("PyObject_Type", POINTER, item)
        self._call("Py_DecRef", ir.VoidType(), kind)
        number = self.builder.ptrtoint(kind, INT64)
        plain = (self.builder.icmp_signed("==", number, int64(id(each))) for each in (Tensor, nn.Parameter))
        return self.builder.or_(*plain)

    def _compare(self, dimensions: Value, first: Value, shape: Value, strides: Value) -> Value:
        """1 where a tensor is not contiguous, else 0; leaves where its shape is another than expected."""
        builder = self.builder

        def one(back: Value, carried: list[Value]) -> list[Value]:
            size, apart = carried
            index = builder.sub(builder.sub(dimensions, int64(1)), back)
            length, stride = self._word(shape, index), self._word(strides, index)
            wanted = self._word(self.table["expected"], builder.add(first, index))
            self._leave_unless(builder.icmp_signed("==", length, wanted), UNLIKE)
            elsewhere = builder.icmp_signed("!=", stride, size)
            wrong = builder.and_(elsewhere, builder.icmp_signed("!=", length, int64(1)))
            return [builder.mul(size, length), builder.or_(apart, builder.zext(wrong, INT64))]

        return counted(builder, 0, dimensions, 1, [int64(1), int64(0)], one)[1]

    def _fill(self) -> None:
        """The addresses, into the loop's arguments."""

        def one(index: Value) -> None:
            place, tensor, offset = self._several(3, self.table["entry"], index)
            address = self.builder.add(self._word(self.addresses, tensor), offset)
            self.builder.store(address, self._place(self.table["words"], place))

        repeat(self.builder, int64(0), self.table["entries"], one)

    def _run(self, team: Value) -> None:
        builder, words = self.builder, self.table["words"]
        loop, parallel = self.table["loop"], self.table["parallel"]
        single = builder.icmp_signed("==", team, int64(1))
        builder.store(builder.zext(single, INT64), self._place(words, WORDS.index("alone")))
        with builder.if_else(single) as (alone, together):
            with alone:
                builder.call(loop, [words])
            with together:
                threads = builder.trunc(team, INT32)
                builder.call(parallel, [loop, words, threads, INT32(0)])

    def _copy(self) -> None:
        flag = ir.IntType(1)
        kind = ir.FunctionType(ir.VoidType(), [POINTER, POINTER, INT64, flag])
        memcpy = ir.Function(self.module, kind, "llvm.memcpy.p0.p0.i64")

        def one(index: Value) -> None:
            source, offset, target, size = self._several(4, self.table["copy"], index)
            begin = self.builder.add(self._word(self.addresses, source), offset)
            places = [self.builder.inttoptr(each, POINTER) for each in (self._word(self.addresses, target), begin)]
            self.builder.call(memcpy, [*places, size, flag(0)])

        repeat(self.builder, int64(0), self.table["copies"], one)

    def _leave_unless(self, holds: Value, answer: int) -> None:
        with self.builder.if_then(self.builder.not_(holds)):
            self.builder.ret(int64(answer))

    def _several(self, count: int, table: Value, index: Value) -> list[Value]:
        start = self.builder.mul(index, int64(count))
        return [self._word(table, self.builder.add(start, int64(i))) for i in range(count)]

    def _word(self, words: Value, index: Index, kind: ir.Type = INT64) -> Value:
        return self.builder.load(self._place(words, index), typ=kind)

    def _place(self, words: Value, index: Index) -> Value:
        return self.builder.gep(words, [int64(index)], source_etype=INT64)

    def _call(self, name: str, result: ir.Type, *given: Value) -> Value:
        """Call a function of Python's stable interface."""
        address = ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value
        return self.builder.call(self._known(name, address, result, [value.type for value in given]), given)

    def _known(self, name: str, address: int | None, result: ir.Type, kinds: list[ir.Type]) -> ir.Function:
        """A function at an address."""
        llvm.add_symbol(f"recurra_{name}", address)
        kind = ir.FunctionType(result, kinds)
        return self.module.globals.get(f"recurra_{name}") or ir.Function(self.module, kind, f"recurra_{name}")
