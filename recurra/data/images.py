"""Images as sequences: their rows, or their pixels one after the other."""

from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from recurra.errors import BadInput

Pixels = Literal["rows", "pixels", "permuted"]
SEED = 0
"""Of the order in which permuted pixels come."""


def read_image(path: Path, pixels: Pixels) -> np.ndarray:
    """An image file, made grey (ITU-R BT.601 luma), as :func:`image_steps` has it.

    Raises:
        BadInput: it is none that Pillow reads.
    """
    try:
        with Image.open(path) as image:
            wide = image.mode.startswith("I")  # 16 bits
            grey = np.asarray(image if wide else image.convert("L"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise BadInput(f"{path}: cannot be read as an image ({error}); mend or remove it") from error
    return image_steps(grey, pixels, 65535 if wide else 255)


def image_steps(grey: np.ndarray, pixels: Pixels, white: int = 255) -> np.ndarray:
    """The steps of an image (H, W), float32 from 0 (black) to 1 (white): its rows (H, W), or its pixels (H * W, 1).

    ``permuted`` pixels come in one random order, the same for all images of a size and in all versions (Le, Jaitly and
    Hinton 2015, arXiv:1504.00941, whose own order was not published).
    """
    scaled = grey.astype(np.float32) / np.float32(white)
    if pixels == "rows":
        return scaled
    line = scaled.reshape(-1, 1)
    return line if pixels == "pixels" else line[_order(len(line))]


@cache
def _order(size: int) -> np.ndarray:
    # RandomState's numbers are fixed for ever; those of default_rng may change with NumPy
    return np.random.RandomState(SEED).permutation(size)
