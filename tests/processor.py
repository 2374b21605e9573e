"""What tests need of the processor that they run on."""

import pytest

from recurra.recurrence.cpu.machine import host

multiplies_bfloat16 = pytest.mark.skipif(not host().bfloat16, reason="the processor multiplies no bfloat16")
"""Without such instructions autocast leaves our products in float32, and torch's LSTM refuses bfloat16."""
