"""Patterns of every format, beside what was put into the files."""

import gzip
import struct
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from recurra.data.pattern_files import check_place, write_patterns
from recurra.data.patterns import Levels, read_patterns
from recurra.errors import BadInput

BINARY, REAL = Levels(), Levels(binary=False)
BITS = np.random.default_rng(0).integers(0, 2, (3, 4, 5))
SIGNS = (2 * BITS - 1).reshape(3, 20)
GREY = np.random.default_rng(1).integers(0, 256, (6, 8), dtype=np.uint8)
IDX = struct.pack(">iiii", 2051, 3, 4, 5) + (BITS * 255).astype(np.uint8).tobytes()
ART = "\n\n".join("\n".join("".join(".#"[bit] for bit in line) for line in block) for block in BITS) + "\n"


def put(folder):
    """The same three patterns in every format; their paths."""
    np.save(folder / "bool.npy", BITS.astype(bool))
    np.save(folder / "bits.npy", BITS.astype(np.int16))
    np.save(folder / "signs.npy", (2 * BITS - 1).astype(np.float32))
    np.savez(folder / "one.npz", letters=BITS)
    np.savez(folder / "each.npz", **dict(zip("abc", BITS, strict=True)))
    (folder / "art.txt").write_text(ART)
    (folder / "a-images-idx3-ubyte").write_bytes(IDX)
    (folder / "b-images-idx3-ubyte.gz").write_bytes(gzip.compress(IDX))
    (folder / "images").mkdir()
    for name, bits in zip("abc", BITS, strict=True):
        Image.fromarray((bits * 255).astype(np.uint8)).save(folder / "images" / f"{name}.png")
    (folder / "images" / ".hidden").write_text("no pattern")
    return [path for path in sorted(folder.iterdir())]


def test_every_format_gives_the_patterns_and_takes_them_back(tmp_path):
    there, back = tmp_path / "there", tmp_path / "back"
    there.mkdir(), back.mkdir()
    paths = put(there)
    assert len(paths) == 9
    for path in paths:
        found = read_patterns(path, BINARY)
        np.testing.assert_array_equal(found.values, SIGNS)
        assert found.shape == (4, 5) and len(set(found.names)) == 3
        check_place(back / path.name, found)
        write_patterns(back / path.name, found.having(-found.values))
        again = read_patterns(back / path.name, BINARY)
        np.testing.assert_array_equal(again.values, -SIGNS)
        assert again.names == found.names
    assert sorted(file.name for file in (back / "images").iterdir()) == ["a.png", "b.png", "c.png"]
    for name in ("bool.npy", "bits.npy", "signs.npy"):
        given, written = np.load(there / name), np.load(back / name)
        assert (given.dtype, given.shape, set(given.flat)) == (written.dtype, written.shape, set(written.flat))
    assert np.load(back / "one.npz").files == ["letters"] and np.load(back / "each.npz").files == ["a", "b", "c"]
    assert list(back.glob(".*")) == []


def test_names(tmp_path):
    put(tmp_path)
    names = {path.name: read_patterns(path, BINARY).names for path in tmp_path.iterdir()}
    assert names["images"] == names["each.npz"] == ["a", "b", "c"]
    assert names["one.npz"] == ["letters 1", "letters 2", "letters 3"] and names["art.txt"][0] == "art 1"


def test_the_first_patterns(tmp_path):
    for path in put(tmp_path):
        found = read_patterns(path, BINARY, first=2)
        np.testing.assert_array_equal(found.values, SIGNS[:2])
        assert len(found.names) == 2


def test_an_array_of_the_shape_that_is_stored_is_one_pattern(tmp_path):
    np.save(tmp_path / "cue.npy", BITS[1])
    np.save(tmp_path / "flat.npy", BITS[1].ravel())
    for name in ("cue.npy", "flat.npy"):
        found = read_patterns(tmp_path / name, BINARY, shape=(4, 5))
        np.testing.assert_array_equal(found.values, SIGNS[1:2])
        write_patterns(tmp_path / f"out-{name}", found)
        np.testing.assert_array_equal(np.load(tmp_path / f"out-{name}"), np.load(tmp_path / name))
    assert len(read_patterns(tmp_path / "cue.npy", BINARY).values) == 4


def test_a_key_that_numpy_has_for_itself(tmp_path):
    np.savez(tmp_path / "a.npz", x=BITS)
    found = read_patterns(tmp_path / "a.npz", BINARY)
    write_patterns(tmp_path / "b.npz", replace(found, parts=(replace(found.parts[0], key="file"),)))
    np.testing.assert_array_equal(np.load(tmp_path / "b.npz")["file"], BITS)


def test_images_become_binary_at_a_threshold_or_dithered(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "a.png")
    for threshold in (0.25, 0.5):
        found = read_patterns(tmp_path / "a.png", Levels(threshold=threshold)).values[0]
        np.testing.assert_array_equal(found, np.where(GREY.ravel() >= 255 * threshold, 1, -1))
    dithered = read_patterns(tmp_path / "a.png", Levels(dither=True)).values[0]
    np.testing.assert_array_equal(dithered > 0, np.asarray(Image.fromarray(GREY).convert("1")).ravel())


