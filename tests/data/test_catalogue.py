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
    ("multi30k", "train.en"): "8226b4b333656238e113284cf738778e1287b52e",
    ("multi30k", "train.de"): "3869154c6298e22b3dc9ed3b17fd45bf00276b94",
    ("multi30k", "dev.en"): "8eb30ab9e5edd301e4c94330713c88513dd43dbc",
    ("multi30k", "dev.de"): "0907cab7a248be8e15ac418d517343899351db18",
    ("multi30k", "test.en"): "c3c1142a4d12fa9d7736c81dca0dcea51975477e",
    ("multi30k", "test.de"): "96b762cc43d913a5d23e5ec65acbc58a50d0a9b8",
    ("dialog-babi-1", "train"): "cb7b5e3719a2b2aa6b20aaaacb0c0de216ae7434",
    ("dialog-babi-1", "dev"): "b3d8800db944b56ba82e29ff6dde80e336e80c4c",
    ("dialog-babi-1", "test"): "70b5332864971c3a79cf778969d0aa96becebc03",
    ("dialog-babi-5", "train"): "d496d8a361c8650eeb13d64d403e4082e577ed92",
    ("dialog-babi-5", "dev"): "aa739ac960201cffed58857585d5a28883881017",
    ("dialog-babi-5", "test"): "c9a937de48bc9acfa69a4edbb3eb041fd315564c",
    ("dialog-babi-6", "train"): "b4d9147965917c51674866e99c6740aa7ed1743b",
    ("dialog-babi-6", "dev"): "a22925021ef8c4bd69ec5d381f6fe32e8f706c15",
    ("dialog-babi-6", "test"): "e69796e57a98a07134f1d7da765256d21994095c",
    ("camrest676", "data"): "ed6d7c230a1217b53a27ab61796954fea9ffae5d",
    ("ptb", "train"): "04d78dc94771b5c04adc40b3be08bd8c82942e7f",
    ("ptb", "dev"): "7b3d9d9fd705825715695328b2de872ffbc14a84",
    ("ptb", "test"): "8079cdf342f8d103e5647e1160a8fe3b58a213d5",
    ("tiny-shakespeare", "data"): "7dcb3a2d4cc3b48b6283dd46870bfeb78f88aac9",
    ("ud-english-ewt", "train"): "34731d23bafeeff233fdcee18ffc0254b1aa0e28",
    ("ud-english-ewt", "dev"): "a994b6990643429070ecc6e236d26ad6a04bfefb",
    ("ud-english-ewt", "test"): "c59667960ae967636606f47bc35f132a5557ad39",
    ("conll2000", "train"): "d0befb239e087ea0edceeaf267b5b5b170c0543a",
    ("conll2000", "test"): "b9ec60ff255d1f146d1ecf463eac8c1c2a253329",
    ("wnut17", "train"): "f492698d4776475fd62851998b7b3623c416c92f",
    ("wnut17", "dev"): "128e929f695c9f7499a8e652ee46cd505848e34e",
    ("wnut17", "test"): "a599ac827c810886f53978afca5596a9ab1ef4a6",
    ("trec", "train"): "965d9d7df91d3f04453370745bda95b91b29a086",
    ("trec", "test"): "71dd67a5513403da18a19e568509cdf3d0976ad0",
    ("sst-2", "train"): "cf9933bb0e9723caa6e6d657fa587c97044eb2de",
    ("sst-2", "dev"): "a80b081639ae8ac506f0285de4af86d276e8f983",
    ("sst-2", "test"): "bb5d021fbc75d277a92c6a0fb1b0786984776007",
    ("sst-5", "train"): "25b1b4149c996691724fe64ed71346bf4ade71fb",
    ("sst-5", "dev"): "c20389d69d2506df15f82a514733fde37be3cbb5",
    ("sst-5", "test"): "6d676c86ab7db33e430c2ae36c6dc16efcc1caa3",
    ("mnist", "train"): "bbce27659e0fc2b7ed2a64c127849380a477099b",
    ("mnist", "train-labels"): "d6b4c5db3b52063d543fb397aede09aba0dc5234",
    ("mnist", "test"): "1170b2cae98de7a524b163fcc379ac8f00925b12",
    ("mnist", "test-labels"): "d1c3a970612bbd2df47a3c0697f82bd394abc450",
    ("japanese-vowels", "train"): "e50606ea9c7acdcc1677d5e5b79602200bb2ba97",
    ("japanese-vowels", "test"): "9c46401a48f491c3770a8ad120905ec5984c2f1d",
    ("basic-motions", "train"): "49452c6e6309742dc0609896136aa3e727428533",
    ("basic-motions", "test"): "f44be88c557bb914c3d30098ac809795a269c41d",
    ("gun-point", "train"): "60ac1f3be7edcac7d2e1db21cfb0690eb755ee6b",
    ("gun-point", "test"): "e869bac2105820c5f63fab238fe40ce6c8f9da8f",
    ("italy-power-demand", "train"): "a310296a2fcdec5b358f0d0d99ceca5b2b39c0a6",
    ("italy-power-demand", "test"): "4303ddce190876efffa8a91e054c387913e83425",
    ("etth1", "data"): "a52c4925778c07c1ef1a2cf6fd01594919717d9e",
    ("exchange-rate", "data"): "d72d0d7a5d5d06ecd1cf4c79396180b2962be101",
    ("m4-hourly", "train"): "8c30294d79ac2b2f4c71b2769b74057d86143fbf",
    ("m4-hourly", "test"): "34fa4fbedbba8263e12d52f321a01235c23404d3",
    ("airline", "data"): "4cc79a772765dd3e371e76ff4d299191345e2cb0",
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
    dataset = DataSet("little", "a little text", "language-model", "none stated", (file,), unit="characters")
    monkeypatch.setattr(catalogue, "DATASETS", (dataset,))
    return dataset


@pytest.mark.skipif("RECURRA_DATA" not in os.environ, reason="RECURRA_DATA is not set: no packed data sets here")
@pytest.mark.parametrize(("name", "role"), GIT_BLOBS, ids=lambda part: part)
def test_packed_copies_hold_the_bytes_published_at_the_address(name, role):
    (file,) = [file for file in find_dataset(name).files if file.role == role]
    content = locate(name)[role].read_bytes()
    if file.packed.endswith(".gz") and not file.address.endswith(".gz"):  # else it is what was published
        content = gzip.decompress(content)
    assert hashlib.sha256(content).hexdigest() == file.sha256
    assert len(content) == file.size
    assert hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest() == GIT_BLOBS[name, role]


def test_every_entry_is_complete():
    assert len({dataset.name for dataset in DATASETS}) == len(DATASETS)
    for dataset in DATASETS:
        assert all((dataset.summary, dataset.task, dataset.licence)), dataset.name
        assert (dataset.unit is not None) == (dataset.task == "language-model"), dataset.name
        assert len({file.role for file in dataset.files}) == len(dataset.files), dataset.name
        for file in dataset.files:
            assert (dataset.name, file.role) in GIT_BLOBS
            assert re.fullmatch(r"https://raw\.githubusercontent\.com/[\w-]+/[\w-]+/[0-9a-f]{40}/\S+", file.address)
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
