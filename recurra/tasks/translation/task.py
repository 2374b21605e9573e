"""Translation: from pairs of texts to a model that writes the other side of new ones."""

from pathlib import Path

from torch import nn

from recurra.metrics.score import Score
from recurra.models.translator import Translator
from recurra.tasks.sources import Sources
from recurra.tasks.translation.baselines import baselines, prepare_baselines
from recurra.tasks.translation.config import Config
from recurra.tasks.translation.contenders import contender, count
from recurra.tasks.translation.learning import learning
from recurra.tasks.translation.network import build_network
from recurra.tasks.translation.prediction import predict
from recurra.tasks.translation.presentation import present, report
from recurra.tasks.translation.reading import Pairs, Sides, read_in_parts, read_to_score, save_sides
from recurra.tasks.translation.reranking import rerank
from recurra.tasks.translation.scoring import answers, evaluate, perplexity, score
from recurra.tasks.translation.search import Search
from recurra.training.problem import Problem
from recurra.training.run_folder import RunFolder

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
    """The pairs in their parts, with vocabularies of the training part."""
    return read_in_parts(sources, config)


def read_again(sources: Sources, config: Config, folder: Path) -> Pairs:
    """The same with the vocabularies of a run."""
    if not (folder / "source.json").exists():  # killed before it was written
        return read(sources, config)
    return read_in_parts(sources, config, Sides.load(folder, config))


def read_test(sources: Sources, config: Config, folder: Path) -> Pairs:
    """Pairs that are only to be scored."""
    own = Sources.model_validate(RunFolder.open(folder).record["data"])
    return read_to_score(sources, config, Sides.load(folder, config), own)


def keep(data: Pairs, folder: Path) -> None:
    """Write the vocabularies into the run folder."""
    save_sides(data.sides, folder)


def hashes(data: Pairs) -> dict[str, str]:
    """The sha256 of every file read."""
    return data.hashes


def build(config: Config, data: Pairs) -> Translator:
    """The model with fresh weights."""
    return build_network(config, data.sides)


def load(config: Config, folder: Path) -> Translator:
    """The model of a run folder, before its weights are loaded."""
    starts = ("source_vectors", "target_vectors", "encoder_from", "decoder_from")
    plain = config.model_copy(update=dict.fromkeys(starts))
    return build_network(plain, Sides.load(folder, config))


def problem(config: Config, data: Pairs, model: nn.Module) -> Problem:
    """What the training loop needs."""

    def validate(model: Translator) -> Score:
        if config.best_by == "loss":
            return perplexity(model, data, "dev")
        return score(answers(model, data, data.dev, Search()), data, "dev", "greedy")[0]

    translator: Translator = model  # type: ignore[assignment]
    return learning(
        translator,
        data.train,
        config,
        validate,
        most_steps=config.most_steps,
        padded="the longer side",
        sampling=config.scheduled_sampling,
        smoothing=config.smoothing,
    )
