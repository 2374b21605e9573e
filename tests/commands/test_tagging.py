"""Taggers from the command line: trained, scored, asked for tags of files and streams, and misused."""

import io
import json
import os
import random
import subprocess
import sys

import pytest

from recurra.commands.main import main
from recurra.tasks.run import load

SIZES = (
    "--hidden-size",
    "12",
    "--embedding-size",
    "8",
    "--spelling-size",
    "8",
    "--character-size",
    "4",
    "--threads",
    "1",
)
QUICK = (*SIZES, "--epochs", "8", "--learning-rate", "0.02", "--batch-size", "8", "--dropout", "0.1")
NAMES, VERBS = "Ann Bob Cleo Dan".split(), "sees calls knows".split()


def sentence(draw):
    """A name, of one word or two, a verb, and a name; the tags mark the names."""
    tokens = []
    for part in range(3):
        if part == 1:
            tokens.append((draw.choice(VERBS), "V", "O"))
        else:
            name = draw.sample(NAMES, draw.choice([1, 2]))
            tokens += [(word, "N", f"{'I' if place else 'B'}-PER") for place, word in enumerate(name)]
    return [*tokens, (".", "P", "O")]


def write_columns(path, count, seed=0):
    draw = random.Random(seed)
    lines = (f"{' '.join(cells)}\n" for _ in range(count) for cells in [*sentence(draw), ("",)])
    path.write_text("".join(line if line.strip() else "\n" for line in lines))
    return path


def write_conllu(path, count, seed=0):
    draw, text = random.Random(seed), ""
    for number in range(count):
        text += f"# sent_id = {number}\n"
        for place, (word, kind, _) in enumerate(sentence(draw), 1):
            text += f"{place}\t{word}\t_\t{kind}\t_\t_\t0\troot\t_\t_\n"
        text += "\n"
    path.write_text(text)
    return path


def fit(out, data, *options):
    with pytest.raises(SystemExit) as exit_:
        main(["fit", "tagging", str(data), "--out", str(out), *QUICK, *options])
    assert exit_.value.code == 0
    return out


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    """A run on columns whose tags mark spans, with its baselines; the second column is read too."""
    folder = tmp_path_factory.mktemp("names")
    return fit(folder / "run", write_columns(folder / "names.txt", 120), "--inputs", "2")


@pytest.fixture(scope="module")
def kinds(tmp_path_factory):
    """A forward run on CoNLL-U, with a delay."""
    folder = tmp_path_factory.mktemp("kinds")
    data = write_conllu(folder / "kinds.conllu", 120)
    return fit(folder / "run", data, "--direction", "forward", "--delay", "1", "--no-baselines")


@pytest.fixture
def typed(monkeypatch):
    """Text that stands on standard input."""

    def give(text):
        monkeypatch.setattr(
            sys, "stdin", io.TextIOWrapper(io.BytesIO(text if isinstance(text, bytes) else text.encode()))
        )

    return give


def test_a_run_holds_what_it_learnt_and_scored(names):
    scores = json.loads((names / "scores.json").read_text())
    assert [score["name"] for score in scores["scores"]["test"]][:4] == [
        "span F1",
        "span precision",
        "span recall",
        "accuracy",
    ]
    assert scores["scores"]["test"][0]["value"] == 100
    assert set(scores["baselines"]) == {"most-frequent", "hmm", "window-5"}
    # one word cannot tell whether a name has gone before it
    assert scores["baselines"]["most-frequent"][0]["value"] < 90
    assert {path.name for path in (names / "pictures").iterdir()} == {
        "learning-curve.png",
        "scores.png",
        "confusion-test.png",
    }


def test_evaluate_counts_what_predict_writes(recurra, names, tmp_path):
    other = write_columns(tmp_path / "other.txt", 20, seed=5)
    code, out, err = recurra("evaluate", names, other, "--json")
    assert code == 0 and "confusion-test.png" in err
    answer = tmp_path / "answer.txt"
    assert recurra("predict", names, other, "--out", answer)[0] == 0
    pairs = [
        (one.split(), two.split())
        for one, two in zip(*(p.read_text().splitlines() for p in (other, answer)), strict=True)
    ]
    assert all(one[:2] == two[:2] for one, two in pairs)
    right = [one[2] == two[2] for one, two in pairs if one]
    scores = {score["name"]: score["value"] for score in json.loads(out)["model"]}
    assert scores["accuracy"] == pytest.approx(100 * sum(right) / len(right))


def test_a_tag_that_marks_no_span_is_named_before_anything_is_learnt(refused, tmp_path):
    train, test = write_columns(tmp_path / "train.txt", 30), tmp_path / "test.txt"
    test.write_text("Bob N B-PER\nsees V FOO\n")
    line = refused("fit", "tagging", train, "--test", test, "--out", tmp_path / "run", *QUICK)
    assert "test.txt: line 2: 'FOO' is no tag of spans" in line and not (tmp_path / "run").exists()


