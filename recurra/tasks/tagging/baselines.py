"""The scores to beat: each word's commonest tag, a trigram hidden Markov model, and a network on a sliding window."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from recurra.baselines.hmm_tagger import TrigramHMM
from recurra.baselines.most_frequent import MostFrequentTag
from recurra.data.token_store import Part
from recurra.errors import BadInput
from recurra.metrics.score import Score
from recurra.tasks.tagging.known import Known
from recurra.tasks.tagging.scoring import Data, answers_of, evaluate, score
from recurra.tasks.window_run import score_window, train_window

if TYPE_CHECKING:
    from recurra.tasks.run import Run

MOST_SENTENCES = 200_000
"""Of the training part that is counted: the counts of more would not fit on a small machine."""

SAME = (
    "label", "word", "inputs", "min_count", "lower", "window", "output", "embedding_size", "vectors", "input_size",
    "character_size", "spelling_size", "hidden_size", "dropout", "word_dropout", "batch_size", "most_steps", "seed",
    "threads", "device",
)  # fmt: skip
"""The model's options that the window network has too."""

Sentences = Iterable[Sequence[tuple[str, str]]]

COUNTED: dict[str, Callable[[Sentences], Any]] = {"most-frequent": MostFrequentTag.fit, "hmm": TrigramHMM.fit}
"""The taggers without weights to train, which read words alone."""


def pairs(part: Part, known: Known) -> Iterator[list[tuple[str, str]]]:
    """The sentences of a training part, as words with their tags in the form that the model learns."""
    for number in range(min(len(part), MOST_SENTENCES)):
        yield list(zip(part.words(number), known.learnt(part.tags(number)), strict=True))


def score_counted(tagger: Any, data: Data, part: str) -> list[Score]:
    """Scores of a counted tagger on one part."""
    settings = f"reads words alone, {tagger.parameters} numbers"
    return score(list(answers_of(tagger.tag, data, getattr(data.labels, part))), data, part, settings)


def prepare_baselines(run: "Run") -> None:
    """Train the window network on the same data, as a run folder inside the run's."""
    train_window(run, SAME, spelling="none" if run.config.spelling == "none" else "convolution")


def baselines(run: "Run", data: Data, part: str) -> dict[str, list[Score]]:
    """Scores of the counted taggers, and of the window network where it was trained."""
    found = {}
    try:
        own: Data = run.data  # counted in the run's own training part, whatever is scored
        for name, fit in COUNTED.items():
            found[name] = score_counted(fit(pairs(own.labels.train, own.known)), data, part)
    except BadInput as error:
        print(f"without counted taggers beside it: {error}", file=sys.stderr)
    return found | score_window(run, evaluate, data, part)
