"""A run that answers, from its conversations to a chat."""

import io
import json
import random
from types import SimpleNamespace

import numpy as np
import pytest

from recurra.commands.chat import chat as talk_to
from recurra.data.dialogues import Turn, history, read_dialogues
from recurra.data.vocabulary import build_vocabulary
from recurra.errors import BadInput
from recurra.tasks.comparison import compare
from recurra.tasks.dialogue.chat import Chat, respond
from recurra.tasks.dialogue.reading import History
from recurra.tasks.dialogue.scoring import conversations as whole_conversations
from recurra.tasks.run import fit, load
from recurra.tasks.translation.reranking import log_probabilities

SMALL = dict(hidden_size=24, embedding_size=16, batch_size=16, learning_rate=0.01, dropout=0.0, epochs=30,
             schedule="constant", attention="additive")  # fmt: skip
FOODS, TOWNS = ("thai", "greek", "french"), ("rome", "paris", "bombay")


def conversations(count, *, seed=0):
    """Bookings, the last answer of which needs what was said first."""
    draw = random.Random(seed)
    for _ in range(count):
        food, town = draw.choice(FOODS), draw.choice(TOWNS)
        yield {"turns": [food, "and where", town, f"looking for {food}"]}


def write(path, records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


@pytest.fixture(
    scope="module",
    params=[("flat", "general", "none"), ("hierarchical", "additive", "mixed")],
    ids=["flat", "hierarchical"],
)
def run(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("dialogue")
    patch = pytest.MonkeyPatch()
    patch.setenv("RECURRA_CACHE", str(folder / "cache"))
    train = write(folder / "train.jsonl", conversations(150))
    test = write(folder / "test.jsonl", conversations(20, seed=1))
    options = SMALL | dict(zip(("encoder", "attention", "copying"), request.param, strict=True))
    yield fit("dialogue", train, dev=test, test=test, out=folder / "run", **options)
    patch.undo()


def test_it_learns_from_the_whole_history(run):
    scores = {score["name"]: score["value"] for score in run.scores["scores"]["test"]}
    assert scores["answers right"] > 95 and scores["conversations right"] > 90 and scores["hits@1"] > 95
    assert scores["perplexity"] < 1.2
    others = {name: found[0]["value"] for name, found in run.scores["baselines"].items()}
    assert others["commonest"] == 50  # every second answer is the same question
    assert others["memory"] <= 100
    assert {path.name for path in run.path.rglob("*.png")} == {"learning-curve.png", "scores.png"}


def test_it_is_loaded_again(run, tmp_path):
    again = load(run.path)
    assert [score.to_json() for score in again.evaluate()["model"]] == run.scores["scores"]["test"]
    new = write(tmp_path / "new.jsonl", conversations(10, seed=5))
    assert "sentences=20" in again.evaluate(str(new))["model"][0].signature


def test_what_comes_next(run, tmp_path, monkeypatch):
    said = ["thai", "and where", "rome"]
    path = write(tmp_path / "open.jsonl", [{"turns": said}, {"turns": said[:1]}])
    assert run.predict(path) == "looking for thai\nand where\n"
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"greek\n")))
    assert run.predict("-") == "and where\n"


def test_a_chat_remembers_and_is_kept(run, tmp_path):
    chat = Chat(load(run.path), tmp_path / "said.jsonl")
    assert respond(chat, "french") == "and where"
    assert respond(chat, "paris") == "looking for french"
    respond(chat, f"/save {tmp_path / 'kept.jsonl'}")
    lines = [json.loads(line) for line in (tmp_path / "said.jsonl").read_text().splitlines()]
    assert [line["text"] for line in lines][2:] == ["paris", "looking for french"]
    assert respond(chat, "/reset") == "(begun anew)" and chat.turns == []
    respond(chat, "thai")
    again = Chat(load(run.path))
    assert respond(again, f"/load {tmp_path / 'kept.jsonl'}").startswith("user: french\nbot: and where")
    assert len(again.turns) == 4 and respond(again, "") == ""
    with pytest.raises(BadInput, match="/leave: no such command; there are /reset, /save FILE and /load FILE"):
        respond(again, "/leave")
    again.turns[0] = Turn("waiter", "hello")
    again.save(tmp_path / "strange.jsonl")
    with pytest.raises(BadInput, match="the speaker 'waiter' is none of those trained on: user, bot"):
        again.load(tmp_path / "strange.jsonl")


