import json

import pytest

from recurra.data.vocabulary import build_vocabulary, fingerprint, load_vocabulary, save_vocabulary
from recurra.errors import BadInput

TEXT = 'Ein schöner Tag , \u2028 sagte "er" .\n\nNein !\t👋 <unk> \\ \n' * 3


@pytest.fixture(params=["characters", "words", "pretokenised", "bpe"])
def vocabulary(request):
    if request.param == "bpe":
        pytest.importorskip("tokenizers", reason="needs the text extra")
    return build_vocabulary(request.param, [TEXT], size=280)


def test_saved_and_loaded_is_the_same(vocabulary, tmp_path):
    save_vocabulary(vocabulary, tmp_path / "v.json")
    loaded = load_vocabulary(tmp_path / "v.json")
    assert (loaded.unit, len(loaded), loaded.unknown) == (vocabulary.unit, len(vocabulary), vocabulary.unknown)
    text = TEXT + "neu ξ"
    assert loaded.encode(text).tolist() == vocabulary.encode(text).tolist()
    assert loaded.decode(loaded.encode(text)) == vocabulary.decode(vocabulary.encode(text))
    assert fingerprint(loaded) == fingerprint(vocabulary)
    assert fingerprint(vocabulary) != fingerprint(build_vocabulary(vocabulary.unit, [TEXT[:20]], size=270))


def test_decoder_agrees_with_decode(vocabulary):
    ids, decoder = vocabulary.encode(TEXT).tolist(), vocabulary.decoder()
    assert "".join(map(decoder.push, ids)) + decoder.finish() == vocabulary.decode(ids)


def test_damaged_files_are_refused(vocabulary, tmp_path):
    path = tmp_path / "v.json"
    save_vocabulary(vocabulary, path)
    text, record = path.read_text(), json.loads(path.read_text())
    content = next(key for key in ("characters", "types", "tokenizer") if key in record)
    damaged = [
        text[: len(text) // 2],
        "",
        "[]",
        json.dumps(record | {"unit": "syllables"}),
        json.dumps(record | {content: 3}),
    ]
    if content != "tokenizer":
        damaged.append(json.dumps(record | {content: record[content] * 2}))
    for half in damaged:
        path.write_text(half)
        with pytest.raises(BadInput, match="v.json: damaged vocabulary .*; copy it again, or train again") as caught:
            load_vocabulary(path)
        assert "\n" not in str(caught.value)
    path.write_bytes(b"\xff")
    with pytest.raises(BadInput, match="damaged"):
        load_vocabulary(path)
    with pytest.raises(BadInput, match=r"missing.json: cannot be read \(No such file or directory\)"):
        load_vocabulary(tmp_path / "missing.json")


def test_units_and_limits_that_will_not_do():
    with pytest.raises(BadInput, match="unknown unit of text 'word'; did you mean 'words'"):
        build_vocabulary("word", [TEXT])
    with pytest.raises(BadInput, match="no words left for the vocabulary"):
        build_vocabulary("words", [TEXT], min_count=100)
