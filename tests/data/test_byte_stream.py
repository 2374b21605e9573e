"""Bytes as they come, from files and pipes."""

import gzip
import os
import subprocess
import sys
import threading

import pytest

from recurra.data import byte_stream
from recurra.data.byte_stream import open_stream
from recurra.errors import BadInput

DATA = bytes(range(256)) * 600  # more than two pieces


def test_a_file_in_pieces_from_a_position_on(tmp_path):
    plain, packed = tmp_path / "plain", tmp_path / "packed.gz"
    plain.write_bytes(DATA)
    packed.write_bytes(gzip.compress(DATA))
    for path, size in ((plain, len(DATA)), (packed, None)):
        for begin in (0, 1000, len(DATA)):
            with open_stream(str(path), begin) as stream:
                pieces = list(stream)
            assert b"".join(pieces) == DATA[begin:] and max(map(len, pieces), default=0) <= byte_stream.PIECE
            assert (stream.read, stream.size) == (len(DATA), size)


def test_waiting_loses_nothing(tmp_path):
    (tmp_path / "file").write_bytes(DATA)
    with open_stream(str(tmp_path / "file")) as stream:
        stream.wait()
        assert stream.read == 0 and b"".join(stream) == DATA and stream.read == len(DATA)


def test_a_pipe_gives_what_is_there_and_says_when_nothing_is(tmp_path, monkeypatch):
    monkeypatch.setattr(byte_stream, "SECONDS", 0.01)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    idle = threading.Event()

    def write():
        with pipe.open("wb", buffering=0) as file:
            file.write(b"one")
            idle.wait(10)
            file.write(b"two")

    writer = threading.Thread(target=write)
    writer.start()
    found = []
    with open_stream(str(pipe)) as stream:
        for piece in stream:
            found.append(piece)
            if found[:1] == [b"one"] and not piece:
                idle.set()
    writer.join()
    assert b"".join(found) == b"onetwo" and b"" in found and (stream.read, stream.size) == (6, None)


def test_standard_input():
    script = "from recurra.data.byte_stream import open_stream\nwith open_stream('-') as s: print(sum(map(len, s)))"
    done = subprocess.run([sys.executable, "-c", script], input=DATA, capture_output=True, check=True, timeout=60)
    assert int(done.stdout) == len(DATA)


def test_what_is_no_stream_is_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    (tmp_path / "empty").touch()
    (tmp_path / "cut.gz").write_bytes(gzip.compress(DATA)[:-20])
    for name, begin, message in (
        ("none", 0, "no such file"),
        (".", 0, "a folder; a stream is one file, a pipe, or -"),
        ("file", 4, "ends before byte 4, which was read already"),
        ("cut.gz", 0, "damaged gzip file"),
    ):
        with pytest.raises(BadInput, match=message), open_stream(str(tmp_path / name), begin) as stream:
            list(stream)
    with open_stream(str(tmp_path / "empty")) as stream, pytest.raises(BadInput, match="ends after 0 bytes"):
        stream.wait()
