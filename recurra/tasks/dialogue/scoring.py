"""How often answers are right, how probable the right ones are, and how they stand among others."""

import numpy as np

from recurra.data.dialogues import conversation_of
from recurra.data.words import WORD
from recurra.metrics.score import Score
from recurra.metrics.translation import translation_scores
from recurra.models.translator import Translator
from recurra.tasks.dialogue.retrieval import log_probabilities
from recurra.tasks.translation.reading import Pairs, Part
from recurra.tasks.translation.scoring import Answer, answers, perplexity, signature

RANKED = 1_000
"""Answers of a part that are ranked among others, at most."""

AMONG = 20
"""Candidates of each: the right one, and others of the same part at random."""


def evaluate(model: Translator, data: Pairs, part: str) -> list[Score]:
    """Scores on one part ("dev", "test"): whole answers right first."""
    own: Part = getattr(data, part)
    found = answers(model, data, own, data.search)
    mark = f"{signature(data, part)}|{data.search}"
    bleu = translation_scores([one.found for one in found], [one.wanted for one in found], mark)[0]
    return [*accuracies(found, own, mark), bleu, perplexity(model, data, part), *hits(model, data, part)]


def accuracies(found: list[Answer], part: Part, mark: str) -> list[Score]:
    """The percent of answers that are right word for word, and of conversations whose answers all are."""
    right = np.array([WORD.findall(one.found) == WORD.findall(one.wanted) for one in found])
    whole = [bool(right[begin:end].all()) for begin, end in conversations(part)]
    return [
        Score("answers right", 100 * float(right.mean()), "%", True, mark),
        Score("conversations right", 100 * sum(whole) / len(whole), "%", True, f"{mark}|conversations={len(whole)}"),
    ]


def conversations(part: Part) -> list[tuple[int, int]]:
    """Where each conversation's answers begin and end."""
    whose = [conversation_of(part.store[row]) for row in part.rows.tolist()]
    begins = [number for number, own in enumerate(whose) if number == 0 or own != whose[number - 1]]
    return list(zip(begins, [*begins[1:], len(part)], strict=True))


def hits(model: Translator, data: Pairs, part: str) -> list[Score]:
    """How often the right answer is the likeliest of `AMONG`, or one of the five likeliest."""
    own: Part = getattr(data, part)
    draw = np.random.default_rng(0)
    rows = own.rows if len(own) <= RANKED else np.sort(draw.choice(own.rows, RANKED, replace=False))
    texts = list(dict.fromkeys(own.store[row].target for row in own.rows.tolist()))
    among = min(AMONG, len(texts))
    ranks = []
    for row in rows.tolist():
        source, right, _ = own.store[row]
        others = [texts[number] for number in draw.permutation(len(texts))[:among] if texts[number] != right]
        chosen = [right, *others[: among - 1]]
        read, answers = data.sides.source.encode(source), [data.sides.target.encode(text) for text in chosen]
        values = log_probabilities(model, read, answers)
        ranks.append(sum(value > values[0] for value in values[1:]))
    mark = f"{signature(data, part)}|of {among} candidates, {len(ranks)} answers"
    return [Score(f"hits@{k}", 100 * float(np.mean(np.array(ranks) < k)), "%", True, mark) for k in (1, 5) if k < among]


def leading(model: Translator, data: Pairs, part: str) -> Score:
    """Whole answers right."""
    own: Part = getattr(data, part)
    return accuracies(answers(model, data, own, data.search), own, f"{signature(data, part)}|{data.search}")[0]