def test_chats_with_one_transcript_stay_apart(run, tmp_path):
    said, opened = tmp_path / "said.jsonl", load(run.path)
    for word in ("french", "thai"):
        respond(Chat(opened, said), word)
    chat = Chat(opened, said)
    respond(chat, f"/load {said}")  # the first one, which is written down again with what follows
    respond(chat, "/reset")
    respond(chat, "greek")
    texts = [[turn.text for turn in dialogue.turns] for dialogue in read_dialogues([said])]
    assert texts == [[word, "and where"] for word in ("french", "thai", "french", "greek")]


def test_what_is_typed_is_composed_and_has_no_marks(run):
    chat = Chat(load(run.path))
    chat.answer("cafe\u0301\x1eb")
    assert chat.turns[0] == Turn("user", "caf\u00e9 b")


def test_a_chat_that_cannot_be_kept_says_so_before_anything_is_typed(run, tmp_path):
    for path in (tmp_path / "none" / "said.jsonl", tmp_path):
        with pytest.raises(BadInput, match=f"{path}: .*; name another file by --transcript"):
            Chat(load(run.path), path)
    with pytest.raises(BadInput, match="kept.txt: a conversation is kept as JSON lines; name it .*kept.jsonl"):
        Chat(load(run.path)).save(tmp_path / "kept.txt")


def test_a_line_that_is_not_utf_8_ends_a_chat(run, tmp_path, monkeypatch):
    typed = io.TextIOWrapper(
        io.BytesIO(b"french\ncaf\xe9\n"), "utf-8", errors="surrogateescape"
    )  # as C's locale has it
    monkeypatch.setattr("sys.stdin", typed)
    with pytest.raises(BadInput, match="standard input: a line is not UTF-8"):
        talk_to(run.path, transcript=tmp_path / "said.jsonl")


@pytest.fixture(scope="module")
def called_otherwise(tmp_path_factory):
    """A run whose speakers are not called user and bot, of one file; and that file's conversations."""
    folder = tmp_path_factory.mktemp("speakers")
    records = []
    for number, record in enumerate(conversations(30)):
        speakers = ("customer", "agent", "customer", "agent") if number % 2 else ("customer", "agent", "agent", "agent")
        turns = [dict(speaker=who, text=text) for who, text in zip(speakers, record["turns"], strict=True)]
        records.append({"turns": turns})
    patch = pytest.MonkeyPatch()
    patch.setenv("RECURRA_CACHE", str(folder / "cache"))
    path = write(folder / "train.jsonl", records)
    yield fit("dialogue", path, out=folder / "run", answers="agent", **SMALL | dict(epochs=1)), records
    patch.undo()


def test_whoever_asked_in_training_is_answered(called_otherwise, monkeypatch):
    run, _ = called_otherwise
    talk = Chat(load(run.path))
    respond(talk, "thai")
    assert [turn.speaker for turn in talk.turns] == ["customer", "agent"]
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"thai\n")))
    assert run.predict("-") == talk.turns[1].text + "\n"


def test_no_conversation_is_cut_in_two(called_otherwise):
    run, records = called_otherwise
    answers = [2 + (number % 2 == 0) for number in range(30)]
    assert sum(answers) == sum(map(len, (run.data.train, run.data.dev, run.data.test)))
    seen = 0
    for part in (run.data.train, run.data.dev, run.data.test):
        bounds = whole_conversations(part)
        assert [end - begin for begin, end in bounds] == answers[seen : seen + len(bounds)]
        seen += len(bounds)
    assert seen == 30


