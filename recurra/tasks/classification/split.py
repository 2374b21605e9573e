"""Cutting a part off the cases so that every class keeps its share in both."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

Labels = Sequence[tuple[str, ...]]


def cut(labels: Labels, rows: np.ndarray, share: float, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The ``rows`` that stay and those that are cut off, each in ascending order.

    Of every class about ``share`` is cut, drawn at random: at least one case, but never the last. A case with several
    labels goes with its rarest one.

    Args:
        labels: of all cases.
        rows: those to be parted.
    """
    draw = np.random.default_rng(seed)
    classes: dict[str, list[int]] = {}
    counts = Counter(label for row in rows for label in labels[row])
    for row in rows.tolist():
        classes.setdefault(min(labels[row], key=lambda label: (counts[label], label), default=""), []).append(row)
    off: list[int] = []
    for name in sorted(classes):
        members = draw.permutation(classes[name])
        off += members[: min(max(1, round(share * len(members))), len(members) - 1)].tolist()
    taken = np.isin(rows, off)
    return rows[~taken], rows[taken]
