"""A measured value together with everything needed to compare it with another one."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Score:
    """A value with its unit, its direction and the settings that produced it.

    Args:
        name: what was measured.
        value: in ``unit``.
        signature: data, tool, version and settings; scores of different signatures are not comparable.
    """

    name: str
    value: float
    unit: str
    higher_is_better: bool
    signature: str

    def better_than(self, other: "Score") -> bool:
        """Whether this value is strictly better.

        Raises:
            ValueError: the two were not measured alike.
        """
        if (self.name, self.signature) != (other.name, other.signature):
            raise ValueError(f"not comparable: {self} and {other}")
        return self.value > other.value if self.higher_is_better else self.value < other.value

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.name} {self.value:.4g} {self.unit} [{self.signature}]"