def test_answers_go_into_a_pipe_that_has_a_name(recurra, names, tmp_path):
    (tmp_path / "bare.txt").write_text("Bob N\nsees V\n")
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen(["cat", tmp_path / "pipe"], stdout=subprocess.PIPE, text=True) as reader:
        assert recurra("predict", names, tmp_path / "bare.txt", "--out", tmp_path / "pipe")[0] == 0
        assert reader.communicate()[0] == "Bob N B-PER\nsees V O\n"


def test_a_missing_column_is_added(recurra, names, tmp_path):
    path = tmp_path / "bare.txt"
    path.write_text("Bob N\nCleo N\nsees V\n\n\nAnn N\n")
    assert recurra("predict", names, path)[1] == "Bob N B-PER\nCleo N I-PER\nsees V O\n\n\nAnn N B-PER\n"


def test_conllu_comes_back_with_one_column_changed(recurra, kinds, tmp_path):
    text = "# text = Bob calls Ann.\n1-2\tBob's\t" + "_\t" * 7 + "_\n"
    rows = [(1, "Bob", "X"), (2, "calls", "X"), (3, "Ann", "_"), (4, ".", "_")]
    text += "".join(f"{number}\t{word}\tl\t{tag}\t_\tF=1\t0\troot\t_\tm\n" for number, word, tag in rows)
    path = tmp_path / "page.conllu"
    path.write_text(text + "\n")
    wanted = text
    for (number, word, tag), new in zip(rows, "NVNP", strict=True):
        wanted = wanted.replace(f"{number}\t{word}\tl\t{tag}\t", f"{number}\t{word}\tl\t{new}\t")
    assert recurra("predict", kinds, path)[1] == wanted + "\n"


def test_sentences_on_standard_input(recurra, kinds, typed):
    typed("Bob calls Ann .\n\nCleo Dan knows Bob .\n")
    found = recurra("predict", kinds, "-")[1].split("\n\n")
    assert found[0] == "Bob\tN\ncalls\tV\nAnn\tN\n.\tP" and found[1].startswith("Cleo\tN\nDan\tN\nknows\tV")


def test_columns_on_standard_input(recurra, names, typed):
    typed("Bob\tN\nsees\tV\n\n")
    assert recurra("predict", names, "-")[1] == "Bob\tN\tB-PER\nsees\tV\tO\n\n"


def test_a_stream_is_tagged_as_whole_sentences_are(recurra, kinds, typed):
    words = "Bob calls Ann .".split()
    typed("".join(f"{word}\n" for word in words) + "\n.\n")
    found = recurra("predict", kinds, "-", "--stream")[1]
    typed("Bob calls Ann .\n.\n")
    assert found == recurra("predict", kinds, "-")[1].removesuffix("\n")


def test_tags_of_a_stream_come_after_the_delay(kinds, monkeypatch):
    """Each answer is there as soon as ``delay`` more words are, and not before."""
    given = []

    def lines():
        for word in ("Bob", "calls", "Ann"):
            given.append(word)
            yield word

    run = load(kinds)
    monkeypatch.setattr("recurra.data.standard_input.lines", lines)
    seen = [(len(given), piece.split("\t")[0]) for piece in run.task.predict(run, "-", stream=True)]
    assert seen == [(2, "Bob"), (3, "calls"), (3, "Ann")]


def test_what_cannot_be_streamed(refused, names):
    line = refused("predict", names, "-", "--stream")
    assert "reads each sentence from its end as well" in line and "--direction forward" in line
    assert "--stream reads standard input" in refused("predict", names, "file.txt", "--stream")


def test_a_tagger_with_int8_weights(recurra, names, tmp_path):
    code, out, _ = recurra("quantize", names, "--out", tmp_path / "int8", "--json")
    scores = json.loads(out)
    assert code == 0 and scores["int8"][0]["value"] > 95 and scores["float32"][0]["value"] == 100
    record = json.loads((tmp_path / "int8" / "config.json").read_text())
    assert sorted(record["quantized"]["weights"]) == [
        f"{layer}.{way}"
        for layer in ("features.spelling.layer", "layers.layers.0")
        for way in ("backwards", "forwards")
    ]


def test_verbs_of_other_tasks(refused, names):
    assert "a run of tagging cannot sample; use recurra predict" in refused("sample", names)


def test_proteins_are_labelled_residue_by_residue(recurra, tmp_path):
    draw = random.Random(0)
    text = ""
    for number in range(60):
        sequence = "".join(draw.choices("ACDE", k=draw.randint(4, 9)))
        text += f">p{number}\n{sequence}\n{''.join('H' if letter in 'AC' else 'E' for letter in sequence)}\n"
    (tmp_path / "proteins.fasta").write_text(text)
    run = fit(tmp_path / "run", tmp_path / "proteins.fasta", "--spelling", "none", "--no-baselines")
    (tmp_path / "new.fasta").write_text(">new\nACDE\nEDCA\n")
    assert recurra("predict", run, tmp_path / "new.fasta")[1] == ">new\nACDE\nEDCA\nHHEE\nEEHH\n"