def test_real_numbers_are_kept(tmp_path):
    values = np.random.default_rng(2).normal(size=(3, 7))
    np.save(tmp_path / "a.npy", values)
    Image.fromarray(GREY).save(tmp_path / "a.png")
    found = read_patterns(tmp_path / "a.npy", REAL)
    np.testing.assert_array_equal(found.values, values)
    grey = read_patterns(tmp_path / "a.png", REAL)
    np.testing.assert_allclose(grey.values[0], GREY.ravel() / 127.5 - 1, atol=1e-6)
    write_patterns(tmp_path / "b.npy", found)
    np.testing.assert_array_equal(np.load(tmp_path / "b.npy"), values)
    write_patterns(tmp_path / "b.png", grey)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "b.png")), GREY)


def wrong_files(folder):
    """What a file holds, and what is said of it."""
    np.save(folder / "objects.npy", np.array([1, "a", None], dtype=object), allow_pickle=True)
    np.savez(folder / "objects.npz", a=np.array([1, None], dtype=object))
    np.save(folder / "grey.npy", np.array([[0.0, 0.5, 1.0]]))
    np.save(folder / "three.npy", np.array([[0, -1, 1]]))
    np.save(folder / "nan.npy", np.array([[0, np.nan]]))
    np.save(folder / "words.npy", np.array(["a", "b"]))
    np.save(folder / "scalar.npy", np.array(1))
    np.save(folder / "none.npy", np.zeros((0, 4)))
    (folder / "empty.npy").write_bytes(b"")
    (folder / "cut.npz").write_bytes((folder / "objects.npz").read_bytes()[:100])
    np.savez(folder / "unequal.npz", a=BITS[0], b=BITS[0, :3])
    (folder / "text.png").write_text("no image")
    Image.new("L", (4, 4), 255).save(folder / "white.png")
    (folder / "letters.txt").write_text("##\n#a\n")
    (folder / "ragged.txt").write_text("##\n\n###\n")
    (folder / "tall.txt").write_text("##\n\n##\n##\n")
    (folder / "blank.txt").write_text("\n\n")
    (folder / "song.mp3").write_text("no pattern")
    (folder / "a-idx3-ubyte").write_bytes(IDX[:50])
    (folder / "folder").mkdir()
    mixed = folder / "mixed"
    mixed.mkdir()
    (mixed / "a.txt").write_text("#.\n.#\n")
    (mixed / "b.txt").write_text("#.#\n.#.\n")
    return {
        "objects.npy": "cannot be read as arrays (Object arrays cannot be loaded",
        "objects.npz": "cannot be read as arrays (Object arrays cannot be loaded",
        "grey.npy": "not binary, has 0.5; save 0 and 1, or -1 and 1 (--rule continuous",
        "three.npy": "not binary, has -1, 0 and 1",
        "nan.npy": "no finite numbers",
        "words.npy": "holds <U1, not numbers",
        "scalar.npy": "holds no patterns (())",
        "none.npy": "holds no patterns ((0, 4))",
        "empty.npy": "cannot be read as arrays",
        "cut.npz": "cannot be read as arrays",
        "unequal.npz": "array b: patterns of 3 × 5, ",
        "text.png": "cannot be read as an image",
        "white.png": "every pixel is white at a threshold of 0.5; choose another --threshold",
        "letters.txt": "line 2: 'a' is neither # nor .",
        "ragged.txt": "line 3: 3 units, lines before it have 2",
        "tall.txt": "line 3: a pattern of 2 lines, the first has 1",
        "blank.txt": "only empty lines",
        "song.mp3": "no patterns that can be read",
        "a-idx3-ubyte": "image 2: the file ends within it",
        "folder": "no files in this folder; put patterns there",
        "mixed": "b.txt: patterns of 2 × 3, ",
        "missing.png": "no such file or folder",
    }


def test_files_that_cannot_be_used(tmp_path):
    for name, said in wrong_files(tmp_path).items():
        with pytest.raises(BadInput) as caught:
            read_patterns(tmp_path / name, BINARY)
        assert said in str(caught.value) and name in str(caught.value), caught.value


def test_a_cue_of_another_size_is_named(tmp_path):
    (tmp_path / "cue.txt").write_text("#.\n.#\n")
    with pytest.raises(BadInput, match=r"cue.txt: patterns of 2 × 2, those stored are 4 × 5; make them of one size"):
        read_patterns(tmp_path / "cue.txt", BINARY, shape=(4, 5))


def test_places_that_cannot_be_written_to(tmp_path):
    put(tmp_path)
    folder, file = read_patterns(tmp_path / "images", BINARY), read_patterns(tmp_path / "art.txt", BINARY)
    for out, like, said in (
        ("one.npz", file, "is of another kind; let the name of --out end in .txt"),
        ("none/a.txt", file, "there is no folder"),
        ("images", folder, "exists already; choose another --out"),
    ):
        with pytest.raises(BadInput, match=said):
            check_place(tmp_path / out, like)
