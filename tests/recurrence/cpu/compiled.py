"""What the tests of generated code share: machines, functions over arrays, buffers with watched surroundings."""

import ctypes

import llvmlite.ir as ir
import numpy as np
import torch

from recurra.recurrence.cpu.control import each, open_function
from recurra.recurrence.cpu.machine import Code, compile_module, host, lanes, machine
from recurra.recurrence.cpu.vector import Vectors

LEVELS = ("sse", "avx2", "avx512")
MACHINES = {level: machine(level) for level in LEVELS if machine(level).bytes_per_vector <= host().bytes_per_vector}
MACHINES["host"] = host()
CANARY = -12345.0


def map_module(operation, dtype, count, operands=1, estimates=False):
    """``map(a*, b*, c*, out*, n)``: ``operation(vectors, …)`` over arrays of a multiple of ``count`` numbers."""
    module = ir.Module("map")
    builder, (*arrays, out, n) = open_function(module, "map", "a* b* c* out* n")
    vectors = Vectors(builder, module, dtype, count, estimates)

    def body(index):
        values = [vectors.load(array, index) for array in arrays[:operands]]
        vectors.store(operation(vectors, *values), out, index)

    each(builder, 0, n, count, body)
    builder.ret_void()
    return module


def mapped(operation, machine, dtype, *arrays, count=None):
    """``operation`` of arrays, compiled for ``machine``."""
    count = count or lanes(machine, dtype)
    code = compile_module(map_module(operation, dtype, count, len(arrays), machine.estimates), machine)
    size = arrays[0].size
    padded = [np.resize(array, -(-size // count) * count).astype(dtype) for array in arrays]
    out = np.empty_like(padded[0])
    pointers = [array.ctypes.data for array in (*padded, *padded[:1] * (3 - len(padded)), out)]
    call(code.address("map"), *pointers, out.size)
    assert isinstance(code, Code)  # alive until here
    return out[:size]


def call(address, *arguments):
    """Call a function of pointers (as integers) and 64-bit integers."""
    ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * len(arguments))(address)(*arguments)


class Guarded:
    """A tensor that ends where its memory ends, so that reading on is a crash, with canaries in front."""

    PAGE = 4096

    def __init__(self, tensor):
        size = tensor.numel() * tensor.element_size()
        pages = -(-size // self.PAGE) + 1
        libc = ctypes.CDLL(None, use_errno=True)
        libc.mmap.restype = ctypes.c_void_p
        libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
        libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
        read_and_write, private_and_anonymous = 3, 0x22
        self.unmap = libc.munmap
        self.size = (pages + 1) * self.PAGE
        self.memory = libc.mmap(None, self.size, read_and_write, private_and_anonymous, -1, 0)
        end = self.memory + pages * self.PAGE
        assert libc.mprotect(end, self.PAGE, 0) == 0
        everything = (ctypes.c_char * (pages * self.PAGE)).from_address(self.memory)
        numbers = torch.frombuffer(everything, dtype=tensor.dtype)
        self.before, self.tensor = (
            numbers[: numbers.numel() - tensor.numel()],
            numbers[numbers.numel() - tensor.numel() :],
        )
        self.canary = CANARY if tensor.is_floating_point() else -123
        self.before.fill_(self.canary)
        self.tensor.copy_(tensor.flatten())
        self.tensor = self.tensor.view(tensor.shape)

    @property
    def pointer(self):
        return self.tensor.data_ptr()

    def untouched_before(self):
        return bool((self.before == self.canary).all())

    def close(self):
        self.before = self.tensor = None
        self.unmap(self.memory, self.size)
