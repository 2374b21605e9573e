"""The scores to beat: each word's commonest tag, a trigram hidden Markov model, and a network on a sliding window."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from recurra.baselines.hmm_tagger import TrigramHMM
from recurra.baselines.most_frequent import MostFrequentTag
from recurra.data.token_store import Part
from recurra.metrics.score import Score
from recurra.tasks.tagging.known import Known
from recurra.tasks.tagging.scoring import Data, answers_of, evaluate, score

if TYPE_CHECKING:
    from recurra.tasks.run import Run

MOST_SENTENCES = 200_000
"""Of the training part that is counted: the counts of more would not fit on a small machine."""

WINDOW_SHARE, WINDOW_SECONDS = 0.25, (10.0, 300.0)
"""The window network trains for this share of the model's own time, but for no less and no more than these."""

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
    from recurra.tasks.run import fit

    config = run.config
    if config.model == "window":
        return
    seconds = WINDOW_SHARE * run.folder.metrics()[-1]["seconds"]
    print("the window network, for comparison", file=sys.stderr)
    same = (
        "label", "word", "inputs", "min_count", "lower", "window", "output", "embedding_size", "vectors", "input_size",
        "hidden_size", "dropout", "word_dropout", "batch_size", "most_steps", "seed", "threads", "device",
    )  # fmt: skip
    fit(
        run.task_name,
        *run.sources.train,
        dev=run.sources.dev,
        test=run.sources.test,
        out=run.path / "baselines" / "window",
        resume=True,
        baselines=False,
        model="window",
        spelling="none" if config.spelling == "none" else "convolution",
        character_size=config.character_size,
        spelling_size=config.spelling_size,
        time_limit=min(max(seconds, WINDOW_SECONDS[0]), WINDOW_SECONDS[1]),
        **{name: getattr(config, name) for name in same},
    )


def baselines(run: "Run", data: Data, part: str) -> dict[str, list[Score]]:
    """Scores of the counted taggers, and of the window network where it was trained."""
    from recurra.tasks.run import load

    own: Data = run.data  # counted in the run's own training part, whatever is scored
    counted = {name: fit(pairs(own.labels.train, own.known)) for name, fit in COUNTED.items()}
    found = {name: score_counted(tagger, data, part) for name, tagger in counted.items()}
    window = run.path / "baselines" / "window"
    if (window / "scores.json").exists():
        found[f"window-{run.config.window}"] = evaluate(load(window).model, data, part)
    return found
