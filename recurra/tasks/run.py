"""A run from beginning to end: read, build, train, score, present; and everything a finished one can be asked."""

import inspect
import platform
import shlex
import sys
from collections.abc import Iterable
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import nn

from recurra.errors import BadInput, unknown
from recurra.metrics.score import Score
from recurra.nn import quantize
from recurra.tasks.model_card import write_model_card
from recurra.tasks.sources import Names, Sources
from recurra.tasks.task import load_task
from recurra.training.loop import train
from recurra.training.machine import check_machine, own_threads, pick_device
from recurra.training.penalties.weights import zeros, zeros_described
from recurra.training.run_folder import RunFolder
from recurra.training.settings import Settings, make_settings
from recurra.training.updates import check_update


class Run:
    """A run folder and what can be asked of it."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.path = folder.path
        self._other: tuple[tuple[str, ...], Any] | None = None
        try:
            self.task_name: str = folder.record["task"]
            self.task = load_task(self.task_name)
            self.config: Any = self.task.Config.model_validate(folder.record["config"])
            self.sources = Sources.model_validate(folder.record["data"])
        except (KeyError, ValidationError) as error:
            raise BadInput(
                f"{folder.path / 'config.json'}: not a record that this version reads ({_what(error)}); "
                f"it was written by Recurra {folder.record.get('version', 'unknown')}"
            ) from error

    @property
    def quantized(self) -> bool:
        """Whether its recurrent weights are int8."""
        return "quantized" in self.folder.record

    @cached_property
    def model(self) -> Any:
        """The best model of the run, ready for use."""
        with torch.random.fork_rng(devices=[]):  # fresh weights are drawn only to be replaced
            model = self.task.load(self.config, self.path)
        if self.quantized:
            quantize(model)
        device = torch.device("cpu") if self.quantized else pick_device(self.config.device)
        model = model.to(device, _number_type(self.config)).eval()
        try:
            model.load_state_dict(self.folder.load_weights())
        except RuntimeError as error:
            raise BadInput(
                f"{self.path / 'model.safetensors'}: does not fit config.json; {_first_line(error)}"
            ) from error
        return model

    @cached_property
    def data(self) -> Any:
        """The data the run was trained on.

        Raises:
            BadInput: it has changed since.
        """
        data = self.task.read_again(self.sources, self.config, self.path)
        _check_hashes(self.task.hashes(data), self.folder.record["hashes"])
        return data

    @property
    def scores(self) -> dict[str, Any]:
        """What ``scores.json`` holds: parameters, seconds, scores by part, baselines by name.

        Where a task can be solved, and a validation found that it was: ``solved``, the first one's update and seconds.
        """
        return self.folder.scores()

    def final_scores(self) -> dict[str, list[Score]]:
        """The scores on the test part when training ended, of the model and the baselines, by name."""
        found = {"model": self.scores["scores"]["test"], **self.scores["baselines"]}
        return {name: [Score(**score) for score in scores] for name, scores in found.items()}

    def evaluate(self, *data: str, split: str = "test") -> dict[str, list[Score]]:
        """Scores of the model and of the baselines beside it, by name.

        Args:
            data: files to score, or else a part of the run's own data.
            split: "dev" or "test".

        Raises:
            BadInput: the data cannot be read, or the run's own data has changed.
        """
        where, part = self._to_score(data, split)
        model = {"model": self.task.evaluate(self.model, where, part)}
        return {**model, **self.task.baselines(self, where, part)}

    def report(self, *data: str, split: str = "test") -> list[str]:
        """What there is to see beyond the scores of :meth:`evaluate`: pictures, and what the model got most wrong."""
        where, part = self._to_score(data, split)
        return self.sparsity() + (self.task.report(self, where, part) if self.able("report") else [])

    def sparsity(self) -> list[str]:
        """The share of zeros among the weights of each group, where weights were regularized."""
        return [zeros_described(self.scores["zeros"])] if "zeros" in self.scores else []

    def _to_score(self, data: tuple[str, ...], split: str) -> tuple[Any, str]:
        if split not in ("dev", "test"):
            raise unknown("split", split, ("dev", "test"))
        if not data:
            return self.data, split
        if self._other is None or self._other[0] != data:
            sources = Sources.of(self.task_name, data, None, None)
            read = self.task.read_test(sources, self.config, self.path)
            self._other = data, read
        return self._other[1], "test"

    def able(self, verb: str) -> bool:
        """Whether this run's task answers a verb."""
        return hasattr(self.task, verb)

    def check_able(self, verb: str, instead: str) -> None:
        """Refuse a verb that the run's task has no answer to.

        Raises:
            BadInput: names what to use ``instead``, or evaluate where the task has no answer to that either.
        """
        if not self.able(verb):
            instead = instead if self.able(instead) else "evaluate"
            raise BadInput(f"{self.path}: a run of {self.task_name} cannot {verb}; use recurra {instead}")

    def check_options(self, verb: str, options: Iterable[str]) -> None:
        """Refuse options of a verb that this run's task does not have.

        Raises:
            BadInput: there is one.
        """
        known = inspect.signature(getattr(self.task, verb)).parameters
        for name in options:
            if name not in known:
                raise BadInput(
                    f"--{name.replace('_', '-')}: a run of {self.task_name} has no such choice; leave it out"
                )

    def sample(self, prompt: str = "", **options: Any) -> str:
        """A new sequence that begins with ``prompt``; options as of ``recurra sample``.

        Raises:
            BadInput: the run's task has nothing to sample, or the prompt cannot be read.
        """
        self.check_able("sample", "predict")
        return prompt + "".join(self.task.sample(self, prompt=prompt, **options))

    def predict(self, source: str | Path, *, stream: bool = False, **options: Any) -> str:
        """What the model says of a file or folder, in the form in which it was given.

        Args:
            stream: answer each step as it comes, as ``recurra predict --stream`` does.
            options: of the task's search, ``beam`` and ``n_best`` for instance.

        Raises:
            BadInput: the input cannot be read, or the model cannot do this.
        """
        self.check_able("predict", "sample")
        self.check_options("predict", options)
        return "".join(self.task.predict(self, str(source), stream=stream, **options))

    def forecast(self, data: Any = None, **options: Any) -> Any:
        """What comes next, as a data frame; options as of :func:`recurra.tasks.forecasting.data_frames.forecast`.

        Args:
            data: a data frame or a file like those trained on; the run's own where it is None.

        Raises:
            BadInput: the data cannot be read, or the model cannot do this.
        """
        self.check_able("forecast", "predict")
        return self.task.forecast(self, data, **options)

    def present(self) -> list[Path]:
        """Draw the run's pictures into its folder."""
        return self.task.present(self)


