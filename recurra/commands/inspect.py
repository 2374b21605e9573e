"""``recurra inspect RUN``."""

from recurra.commands.options import RunPath


def inspect(run: RunPath, /) -> None:
    """Draw the pictures of a run and print their paths."""
    from recurra.tasks.run import load

    for picture in load(run).present():
        print(picture)
