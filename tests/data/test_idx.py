"""IDX files: packed by hand, and MNIST beside its published labels and mean."""

import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pytest

from recurra.data.case import CaseColumns
from recurra.data.cases import read_cases
from recurra.errors import BadInput

GREY = np.random.default_rng(0).integers(0, 256, (3, 2, 4), dtype=np.uint8)
IMAGES = struct.pack(">iiii", 2051, 3, 2, 4) + GREY.tobytes()
LABELS = struct.pack(">ii", 2049, 3) + bytes([7, 0, 9])


def put(folder, images=IMAGES, labels=LABELS):
    (folder / "a-labels-idx1-ubyte").write_bytes(labels)
    path = folder / "a-images-idx3-ubyte"
    path.write_bytes(images)
    return path


@pytest.mark.parametrize("packed", [True, False])
def test_images_and_the_labels_beside_them(tmp_path, packed):
    path = put(tmp_path)
    if packed:
        path = path.rename(tmp_path / "a-images.idx3-ubyte.gz")
        path.write_bytes(gzip.compress(IMAGES))
        (tmp_path / "a-labels-idx1-ubyte").rename(tmp_path / "a-labels.idx1-ubyte")
    cases = list(read_cases([path], CaseColumns()))
    np.testing.assert_array_equal(np.stack([case.x for case in cases]), GREY.astype(np.float32) / np.float32(255))
    assert [case.labels for case in cases] == [("7",), ("0",), ("9",)]
    assert [case.place for case in cases] == [f"{path}: image {n}" for n in (1, 2, 3)]


def test_without_labels(tmp_path):
    path = tmp_path / "pictures"  # known by its first bytes
    path.write_bytes(IMAGES)
    assert [case.labels for case in read_cases([path], CaseColumns(), labelled=False)] == [()] * 3
    with pytest.raises(BadInput, match="pictures: no labels beside it"):
        list(read_cases([path], CaseColumns()))


@pytest.mark.parametrize(
    ("files", "wrong"),
    [
        ({"images": LABELS}, r"idx3-ubyte: holds labels \(IDX magic 2049\), not images \(IDX magic 2051\)"),
        ({"images": b"\0\0\x0d\x03" + IMAGES[4:]}, "idx3-ubyte: holds what begins with 3331, not images"),
        ({"labels": IMAGES}, "idx1-ubyte: holds images"),
        ({"images": IMAGES[:-1]}, "idx3-ubyte: image 3: the file ends within it; download it again"),
        ({"images": IMAGES[:9]}, "idx3-ubyte: header: the file ends within it"),
        ({"images": IMAGES + b"x"}, "idx3-ubyte: goes on behind the 3 that its header says"),
        ({"labels": LABELS + b"x"}, "idx1-ubyte: goes on behind the 3 that its header says"),
        ({"labels": LABELS[:-1]}, "idx1-ubyte: label 3: the file ends within it"),
        ({"labels": struct.pack(">ii", 2049, 2) + b"ab"}, "3 images, a-labels-idx1-ubyte has 2 labels"),
        (
            {"images": struct.pack(">iiii", 2051, 3, 0, 4)},
            r"the header says \(3, 0, 4\), sizes that no file of cases has",
        ),
    ],
)
def test_broken_files_are_named(tmp_path, files, wrong):
    with pytest.raises(BadInput, match=wrong):
        list(read_cases([put(tmp_path, **files)], CaseColumns()))


FIRST = {"train": ("504192", 60_000), "t10k": ("7210", 10_000)}


@pytest.mark.parametrize("part", FIRST)
def test_mnist(part):
    path = Path(os.environ.get("RECURRA_DATA", "/nowhere"), "mnist", f"{part}-images-idx3-ubyte.gz")
    if not path.exists():
        pytest.skip("RECURRA_DATA holds no mnist")
    digits, total = "", 0.0
    for case in read_cases([path], CaseColumns()):
        digits += case.labels[0]
        total += float(case.x.sum(dtype=np.float64))
    first, count = FIRST[part]
    assert digits.startswith(first) and len(digits) == count
    if part == "train":  # the mean that everyone normalises by
        assert total / count / 784 == pytest.approx(0.1307, abs=5e-5)