def load(path: str | Path) -> Run:
    """The run in a folder.

    Raises:
        BadInput: it is not a run folder, or damaged.
    """
    return Run(RunFolder.open(Path(path)))


def fit(
    task: str,
    *data: Any,
    out: str | Path,
    dev: Names | None = None,
    test: Names | None = None,
    resume: bool = False,
    baselines: bool = True,
    **options: Any,
) -> Run:
    """Train a model and leave everything in the run folder ``out``.

    Args:
        task: its name ("language-model").
        data: files, folders, or one set of the catalogue; of forecasting also data frames.
        dev, test: files of those parts, two where each side of a text has its own; else they are cut from ``data``.
        resume: go on with the run in ``out``; on a finished one this only loads it. Options given must be the run's.
        baselines: also score the models to beat.
        options: fields of the task's configuration.

    Raises:
        BadInput: data, options or the folder cannot be used; the message says which and what to do.
        Stopped: a signal asked to stop; everything is saved.
    """
    module = load_task(task)
    data = module.as_files(data) if hasattr(module, "as_files") else data
    if options.get("online") is not None and hasattr(module, "fit_stream"):
        return module.fit_stream(*data, out=out, dev=dev, test=test, resume=resume, baselines=baselines, **options)
    sources = Sources.of(task, data, dev, test)
    sources.check_outside(Path(out))
    if resume and (Path(out) / "config.json").exists():
        run = load(out)
        check_same(run, task, sources, options)
        if run.folder.finished:
            return run if (run.path / "README.md").exists() else show(run)
    else:
        run = None
    config = run.config if run else make_settings(module.Config, options)
    check_machine(config)
    read = run.data if run else module.read(sources, config)
    torch.manual_seed(config.seed)
    with own_threads(config):
        model = module.build(config, read)
        problem = module.problem(config, read, model)  # before the folder is made: bad input leaves nothing behind
        check_update(problem, config)
        folder = (
            run.folder if run else RunFolder.create(Path(out), make_record(task, config, sources, module.hashes(read)))
        )
        module.keep(read, folder.path)
        train(problem, config, folder)
        return _finish(Run(folder), read, model, baselines)


