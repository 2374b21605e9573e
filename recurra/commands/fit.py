"""``recurra fit TASK DATA --out RUN``: one command for each task, its options those of the task's configuration."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from recurra.commands.options import (
    ClassificationOptions,
    Data,
    Dev,
    Json,
    LanguageModelOptions,
    OutFolder,
    Resume,
    TaggingOptions,
    Test,
)
from recurra.commands.output import print_scores
from recurra.tasks.classification.config import Config as ClassificationConfig
from recurra.tasks.language_model.config import Config as LanguageModelConfig
from recurra.tasks.tagging.config import Config as TaggingConfig
from recurra.training.settings import Settings

app = App(name="fit", help="Train a model and leave a run folder.")

Baselines = Annotated[bool, Parameter(help="Also score the models to beat.")]


@app.command(name="language-model")
def language_model(
    *data: Data,
    out: OutFolder,
    dev: Dev = None,
    test: Test = None,
    resume: Resume = False,
    baselines: Baselines = True,
    json: Json = False,
    config: LanguageModelOptions = LanguageModelConfig(),  # noqa: B008 (frozen)
) -> None:
    """Learn to give the next character or word of a text a probability.

    Text is plain UTF-8, gzip allowed. Without --dev and --test the last tenth of it is kept apart for them.
    """
    _fit("language-model", data, out, dev, test, resume, baselines, json, config)


@app.command(name="tagging")
def tagging(
    *data: Data,
    out: OutFolder,
    dev: Dev = None,
    test: Test = None,
    resume: Resume = False,
    baselines: Baselines = True,
    json: Json = False,
    config: TaggingOptions = TaggingConfig(),  # noqa: B008 (frozen)
) -> None:
    """Learn to label every token of a sequence: parts of speech, names, chunks, residues of proteins.

    Files are CoNLL-U (.conllu), columns of one token a line with an empty line between sentences (anything else), or
    FASTA with labels (.fasta); gzip allowed. A tenth of DATA is kept apart for --dev, and for --test, where not given.
    """
    _fit("tagging", data, out, dev, test, resume, baselines, json, config)


@app.command(name="classification")
def classification(
    *data: Data,
    out: OutFolder,
    dev: Dev = None,
    test: Test = None,
    resume: Resume = False,
    baselines: Baselines = True,
    json: Json = False,
    config: ClassificationOptions = ClassificationConfig(),  # noqa: B008 (frozen)
) -> None:
    """Learn to give a whole sequence a label, or several.

    DATA are tables of texts (CSV, TSV, JSON lines, Parquet), lines of a label and a text, series (.ts), images (IDX),
    or a folder with a folder of texts, series or images for each class. A tenth of each class is kept apart for --dev,
    and for --test, where not given.
    """
    _fit("classification", data, out, dev, test, resume, baselines, json, config)


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
    from recurra.tasks.run import fit

    finished = resume and (out / "scores.json").exists()
    given = {name: getattr(config, name) for name in config.model_fields_set}
    run = fit(task, *data, out=out, dev=dev, test=test, resume=resume, baselines=baselines, **given)
    if finished:
        print("this run had finished; nothing was left to do", file=sys.stderr)
    print_scores(run.final_scores(), json=json)
    print(run.path, file=sys.stderr)
