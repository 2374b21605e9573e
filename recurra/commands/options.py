"""What several verbs take alike."""

from itertools import count
from pathlib import Path
from typing import Annotated

from annotated_types import Ge, Gt, Le, Lt
from cyclopts import Parameter
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from recurra.tasks.classification.config import Config as ClassificationConfig
from recurra.tasks.dialogue.config import Config as DialogueConfig
from recurra.tasks.forecasting.config import Config as ForecastingConfig
from recurra.tasks.language_model.config import Config as LanguageModelConfig
from recurra.tasks.problem.config import Config as ProblemConfig
from recurra.tasks.program_execution.config import Config as ProgramExecutionConfig
from recurra.tasks.tagging.config import Config as TaggingConfig
from recurra.tasks.translation.config import Config as TranslationConfig

RunPath = Annotated[Path, Parameter(help="A run folder.")]
OutFolder = Annotated[Path, Parameter(help="Folder to make; one that exists is never overwritten.")]
Data = Annotated[str, Parameter(help="Files, folders, or one set of those that `recurra data list` shows.")]
DataOrStream = Annotated[
    str,
    Parameter(
        help="Files, folders, or one set of those that `recurra data list` shows; with --online a file, a pipe, or -, "
        "standard input.",
        allow_leading_hyphen=True,
    ),
]
NoData = Annotated[str, Parameter(show=False)]
"""Of a task that makes its own: what is given nevertheless is refused by name."""

ProblemName = Annotated[
    str, Parameter(help="One of the problems that docs/problems.md lists: adding, anbn, temporal-order …")
]
Dev = Annotated[str | None, Parameter(help="File to choose the best weights by (else cut from DATA).")]
Test = Annotated[str | None, Parameter(help="File to report on (else cut from DATA).")]
DevPair = Annotated[
    tuple[str, ...],
    Parameter(
        help="Files to choose the best weights by, as DATA (else cut from it).", consume_multiple=True, negative=""
    ),
]
TestPair = Annotated[
    tuple[str, ...],
    Parameter(help="Files to report on, as DATA (else cut from it).", consume_multiple=True, negative=""),
]
Resume = Annotated[bool, Parameter(negative="", help="Go on with what --out holds, to the same numbers.")]
Json = Annotated[bool, Parameter(negative="", help="Print the scores as JSON.")]
ClassificationOptions = Annotated[ClassificationConfig, Parameter(name="*")]
DialogueOptions = Annotated[DialogueConfig, Parameter(name="*")]
ForecastingOptions = Annotated[ForecastingConfig, Parameter(name="*")]
LanguageModelOptions = Annotated[LanguageModelConfig, Parameter(name="*")]


class SweptProblem(ProblemConfig):
    """Those of a comparison, which has the lag with its models."""

    lag: Annotated[int | None, Parameter(parse=False)] = None


ProblemOptions = Annotated[ProblemConfig, Parameter(name="*")]
SweptProblemOptions = Annotated[SweptProblem, Parameter(name="*")]
ProgramExecutionOptions = Annotated[ProgramExecutionConfig, Parameter(name="*")]
TaggingOptions = Annotated[TaggingConfig, Parameter(name="*")]
TranslationOptions = Annotated[TranslationConfig, Parameter(name="*")]


def next_free(path: Path) -> Path:
    """``path``, or the first of path-2, path-3, … that does not exist."""
    numbered = (path.with_name(f"{path.name}-{number}") for number in count(2))
    return path if not path.exists() else next(found for found in numbered if not found.exists())


def _describe_ranges(config: type[BaseModel]) -> None:
    """Let the description of every option, which `--help` prints, end in the range that the option must lie in."""
    for field in config.model_fields.values():
        if (limits := _range(field)) and "[range:" not in (
            field.description or ""
        ):  # fields that tasks share come again
            field.description = f"{field.description} [range: {limits}]"


def _range(field: FieldInfo) -> str:
    limits = []
    for limit in field.metadata:
        match limit:
            case Ge():
                limits.append(f"at least {limit.ge}")
            case Gt():
                limits.append(f"above {limit.gt}")
            case Le():
                limits.append(f"at most {limit.le}")
            case Lt():
                limits.append(f"below {limit.lt}")
    return ", ".join(limits)


for each in (
    ClassificationConfig,
    DialogueConfig,
    ForecastingConfig,
    LanguageModelConfig,
    ProblemConfig,
    ProgramExecutionConfig,
    TaggingConfig,
    TranslationConfig,
):
    _describe_ranges(each)
