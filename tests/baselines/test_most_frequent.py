"""The trivial tagger by hand."""

from recurra.baselines.most_frequent import MostFrequentTag

SENTENCES = [
    [("the", "D"), ("run", "N"), ("end", "N")],
    [("they", "P"), ("run", "V"), ("on", "A")],
    [("run", "V"), ("the", "D"), ("dog", "N")],
]


def test_each_word_has_its_commonest_tag_and_new_ones_that_of_words_seen_once():
    tagger = MostFrequentTag.fit(SENTENCES)
    assert tagger.tag("they run the new dog".split()) == ["P", "V", "D", "N", "N"]
    assert tagger.parameters == 6


def test_without_words_seen_once():
    assert MostFrequentTag.fit([[("a", "X"), ("a", "X"), ("b", "Y"), ("b", "Y"), ("c", "Y"), ("c", "Y")]]).tag(
        ["new"]
    ) == ["Y"]