def _finish(run: Run, data: Any, model: nn.Module, baselines: bool) -> Run:
    run.__dict__.update(model=model.eval(), data=data)
    parts = {part: run.task.evaluate(model, data, part) for part in ("dev", "test")}
    if baselines:
        run.task.prepare_baselines(run)
    others = run.task.baselines(run, data, "test") if baselines else {}
    run.folder.write_json(
        "scores.json",
        {
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
            "seconds": run.folder.metrics()[-1]["seconds"],
            **({"zeros": zeros(model)} if run.config.regularize else {}),
            **_first_solved(run.folder),
            "scores": {part: [score.to_json() for score in scores] for part, scores in parts.items()},
            "baselines": {name: [score.to_json() for score in scores] for name, scores in others.items()},
        },
    )
    return show(run)


def _first_solved(folder: RunFolder) -> dict[str, Any]:
    """Update and seconds of the first validation that found the task solved, where there is one."""
    first = next((record for record in folder.metrics() if record.get("solved")), None)
    return {"solved": {name: first[name] for name in ("update", "seconds")}} if first else {}


def show(run: Run) -> Run:
    """Draw and describe a finished run: the last thing done, so that its README.md says that all is there."""
    run.present()
    write_model_card(run.folder)
    return run


def make_record(task: str, config: Settings, sources: Sources, hashes: dict[str, str]) -> dict[str, Any]:
    """What ``config.json`` holds of a run."""
    command = " ".join(["recurra", *map(shlex.quote, sys.argv[1:])]) if Path(sys.argv[0]).name == "recurra" else None
    return {
        "version": version("recurra"),
        "task": task,
        "config": config.model_dump(mode="json"),
        "data": sources.model_dump(mode="json"),
        "hashes": hashes,
        "command": command,
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "threads": torch.get_num_threads(),
    }


def _number_type(config: Settings) -> torch.dtype:
    """Of the weights."""
    return torch.float64 if config.precision == "float64" else torch.float32


def check_same(run: Run, task: str, sources: Sources, options: dict[str, Any]) -> None:
    """Refuse to resume ``run`` with what it was not started with.

    Raises:
        BadInput: names the first thing that differs.
    """
    given = make_settings(run.task.Config, options)
    differing = [name for name in options if getattr(given, name) != getattr(run.config, name)]
    if run.task_name != task:
        differing = ["task"]
    elif run.sources != sources:
        differing = ["data"]
    if differing:
        name = differing[0]
        raise BadInput(
            f"{run.path}: was started with another {name}"
            + (f" ({getattr(run.config, name)})" if hasattr(run.config, name) else "")
            + "; resume with the options it was started with, or train into another --out"
        )


def _check_hashes(now: dict[str, str], then: dict[str, str]) -> None:
    if list(now.values()) != list(then.values()):
        changed = [path for path, digest in now.items() if digest not in then.values()]
        raise BadInput(
            f"{changed[0] if changed else 'the data'}: has changed since the run was started; "
            "restore it, or name other data to evaluate on"
        )


def _what(error: KeyError | ValidationError) -> str:
    if isinstance(error, KeyError):
        return f"{error} is missing"
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
