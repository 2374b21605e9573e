"""What ran beside the measurement."""

import subprocess
import sys

import pytest

from recurra.bench.machine import others_seconds

SPIN = """
import time
while time.process_time() < 0.6:
    pass
print("done", flush=True)
input()
"""


@pytest.mark.skipif(others_seconds() is None, reason="only Linux tells what other processes use")
def test_the_work_of_others_is_counted_and_our_own_is_not():
    before = others_seconds()
    child = subprocess.Popen([sys.executable, "-c", SPIN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "done\n"
    running = others_seconds()
    child.communicate("\n")
    ended = others_seconds()
    assert running - before > 0.5
    assert running - ended > 0.4  # what a child has used is its parent's own from its end on
