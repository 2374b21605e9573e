"""Small files of cases."""

import csv
import random
from pathlib import Path

import numpy as np

SIDES = {"praise": ("good", "lovely", "bright"), "blame": ("bad", "dull", "grim"), "fact": ("tall", "round", "wooden")}
FILLERS = "the film a plot with some scene and it was very of".split()


def reviews(path: Path, cases: int, *, seed: int = 0, labels: bool = True) -> Path:
    """A table whose texts hold a word of their class between others."""
    draw = random.Random(seed)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "review", *(["side"] if labels else [])])
        for number in range(cases):
            side = list(SIDES)[number % 3]
            words = [*draw.choices(FILLERS, k=draw.randint(1, 8)), draw.choice(SIDES[side])]
            draw.shuffle(words)
            writer.writerow([number, " ".join(words), *([side] if labels else [])])
    return path


def topics(path: Path, cases: int, *, seed: int = 0) -> Path:
    """A table whose texts hold words of some sides, or none; their labels stand in one cell."""
    draw = random.Random(seed)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for _ in range(cases):
            sides = [side for side in SIDES if draw.random() < 0.4]
            words = [*draw.choices(FILLERS, k=4), *(draw.choice(SIDES[side]) for side in sides)]
            draw.shuffle(words)
            writer.writerow([" ".join(words), ";".join(sides)])
    return path


def waves(path: Path, cases: int, *, seed: int = 0, dimensions: int = 2, labels: bool = True) -> Path:
    """Series of 5 to 12 steps that rise or fall, in sktime's format."""
    draw = np.random.default_rng(seed)
    lines = ["@problemName Waves", "@timeStamps false", "@missing false", "@univariate false", "@equalLength false"]
    lines += [f"@dimensions {dimensions}", f"@classLabel {'true fall rise' if labels else 'false'}", "@data"]
    for number in range(cases):
        steps = int(draw.integers(5, 13))
        trend = np.linspace(0, 2, steps) * (1 if number % 2 else -1)
        series = 50 + 10 * (trend + draw.normal(0, 0.2, (dimensions, steps)))
        values = [",".join(f"{value:.4f}" for value in row) for row in series]
        lines.append(":".join([*values, *(["rise" if number % 2 else "fall"] if labels else [])]))
    path.write_text("\n".join(lines) + "\n")
    return path
