"""Files are replaced whole or not at all, on a full disk too."""

import errno
import os
import sys
from pathlib import Path

import pytest

from recurra.errors import BadInput
from recurra.files import cache_folder, replacing, write_text
from tests.disk import small_disk


def test_a_file_is_replaced_and_no_part_is_left(tmp_path: Path) -> None:
    file = tmp_path / "file"
    write_text(file, "old")
    with replacing(file) as part:
        part.write_text("new")
        reader = file.open()
        assert file.read_text() == "old"
    assert file.read_text() == "new"
    with reader:
        assert reader.read() == "old"  # another file has taken the name; this one was never touched
    assert os.listdir(tmp_path) == ["file"]


def test_a_link_still_names_the_file_that_it_named(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    file, link = tmp_path / "there" / "file", tmp_path / "link"
    write_text(file, "old")
    link.symlink_to(file)
    write_text(link, "new")
    assert link.is_symlink() and file.read_text() == "new" and os.listdir(tmp_path / "there") == ["file"]


@pytest.mark.parametrize("raised", [KeyboardInterrupt, ZeroDivisionError, BadInput])
def test_a_failure_leaves_the_old_file(tmp_path: Path, raised: type[BaseException]) -> None:
    file = tmp_path / "file"
    write_text(file, "old")
    with pytest.raises(raised), replacing(file) as part:
        part.write_text("half of the n")
        raise raised()
    assert file.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    with small_disk(tmp_path, 64) as disk:
        file = disk / "file"
        write_text(file, "old")
        with pytest.raises(BadInput, match=r"^\S+/file: no space left on the disk; free some"):
            write_text(file, "x" * 100_000)
        assert file.read_text() == "old"
        assert os.listdir(disk) == ["file"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_every_kind_of_full_disk_is_said_in_one_line(tmp_path: Path, number: int) -> None:
    file = tmp_path / "file"
    with pytest.raises(BadInput, match="no space left") as caught, replacing(file) as part:
        part.write_text("half")
        raise OSError(number, os.strerror(number))
    assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == []


def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"gone/file: cannot be written \(No such file or directory\)"):
        write_text(tmp_path / "gone" / "file", "text")


@pytest.mark.parametrize("name", [".", "there"])
def test_a_folder_is_no_file_to_write(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there").mkdir()
    with pytest.raises(BadInput, match="is a folder; name a file to write"), replacing(Path(name)):
        raise AssertionError
    assert list(tmp_path.iterdir()) == [tmp_path / "there"] and Path("there").is_dir()


def test_errors_of_other_files_pass_through(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "file"):
        (tmp_path / "another").read_text()


def test_cache_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECURRA_CACHE", "/some/where")
    assert cache_folder() == Path("/some/where")
    monkeypatch.delenv("RECURRA_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/home/cache")
    if sys.platform == "linux":
        assert cache_folder() == Path("/home/cache/recurra")
