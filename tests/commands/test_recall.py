"""``recurra recall``: what cues come to, in words and in files."""

import json

import numpy as np
import pytest
from PIL import Image

from tests.commands.test_bad_input import harmless  # noqa: F401 (a fixture)

LETTERS = {
    "H": "#...# #...# #...# ##### #...# #...# #...#",
    "L": "#.... #.... #.... #.... #.... #.... #####",
    "T": "##### ..#.. ..#.. ..#.. ..#.. ..#.. ..#..",
}
DAMAGED_T = "####. ..#.. .##.. ..#.. ..#.. ..... ..#.."


def art(words):
    return words.replace(" ", "\n") + "\n"


@pytest.fixture
def letters(tmp_path):
    folder = tmp_path / "letters"
    folder.mkdir()
    for name, words in LETTERS.items():
        (folder / f"{name}.txt").write_text(art(words))
    return folder


def rows(out):
    return [line.split("\t") for line in out.splitlines()][1:]


@pytest.mark.parametrize("rule", ["hebbian", "storkey", "pseudo-inverse", "continuous"])
def test_a_damaged_letter_comes_back_whole(recurra, letters, tmp_path, rule):
    (tmp_path / "cue.txt").write_text(art(DAMAGED_T))
    out, picture = tmp_path / "back.txt", tmp_path / "recall.png"
    code, said, err = recurra(
        "recall", letters, "--cue", tmp_path / "cue.txt", "--out", out, "--rule", rule, "--picture", picture
    )
    assert (code, err) == (0, "") and out.read_text() == art(LETTERS["T"])
    (row,) = rows(said)
    assert row[:3] == ["cue", "T", "1.000"] and float(row[5]) < float(row[4])
    with Image.open(picture) as drawn:
        assert drawn.format == "PNG" and len(drawn.convert("L").getcolors()) > 50


def test_energies_are_those_of_the_weights(recurra, letters, tmp_path):
    patterns = np.array([[1 if unit == "#" else -1 for unit in words.replace(" ", "")] for words in LETTERS.values()])
    cue = np.array([1 if unit == "#" else -1 for unit in DAMAGED_T.replace(" ", "")])
    weights = patterns.T @ patterns / 35 * (1 - np.eye(35))
    (tmp_path / "cue.txt").write_text(art(DAMAGED_T))
    _, said, _ = recurra("recall", letters, "--cue", tmp_path / "cue.txt", "--json")
    (found,) = json.loads(said)
    assert found["energies"] == pytest.approx([-state @ weights @ state / 2 for state in (cue, patterns[2])])
    assert (found["came_to"], found["pattern"], found["overlap"]) == ("T", 2, 1.0)


def test_stored_patterns_are_damaged_where_no_cue_is_given(recurra, letters):
    _, said, _ = recurra("recall", letters, "--noise", "0.1", "--rule", "pseudo-inverse")
    assert [row[:3] for row in rows(said)] == [[name, name, "1.000"] for name in LETTERS]
    _, said, _ = recurra("recall", letters, "--noise", "1")
    assert [row[:3] for row in rows(said)] == [[name, f"the negative of {name}", "-1.000"] for name in LETTERS]
    _, said, _ = recurra("recall", letters, "--noise", "0")
    assert [row[3] for row in rows(said)] == ["0"] * 3
    assert recurra("recall", letters, "--seed", "1")[1] != recurra("recall", letters, "--seed", "2")[1]


def test_what_is_no_stored_pattern_is_said(recurra, tmp_path):
    patterns = np.random.default_rng(0).choice([-1, 1], (3, 101))
    np.save(tmp_path / "three.npy", patterns)
    np.save(tmp_path / "mixture.npy", np.sign(patterns[0] + patterns[1] - patterns[2]))
    _, said, _ = recurra("recall", tmp_path / "three.npy", "--cue", tmp_path / "mixture.npy")
    assert "no stored pattern: a mixture of" in said and "-three 3" in said
    np.save(tmp_path / "two.npy", np.array([1, -1]))
    np.save(tmp_path / "cue.npy", np.array([1, 1]))
    _, said, _ = recurra("recall", tmp_path / "two.npy", "--cue", tmp_path / "cue.npy", "--updates", "synchronous")
    assert rows(said)[0][1] == "two states in turn, one most like two"
    mean = recurra("recall", tmp_path / "three.npy", "--rule", "continuous", "--beta", "0.0001")
    assert "3 of 3 cues came to a mean of several patterns; raise --beta" in mean[2]
    assert "no stored pattern: a mean of several, 3" in mean[1]


