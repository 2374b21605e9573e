"""Which windows a part has, and those of an epoch, a batch at a time."""

import numpy as np

from recurra.errors import BadInput
from recurra.models.forecasting.windows import Windows
from recurra.tasks.forecasting.reading import Data, PartName
from recurra.tasks.forecasting.windows import Cuts, Scaling, make_windows

MOST = {"train": 10_000, "dev": 2_000, "test": 50_000}
"""Windows that a part is scored by; of more than these, so many at even distances."""

DRAWN = 10
"""By which they are divided where forecasts are drawn as paths."""


class Origins:
    """The windows of a part by their numbers: of every series all that lie within the part.

    In the training part they begin where a whole context lies before them, or at the last origin of a shorter series.

    Args:
        stride: steps between the origins of a series, counted from the last one back.
        most: of a series, the last ones.
    """

    def __init__(self, data: Data, part: PartName, *, stride: int = 1, most: int | None = None) -> None:
        begin, end = data.bounds(part)
        last = end - data.meaning.horizon
        if part == "train":
            begin = np.maximum(begin, np.minimum(data.meaning.context, last))
        self._last, self._stride = last, stride
        counts = np.where(last >= begin, (last - begin) // stride + 1, 0)
        counts = counts if most is None else np.minimum(counts, most)
        self._series = np.flatnonzero(counts)
        self._ends = counts[self._series].cumsum()

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, numbers: np.ndarray, /) -> Cuts:
        """Windows by their numbers, series by series, from the first origin on."""
        place = np.searchsorted(self._ends, numbers, "right")
        series = self._series[place]
        return Cuts(series, self._last[series] - (self._ends[place] - 1 - numbers) * self._stride)

    def all(self, most: int) -> Cuts:
        """All of them; of more than ``most``, so many at even distances, the first and the last among them."""
        if len(self) <= most:
            return self[np.arange(len(self))]
        return self[np.linspace(0, len(self) - 1, most).round().astype(np.int64)]


def cuts_of(data: Data, part: PartName) -> Cuts:
    """The windows that a part is scored by."""
    most = MOST[part] // DRAWN if data.config.model == "autoregressive" else MOST[part]
    return Origins(data, part).all(most)


class TrainingBatches:
    """The batches of an epoch: windows in random order.

    Args:
        most: windows of the epoch; of more than these they are drawn.
    """

    def __init__(self, data: Data, scaling: Scaling, batch_size: int, *, most: int, seed: int, epoch: int) -> None:
        self._data, self._scaling, self._size = data, scaling, batch_size
        origins, draw = Origins(data, "train"), np.random.default_rng([seed, epoch])
        whole = len(origins) <= most
        numbers = draw.permutation(len(origins)) if whole else draw.integers(0, len(origins), most)
        self._cuts = origins[numbers]

    def __len__(self) -> int:
        return -(-len(self._cuts) // self._size)

    def __getitem__(self, number: int) -> Windows:
        """Raises BadInput where nothing is observed in any of a batch's contexts."""
        cuts = self._cuts.take(slice(number * self._size, (number + 1) * self._size))
        found = with_observations(make_windows(self._data, cuts, self._scaling, training=True))
        if not len(found.target):
            raise BadInput(
                f"nothing was observed within {self._data.meaning.context} steps before some windows; "
                "give a longer --context"
            )
        return found


def with_observations(found: Windows) -> Windows:
    """Those windows in whose context something was observed; a network has nothing to begin from in others."""
    kept = found.observed[:, : found.context].any(1)
    return found if kept.all() else Windows(*(each[kept] for each in found))
