"""A folder with one folder for each class."""

import numpy as np
import pytest
from PIL import Image

from recurra.data.case import CaseColumns
from recurra.data.cases import read_cases
from recurra.errors import BadInput


@pytest.fixture
def put(tmp_path):
    def put(files):
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        return tmp_path

    return put


def read(path, columns=None, **options):
    return list(read_cases([path], columns or CaseColumns(), **options))


def test_texts_by_class_and_name(put):
    folder = put(
        {"pos/b.txt": "good\n", "pos/a.txt": "fine", "neg/x.txt": "bad", "pos/.x": "", "README": "", ".git/a": ""}
    )
    cases = read(folder)
    assert [(case.x, case.labels) for case in cases] == [("bad", ("neg",)), ("fine", ("pos",)), ("good\n", ("pos",))]
    assert [case.place for case in cases] == [str(folder / name) for name in ("neg/x.txt", "pos/a.txt", "pos/b.txt")]
    assert [case.labels for case in read(folder, labelled=False)] == [case.labels for case in cases]


def test_series_one_step_a_line(put):
    (case,) = read(put({"walk/1.csv": "1,2\n3, 4\r\n\n5,6e-1\n"}))
    assert case.x.dtype == np.float32 and case.x.tolist() == [[1, 2], [3, 4], [5, np.float32(0.6)]]


def test_images(tmp_path):
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    (tmp_path / "x").mkdir()
    Image.fromarray(grey).save(tmp_path / "x" / "1.PNG")
    for pixels, shape in (("rows", (3, 4)), ("pixels", (12, 1)), ("permuted", (12, 1))):
        (case,) = read(tmp_path, CaseColumns(pixels=pixels))
        assert (case.x.shape, case.labels) == (shape, ("x",))
        (alone,) = read(tmp_path / "x" / "1.PNG", CaseColumns(pixels=pixels), labelled=False)
        assert (alone.x.tolist(), alone.labels) == (case.x.tolist(), ())


def test_files_to_predict_on_need_no_classes(put):
    (case,) = read(put({"a.txt": "good"}), labelled=False)
    assert (case.x, case.labels) == ("good", ())


@pytest.mark.parametrize(
    ("files", "wrong"),
    [
        ({"a.txt": "x"}, "holds no folders; make one for each class, called as the class, with its files"),
        ({"pos/a.txt": "x", "neg/.hidden": ""}, "neg: no files in this folder; put some there or remove it"),
        ({"pos/a.txt": " \n"}, "a.txt: the text is empty"),
        ({"pos/a.txt": ""}, "a.txt: the file is empty"),
        ({"pos/a.doc": "x"}, "a.doc: no case of a class (.txt, .csv, .png, .jpg, .jpeg, .bmp are read); remove it"),
        ({"pos/a.csv": "1,2\n3\n"}, "a.csv: line 2: 1 values where the first step has 2; mend the line"),
        ({"pos/a.csv": "x,y\n1,2\n"}, "a.csv: line 1, value 1: 'x' is no finite number of 32 bits"),
        ({"pos/a.csv": "1,2\n3,nan\n"}, "a.csv: line 2, value 2 is missing ('nan'); fill it or remove the case"),
        ({"pos/a.csv": "\n"}, "a.csv: an empty series; remove the file"),
        ({"pos/a.png": "x"}, "a.png: cannot be read as an image"),
        ({"a/a.csv": "1,2\n", "b/b.csv": "1\n"}, "b.csv has steps of 1 values, not steps of 2 values as "),
        ({"a/a.csv": "1,2\n", "b/b.txt": "1\n"}, "b.txt has a text, not steps of 2 values as "),
    ],
)
def test_what_cannot_be_read_is_named(put, files, wrong):
    with pytest.raises(BadInput) as caught:
        read(put(files))
    assert wrong in str(caught.value) and "\n" not in str(caught.value)


def test_permuted_images_are_of_one_size(tmp_path):
    (tmp_path / "x").mkdir()
    for name, size in (("a", (4, 4)), ("b", (4, 3))):
        Image.new("L", size).save(tmp_path / "x" / f"{name}.png")
    assert len(read(tmp_path)) == 2
    with pytest.raises(BadInput, match="b.png has 12 steps of 1 values, not 16 steps of 1 values"):
        read(tmp_path, CaseColumns(pixels="permuted"))


def test_an_image_alone_has_no_label(tmp_path):
    Image.new("L", (2, 2)).save(tmp_path / "a.png")
    with pytest.raises(BadInput, match="a.png: an image alone has no label"):
        read(tmp_path / "a.png")
