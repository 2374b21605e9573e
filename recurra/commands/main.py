"""The command ``recurra``: its verbs, and how anything that goes wrong is said."""

import sys
from importlib.metadata import version
from typing import Any

from cyclopts import App, CycloptsError, Parameter, UnknownCommandError
from pydantic import BaseModel, ValidationError

from recurra.errors import BadInput, Stopped, unknown
from recurra.training.settings import explain_invalid

app = App(
    name="recurra",
    help="Learn from sequences with recurrent networks: train, score, sample, compare, explain.",
    version=lambda: version("recurra"),
    version_flags=["--version"],
    default_parameter=Parameter(negative_iterable=()),
)
app.command("recurra.commands.fit:app", name="fit", help="Train a model and leave a run folder.")
app.command("recurra.commands.evaluate:evaluate", name="evaluate", help="Score a run, with baselines beside it.")
app.command("recurra.commands.predict:predict", name="predict", help="What a run says of new input.")
app.command("recurra.commands.chat:chat", name="chat", help="Talk to a run of dialogue.")
app.command("recurra.commands.rerank:rerank", name="rerank", help="Another system's candidates, the best first.")
app.command("recurra.commands.recall:recall", name="recall", help="Recall patterns from damaged ones.")
app.command("recurra.commands.sample:sample", name="sample", help="Draw new sequences from a run.")
app.command("recurra.commands.quantize:quantize", name="quantize", help="A run with weights of int8, to be served.")
app.command("recurra.commands.compare:app", name="compare", help="Train several models under one budget.")
app.command("recurra.commands.inspect:inspect", name="inspect", help="Draw what a run learnt and how.")
app.command("recurra.commands.data:app", name="data", help="Public data sets: what there is, and getting one.")
app.command("recurra.commands.demo:demo", name="demo", help="The whole way in about a minute, on a text you have.")
app.command("recurra.commands.bench:bench", name="bench", help="Speed beside other libraries, or of your own cell.")
app.command("recurra.commands.explain:explain", name="explain", help="What the compiler does with a cell, or why not.")
app.register_install_completion_command(name="--install-completion", help="Let the shell complete verbs and options.")


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; bad input is one line on stderr and exit code 2."""
    try:
        result = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        _fail(_usage_error(error))
    except BadInput as error:
        _fail(str(error))
    except Stopped as stopped:
        print(f"recurra: {stopped}; go on with --resume", file=sys.stderr)
        sys.exit(128 + stopped.number)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # the reader has gone (a pipe into head): nothing more to say, nor anything for Python to flush at exit
        sys.stderr.close()
        sys.exit(141)
    sys.exit(result if isinstance(result, int) else 0)


def _fail(message: str) -> None:
    print("recurra: " + " ".join(message.split()), file=sys.stderr)
    sys.exit(2)


def _usage_error(error: CycloptsError) -> str:
    cause: Any = error.__cause__
    if isinstance(cause, ValidationError) and (kind := _model_of(error)) is not None:
        return str(explain_invalid(cause, kind))
    if isinstance(error, UnknownCommandError) and (word := (error.unused_tokens or [""])[0]).startswith("-"):
        return str(unknown("option", word, ("--help", "--version", "--install-completion")))
    return str(error)


def _model_of(error: Any) -> type[BaseModel] | None:
    hint = getattr(error.argument, "hint", None)
    return hint if isinstance(hint, type) and issubclass(hint, BaseModel) else None
