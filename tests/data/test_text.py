import gzip
import hashlib
import os
import random

import pytest

from recurra.data.text import TextSource
from recurra.errors import BadInput

MIXED = "Grüße, 你好 👋\r\nλόγος\n\n" * 3


def read(*paths, block=1 << 22):
    return "".join(TextSource(paths, block=block).chunks())


@pytest.mark.parametrize("block", range(1, 9))
def test_characters_survive_every_block_border(tmp_path, block):
    path = tmp_path / "a.txt"
    path.write_bytes(MIXED.encode())
    assert read(path, block=block) == MIXED


def test_folder_is_read_by_name_without_hidden_and_empty_files(tmp_path):
    for name in ("b/c.txt", "a.txt", "b/a.md", ".git/config", "b/.hidden"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"<{name}>")
    (tmp_path / "empty").touch()
    extra = tmp_path / "b" / "a.md"
    assert read(tmp_path, extra) == "<a.txt><b/a.md><b/c.txt><b/a.md>"


def test_gzip_is_known_by_its_bytes_and_its_members_are_joined(tmp_path):
    path = tmp_path / "no-suffix"
    path.write_bytes(gzip.compress(MIXED.encode()) + gzip.compress(b"more"))
    assert read(path, block=3) == MIXED + "more"


@pytest.mark.parametrize("block", [1, 2, 3, 100])
def test_byte_order_mark_is_dropped_at_the_start_of_each_file_only(tmp_path, block):
    for name in "ab":
        (tmp_path / name).write_bytes("\ufeffx\ufeffy".encode())
    assert read(tmp_path, block=block) == "x\ufeffyx\ufeffy"


def test_slices_are_those_of_the_string(tmp_path):
    (tmp_path / "a").write_text(MIXED, newline="")
    (tmp_path / "b").write_text("second")
    source, whole = TextSource([tmp_path], block=5), MIXED + "second"
    for start in range(len(whole) + 1):
        for stop in range(start, len(whole) + 1, 7):
            assert "".join(source.slice(start, stop)) == whole[start:stop]


def test_slice_past_the_end_says_that_the_text_changed(tmp_path):
    (tmp_path / "a").write_text("short")
    with pytest.raises(BadInput, match="ends before character 6; it was changed"):
        list(TextSource([tmp_path / "a"]).slice(0, 6))


def test_scan_counts_and_hashes_the_decompressed_bytes(tmp_path):
    raw = "\ufeff".encode() + MIXED.encode()
    (tmp_path / "a").write_bytes(raw)
    (tmp_path / "b").write_bytes(gzip.compress(raw))
    summary = TextSource([tmp_path], block=4).scan()
    digest = hashlib.sha256(raw).hexdigest()
    assert summary.hashes == {str(tmp_path / "a"): digest, str(tmp_path / "b"): digest}
    assert (summary.characters, summary.bytes) == (2 * len(MIXED), 2 * len(raw))


def test_bad_utf8_is_placed_exactly_whatever_the_blocks(tmp_path):
    rng, path = random.Random(0), tmp_path / "bad.txt"
    for bad in (b"\xe9 ", b"\xff", b"\xe4\xbd(", b"\xed\xa0\x80", b"\xf0\x9f\x91"):
        for _ in range(20):
            good = MIXED[: rng.randrange(len(MIXED))].encode()
            path.write_bytes(good + bad)  # the last one is cut short by the end of the file
            with pytest.raises(BadInput) as caught:
                read(path, block=rng.randrange(1, 6))
            line = good.count(b"\n") + 1
            place = f"{path}: not UTF-8 at byte {len(good)} (line {line}, byte 0x{bad[0]:02x})"
            assert str(caught.value) == f"{place}; convert it: iconv -f latin1 -t utf-8 {path} > text.txt"


def test_bad_utf8_in_gzip_counts_decompressed_bytes_and_mends_through_gunzip(tmp_path):
    path = tmp_path / "bad.gz"
    path.write_bytes(gzip.compress(b"ab\n\xe9t\xe9"))
    with pytest.raises(BadInput, match=r"at byte 3 \(line 2, byte 0xe9\); convert it: gunzip -c < .*bad.gz \| iconv"):
        read(path)


@pytest.mark.parametrize("damage", [lambda data: data[:-9], lambda data: data[:200] + b"\xff" * 50 + data[250:]])
def test_damaged_gzip(tmp_path, damage):
    data = gzip.compress(random.Random(0).randbytes(2000).hex().encode())
    (tmp_path / "a.gz").write_bytes(damage(data))
    with pytest.raises(BadInput, match="a.gz: damaged gzip file .* copy or download it again"):
        read(tmp_path / "a.gz")


def test_what_is_no_text_is_refused_before_reading(tmp_path):
    (tmp_path / "empty").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "nothing.gz").write_bytes(gzip.compress(b""))
    (tmp_path / "binary").write_bytes(b"ELF\0\1")
    (tmp_path / "wide").write_bytes("text".encode("utf-16"))
    os.mkfifo(tmp_path / "pipe")
    for name, message in {
        "missing": "missing: no such file or folder",
        "empty": "empty: the file is empty",
        "folder": "folder: no text files in this folder",
        "nothing.gz": "nothing.gz: nothing in it once decompressed",
        "binary": r"binary: looks binary \(NUL at byte 3\)",
        "wide": "wide: is UTF-16; convert it: iconv -f utf-16 -t utf-8",
        "pipe": "pipe: not a regular file",
    }.items():
        with pytest.raises(BadInput, match=message) as caught:
            TextSource([tmp_path / name])
        assert "\n" not in str(caught.value)
