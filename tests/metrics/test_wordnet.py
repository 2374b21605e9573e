"""WordNet's files beside what WordNet 3.0 says of words, and beside a small WordNet written by hand."""

from pathlib import Path

import pytest

from recurra.metrics.wordnet import WordNet, wordnet

INDEX = """\
  1 a line of the licence
cat n 2 2 @ ~ 2 1 {cat:08d} {whip:08d}
moggy n 1 1 @ 1 0 {cat:08d}
whip n 1 1 @ 1 0 {whip:08d}
goose n 1 1 @ 1 1 {goose:08d}
"""
CAT = "{:08d} 05 n 03 cat 0 moggy 0 true_cat 0 001 @ 00000001 n 0000 | feline\n"
WHIP = "{:08d} 06 n 02 whip 0 cat 1 000 | flogs\n"
GOOSE = "{:08d} 05 n 01 goose 0 000 | bird\n"


@pytest.fixture
def small(tmp_path: Path) -> WordNet:
    begin = "  1 a line of the licence\n"
    cat, whip = len(begin), len(begin) + len(CAT.format(0))
    goose = whip + len(WHIP.format(0))
    (tmp_path / "data.noun").write_text(begin + CAT.format(cat) + WHIP.format(whip) + GOOSE.format(goose))
    (tmp_path / "index.noun").write_text(INDEX.format(cat=cat, whip=whip, goose=goose))
    (tmp_path / "noun.exc").write_text("geese goose\n")
    (tmp_path / "data.adj").write_text("00000000 00 s 02 big(a) 0 large 0 000 | of size\n")
    (tmp_path / "index.adj").write_text("big a 1 0 1 0 00000000\nlarge a 1 0 1 0 00000000\n")
    for name in ("data.verb", "index.verb", "verb.exc", "adj.exc", "data.adv", "index.adv", "adv.exc"):
        (tmp_path / name).write_text("")
    return WordNet(tmp_path)


def words(found: WordNet, word: str) -> list[list[str]]:
    return [[lemma.name() for lemma in synset.lemmas()] for synset in found.synsets(word)]


def test_all_meanings_of_a_word_with_their_synonyms(small):
    assert words(small, "cat") == [["cat", "moggy", "true_cat"], ["whip", "cat"]]
    assert words(small, "Moggy") == [["cat", "moggy", "true_cat"]]
    assert words(small, "dog") == []


def test_forms_are_led_back_by_exceptions_and_by_endings(small):
    assert words(small, "geese") == [["goose"]]
    assert words(small, "cats") == words(small, "cat")
    assert words(small, "larger") == words(small, "bigest") == [["big", "large"]]
    assert words(small, "bigger") == []  # no exception in these files


def test_where_an_adjective_may_stand_is_no_part_of_it(small):
    assert words(small, "large") == [["big", "large"]]


@pytest.mark.skipif(wordnet() is None, reason="WordNet's files are not there (Debian: wordnet-base)")
def test_words_of_wordnet_3():
    # as `wn car -synsn` and `wn sped -synsv` print them
    found = wordnet()
    assert found is not None
    cars = words(found, "cars")
    assert cars[0] == ["car", "auto", "automobile", "machine", "motorcar"] and len(cars) == 5
    assert ["travel_rapidly", "speed", "hurry", "zip"] in words(found, "sped")
    assert {"adult_male", "workforce"} <= {word for synset in words(found, "men") for word in synset}
