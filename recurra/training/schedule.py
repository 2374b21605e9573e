"""The learning rate as training goes on."""

import math
from dataclasses import dataclass

from recurra.training.settings import Settings


@dataclass
class Plateau:
    """What the plateau schedule remembers between validations."""

    scale: float = 1.0
    without_gain: int = 0

    def after_validation(self, improved: bool, settings: Settings) -> None:
        """Let the rate fall once ``decay_after`` validations in a row have passed without a gain."""
        self.without_gain = 0 if improved else self.without_gain + 1
        if self.without_gain > settings.decay_after:
            self.scale *= settings.decay
            self.without_gain = 0


def learning_rate(settings: Settings, *, update: int, epoch: int, done: float, plateau: Plateau) -> float:
    """The rate of one update.

    Args:
        update: updates made before this one.
        epoch: epochs finished before this one.
        done: the part of the whole training that lies behind, 0 to 1, by updates or by time, whichever is further.
        plateau: the memory of the plateau schedule.
    """
    match settings.schedule:
        case "constant":
            scale = 1.0
        case "cosine":
            scale = (1 + math.cos(math.pi * done)) / 2
        case "plateau":
            scale = plateau.scale
        case "step":
            scale = settings.decay ** max(0, epoch + 1 - settings.decay_after)
    warm = min(1.0, (update + 1) / settings.warm_up) if settings.warm_up else 1.0
    return settings.learning_rate * scale * warm
