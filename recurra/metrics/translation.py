"""How near translations come to those of people: sacreBLEU's BLEU and chrF, and NLTK's METEOR."""

from collections.abc import Sequence
from typing import Any

from recurra.errors import BadInput
from recurra.metrics.score import Score
from recurra.metrics.wordnet import wordnet

STEMMERS = {
    "ar": "arabic", "da": "danish", "de": "german", "en": "english", "es": "spanish", "fi": "finnish", "fr": "french",
    "hu": "hungarian", "it": "italian", "nl": "dutch", "no": "norwegian", "pt": "portuguese", "ro": "romanian",
    "ru": "russian", "sv": "swedish",
}  # fmt: skip
"""Snowball's, by the code of the language."""


def translation_scores(found: Sequence[str], wanted: Sequence[str], signature: str) -> list[Score]:
    """BLEU, of raw text with tokenisation 13a, as it stands and in lower case, and chrF2.

    Args:
        found, wanted: translations and references, line by line.
        signature: of the data and of the search.

    Raises:
        ValueError: lists of different lengths, which sacreBLEU would cut to the shorter one.
        BadInput: sacrebleu is missing.

    Source: Papineni et al. (2002); Popović (2015); Post (2018), "A Call for Clarity in Reporting BLEU Scores".
    """
    if len(found) != len(wanted):
        raise ValueError(f"{len(found)} translations and {len(wanted)} references")
    metrics = _package("sacrebleu").metrics
    tools = {"BLEU": metrics.BLEU(), "BLEU lowercased": metrics.BLEU(lowercase=True), "chrF": metrics.CHRF()}
    scores = []
    for name, tool in tools.items():
        value = tool.corpus_score(list(found), [list(wanted)]).score
        scores.append(Score(name, value, "%", True, f"{signature}|sacrebleu {tool.get_signature()}"))
    return scores


def sentence_bleu(found: str, wanted: str) -> float:
    """BLEU of one sentence in percent, smoothed, to sort sentences by and for nothing else.

    BLEU was made for whole texts: the mean of those of sentences is not that of the text, and differences between
    sentences say little (the review, section 4.2).
    """
    metrics = _package("sacrebleu").metrics
    return float(metrics.BLEU(effective_order=True).sentence_score(found, [wanted]).score)


def meteor(found: Sequence[str], wanted: Sequence[str], signature: str, language: str | None) -> Score:
    """The mean METEOR of sentences, in percent: words aligned where they are equal, equal once stemmed, or synonyms.

    Words are those of sacreBLEU's tokenisation 13a, in lower case. The score depends on what can be aligned, so the
    signature says it.

    Args:
        language: whose Snowball stemmer is taken, as "de"; where there is none, words have to be equal. English
            synonyms are WordNet's, where `wordnet` finds its files; NLTK looks up stems, so that a word whose stem is
            no word has none.

    Raises:
        ValueError: lists of different lengths.
        BadInput: nltk or sacrebleu is missing.

    Source: Banerjee and Lavie (2005), with the parameters of Lavie and Agarwal (2007), which are NLTK's.
    """
    if len(found) != len(wanted):
        raise ValueError(f"{len(found)} translations and {len(wanted)} references")
    nltk, name = _package("nltk"), STEMMERS.get(language or "", "")
    stemmer = nltk.stem.SnowballStemmer(name) if name else _Unchanged()
    synonyms = wordnet() if language == "en" else None
    tokenize = _package("sacrebleu").tokenizers.tokenizer_13a.Tokenizer13a()
    values = [
        nltk.translate.meteor_score.single_meteor_score(
            tokenize(reference).split(), tokenize(text).split(), stemmer=stemmer, wordnet=synonyms or _Unchanged()
        )
        for text, reference in zip(found, wanted, strict=True)
    ]
    ways = "exact" + f"+{name} stems" * bool(name) + "+WordNet" * (synonyms is not None)
    mark = f"{signature}|nltk {nltk.__version__} meteor, {ways}, tok:13a, mean of sentences"
    return Score("METEOR", 100 * sum(values) / len(values), "%", True, mark)


class _Unchanged:
    """A stemmer that does nothing, and a thesaurus without entries."""

    def stem(self, word: str) -> str:
        return word

    def synsets(self, word: str) -> list[Any]:
        return []


def _package(name: str) -> Any:
    try:
        if name == "sacrebleu":
            import sacrebleu.metrics
            import sacrebleu.tokenizers.tokenizer_13a

            return sacrebleu
        import nltk.stem
        import nltk.translate.meteor_score

        return nltk
    except ImportError as error:
        raise BadInput(f"scores of translations need the {name} package: pip install 'recurra[translation]'") from error
