"""Large buffers lie in the C library's own memory while training, and are mapped afresh before and after."""

import ctypes
import json
import subprocess
import sys

import pytest

SIZE = 64 << 20
SCRIPT = f"""
import ctypes, json
import torch
from recurra.training.memory import keeping_freed_memory


class Usage(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena ordblks smblks hblks hblkhd a b c d e".split()]


mallinfo = ctypes.CDLL(None).mallinfo2
mallinfo.restype = Usage


def mapped_by_a_buffer():
    before = mallinfo().hblkhd
    buffer = torch.empty({SIZE}, dtype=torch.uint8)
    return mallinfo().hblkhd - before + 0 * buffer.numel()


found = [mapped_by_a_buffer()]
try:
    with keeping_freed_memory():
        found.append(mapped_by_a_buffer())
        raise ZeroDivisionError
except ZeroDivisionError:
    found.append(mapped_by_a_buffer())
print(json.dumps(found))
"""


def test_buffers_are_kept_while_inside_even_where_that_ends_in_an_error() -> None:
    """In a process of its own: what others have freed before is used again in place of a mapping."""
    if sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallinfo2"):
        pytest.skip("needs glibc 2.33 or newer")
    done = subprocess.run([sys.executable, "-c", SCRIPT], check=True, capture_output=True, text=True)
    before, inside, after = json.loads(done.stdout)
    assert before >= SIZE and inside == 0 and after >= SIZE
