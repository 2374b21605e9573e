"""How well a classifier does: its scores, what it confuses, and how soon it knows."""

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from recurra.metrics import classification
from recurra.metrics.classification import Thresholds, class_scores, multilabel_scores
from recurra.metrics.score import Score
from recurra.models.classifier import Classifier
from recurra.tasks.classification.batches import scoring_batches
from recurra.tasks.classification.reading import Cases, Part

SCORED_AT_ONCE = 128
"""Cases."""

FRACTIONS = tuple(tenth / 10 for tenth in range(1, 11))
CURVE_CASES = 2_000
"""Most cases that the score by what has been seen is taken of: the first ones of a shuffle."""


def probabilities(model: Classifier, part: Part) -> np.ndarray:
    """Of each class for every case, (N, K)."""
    return _of_all(model, part, model.probabilities)


def evaluate(model: Any, data: Cases, part: str) -> list[Score]:
    """Scores of one part ("dev", "test"), all of it."""
    cases: Part = getattr(data, part)
    training = model.training
    model.eval()
    found = scores(data, part, probabilities(model, cases), thresholds_of(model))
    model.train(training)
    return found


def scores(
    data: Cases, part: str, found: np.ndarray, thresholds: Thresholds | None = None, settings: str = ""
) -> list[Score]:
    """The scores that probabilities (N, K) reach; of several labels, a label is given from its threshold on."""
    cases: Part = getattr(data, part)
    text = signature(data, part, settings)
    if data.meaning.multilabel:
        assert thresholds is not None
        return multilabel_scores(cases.targets > 0, found, thresholds, text)
    names = data.meaning.classes
    given, called = ([names[number] for number in numbers.tolist()] for numbers in (cases.targets, found.argmax(1)))
    return class_scores(given, called, text)


def signature(data: Cases, part: str, settings: str = "") -> str:
    """What a score was measured on, and how."""
    digest = hashlib.sha256("".join(data.hashes.values()).encode()).hexdigest()[:8]
    meaning, cases = data.meaning, getattr(data, part)
    labels = f"{len(meaning.classes)} {'labels' if meaning.multilabel else 'classes'}"
    cut = f"cut to {meaning.longest} steps" if meaning.longest else ""
    return "|".join(filter(None, [part, f"data={digest}", f"cases={len(cases)}", labels, cut, settings]))


def choose_thresholds(model: Classifier, part: Part, found: np.ndarray) -> Thresholds:
    """Keep in the model, with its weights, the thresholds of the greatest F1 of each label on a part."""
    best = classification.choose_thresholds(part.targets > 0, found, each=True)
    model.thresholds.copy_(torch.tensor(best.values))
    return best


def thresholds_of(model: Classifier) -> Thresholds | None:
    """Those kept in a model of several labels."""
    return Thresholds(tuple(model.thresholds.tolist()), each=True, all_cases=()) if model.multilabel else None


def cross_entropy(part: Part, found: np.ndarray, multilabel: bool) -> float:
    """The mean of -log p of what is given, in nats a case; of several labels, summed over them."""
    tiny = np.finfo(np.float32).tiny
    if multilabel:
        right = np.where(part.targets > 0, found, 1 - found)
        return float(-np.log(np.maximum(right, tiny)).sum(1).mean())
    return float(-np.log(np.maximum(found[np.arange(len(found)), part.targets], tiny)).mean())


def score_by_seen(model: Classifier, data: Cases, part: str, *, streams: bool) -> list[tuple[float, float]]:
    """The leading score when only the first tenth of each case has been seen, two tenths, and so on.

    A model that reads one way is run once and asked after every step; one that also reads from the end is given cases
    cut short, as if they had ended there.

    Args:
        streams: whether the model reads one way.
    """
    whole: Part = getattr(data, part)
    some = np.sort(np.random.default_rng(0).permutation(len(whole))[:CURVE_CASES])
    cases = Part(whole.store, whole.steps, whole.rows[some], whole.targets[some], whole.longest)
    some_data = Cases(data.meaning, train=cases, dev=cases, test=cases, hashes=data.hashes)
    seen = _seen_in_one_pass(model, cases) if streams else _seen_when_cut(model, cases)
    return [
        (fraction, scores(some_data, part, found, thresholds_of(model))[0].value)
        for fraction, found in zip(FRACTIONS, seen, strict=True)
    ]


def _steps_seen(lengths: np.ndarray, fraction: float) -> np.ndarray:
    return np.maximum(1, np.ceil(lengths * fraction - 1e-9).astype(np.int64))


def _seen_in_one_pass(model: Classifier, cases: Part) -> list[np.ndarray]:
    def at_fractions(x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        running = model.running_probabilities(x, lengths)
        steps = np.stack([_steps_seen(lengths.cpu().numpy(), fraction) - 1 for fraction in FRACTIONS], 1)
        return running[torch.arange(len(running))[:, None], torch.from_numpy(steps)]

    return list(_of_all(model, cases, at_fractions).swapaxes(0, 1))


def _seen_when_cut(model: Classifier, cases: Part) -> list[np.ndarray]:
    def when_cut(fraction: float) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
        def answer(x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
            seen = torch.from_numpy(_steps_seen(lengths.cpu().numpy(), fraction)).to(lengths)
            return model.probabilities(x[:, : int(seen.max())], seen)

        return answer

    return [_of_all(model, cases, when_cut(fraction)) for fraction in FRACTIONS]


def _of_all(model: Classifier, part: Part, answer: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> np.ndarray:
    """What ``answer`` gives for every case, in their order."""
    device = next(model.parameters()).device
    found: np.ndarray | None = None
    with torch.no_grad():
        for cases, batch in scoring_batches(part, SCORED_AT_ONCE):
            given = answer(*(each.to(device) for each in batch)).float().cpu().numpy()
            if found is None:
                found = np.empty((len(part), *given.shape[1:]), np.float32)
            found[cases] = given
    assert found is not None
    return found