def test_a_history_too_long_loses_its_first_turns():
    vocabulary = build_vocabulary("words", ["a b c d e f\n"])
    side = History(vocabulary, lower=False, speakers=("user", "bot"), longest=6)
    turns = [Turn("user", "a b c"), Turn("bot", "d"), Turn("user", "e f")]
    assert side.pieces(side.encode(history(turns)).tolist()) == ["<bot>", "d", "<user>", "e", "f", "</s>"]
    only = side.encode(history([Turn("user", "a b c d e f")]))
    assert side.pieces(only.tolist()) == ["<user>", "b", "c", "d", "e", "f", "</s>"]
    assert side.size == len(vocabulary) + 3 and only.dtype == np.uint8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(feeding=True, attention="none"), "--feeding needs an attention"),
        (dict(attention="dot"), "--attention dot compares vectors of one size"),
        (dict(answers="waiter"), "holds no pairs"),
    ],
)
def test_options_that_do_not_go_together(tmp_path, monkeypatch, options, message):
    monkeypatch.setenv("RECURRA_CACHE", str(tmp_path / "cache"))
    path = write(tmp_path / "train.jsonl", conversations(30))
    with pytest.raises(BadInput, match=message):
        fit("dialogue", path, out=tmp_path / "run", **SMALL | options)


def test_models_are_compared_with_the_commonest_answer_and_a_memory(run, tmp_path, monkeypatch):
    monkeypatch.setenv("RECURRA_CACHE", str(tmp_path / "cache"))
    train, test = (
        write(tmp_path / "train.jsonl", conversations(150)),
        write(tmp_path / "test.jsonl", conversations(20, seed=1)),
    )
    names = ["commonest", "memory", "gru"]
    options = {**SMALL, "epochs": 1}
    found = compare("dialogue", train, dev=test, test=test, models=names, out=tmp_path / "models", **options)
    for result in found.results[:2]:
        assert [one.to_json() for one in result.scores["test"]] == run.scores["baselines"][result.name]
    assert found.results[2].scores["dev"][0].name == "answers right"


def test_a_strange_speaker_is_named_with_its_place(run, tmp_path):
    strange = {"turns": [{"speaker": "waiter", "text": "thai"}, {"speaker": "bot", "text": "and where"}]}
    path = write(tmp_path / "strange.jsonl", [*conversations(1), strange])
    said = "the speaker 'waiter' is none of those trained on: user, bot"
    with pytest.raises(BadInput, match=f"strange.jsonl: line 2: {said}"):
        load(run.path).predict(path)
    with pytest.raises(BadInput, match=f"strange.jsonl: line 2, turn 2: {said}"):
        load(run.path).evaluate(str(path))


def test_candidates_are_sorted_by_what_one_by_one_would_say(run, tmp_path):
    texts = ["looking for thai", "and where", "looking for greek and french", "looking for french"]
    said = {"turns": ["french", "and where", "rome"], "candidates": texts, "number": 7}
    path = write(tmp_path / "candidates.jsonl", [said, {**said, "candidates": texts[:1]}])
    first, second = map(json.loads, "".join(run.task.rerank(load(run.path), str(path))).splitlines())
    sides = load(run.path).data.sides
    pairs = [
        (history([Turn("user", "french"), Turn("bot", "and where"), Turn("user", "rome")]), text) for text in texts
    ]
    want = dict(zip(texts, log_probabilities(run.model, sides, pairs), strict=True))
    assert first["candidates"][0]["text"] == "looking for french" and first["turns"] == said["turns"]
    assert [one["text"] for one in first["candidates"]] == sorted(texts, key=lambda text: -want[text])
    for one in (*first["candidates"], *second["candidates"]):
        assert one["log_probability"] == pytest.approx(want[one["text"]], abs=1e-3)
    for line, wrong in (
        ("{", "line 1 is no JSON"),
        ('{"turns": ["a"]}', "line 1 has no candidates; write"),
        ('{"candidates": ["a"]}', "line 1 is no conversation; write"),
        ('{"turns": [{"speaker": "waiter", "text": "a"}], "candidates": ["a"]}', "line 1: the speaker 'waiter'"),
    ):
        (tmp_path / "wrong.jsonl").write_text(line)
        with pytest.raises(BadInput, match=f"wrong.jsonl: {wrong}"):
            list(run.task.rerank(run, str(tmp_path / "wrong.jsonl")))
