"""Small tables of series."""

import numpy as np
import pandas as pd

DAYS = pd.date_range("2025-01-01", periods=120, freq="D")


def sales(shops=("north", "south"), days=120, *, seed=0, ahead=0):
    """Units sold by shop and day: a week's cycle, a trend, a promotion known ahead, visitors known afterwards.

    Args:
        ahead: further days of which only the promotion is known.
    """
    draw = np.random.default_rng(seed)
    frames = []
    for number, shop in enumerate(shops):
        steps = np.arange(days + ahead)
        promotion = (draw.random(len(steps)) < 0.2).astype(int)
        week = np.array([5, 4, 4, 5, 8, 12, 9])[steps % 7]
        units = (number + 1) * (week + 0.05 * steps) + 6 * promotion + draw.normal(0, 0.5, len(steps))
        frame = pd.DataFrame(
            {
                "date": pd.date_range("2025-01-01", periods=len(steps), freq="D"),
                "shop": shop,
                "units": units.round(3),
                "promotion": promotion,
                "visitors": (units * 3 + draw.normal(0, 1, len(steps))).round(2),
                "area": 100.0 * (number + 1),
            }
        )
        frame.loc[steps >= days, ["units", "visitors"]] = np.nan
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)
