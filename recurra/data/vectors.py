"""Pretrained word vectors from the text formats of word2vec and GloVe."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from recurra.errors import BadInput


def read_vectors(path: Path, words: Sequence[str], size: int) -> dict[int, np.ndarray]:
    """The vectors of those ``words`` that the file has, by the word's number; other lines are passed over.

    Args:
        path: UTF-8 text, one ``word number number …`` a line, word2vec's first line ``count size`` allowed. Where a
            word stands twice, the first line holds.
        words: the words wanted; their position is their number.
        size: features of a vector.

    Raises:
        BadInput: the file is missing, its vectors have another size, or a line does not hold numbers.
    """
    wanted = {word: number for number, word in reversed(list(enumerate(words))) if word.strip()}
    found: dict[int, np.ndarray] = {}
    try:
        with path.open(encoding="utf-8", errors="replace", newline="\n") as file:
            for place, line in enumerate(file, start=1):
                word, *numbers = line.rstrip().split(" ")
                if place == 1 and len(numbers) == 1:
                    _check_size(path, place, int(numbers[0]) if numbers[0].isdigit() else 0, size)
                    continue
                if place <= 2 or word in wanted:
                    _check_size(path, place, len(numbers), size)
                if word in wanted and wanted[word] not in found:
                    found[wanted[word]] = np.array(numbers, dtype=np.float32)
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}; --vectors names a word2vec or GloVe text file") from error
    except ValueError as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"{path}, line {place}: not numbers after the word {word!r} ({error})") from error
    return found


def _check_size(path: Path, place: int, here: int, size: int) -> None:
    if here != size:
        raise BadInput(f"{path}, line {place}: {here} numbers a vector, the model takes {size}; set --embedding-size")
