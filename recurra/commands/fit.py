"""``recurra fit TASK DATA --out RUN``: one command for each task, its options those of the task's configuration."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from recurra.commands.options import (
    ClassificationOptions,
    Data,
    DataOrStream,
    Dev,
    DevPair,
    DialogueOptions,
    ForecastingOptions,
    Json,
    LanguageModelOptions,
    NoData,
    OutFolder,
    ProblemName,
    ProblemOptions,
    ProgramExecutionOptions,
    Resume,
    TaggingOptions,
    Test,
    TestPair,
    TranslationOptions,
)
from recurra.commands.output import print_scores
from recurra.errors import unknown
from recurra.tasks.classification.config import Config as ClassificationConfig
from recurra.tasks.dialogue.config import Config as DialogueConfig
from recurra.tasks.forecasting.config import Config as ForecastingConfig
from recurra.tasks.language_model.config import Config as LanguageModelConfig
from recurra.tasks.problem.config import Config as ProblemConfig
from recurra.tasks.program_execution.config import Config as ProgramExecutionConfig
from recurra.tasks.sources import Named
from recurra.tasks.tagging.config import Config as TaggingConfig
from recurra.tasks.translation.config import Config as TranslationConfig
from recurra.training.settings import Settings

app = App(name="fit", help="Train a model and leave a run folder.")

Baselines = Annotated[bool, Parameter(help="Also score the models to beat.")]


@app.command(name="language-model")
def language_model(
    *data: DataOrStream,
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
    _check_words(data)
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


@app.command(name="translation")
def translation(
    *data: Data,
    out: OutFolder,
    dev: DevPair = (),
    test: TestPair = (),
    resume: Resume = False,
    baselines: Baselines = True,
    json: Json = False,
    config: TranslationOptions = TranslationConfig(),  # noqa: B008 (frozen)
) -> None:
    """Learn to write what becomes of a text: its translation, its correction, its answer.

    DATA are two files that go together line by line, the texts and what they become, or one table with a column for
    each (TSV, CSV, JSON lines, Parquet); gzip allowed. A tenth is kept apart for --dev, and --test, where not given.
    """
    _fit("translation", data, out, dev or None, test or None, resume, baselines, json, config)


@app.command(name="dialogue")
def dialogue(
    *data: Data,
    out: OutFolder,
    dev: Dev = None,
    test: Test = None,
    resume: Resume = False,
    baselines: Baselines = True,
    json: Json = False,
    config: DialogueOptions = DialogueConfig(),  # noqa: B008 (frozen)
) -> None:
    """Learn what to say next in a conversation, from all that was said before.

    DATA are conversations: JSON lines ({"turns": [...]}, or a turn a line), bAbI's dialogues, or CamRest676's list.
    A tenth is kept apart for --dev, and for --test, where not given.
    """
    _fit("dialogue", data, out, dev, test, resume, baselines, json, config)


@app.command(name="forecasting")
def forecasting(
    *data: Data,
    out: OutFolder,
    dev: Dev = None,
    test: Test = None,
    resume: Resume = False,
    baselines: Baselines = True,
    json: Json = False,
    config: ForecastingOptions = ForecastingConfig(),  # noqa: B008 (frozen)
) -> None:
    """Learn to say what comes next in time series, and how sure that is.

    DATA are tables (CSV, TSV, Parquet): a row an observation, or a column or a row a series. The last tenth
    of the time is kept apart to report on, and the tenth before it to choose the best weights by.
    """
    _fit("forecasting", data, out, dev, test, resume, baselines, json, config)


@app.command(name="problem")
def problem(
    name: ProblemName,
    /,
    *,
    out: OutFolder,
    resume: Resume = False,
    baselines: Baselines = True,
    json: Json = False,
    config: ProblemOptions = ProblemConfig(),  # noqa: B008 (frozen)
) -> None:
    """Learn to bridge a lag, to count or to time: the problems that recurrent networks have been tried on since 1990.

    Sequences are drawn as they are needed. Training ends once the problem is solved by its paper's own criterion.
    """
    _fit("problem", (name,), out, None, None, resume, baselines, json, config)


@app.command(name="program-execution")
def program_execution(
    *data: NoData,
    out: OutFolder,
    resume: Resume = False,
    baselines: Baselines = True,
    json: Json = False,
    config: ProgramExecutionOptions = ProgramExecutionConfig(),  # noqa: B008 (frozen)
) -> None:
    """Learn to say what short programs print, to add, or to copy, reading a character at a time.

    Problems are drawn as they are needed; a hash keeps those of the training, dev and test parts apart.
    """
    _fit("program-execution", data, out, None, None, resume, baselines, json, config)


def _check_words(data: tuple[str, ...]) -> None:
    """Refuse options that do not exist: where "-" stands for standard input, they are taken for data too."""
    shared = ("out", "dev", "test", "resume", "baselines", "no-baselines", "json", "help")
    own = (name.replace("_", "-") for name in LanguageModelConfig.model_fields)
    for word in data:
        if word.startswith("-") and word != "-":
            raise unknown("option", word, (f"--{name}" for name in (*shared, *own)))


def _fit(
    task: str,
    data: tuple[str, ...],
    out: Path,
    dev: Named | None,
    test: Named | None,
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
    for line in run.sparsity():
        print(line, file=sys.stderr)
    print(run.path, file=sys.stderr)
