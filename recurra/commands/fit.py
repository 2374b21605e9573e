"""``recurra fit TASK DATA --out RUN``: one command for each task, its options those of the task's configuration."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from recurra.commands.output import OutFolder, print_scores
from recurra.tasks.language_model.config import Config as LanguageModelConfig
from recurra.training.settings import Settings

app = App(name="fit", help="Train a model and leave a run folder.")

Data = Annotated[str, Parameter(help="Files, folders, or one set of `recurra data list`.")]
Dev = Annotated[str | None, Parameter(help="File to choose the best weights by (else cut from DATA).")]
Test = Annotated[str | None, Parameter(help="File to report on (else cut from DATA).")]
Resume = Annotated[bool, Parameter(negative="", help="Go on with the run in --out, to the same numbers.")]
Baselines = Annotated[bool, Parameter(help="Also score the models to beat.")]
Json = Annotated[bool, Parameter(negative="", help="Print the scores as JSON.")]


@app.command(name="language-model")
def language_model(
    *data: Data,
    out: OutFolder,
    dev: Dev = None,
    test: Test = None,
    resume: Resume = False,
    baselines: Baselines = True,
    json: Json = False,
    config: Annotated[LanguageModelConfig, Parameter(name="*")] = LanguageModelConfig(),  # noqa: B008 (frozen)
) -> None:
    """Learn to give the next character or word of a text a probability.

    Text is plain UTF-8, gzip allowed. Without --dev and --test the last tenth of it is kept apart for them.
    """
    _fit("language-model", data, out, dev, test, resume, baselines, json, config)


def _fit(
    task: str,
    data: tuple[str, ...],
    out: Path,
    dev: str | None,
    test: str | None,
    resume: bool,
    baselines: bool,
    json: bool,
    config: Settings,
) -> None:
    from recurra.tasks.run import fit, load

    if resume and (out / "scores.json").exists():
        print(f"{out}: this run has finished; nothing is left to do")
        run = load(out)
    else:
        given = {name: getattr(config, name) for name in config.model_fields_set}
        run = fit(task, *data, out=out, dev=dev, test=test, resume=resume, baselines=baselines, **given)
    print_scores(run.final_scores(), json=json)
    if not json:
        print(run.path)
