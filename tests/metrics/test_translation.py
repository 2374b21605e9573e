"""Scores of translations beside the tools' own, and beside published examples."""

import pytest

from recurra.metrics.translation import meteor, sentence_bleu, translation_scores
from recurra.metrics.wordnet import wordnet

sacrebleu = pytest.importorskip("sacrebleu")

FOUND = [
    "It is a guide to action which ensures that the military always obeys the commands of the party",
    "hello There",
]
WANTED = ["It is a guide to action that ensures that the military will forever heed Party commands", "hello there"]


def test_bleu_and_chrf_are_sacrebleus():
    bleu, lower, chrf = translation_scores(FOUND, WANTED, "test")
    assert bleu.value == sacrebleu.corpus_bleu(FOUND, [WANTED]).score
    assert lower.value == sacrebleu.corpus_bleu(FOUND, [WANTED], lowercase=True).score > bleu.value
    assert chrf.value == sacrebleu.corpus_chrf(FOUND, [WANTED]).score
    assert "case:mixed" in bleu.signature and "tok:13a" in bleu.signature and "case:lc" in lower.signature


def test_lists_of_different_lengths_are_refused():
    for score in (translation_scores, lambda *given: meteor(*given, None)):
        with pytest.raises(ValueError, match="1 translations and 2 references"):
            score(FOUND[:1], WANTED, "")


def test_a_sentence_that_is_its_reference_scores_a_hundred():
    assert sentence_bleu("two dogs", "two dogs") == pytest.approx(100)


def test_meteor_is_that_of_nltks_example():
    # "hypothesis1" of the docstring of nltk.translate.meteor_score, whose synonyms are left out here
    nltk = pytest.importorskip("nltk.translate.meteor_score")
    found = meteor(FOUND[:1], WANTED[:1], "", "en")
    stem = __import__("nltk").stem.SnowballStemmer("english")

    class NoSynonyms:
        def synsets(self, word):
            return []

    want = nltk.meteor_score([WANTED[0].split()], FOUND[0].split(), stemmer=stem, wordnet=NoSynonyms())
    assert found.value == pytest.approx(100 * want, rel=1e-12)
    assert "english stems" in found.signature


def test_meteor_of_one_chunk_by_hand():
    # m = 2 of 3 and 2 words in one chunk: P = 2/3, R = 1, F = 10PR / (R + 9P) with alpha = 0.9, penalty 0.5 (1/2)^3
    precision, recall = 2 / 3, 1.0
    mean = precision * recall / (0.9 * precision + 0.1 * recall)
    found = meteor(["the dog barks"], ["the dog"], "", None)
    assert found.value == pytest.approx(100 * mean * (1 - 0.5 * 0.5**3), rel=1e-12)


def test_stems_are_of_the_language():
    exact, stemmed = (meteor(["die Hunde rennen"], ["der Hund rennt"], "", each).value for each in (None, "de"))
    assert exact == 0.0 and stemmed > 0.0


needs_wordnet = pytest.mark.skipif(wordnet() is None, reason="WordNet's files are not there (Debian: wordnet-base)")


@needs_wordnet
def test_synonyms_are_wordnets():
    # two of two words in one chunk: 1 - 0.5 (1/2)^3; without synonyms only "the" is aligned
    with_synonyms = meteor(["the car"], ["the auto"], "", "en")
    assert "WordNet" in with_synonyms.signature
    assert with_synonyms.value == pytest.approx(93.75, rel=1e-12)
    assert meteor(["the car"], ["the auto"], "", "de").value < 50
    assert meteor(["the car"], ["the automobile"], "", "en").value < 50  # its stem, "automobil", is in no WordNet


@needs_wordnet
def test_meteor_with_synonyms_is_that_of_nltks_docstring():
    # nltk.translate.meteor_score: round(single_meteor_score(reference1, hypothesis1), 4), which it gives as 0.6944. The
    # stemmer there is Porter's first; on these words both stem alike. Its tokens are the words between blanks, as here.
    assert round(meteor(FOUND[:1], WANTED[:1], "", "en").value, 2) == 69.44
