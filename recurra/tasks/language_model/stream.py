"""A run that learns from a stream: read once, scored as it goes, over when the stream is."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from recurra.data.byte_stream import STANDARD_INPUT, open_stream
from recurra.data.byte_units import Bytes
from recurra.data.vocabulary import save_vocabulary
from recurra.errors import BadInput
from recurra.metrics.likelihood import likelihood_scores
from recurra.metrics.score import Score
from recurra.tasks.language_model.config import Config
from recurra.tasks.language_model.network import build_network
from recurra.tasks.language_model.online import WithBaselines, online_model
from recurra.tasks.sources import Names, Sources
from recurra.training.machine import check_machine, own_threads, pick_device
from recurra.training.online.loop import Tally, learn_stream, stream_read
from recurra.training.run_folder import RunFolder
from recurra.training.settings import SEARCHES, SECOND_ORDER, make_settings

if TYPE_CHECKING:
    from recurra.tasks.run import Run

OPTIONS = {
    "online", "steps", "cell", "hidden_size", "layers", "embedding_size", "residual", "initial_range", "start",
    "start_scale", "forget_bias", "chrono", "optimizer",
    "learning_rate", "momentum", "weight_decay", "warm_up", "clip_norm", "clip_value", "checkpoint_every", "time_limit",
    "seed", "device", "precision", "threads",
}  # fmt: skip
"""What can be chosen: the rest is for texts with an end, read again and again in batches."""

FIXED: dict[str, Any] = {"unit": "bytes", "batch_size": 1, "epochs": 1, "schedule": "constant"}


def fit_stream(
    *data: str | Path,
    out: str | Path,
    dev: Names | None = None,
    test: Names | None = None,
    resume: bool = False,
    baselines: bool = True,
    **options: Any,
) -> "Run":
    """As :func:`recurra.fit`, with a stream: a file, a named pipe, or "-".

    With ``resume`` a file goes on where its checkpoint stopped reading, a pipe with what comes next.

    Raises:
        BadInput: the stream, options or the folder cannot be used.
        Stopped: a signal asked to stop; everything is saved.
    """
    from recurra.tasks.run import Run, check_same, load, make_record, show

    source = _source(data, dev, test)
    sources = Sources(train=(source,))
    run = load(out) if resume and (Path(out) / "config.json").exists() else None
    if run:
        check_same(run, "language-model", sources, options)
        if run.folder.finished:
            return run if (run.path / "README.md").exists() else show(run)
    config = run.config if run else _config(options)
    check_machine(config)
    torch.manual_seed(config.seed)
    with own_threads(config), open_stream(source, stream_read(run.folder) if run else 0) as stream:
        learner = WithBaselines(online_model(config, _network(config)))
        if not run:
            stream.wait()  # before the folder is made: bad input leaves nothing behind
        folder = run.folder if run else RunFolder.create(Path(out), make_record("language-model", config, sources, {}))
        save_vocabulary(Bytes(), folder.path / "vocabulary.json")
        tally = learn_stream(learner, config, config.steps, folder, stream)
    if not tally.bytes:
        raise BadInput(f"{stream.name}: nothing was learnt in {config.time_limit} s; use a longer --time-limit")
    _write_scores(folder, config, learner, tally, baselines)
    return show(Run(folder))


def _source(data: Sequence[str | Path], dev: Names | None, test: Names | None) -> str:
    if dev is not None or test is not None:
        raise BadInput("--dev and --test: a stream is scored on every byte before it is learnt; leave them out")
    if len(data) != 1:
        raise BadInput(f"--online reads one stream, got {len(data)}; name a file, a pipe, or - for standard input")
    return str(data[0]) if str(data[0]) == STANDARD_INPUT else str(Path(data[0]).absolute())


def _config(options: dict[str, Any]) -> Config:
    config = make_settings(Config, options)
    for name in options:
        if name not in OPTIONS and options[name] != FIXED.get(name):
            raise BadInput(f"--{name.replace('_', '-')} says nothing of a stream that is read once; leave it out")
    if config.optimizer in (*SEARCHES, *SECOND_ORDER):
        raise BadInput(f"--optimizer {config.optimizer}: a stream is learnt by one gradient after the other; use adamw")
    if config.precision == "bfloat16":
        raise BadInput("--precision bfloat16: steps of one row gain nothing by it; leave it out")
    return config.model_copy(update=FIXED)


def _network(config: Config) -> torch.nn.Module:
    dtype = torch.float64 if config.precision == "float64" else torch.float32
    return build_network(config, Bytes()).to(pick_device(config.device), dtype)


def _write_scores(folder: RunFolder, config: Config, learner: WithBaselines, tally: Tally, baselines: bool) -> None:
    def scores(nats: float, settings: str) -> list[dict[str, Any]]:
        signature = f"prequential: each byte before it is learnt|bytes={tally.bytes}|{settings}"
        found: list[Score] = likelihood_scores(nats, tally.bytes, tally.characters, signature)
        return [score.to_json() for score in found]

    learnt = f"online={config.online}, an update every {config.steps} bytes"
    estimate = "Krichevsky-Trofimov"
    others = {name: scores(chain.nats, estimate) for name, chain in learner.chains.items()} if baselines else {}
    folder.write_json(
        "scores.json",
        {
            "parameters": sum(parameter.numel() for parameter in learner.model.parameters() if parameter.requires_grad),
            "seconds": folder.metrics()[-1]["seconds"],
            "scores": {"test": scores(tally.nats, learnt)},
            "baselines": others,
        },
    )