def test_a_long_sentence(recurra, kinds, tmp_path):
    path = tmp_path / "long.conllu"
    words = (f"{place}\t{'calls' if place % 2 else 'Ann'}" + "\t_" * 8 + "\n" for place in range(1, 50_001))
    path.write_text("".join(words) + "\n")
    code, out, _ = recurra("predict", kinds, path)
    assert code == 0 and out.count("\tV\t") == out.count("\tN\t") == 25_000


def test_unbalanced_spans_and_tags_unseen_in_training_are_said(recurra, tmp_path):
    train, dev = write_columns(tmp_path / "train.txt", 30), tmp_path / "dev.txt"
    train.write_text(train.read_text().replace("B-PER", "I-PER", 1))
    dev.write_text("Ann N B-ORG\nsees V O\n")
    code, _, err = recurra(
        "fit", "tagging", train, "--dev", dev, "--out", tmp_path / "run", *SIZES, "--epochs", "1", "--no-baselines"
    )
    assert code == 0
    assert f"{train}: line 1: I-PER begins a span; 1 of them are read as if with B-" in err
    assert f"{dev}: line 1: the tag 'B-ORG' is not in the training part; it counts as missed in dev" in err


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("a X\nb Y\n\n" * 30, ["--label", "3"], "has no column '3'; its columns are the numbers 1 to 2"),
        ("a X\nb\n\n" * 30, [], "data.txt: line 2 has 1 columns where the lines before have 2"),
        ("a X\nb Y\n\n", [], "1 sentences are too few to cut the test part from"),
        ("a X\n\n" * 30, [], "column 2: holds nothing but 'X'; name the column of the tags with --label"),
        ("caf\xe9 X\n\n".encode("latin-1") * 30, [], "data.txt: not UTF-8 at byte 3 (line 1, byte 0xe9)"),
        ("a X\nb Y\n\n" * 30, ["--delay", "1"], "only a forward model has one"),
        ("a X\nb Y\n\n" * 30, ["--model", "window", "--window", "4"], "--window 4: must be odd"),
        ("a X\nb Y\n\n" * 30, ["--spelling-size", "7"], "--spelling-size 7: must be even"),
        ("a X\nb Y\n\n" * 30, ["--cell", "lsmt"], "unknown cell 'lsmt'; did you mean 'lstm'"),
    ],
)
def test_data_and_options_that_cannot_be_used(refused, tmp_path, text, options, said):
    data = tmp_path / "data.txt"
    data.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert said in refused("fit", "tagging", data, "--out", tmp_path / "out", *options)
    assert not (tmp_path / "out").exists()


def test_input_that_cannot_be_tagged(recurra, refused, names, kinds, typed, tmp_path):
    (tmp_path / "page.conllu").write_text("1\ta\n")
    assert "page.conllu: line 1 has 2 columns, CoNLL-U has 10" in refused("predict", kinds, tmp_path / "page.conllu")
    typed("Bob sees\n")
    assert "standard input: the model reads the columns 2 besides the words" in refused("predict", names, "-")
    typed(b"ok\ncaf\xe9\n")
    code, out, err = recurra("predict", kinds, "-")
    assert (code, out) == (2, "ok\tN\n\n")  # what came before is answered
    assert err == "recurra: standard input: line 2 is not UTF-8 (byte 0xe9); pass it through iconv -t utf-8\n"


def test_vectors_start_the_embedding(recurra, tmp_path):
    data = write_columns(tmp_path / "data.txt", 30)
    (tmp_path / "vectors.txt").write_text("2 8\nann 1 2 3 4 5 6 7 8\nnowhere 0 0 0 0 0 0 0 0\n")
    options = ("--vectors", str(tmp_path / "vectors.txt"), "--no-baselines")
    options = (
        "fit",
        "tagging",
        data,
        "--out",
        tmp_path / "run",
        *SIZES,
        *options,
        "--epochs",
        "1",
        "--learning-rate",
        "1e-9",
    )
    assert recurra(*options)[0] == 0
    run = load(tmp_path / "run")
    known = json.loads((run.path / "vocabulary.json").read_text())
    row = run.model.features.embedding.weight[1 + known["words"].index("ann")]
    assert row.tolist() == pytest.approx(list(range(1, 9)), abs=1e-5)


def test_a_comparison(recurra, tmp_path):
    data = write_columns(tmp_path / "data.txt", 60)
    options = ("--models", "most-frequent,hmm,window-3,gru", "--out", tmp_path / "all", *QUICK, "--time-limit", "60")
    code, out, _ = recurra("compare", "tagging", data, *options)
    rows = [line.split("\t") for line in out.splitlines()]
    assert code == 0 and [row[0] for row in rows[1:]] == ["most-frequent", "hmm", "window-3", "gru"]
    assert float(rows[4][-1]) > float(rows[1][-1])
