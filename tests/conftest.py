"""Shapes in annotations are checked while the tests run; torch computes on one thread."""

from pathlib import Path

import torch
from jaxtyping import install_import_hook

ROOT = Path(__file__).parents[1]
CHECKED = ("recurrence", "cells", "layers", "models", "decoding", "training", "analysis", "baselines/window.py")


def _with_shapes() -> list[str]:
    """The modules that have shapes in annotations. To check all calls of the compiler takes longer than to compile."""
    folders = [ROOT / "recurra" / name for name in CHECKED]
    files = [file for folder in folders for file in (folder.rglob("*.py") if folder.is_dir() else [folder])]
    shaped = [file.relative_to(ROOT) for file in files if "from jaxtyping import" in file.read_text()]
    return [".".join(file.with_suffix("").parts) for file in shaped]


install_import_hook(_with_shapes(), "beartype.beartype")

# Networks as small as those of the tests are slower on several threads, by far where others want the cores too.
torch.set_num_threads(1)
