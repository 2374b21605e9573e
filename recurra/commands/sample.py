"""``recurra sample RUN``."""

import sys
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from recurra.commands.options import RunPath


def sample(
    run: RunPath,
    /,
    *,
    prompt: Annotated[str, Parameter(help="Text that the model reads first.")] = "",
    length: Annotated[int, Parameter(help="Most tokens to draw.", validator=Number(gte=1))] = 500,
    temperature: Annotated[
        float,
        Parameter(help="Below 1 the likely becomes likelier; 0 takes the likeliest.", validator=Number(gte=0, lte=100)),
    ] = 1.0,
    top_k: Annotated[int | None, Parameter(help="Only the k likeliest tokens.", validator=Number(gte=1))] = None,
    top_p: Annotated[
        float | None,
        Parameter(help="Only the likeliest tokens that reach this probability.", validator=Number(gt=0, lte=1)),
    ] = None,
    stop: Annotated[str | None, Parameter(help="End before this text would come.")] = None,
    seed: Annotated[
        int | None, Parameter(help="The same seed draws the same text.", validator=Number(gte=0, lt=2**63))
    ] = None,
) -> None:
    """Draw new text, printed as it comes."""
    from recurra.tasks.run import load
    from recurra.training.machine import own_threads

    opened = load(run)
    opened.check_able("sample", "predict")
    pieces = opened.task.sample(
        opened,
        prompt=prompt,
        length=length,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        stop=stop,
        seed=seed,
    )
    with own_threads(opened.config):
        sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # bytes of a prompt, or of a model, may be no text
        first = next(pieces, "")  # a prompt that cannot be read is refused before anything is printed
        sys.stdout.write(prompt + first)
        for piece in pieces:
            sys.stdout.write(piece)
            sys.stdout.flush()
    sys.stdout.write("\n")
