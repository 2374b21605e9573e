"""Conversations of every form, and those that are none."""

import json

import pytest

from recurra.data.dialogues import Dialogue, Turn, conversation_of, exchanges, history, read_dialogues, turns_of
from recurra.errors import BadInput

SAID = (Turn("user", "hi there"), Turn("bot", "hello"), Turn("user", "a table"), Turn("bot", "for how many"))


def read(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    return list(read_dialogues([tmp_path / name]))


@pytest.mark.parametrize(
    "lines",
    [
        [{"turns": [turn.text for turn in SAID]}],
        [{"turns": [turn._asdict() for turn in SAID]}],
        [{"dialogue": 7, **turn._asdict()} for turn in SAID],
    ],
)
def test_json_lines(tmp_path, lines):
    text = "".join(json.dumps(line) + "\n" for line in lines)
    assert read(tmp_path, "a.jsonl", text) == [Dialogue(SAID, f"{tmp_path / 'a.jsonl'}: line 1")]


def test_turns_of_several_conversations_are_kept_apart(tmp_path):
    lines = [{"dialogue": d, "speaker": s, "text": f"{d}{s}"} for d in "ab" for s in ("x", "y")]
    found = read(tmp_path, "a.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    assert [[turn.text for turn in one.turns] for one in found] == [["ax", "ay"], ["bx", "by"]]
    assert found[1].place.endswith("line 3")


def test_babis_lines(tmp_path):
    text = "1 hi there\thello\n2 rome R_price cheap\n3 a table\tfor how many\n\n1 bye\tgood bye\n"
    one, other = read(tmp_path, "a.txt", text)
    assert one.turns == (*SAID[:2], Turn("knowledge", "rome R_price cheap"), *SAID[2:])
    assert other == Dialogue((Turn("user", "bye"), Turn("bot", "good bye")), f"{tmp_path / 'a.txt'}: line 5")


def test_camrests_list(tmp_path):
    turns = [{"usr": {"transcript": SAID[i].text}, "sys": {"sent": SAID[i + 1].text}} for i in (0, 2)]
    (found,) = read(tmp_path, "a.json", "# a comment [\n" + json.dumps([{"dial": turns}]))
    assert found.turns == SAID


def test_a_history_comes_back():
    assert turns_of(history(SAID)) == list(SAID) and turns_of("") == []


def test_exchanges_are_all_that_one_speaker_says():
    found = list(exchanges(iter([Dialogue(SAID, "f: line 1")]), "bot"))
    assert [(turns_of(pair.source), pair.target) for pair in found] == [
        (list(SAID[:1]), "hello"),
        (list(SAID[:3]), "for how many"),
    ]
    assert found[1].place == "f: line 1, turn 4"
    assert [pair.target for pair in exchanges(iter([Dialogue(SAID, "")]), "user")] == ["a table"]


def test_lists_of_another_encoding_name_the_line(tmp_path):
    (tmp_path / "a.json").write_bytes(b'[\n"caf\xe9"]')
    with pytest.raises(BadInput, match="a.json: line 2: byte 0xe9 is not of utf-8"):
        list(read_dialogues([tmp_path / "a.json"]))


@pytest.mark.parametrize("place", ["f: line 1", "a, turn 2.jsonl: line 7"])
def test_an_exchange_knows_its_conversation(place):
    assert {conversation_of(pair) for pair in exchanges(iter([Dialogue(SAID, place)]), "bot")} == {place}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.jsonl", '{"turns": ["a", 3]}\n', "line 1: turn 2 is no text"),
        ("a.jsonl", '{"text": "a"}\n', "line 1 is no conversation and no turn of one"),
        ("a.jsonl", "{\n", "line 1 is no JSON"),
        ("a.txt", "1 a\tb\nhello\tb\n", "line 2 does not begin with a number and a blank"),
        ("a.jsonl", '{"turns": ["hi \\ud83d"]}\n', "line 1 is no JSON .*surrogates not allowed"),
        ("a.json", "[3]", "is not CamRest676's list"),
        ("a.json", "[" * 100_000, "is not CamRest676's list"),
        ("a.jsonl", "\n", "holds no conversations"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, name, text, message):
    with pytest.raises(BadInput, match=message):
        read(tmp_path, name, text)
