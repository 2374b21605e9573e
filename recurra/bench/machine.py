"""What a committed figure says about where it was measured, and what else ran there."""

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


def others_seconds() -> float | None:
    """Processor seconds that everything but this process has used since the machine started; None where unknown."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return None
    user, nice, system, _, _, irq, softirq, steal, *_ = map(int, stat.read_text().splitlines()[0].split()[1:])
    own = os.times()
    used = (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
    return used - (own.user + own.system + own.children_user + own.children_system)
