"""Dialogue: from conversations to a network that says what comes next."""

from pathlib import Path

from torch import nn

from recurra.metrics.score import Score
from recurra.models.translator import Translator
from recurra.tasks.dialogue.baselines import baselines, prepare_baselines
from recurra.tasks.dialogue.config import Config
from recurra.tasks.dialogue.contenders import contender, count
from recurra.tasks.dialogue.network import build_network
from recurra.tasks.dialogue.prediction import predict
from recurra.tasks.dialogue.presentation import present, report
from recurra.tasks.dialogue.reading import KNOWN, load_sides, read_in_parts, read_to_score, save_sides
from recurra.tasks.dialogue.retrieval import rerank
from recurra.tasks.dialogue.scoring import evaluate, leading
from recurra.tasks.sources import Sources
from recurra.tasks.translation.learning import learning
from recurra.tasks.translation.reading import Pairs
from recurra.tasks.translation.scoring import perplexity
from recurra.training.problem import Problem

__all__ = [
    "Config",
    "baselines",
    "build",
    "contender",
    "count",
    "evaluate",
    "hashes",
    "keep",
    "load",
    "predict",
    "prepare_baselines",
    "present",
    "problem",
    "read",
    "read_again",
    "read_test",
    "report",
    "rerank",
]


def read(sources: Sources, config: Config) -> Pairs:
    """The answers in their parts, with speakers and a vocabulary of the training part."""
    return read_in_parts(sources, config)


def read_again(sources: Sources, config: Config, folder: Path) -> Pairs:
    """The same with what a run knows."""
    if not (folder / KNOWN).exists() or not (folder / "vocabulary.json").exists():  # killed before it was written
        return read(sources, config)
    return read_in_parts(sources, config, load_sides(folder, config))


def read_test(sources: Sources, config: Config, folder: Path) -> Pairs:
    """Conversations that are only to be scored."""
    return read_to_score(sources, config, load_sides(folder, config))


def keep(data: Pairs, folder: Path) -> None:
    """Write what is known into the run folder."""
    save_sides(data.sides, folder)


def hashes(data: Pairs) -> dict[str, str]:
    """The sha256 of every file read."""
    return data.hashes


def build(config: Config, data: Pairs) -> Translator:
    """The model with fresh weights."""
    return build_network(config, data.sides)


def load(config: Config, folder: Path) -> Translator:
    """The model of a run folder, before its weights are loaded."""
    return build_network(config, load_sides(folder, config))


def problem(config: Config, data: Pairs, model: nn.Module) -> Problem:
    """What the training loop needs."""

    def validate(model: Translator) -> Score:
        return leading(model, data, "dev") if config.best_by == "accuracy" else perplexity(model, data, "dev")

    translator: Translator = model  # type: ignore[assignment]
    return learning(translator, data.train, config, validate, most_steps=config.most_steps, padded="what is read")
