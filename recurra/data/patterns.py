"""Patterns for associative memories, from images, arrays, IDX files and text art."""

from dataclasses import dataclass, replace
from itertools import groupby, islice
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from recurra.data.idx import read_idx
from recurra.data.images import read_image
from recurra.data.labelled_folder import IMAGES
from recurra.data.lines import read_lines
from recurra.errors import BadInput

Kind = Literal["image", "npy", "npz", "text", "idx"]
READ = f"{', '.join(IMAGES)}, .npy, .npz, .txt of # and ., and IDX files of images"


@dataclass(frozen=True)
class Levels:
    """What values patterns have.

    Args:
        binary: 1 and -1, else real numbers. Those of images lie between -1 (black) and 1 (white).
        threshold: the grey, from 0 (black) to 1 (white), from which on a pixel of a binary image is 1.
        dither: binary images by Floyd and Steinberg's error diffusion, in the threshold's place.
    """

    binary: bool = True
    threshold: float = 0.5
    dither: bool = False


@dataclass(frozen=True)
class Part:
    """The patterns of one file, or of one array of an .npz file.

    Args:
        values: (P, N), float32 or float64.
        shape: of one pattern.
        single: whether the array in the file is the one pattern, without an axis that counts them.
        low: what stands for -1 in the file; None where numbers are kept as they are.
        dtype: of the array in the file.
        key: its name in the .npz file.
    """

    path: Path
    kind: Kind
    values: np.ndarray
    shape: tuple[int, ...]
    single: bool = False
    low: int | None = None
    dtype: np.dtype = np.dtype(np.uint8)
    key: str = ""

    @property
    def names(self) -> list[str]:
        """A name for each: of the file or the array ("image" of IDX), and a number from 1 on where it holds several."""
        name = "image" if self.kind == "idx" else self.key or self.path.stem
        count = len(self.values)
        return [name] if count == 1 else [f"{name} {number}" for number in range(1, count + 1)]


