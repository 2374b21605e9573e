"""Numerals in two languages, in the order of their words or backwards."""

import random
from pathlib import Path

ENGLISH = "one two three four five six seven eight nine ten".split()
GERMAN = "eins zwei drei vier fünf sechs sieben acht neun zehn".split()


def numerals(count: int, *, seed: int = 0, longest: int = 4) -> list[tuple[str, str]]:
    """Lists of numerals and the same in German."""
    draw = random.Random(seed)
    found = []
    for _ in range(count):
        numbers = draw.choices(range(10), k=draw.randint(1, longest))
        found.append((" ".join(ENGLISH[n] for n in numbers), " ".join(GERMAN[n] for n in numbers)))
    return found


def write_pairs(folder: Path, name: str, pairs: list[tuple[str, str]]) -> tuple[Path, Path]:
    """``name.en`` and ``name.de``."""
    paths = folder / f"{name}.en", folder / f"{name}.de"
    for path, side in zip(paths, zip(*pairs, strict=True), strict=True):
        path.write_text("".join(f"{line}\n" for line in side))
    return paths
