"""Shapes in annotations are checked while the tests run; torch computes on one thread."""

import torch
from jaxtyping import install_import_hook

install_import_hook(
    [
        "recurra.recurrence",
        "recurra.cells",
        "recurra.layers",
        "recurra.models",
        "recurra.decoding",
        "recurra.baselines.window",
    ],
    "beartype.beartype",
)

# Networks as small as those of the tests are slower on several threads, by far where others want the cores too.
torch.set_num_threads(1)
