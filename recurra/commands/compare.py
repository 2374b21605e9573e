"""``recurra compare TASK DATA --models … --out FOLDER``: one command for each task, as of ``recurra fit``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from recurra.commands.options import (
    ClassificationOptions,
    Data,
    Dev,
    DevPair,
    DialogueOptions,
    ForecastingOptions,
    Json,
    LanguageModelOptions,
    NoData,
    ProblemName,
    ProgramExecutionOptions,
    Resume,
    SweptProblem,
    SweptProblemOptions,
    TaggingOptions,
    Test,
    TestPair,
    TranslationOptions,
    next_free,
)
from recurra.commands.output import print_comparison, print_table
from recurra.tasks.classification.config import Config as ClassificationConfig
from recurra.tasks.dialogue.config import Config as DialogueConfig
from recurra.tasks.forecasting.config import Config as ForecastingConfig
from recurra.tasks.language_model.config import Config as LanguageModelConfig
from recurra.tasks.program_execution.config import Config as ProgramExecutionConfig
from recurra.tasks.tagging.config import Config as TaggingConfig
from recurra.tasks.translation.config import Config as TranslationConfig
from recurra.training.settings import Settings

if TYPE_CHECKING:
    from recurra.tasks.comparison import Comparison

app = App(name="compare", help="Train several models under one budget.")

Out = Annotated[
    Path | None, Parameter(help="Folder to make; one that exists is never overwritten. [default: runs/compared]")
]


@app.command(name="language-model")
def language_model(
    *data: Data,
    models: Annotated[
        str, Parameter(help="Names with commas between them: 1-gram to 6-gram, window or window-N, and any cell.")
    ],
    out: Out = None,
    dev: Dev = None,
    test: Test = None,
    resume: Resume = False,
    json: Json = False,
    config: LanguageModelOptions = LanguageModelConfig(),  # noqa: B008 (frozen)
) -> None:
    """Train language models on the same text for the same time, and compare their scores.

    Each network is trained for --time-limit seconds, 60 unless given, in as many epochs as that allows unless --epochs
    is given too. It becomes a run folder of its own, inside --out.
    """
    _compare("language-model", data, models, out, dev, test, resume, json, config)


@app.command(name="tagging")
def tagging(
    *data: Data,
    models: Annotated[
        str, Parameter(help="Names with commas between them: most-frequent, hmm, window or window-N, and any cell.")
    ],
    out: Out = None,
    dev: Dev = None,
    test: Test = None,
    resume: Resume = False,
    json: Json = False,
    config: TaggingOptions = TaggingConfig(),  # noqa: B008 (frozen)
) -> None:
    """Train taggers on the same sentences for the same time, and compare their scores; see language-model."""
    _compare("tagging", data, models, out, dev, test, resume, json, config)


@app.command(name="classification")
def classification(
    *data: Data,
    models: Annotated[
        str,
        Parameter(help="Names with commas: majority, 1-gram to 6-gram (texts), hmm (series), window-N, and any cell."),
    ],
    out: Out = None,
    dev: Dev = None,
    test: Test = None,
    resume: Resume = False,
    json: Json = False,
    config: ClassificationOptions = ClassificationConfig(),  # noqa: B008 (frozen)
) -> None:
    """Train classifiers on the same cases for the same time, and compare their scores; see language-model."""
    _compare("classification", data, models, out, dev, test, resume, json, config)


@app.command(name="translation")
def translation(
    *data: Data,
    models: Annotated[str, Parameter(help="Names with commas between them: copy, translation-memory, and any cell.")],
    out: Out = None,
    dev: DevPair = (),
    test: TestPair = (),
    resume: Resume = False,
    json: Json = False,
    config: TranslationOptions = TranslationConfig(),  # noqa: B008 (frozen)
) -> None:
    """Train translators on the same pairs for the same time, and compare their scores; see language-model."""
    _compare("translation", data, models, out, dev or None, test or None, resume, json, config)


@app.command(name="dialogue")
def dialogue(
    *data: Data,
    models: Annotated[str, Parameter(help="Names with commas between them: commonest, memory, and any cell.")],
    out: Out = None,
    dev: Dev = None,
    test: Test = None,
    resume: Resume = False,
    json: Json = False,
    config: DialogueOptions = DialogueConfig(),  # noqa: B008 (frozen)
) -> None:
    """Train networks on the same conversations for the same time, and compare their answers; see language-model."""
    _compare("dialogue", data, models, out, dev, test, resume, json, config)


@app.command(name="forecasting")
def forecasting(
    *data: Data,
    models: Annotated[
        str,
        Parameter(
            help="Names with commas: naive, seasonal-naive, drift, linear, markov, window, and any cell.",
        ),
    ],
    out: Out = None,
    dev: Dev = None,
    test: Test = None,
    resume: Resume = False,
    json: Json = False,
    config: ForecastingOptions = ForecastingConfig(),  # noqa: B008 (frozen)
) -> None:
    """Train forecasters on the same series for the same time, and compare their scores; see language-model."""
    _compare("forecasting", data, models, out, dev, test, resume, json, config)


@app.command(name="problem")
def problem(
    name: ProblemName,
    /,
    *,
    models: Annotated[
        str, Parameter(help="Names with commas between them: trivial, optimal, window or window-N, and any cell.")
    ],
    lag: Annotated[
        str | None, Parameter(help="One lag for all; or a range as 10:400, of lags each about twice the one before.")
    ] = None,
    out: Out = None,
    resume: Resume = False,
    json: Json = False,
    config: SweptProblemOptions = SweptProblem(),  # noqa: B008 (frozen)
) -> None:
    """Train networks on the same problem for the same time at every lag, and say which were solved how soon."""
    from recurra.tasks.problem.lags import at_lags, read_lags, table

    names = [model.strip() for model in models.split(",")]
    listed = names if lag is None else at_lags(names, read_lags(lag))
    found = _compare("problem", (name,), ",".join(listed), out, None, None, resume, json, config)
    if lag is not None and not json:
        print_table(*table(found.results, found.failed))


@app.command(name="program-execution")
def program_execution(
    *data: NoData,
    models: Annotated[str, Parameter(help="Names with commas between them: blind-trigram, and any cell.")],
    out: Out = None,
    resume: Resume = False,
    json: Json = False,
    config: ProgramExecutionOptions = ProgramExecutionConfig(),  # noqa: B008 (frozen)
) -> None:
    """Train networks on programs for the same time, and compare what they say these print; see language-model."""
    _compare("program-execution", data, models, out, None, None, resume, json, config)


def _compare(
    task: str,
    data: tuple[str, ...],
    models: str,
    out: Path | None,
    dev: str | tuple[str, ...] | None,
    test: str | tuple[str, ...] | None,
    resume: bool,
    json: bool,
    config: Settings,
) -> "Comparison":
    from recurra.tasks.comparison import compare

    given = {name: getattr(config, name) for name in config.model_fields_set}
    names = [name.strip() for name in models.split(",")]
    usual = Path("runs/compared")
    place = out or (usual if resume else next_free(usual))
    found = compare(task, *data, models=names, out=place, dev=dev, test=test, resume=resume, **given)
    print_comparison(found, json=json)
    return found
