"""What a committed figure says about where it was measured."""

import os
import platform
from pathlib import Path
from typing import Any

import torch


def describe_machine() -> dict[str, Any]:
    """Processor, its vector extensions, memory and versions."""
    cpuinfo = Path("/proc/cpuinfo")
    info = cpuinfo.read_text() if cpuinfo.exists() else ""
    lines = [line.partition(":") for line in info.splitlines()]
    processor = next((value.strip() for key, _, value in lines if key.strip() == "model name"), platform.processor())
    flags = next((value.split() for key, _, value in lines if key.strip() == "flags"), [])
    return {
        "processor": processor,
        "extensions": [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in flags],
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
