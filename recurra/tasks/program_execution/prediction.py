"""What new programs print, as far as a network can tell."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from recurra.data.lines import lines_of
from recurra.errors import BadInput
from recurra.tasks.program_execution.scoring import answers

if TYPE_CHECKING:
    from recurra.tasks.run import Run


def predict(run: "Run", source: str, *, stream: bool) -> Iterator[str]:
    """A line for each program: what it prints. A program ends with the line that prints; a number to copy is a line.

    Args:
        source: a file, or "-" for standard input.
        stream: answer each as it comes, which is what is done anyway.

    Raises:
        BadInput: a program without a line that prints, or with a character that no program had.
    """
    name, lines = lines_of(source)
    for place, code in programs((line for _, line in lines), name, copies=run.config.problem == "copy"):
        try:
            (answer,) = answers(run.model, [code], run.config)
        except BadInput as error:
            raise BadInput(f"{name}: line {place}: {error}") from error
        yield answer + "\n"


def programs(lines: Iterable[str], name: str, *, copies: bool) -> Iterator[tuple[int, str]]:
    """Programs and the number of the line that each ends with; empty lines are passed over."""
    waiting: list[str] = []
    number = 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        waiting.append(line.rstrip())
        if copies or line.startswith("print"):
            yield number, "\n".join(waiting)
            waiting = []
    if waiting:
        raise BadInput(f"{name}: line {number}: the program that ends here prints nothing; end it with print(...)")
