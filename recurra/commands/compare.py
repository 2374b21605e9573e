"""``recurra compare TASK DATA --models … --out FOLDER``: one command for each task, as of ``recurra fit``."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from recurra.commands.options import Data, Dev, Json, LanguageModelOptions, Resume, Test, next_free
from recurra.commands.output import print_comparison
from recurra.tasks.language_model.config import Config as LanguageModelConfig

app = App(name="compare", help="Train several models under one budget.")


@app.command(name="language-model")
def language_model(
    *data: Data,
    models: Annotated[
        str, Parameter(help="Names with commas between them: 1-gram to 6-gram, window or window-N, and any cell.")
    ],
    out: Annotated[
        Path | None, Parameter(help="Folder to make; one that exists is never overwritten. [default: runs/compared]")
    ] = None,
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
    from recurra.tasks.comparison import compare

    given = {name: getattr(config, name) for name in config.model_fields_set}
    names = [name.strip() for name in models.split(",")]
    usual = Path("runs/compared")
    place = out or (usual if resume else next_free(usual))
    found = compare("language-model", *data, models=names, out=place, dev=dev, test=test, resume=resume, **given)
    print_comparison(found, json=json)
