"""Downloads against a real server that breaks off, lies, changes its mind or is not there."""

import gzip
import hashlib
import io
import random
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pooch
import pytest

from recurra.data import download
from recurra.errors import BadInput

CONTENT = random.Random(0).randbytes(300_001)
HALF = 200_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@dataclass(frozen=True)
class Answer:
    """What the server does with one request; ``cut`` is the number of body bytes after which it hangs up."""

    content: bytes = CONTENT
    status: int = 200
    cut: int | None = None
    ranges: bool = True
    pause: float = 0.0


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        asked = self.headers.get("Range")
        self.server.asked.append(asked)
        answer = self.server.answers.pop(0) if len(self.server.answers) > 1 else self.server.answers[0]
        time.sleep(answer.pause)
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and answer.ranges else 0
        packs = "gzip" in self.headers.get("Accept-Encoding", "")
        body = (gzip.compress(answer.content) if packs else answer.content)[start:]
        self.send_response(416 if start and not body else 206 if start else answer.status)
        self.send_header("Content-Length", str(len(body)))
        if packs:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        with suppress(ConnectionError):  # the client may hang up first
            for piece in range(0, len(body := body[: answer.cut]), 1 << 16):
                self.server.sent += self.wfile.write(body[piece : piece + (1 << 16)])

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(download, "WAITS", (0.0, 0.0, 0.0))
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.asked, server.sent = [], 0
        server.address = f"http://127.0.0.1:{server.server_port}/corpus.txt"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cache" / "corpus.txt"


def fetch(server, path, *answers):
    server.answers, server.asked = list(answers), []
    download.fetch(server.address, path, sha256=SHA256, size=len(CONTENT))


def refused(server, path, *answers):
    """The message of a fetch that must fail: one line that names the address and the place to put the file."""
    with pytest.raises(BadInput) as caught:
        fetch(server, path, *answers)
    message = str(caught.value)
    assert message.startswith(f"{server.address}: ") and f"put the file at {path}" in message and "\n" not in message
    return message


def test_a_file_is_downloaded_once(server, path):
    fetch(server, path, Answer())
    assert path.read_bytes() == CONTENT and server.asked == [None]
    fetch(server, path, Answer())
    assert server.asked == []


def test_a_broken_connection_continues_where_it_broke(server, path):
    fetch(server, path, Answer(cut=HALF), Answer())
    assert path.read_bytes() == CONTENT
    first, second = server.asked
    assert first is None and second.startswith("bytes=")
    assert HALF - download.PIECE < int(second[6:-1]) <= HALF


def test_without_ranges_a_broken_download_starts_over(server, path):
    fetch(server, path, Answer(cut=HALF, ranges=False), Answer(ranges=False))
    assert path.read_bytes() == CONTENT and len(server.asked) == 2


def test_half_a_file_is_kept_for_the_next_run_and_never_taken_for_a_whole_one(server, path):
    message = refused(server, path, Answer(cut=HALF), Answer(cut=0))
    assert len(server.asked) == 4 and "the connection broke" in message and "run again to continue" in message
    assert not path.exists()
    fetch(server, path, Answer())
    assert path.read_bytes() == CONTENT and [asked is None for asked in server.asked] == [False]


def test_a_half_file_of_something_else_is_started_over(server, path):
    changed = bytes(len(CONTENT))
    fetch(server, path, Answer(changed, cut=HALF), Answer())
    assert path.read_bytes() == CONTENT
    assert [asked is None for asked in server.asked] == [True, False, True]


def test_a_half_file_longer_than_the_whole_is_started_over(server, path):
    path.parent.mkdir()
    (path.parent / ".corpus.txt.part").write_bytes(CONTENT + b"more")
    fetch(server, path, Answer())
    assert path.read_bytes() == CONTENT
    assert [asked is None for asked in server.asked] == [False, True]


@pytest.mark.parametrize(
    "content", [bytes(len(CONTENT)), CONTENT[:-1], CONTENT * 9, b""], ids=["changed", "short", "long", "empty"]
)
def test_a_wrong_file_is_removed_and_nothing_else(server, path, content):
    path.parent.mkdir()
    path.write_bytes(b"an older version")
    (path.parent / "neighbour.txt").write_bytes(b"stays")
    message = refused(server, path, Answer(content))
    assert "gives another file" in message and SHA256[:12] in message
    left = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    assert left == {"corpus.txt": b"an older version", "neighbour.txt": b"stays", ".corpus.txt.lock": b""}


def test_an_answer_without_end_is_cut_off(server, path):
    refused(server, path, Answer(bytes(64_000_000)))
    assert server.sent < 32_000_000, "each of two tries takes the file's size and what the sockets hold"


def test_a_download_killed_before_it_was_named_is_not_repeated(server, path):
    path.parent.mkdir()
    (path.parent / ".corpus.txt.part").write_bytes(CONTENT)
    fetch(server, path, Answer())
    assert path.read_bytes() == CONTENT and server.asked == []


def test_an_older_version_is_replaced(server, path):
    path.parent.mkdir()
    path.write_bytes(b"an older version")
    fetch(server, path, Answer())
    assert path.read_bytes() == CONTENT


def test_a_missing_file_is_asked_for_once(server, path):
    message = refused(server, path, Answer(b"no such page", status=404))
    assert "the server answers 404 Not Found" in message and len(server.asked) == 1
    assert not path.exists()


def test_a_busy_server_is_asked_again(server, path):
    fetch(server, path, Answer(b"busy", status=503), Answer())
    assert path.read_bytes() == CONTENT and len(server.asked) == 2


def test_without_a_network_one_line_says_what_to_do(server, path, monkeypatch):
    monkeypatch.setenv("RECURRA_DATA", "/nowhere")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        server.address = f"http://127.0.0.1:{closed.getsockname()[1]}/corpus.txt"
        message = refused(server, path)
    assert "no network" in message and "set RECURRA_DATA (now /nowhere)" in message


def test_a_folder_that_cannot_be_written_is_named(server, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(BadInput, match="corpus.txt: cannot be written .* RECURRA_CACHE"):
        fetch(server, tmp_path / "cache" / "corpus.txt", Answer())


def test_two_that_want_the_same_file_download_it_once(server, path):
    server.answers = [Answer(pause=0.2)]
    with ThreadPoolExecutor(2) as pool:
        wanted = [pool.submit(download.fetch, server.address, path, sha256=SHA256, size=len(CONTENT)) for _ in range(2)]
        [future.result() for future in wanted]
    assert path.read_bytes() == CONTENT and server.asked == [None]


def test_progress_is_shown_on_a_terminal_only(server, path, monkeypatch, capsys):
    monkeypatch.setattr(pooch.get_logger().handlers[0], "stream", sys.stderr)
    fetch(server, path, Answer())
    assert capsys.readouterr() == ("", "")
    path.unlink()
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    fetch(server, path, Answer())
    assert "corpus.txt" in terminal.getvalue() and "300.0/300.0 kB" in terminal.getvalue()