def test_more_than_the_rule_holds_is_said_once(recurra, tmp_path):
    np.save(tmp_path / "many.npy", np.random.default_rng(0).integers(0, 2, (12, 50)))
    code, _, err = recurra("recall", tmp_path / "many.npy")
    assert code == 0 and "12 patterns are more than the 6.9 random ones of 50 units that the rule hebbian holds" in err
    assert "stored patterns are no fixed points; --rule pseudo-inverse holds them" in err and err.count("\n") == 2
    assert recurra("recall", tmp_path / "many.npy", "--rule", "pseudo-inverse")[2] == ""
    assert recurra("recall", tmp_path / "many.npy", "--first", "3")[2] == ""


def test_images_come_back_as_images(recurra, tmp_path):
    draw = np.random.default_rng(0)
    for folder in ("stored", "cues"):
        (tmp_path / folder).mkdir()
    bits = draw.integers(0, 2, (4, 12, 10)).astype(np.uint8)
    for number, each in enumerate(bits):
        Image.fromarray(each * 255).save(tmp_path / "stored" / f"{number}.png")
        damaged = each ^ (draw.random(each.shape) < 0.1)
        Image.fromarray(np.where(damaged, 200, 30).astype(np.uint8)).save(tmp_path / "cues" / f"{number}.bmp")
    words = ("recall", tmp_path / "stored", "--cue", tmp_path / "cues", "--updates", "synchronous")
    assert recurra(*words, "--out", tmp_path / "back")[0] == 0
    for number, each in enumerate(bits):
        with Image.open(tmp_path / "back" / f"{number}.bmp") as back:
            np.testing.assert_array_equal(np.asarray(back), each * 255)


@pytest.mark.parametrize("rule", ["hebbian", "pseudo-inverse"])
def test_the_capacity_of_given_patterns(recurra, tmp_path, rule):
    np.save(tmp_path / "p.npy", np.random.default_rng(0).integers(0, 2, (30, 40)))
    code, said, _ = recurra("recall", tmp_path / "p.npy", "--capacity", tmp_path / "c.png", "--rule", rule)
    found = rows(said)
    assert code == 0 and (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
    assert found[0][:3] == ["1", "0.025", "0.00 ± 0.00"]
    assert [found[-1][0], found[-1][2] == "0.00 ± 0.00"] == (
        ["30", True] if rule == "pseudo-inverse" else ["20", False]
    )
    curves = json.loads(recurra("recall", tmp_path / "p.npy", "--capacity", tmp_path / "c.png", "--json")[1])
    assert list(curves) == ["these patterns", "random patterns"] and len(curves["these patterns"][0]["wrong"]) == 3


def test_what_cannot_be_recalled(harmless, letters, tmp_path):  # noqa: F811
    np.save(tmp_path / "many.npy", np.random.default_rng(0).integers(0, 2, (8, 6)))
    np.save(tmp_path / "real.npy", np.random.default_rng(0).normal(size=(3, 6)))
    (tmp_path / "small.txt").write_text("#.\n.#\n")
    (tmp_path / "cue.txt").write_text(art(DAMAGED_T))
    many, real, cue = tmp_path / "many.npy", tmp_path / "real.npy", ("--cue", tmp_path / "cue.txt")
    for words, said in (
        ((tmp_path / "none",), "none: no such file or folder"),
        ((many,), "many.npy: 8 patterns of 6 units, more than any rule holds; take some (--first 1), or --rule"),
        ((real,), "real.npy: not binary"),
        ((letters, "--cue", tmp_path / "small.txt"), "small.txt: patterns of 2 × 2, those stored are 7 × 5"),
        ((letters, *cue, "--noise", "0.1"), "--noise damages stored patterns"),
        ((letters, "--beta", "2"), "--beta does not go with --rule hebbian"),
        ((letters, "--rule", "continuous", "--updates", "synchronous"), "--updates does not go with --rule continuous"),
        ((letters, "--dither", "--threshold", "0.3"), "--threshold does not go with --dither"),
        ((letters, "--rule", "hebb"), "--rule"),
        ((letters, "--noise", "1.5"), "--noise"),
        ((letters, "--out", letters), "letters: exists already, and is a folder; choose another place"),
        ((letters, *cue, "--out", cue[1]), "cue.txt: is what is read; choose another place to write"),
        ((letters, *cue, "--picture", cue[1]), "cue.txt: is what is read"),
        ((letters, "--picture", "."), ".: exists already, and is a folder"),
        ((letters, *cue, "--out", tmp_path / "a.png"), "a.png: "),
        ((letters, *cue, "--out", tmp_path / "no" / "a.txt"), "there is no folder"),
        ((letters, "--picture", tmp_path / "no" / "a.png"), "a.png: cannot be written"),
        ((letters, "--capacity", tmp_path / "c.png", *cue), "--cue does not go with --capacity"),
        ((real, "--rule", "continuous", "--capacity", tmp_path / "c.png"), "--rule continuous does not go"),
        ((letters / "H.txt", "--capacity", tmp_path / "c.png"), "a curve needs several"),
    ):
        assert said in harmless("recall", *words), words
