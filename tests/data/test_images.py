"""Images as sequences, beside Pillow and arithmetic by hand."""

import numpy as np
import pytest
from PIL import Image

from recurra.data.images import image_steps, read_image
from recurra.errors import BadInput

GREY = np.random.default_rng(0).integers(0, 256, (5, 7), dtype=np.uint8)


@pytest.mark.parametrize("name", ["a.png", "a.bmp"])
def test_rows_of_an_image_file(tmp_path, name):
    Image.fromarray(GREY).save(tmp_path / name)
    rows = read_image(tmp_path / name, "rows")
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(rows, np.array([[np.float32(v) / np.float32(255) for v in row] for row in GREY]))


def test_colours_become_grey(tmp_path):
    Image.new("RGB", (2, 1), (255, 128, 0)).save(tmp_path / "a.png")
    luma = int(0.299 * 255 + 0.587 * 128 + 0.5)  # ITU-R BT.601, rounded
    assert read_image(tmp_path / "a.png", "rows").tolist() == [[np.float32(luma) / np.float32(255)] * 2]


def test_sixteen_bits_keep_their_range(tmp_path):
    Image.fromarray(np.array([[0, 32768, 65535]], np.uint16)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png", "rows").tolist() == [[0, np.float32(32768) / np.float32(65535), 1]]


def test_pixels_come_row_by_row():
    pixels = image_steps(GREY, "pixels")
    assert pixels.shape == (35, 1) and pixels[7, 0] == image_steps(GREY, "rows")[1, 0]


def test_permuted_pixels_are_all_there_in_one_order():
    first, second = (image_steps(grey, "permuted")[:, 0] for grey in (GREY, 255 - GREY))
    np.testing.assert_allclose(first + second, 1, rtol=1e-6)
    assert sorted(first) == sorted(image_steps(GREY, "pixels")[:, 0])
    index = image_steps(np.arange(6, dtype=np.uint8).reshape(2, 3), "permuted", 1)[:, 0]
    assert index.tolist() == np.random.RandomState(0).permutation(6).tolist() == [5, 2, 1, 3, 0, 4]


def test_what_is_no_image_is_named(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(GREY.repeat(50, 0)).save(path)
    whole = path.read_bytes()
    for part in (b"text", whole[:60], whole[: len(whole) // 2]):
        path.write_bytes(part)
        with pytest.raises(BadInput, match=r"a.png: cannot be read as an image \(.*\); mend or remove it"):
            read_image(path, "rows")