@dataclass(frozen=True)
class Patterns:
    """The patterns of a file or a folder, all of one size."""

    path: Path
    parts: tuple[Part, ...]

    @property
    def names(self) -> list[str]:
        """One a pattern."""
        return [name for part in self.parts for name in part.names]

    @property
    def values(self) -> np.ndarray:
        """(P, N)."""
        return np.concatenate([part.values for part in self.parts])

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one pattern."""
        return self.parts[0].shape

    def having(self, values: np.ndarray) -> "Patterns":
        """The same files and arrays with other ``values`` (P, N)."""
        ends = np.cumsum([len(part.values) for part in self.parts])[:-1]
        split = np.split(values, ends)
        return replace(
            self, parts=tuple(replace(part, values=new) for part, new in zip(self.parts, split, strict=True))
        )


def read_patterns(path: Path, levels: Levels, *, first: int | None = None, shape: tuple[int, ...] = ()) -> Patterns:
    """The patterns of a file, or of all visible files of a folder, by name.

    An image is one pattern; so is a text file's block of lines of ``#`` (1) and ``.`` (-1) between empty lines. An
    array of one axis is a pattern, of more a pattern for each place of the first; in an .npz file of several arrays
    each is a pattern, called as its key. Binary arrays are bool, of 0 and 1, or of -1 and 1.

    Args:
        first: no more than so many patterns.
        shape: of one pattern, where it is known; an array of just this shape is one.

    Raises:
        BadInput: nothing there, a file of another format, damaged, pickled or not binary; an image of one colour;
            patterns of unequal size, or of another one than ``shape``.
    """
    if not path.exists():
        raise BadInput(f"{path}: no such file or folder; check the path")
    files = [path]
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
        if not files:
            raise BadInput(f"{path}: no files in this folder; put patterns there ({READ})")
    parts: list[Part] = []
    left = first
    for file in files:
        for part in _read_file(file, levels, left, shape):
            if left != 0:
                parts.append(part if left is None else replace(part, values=part.values[:left]))
            left = None if left is None else left - len(parts[-1].values)
        if left == 0:
            break
    for part in parts:
        _check_size(part, shape, "those stored are")
        _check_size(part, parts[0].shape, f"{parts[0].path} is")
    return Patterns(path, tuple(parts))


def kind_of(path: Path) -> Kind:
    """The format that a file's name says.

    Raises:
        BadInput: it says none.
    """
    named: dict[str, Kind] = {".npy": "npy", ".npz": "npz", ".txt": "text", **dict.fromkeys(IMAGES, "image")}
    if (suffix := path.suffix.lower()) in named:
        return named[suffix]
    if "idx" in path.name:
        return "idx"
    raise BadInput(f"{path}: no patterns that can be read ({READ}); give it the name of its kind, or remove it")


def _read_file(path: Path, levels: Levels, first: int | None, shape: tuple[int, ...]) -> list[Part]:
    kind = kind_of(path)
    if kind == "image":
        grey = read_image(path, "rows")
        return [Part(path, kind, _pixels(grey, levels, str(path)).reshape(1, -1), grey.shape)]
    if kind == "idx":
        cases = list(islice(read_idx(path, "rows", labelled=False), first))
        values = np.stack([_pixels(np.asarray(case.x), levels, case.place).ravel() for case in cases])
        return [Part(path, kind, values, np.shape(cases[0].x))]
    if kind == "text":
        drawn = _read_art(path)
        return [Part(path, kind, drawn.reshape(len(drawn), -1), drawn.shape[1:])]
    arrays = _read_arrays(path)
    return [
        _part_of(path, kind, key, array, levels, single=array.ndim == 1 or array.shape == shape or len(arrays) > 1)
        for key, array in arrays.items()
    ]


def _pixels(grey: np.ndarray, levels: Levels, place: str) -> np.ndarray:
    if not levels.binary:
        return 2 * grey - 1
    if levels.dither:
        white = np.asarray(Image.fromarray((grey * 255).round().astype(np.uint8)).convert("1"))
    else:
        white = grey >= levels.threshold
    if white.all() or not white.any():
        colour = "white" if white.all() else "black"
        how = "dithered" if levels.dither else f"at a threshold of {levels.threshold:g}"
        raise BadInput(f"{place}: every pixel is {colour} {how}; choose another --threshold, or remove it")
    return np.where(white, np.float32(1), np.float32(-1))


def _read_art(path: Path) -> np.ndarray:
    """(P, H, W)."""
    lines = [(number, line.strip()) for number, line in read_lines(path, "utf-8")]
    blocks = [list(block) for drawn, block in groupby(lines, lambda line: bool(line[1])) if drawn]
    if not blocks:
        raise BadInput(f"{path}: only empty lines; draw patterns with # and .")
    height, width = len(blocks[0]), len(blocks[0][0][1])
    for block in blocks:
        for number, line in block:
            if other := line.strip("#."):
                raise BadInput(f"{path}: line {number}: {other[0]!r} is neither # nor .; draw patterns with these two")
            if len(line) != width:
                raise BadInput(f"{path}: line {number}: {len(line)} units, lines before it have {width}; mend one")
        if len(block) != height:
            raise BadInput(
                f"{path}: line {block[0][0]}: a pattern of {len(block)} lines, the first has {height}; mend one"
            )
    signs = [[[1 if unit == "#" else -1 for unit in line] for _, line in block] for block in blocks]
    return np.array(signs, dtype=np.float32)


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Those of an .npz file by their keys; that of an .npy file has none."""
    try:
        with path.open("rb") as file:
            found = np.load(file, allow_pickle=False)
            arrays = {"": found} if isinstance(found, np.ndarray) else {key: found[key] for key in found.files}
    except Exception as error:  # damaged headers fail in as many ways as NumPy's and zipfile's parsers have
        raise BadInput(f"{path}: cannot be read as arrays ({error}); save it again with numpy.save") from error
    if not arrays or any(array.size == 0 or array.ndim == 0 for array in arrays.values()):
        shapes = ", ".join(str(array.shape) for array in arrays.values()) or "no array"
        raise BadInput(f"{path}: holds no patterns ({shapes}); save some with numpy.save")
    return arrays


def _part_of(path: Path, kind: Kind, key: str, array: np.ndarray, levels: Levels, *, single: bool) -> Part:
    place = f"{path}: array {key}" if key else str(path)
    if array.dtype.kind not in "biuf":
        raise BadInput(f"{place}: holds {array.dtype}, not numbers; save it as numbers")
    if not np.isfinite(array).all():
        raise BadInput(f"{place}: holds values that are no finite numbers; remove them")
    shape = array.shape if single else array.shape[1:]
    rows = array.reshape(1 if single else len(array), -1)
    low = None
    values = rows.astype(np.float64 if array.dtype == np.float64 else np.float32)
    if levels.binary:
        allowed = np.isin(array, (0, 1)).all(), np.isin(array, (-1, 1)).all()
        if not any(allowed):
            odd = array[~np.isin(array, (-1, 0, 1))]
            found = f"{odd[0]:g}" if len(odd) else "-1, 0 and 1"
            raise BadInput(
                f"{place}: not binary, has {found}; save 0 and 1, or -1 and 1 (--rule continuous stores real numbers)"
            )
        low = -1 if allowed[1] else 0
        values = np.where(values == 1, np.float32(1), np.float32(-1))
    return Part(path, kind, values, shape, single, low, array.dtype, key)


def _check_size(part: Part, shape: tuple[int, ...], whose: str) -> None:
    if not shape or part.shape == shape:
        return
    # a flat pattern of as many units has no shape of its own
    if 1 not in (len(part.shape), len(shape)) or np.prod(part.shape) != np.prod(shape):
        here, there = (" × ".join(map(str, sizes)) for sizes in (part.shape, shape))
        place = f"{part.path}: array {part.key}" if part.key else str(part.path)
        raise BadInput(f"{place}: patterns of {here}, {whose} {there}; make them of one size")
