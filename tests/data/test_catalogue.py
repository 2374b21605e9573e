"""The catalogue against the files themselves, and the order in which a set is looked for."""

import gzip
import hashlib
import os
import re
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from recurra.data import catalogue
from recurra.data.catalogue import DATASETS, DataFile, DataSet, find_dataset, held, locate
from recurra.errors import BadInput

TEXT = b"no it was n't black monday\n" * 99

# What git names each file's bytes in the trees of the commits that the addresses hold.
GIT_BLOBS = {
    ("ptb", "train"): "04d78dc94771b5c04adc40b3be08bd8c82942e7f",
    ("ptb", "dev"): "7b3d9d9fd705825715695328b2de872ffbc14a84",
    ("ptb", "test"): "8079cdf342f8d103e5647e1160a8fe3b58a213d5",
    ("tiny-shakespeare", "data"): "7dcb3a2d4cc3b48b6283dd46870bfeb78f88aac9",
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty ``$RECURRA_DATA``, beside an empty cache."""
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("RECURRA_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("RECURRA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "data"


@pytest.fixture
def published(tmp_path, monkeypatch):
    """The address of a text on a server."""
    (tmp_path / "text.txt").write_bytes(TEXT)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(SimpleHTTPRequestHandler, "log_message", lambda *_: None)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=tmp_path)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/text.txt"
        server.shutdown()
        thread.join()


def enter(monkeypatch, address="http://127.0.0.1:9/text.txt", packed=b""):
    """Make the catalogue hold one set, of one file."""
    file = DataFile(
        role="data",
        address=address,
        sha256=hashlib.sha256(TEXT).hexdigest(),
        size=len(TEXT),
        packed="little/text.txt.gz",
        packed_sha256=hashlib.sha256(packed).hexdigest(),
        verified=None,
    )
    dataset = DataSet("little", "a little text", "language-model", "characters", "none stated", (file,))
    monkeypatch.setattr(catalogue, "DATASETS", (dataset,))
    return dataset


@pytest.mark.skipif("RECURRA_DATA" not in os.environ, reason="RECURRA_DATA is not set: no packed data sets here")
@pytest.mark.parametrize(("name", "role"), GIT_BLOBS)
def test_packed_copies_hold_the_bytes_published_at_the_address(name, role):
    (file,) = [file for file in find_dataset(name).files if file.role == role]
    content = gzip.decompress(locate(name)[role].read_bytes())
    assert hashlib.sha256(content).hexdigest() == file.sha256
    assert len(content) == file.size
    assert hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest() == GIT_BLOBS[name, role]


def test_every_entry_is_complete():
    assert len({dataset.name for dataset in DATASETS}) == len(DATASETS)
    for dataset in DATASETS:
        assert all((dataset.summary, dataset.task, dataset.unit, dataset.licence)), dataset.name
        assert len({file.role for file in dataset.files}) == len(dataset.files), dataset.name
        for file in dataset.files:
            assert re.fullmatch(r"https://raw\.githubusercontent\.com/\w+/[\w-]+/[0-9a-f]{40}/\S+", file.address)
            assert re.fullmatch(r"[0-9a-f]{64} [0-9a-f]{64}", f"{file.sha256} {file.packed_sha256}"), file.address


def test_an_unknown_name_offers_the_nearest():
    with pytest.raises(BadInput, match="unknown data set 'tiny-shakespear'; did you mean 'tiny-shakespeare'"):
        locate("tiny-shakespear")


def test_the_packed_copy_comes_first(folder, monkeypatch):
    packed = gzip.compress(TEXT)
    dataset = enter(monkeypatch, packed=packed)
    cached = folder.parent / "cache" / "data" / "little" / "text.txt"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(TEXT)
    assert locate("little") == held(dataset) == {"data": cached}
    (folder / "little").mkdir()
    (folder / "little" / "text.txt.gz").write_bytes(packed)
    assert locate("little") == held(dataset) == {"data": folder / "little" / "text.txt.gz"}


def test_a_damaged_packed_copy_is_refused_and_left_alone(folder, monkeypatch):
    packed = gzip.compress(TEXT)
    enter(monkeypatch, packed=packed)
    copy = folder / "little" / "text.txt.gz"
    copy.parent.mkdir()
    copy.write_bytes(packed[:-1])
    with pytest.raises(BadInput) as caught:
        locate("little")
    right, wrong = (hashlib.sha256(content).hexdigest()[:12] for content in (packed, packed[:-1]))
    message = str(caught.value)
    assert message.startswith(f"{copy}: damaged") and right in message and wrong in message and "\n" not in message
    assert copy.read_bytes() == packed[:-1]


def test_what_is_nowhere_here_is_downloaded_into_the_cache(folder, published, monkeypatch):
    dataset = enter(monkeypatch, address=published)
    assert held(dataset) == {}
    paths = locate("little")
    assert paths == held(dataset) == {"data": folder.parent / "cache" / "data" / "little" / "text.txt"}
    assert paths["data"].read_bytes() == TEXT
