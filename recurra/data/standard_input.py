"""The lines of standard input, as they come."""

import sys
from collections.abc import Iterator

from recurra.errors import BadInput


def lines() -> Iterator[str]:
    """Each line without its line feed, as soon as it is there.

    Raises:
        BadInput: it is closed, or a line is not UTF-8.
    """
    if sys.stdin is None:
        raise BadInput("standard input is closed; give it a file or a pipe")
    for number, line in enumerate(sys.stdin.buffer, 1):
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            raise BadInput(
                f"standard input: line {number} is not UTF-8 (byte 0x{line[error.start]:02x}); "
                "pass it through iconv -t utf-8"
            ) from error
        yield text.removesuffix("\n").removeprefix("\ufeff" if number == 1 else "")
