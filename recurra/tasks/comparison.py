"""Several models on the same data under the same budget: which is best, how soon it gets there, and at what size."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from recurra.errors import BadInput, NotFinite
from recurra.files import write_text
from recurra.metrics.score import Score
from recurra.tasks.charts import draw_score_by_size, draw_score_by_time
from recurra.tasks.run import Run, fit
from recurra.tasks.sources import Names, Sources
from recurra.tasks.task import Task, load_task
from recurra.training.penalties.applied import Penalties
from recurra.training.settings import make_settings

FORMAT = 1
BUDGET: dict[str, Any] = {"time_limit": 60.0, "epochs": 1_000_000}
"""What every network is given where the user says nothing: a minute, in as many epochs as that allows."""

Options = dict[str, Any]


@dataclass(frozen=True)
class Result:
    """What became of one model.

    Args:
        seconds: of training, validations included; of counting, for an n-gram.
        scores: on the parts "dev" and "test", the one to look at first leading.
        curve: seconds of training and the validation score then, in ``unit``; none where nothing was trained.
        solved: seconds of training after which a validation first found the task solved, where one did.
    """

    name: str
    parameters: int
    seconds: float
    scores: dict[str, list[Score]]
    curve: list[tuple[float, float]] = field(default_factory=list)
    unit: str = ""
    solved: float | None = None


@dataclass(frozen=True)
class Comparison:
    """A folder with a run for every network, ``comparison.json`` and two charts.

    Args:
        record: task, data, their hashes, and the options that all networks share.
        failed: what went wrong, by model, where a network's numbers did not stay finite.
    """

    path: Path
    record: dict[str, Any]
    results: list[Result] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {**self.record, "results": [asdict(result) for result in self.results], "failed": self.failed}

    def save(self) -> None:
        """Write ``comparison.json``."""
        write_text(self.path / "comparison.json", json.dumps(self.to_json(), indent=1) + "\n")

    def draw(self) -> list[Path]:
        """Draw the score against the time of training, and against the number of parameters; or what the task draws."""
        if not self.results:
            return []
        task = load_task(self.record["task"])
        own = task.draw_comparison(self.path, self.results) if hasattr(task, "draw_comparison") else []
        if own:
            return own
        unit = next((result.unit for result in self.results if result.curve), self.results[0].scores["dev"][0].unit)
        curves = {result.name: result.curve or _point(result, unit) for result in self.results}
        curves = {name: points for name, points in curves.items() if points}  # some have no score in that unit
        sizes = {result.name: (max(1, result.parameters), result.scores["test"][0].value) for result in self.results}
        test = self.results[0].scores["test"][0]
        return [
            draw_score_by_time(self.path / "time.png", curves, unit=unit, higher=test.higher_is_better),
            draw_score_by_size(
                self.path / "parameters.png", sizes, name=test.name, unit=test.unit, higher=test.higher_is_better
            ),
        ]


def compare(
    task: str,
    *data: str | Path,
    models: Sequence[str],
    out: str | Path,
    dev: Names | None = None,
    test: Names | None = None,
    resume: bool = False,
    **options: Any,
) -> Comparison:
    """Train every model of ``models`` on the same data under the same budget.

    Args:
        task, data, dev, test: as of :func:`recurra.tasks.run.fit`.
        models: names of cells, and of what else the task has to compare them with ("5-gram", "window").
        out: the folder to make; a network's run is the folder of its name in it.
        resume: go on with the comparison in ``out``, with other models if so named; what was trained is kept.
        options: fields of the task's configuration, for every network alike; ``BUDGET`` where they say nothing.

    Raises:
        BadInput: models, data, options or the folder cannot be used; nothing has been trained then.
        Stopped: a signal asked to stop; everything is saved.
    """
    module = load_task(task)
    contenders = _contenders(module, models, options)
    options = {**BUDGET, **options}
    sources = Sources.of(task, data, dev, test)
    sources.check_outside(Path(out))
    shared = make_settings(module.Config, options)
    read = module.read(sources, shared)
    _rehearse(module, [{**options, **own} for own in contenders.values() if own is not None], read)
    counted = {name: _count(module, name, read) for name, own in contenders.items() if own is None}
    record = {
        "format": FORMAT,
        "task": task,
        "data": sources.model_dump(mode="json"),
        "hashes": module.hashes(read),
        "options": shared.model_dump(mode="json", include=set(options)),
    }
    comparison = Comparison(_folder(Path(out), record, resume=resume), record)
    comparison.save()
    for number, (name, own) in enumerate(contenders.items(), start=1):
        print(f"{name} ({number} of {len(contenders)})", file=sys.stderr)
        try:
            result = counted[name] if own is None else _train(comparison, name, sources, {**options, **own})
            comparison.results.append(result)
        except NotFinite as error:
            comparison.failed[name] = str(error)
        comparison.save()
    comparison.draw()
    return comparison


def _contenders(module: Task, models: Sequence[str], options: Options) -> dict[str, Options | None]:
    """The options of every model by its name, None for those that are only counted."""
    if not models:
        raise BadInput("no models to compare: name some, for instance --models 5-gram,window,lstm")
    contenders = {name: module.contender(name) for name in models}
    for name, own in contenders.items():
        clash = sorted((own or {}).keys() & options.keys())
        if clash:
            raise BadInput(f"--{clash[0]}: the model {name!r} decides this; leave it away, or name another model")
    return contenders


def _rehearse(module: Task, options: Sequence[Options], read: Any) -> None:
    """Refuse, before any network has been trained, whatever its own run would refuse at its start."""
    for each in options:
        config = make_settings(module.Config, each)
        model = module.build(config, read)
        module.problem(config, read, model)
        Penalties(model, config.regularize)


def _folder(path: Path, record: dict[str, Any], *, resume: bool) -> Path:
    """The folder of the comparison, made or found.

    Raises:
        BadInput: it exists and is not to be gone on with, or holds something else, or cannot be made.
    """
    if resume and path.exists():
        file = path / "comparison.json"
        try:
            before = json.loads(file.read_text(encoding="utf-8"))
            differing = [name for name, value in record.items() if before[name] != value]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadInput(f"{file}: no comparison to go on with; choose another --out") from error
        if differing:
            raise BadInput(
                f"{file}: was started with other {differing[0]}; resume with the same, or into another --out"
            )
    elif path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise BadInput(f"{path}: exists already; choose another --out, or continue that comparison with --resume")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"{path}: cannot make this folder ({error.strerror}); choose another --out") from error
    return path


def _train(comparison: Comparison, name: str, sources: Sources, options: Options) -> Result:
    run: Run = fit(
        comparison.record["task"],
        *sources.train,
        dev=sources.dev,
        test=sources.test,
        out=comparison.path / name,
        resume=True,
        baselines=False,
        **options,
    )
    scores = {part: [Score(**score) for score in found] for part, found in run.scores["scores"].items()}
    validations = [record for record in run.folder.metrics() if "validation" in record]
    curve = [(record["seconds"], record["validation"]) for record in validations]
    unit, solved = validations[-1]["unit"], run.scores.get("solved", {}).get("seconds")
    return Result(name, run.scores["parameters"], run.scores["seconds"], scores, curve, unit, solved)


def _count(module: Task, name: str, read: Any) -> Result:
    parameters, seconds, scores = module.count(name, read)
    return Result(name, parameters, seconds, scores)


def _point(result: Result, unit: str) -> list[tuple[float, float]]:
    """When a model that was only counted was ready, and its first score in the unit of the others' validations."""
    return [(result.seconds, score.value) for score in result.scores["dev"] if score.unit == unit][:1]
