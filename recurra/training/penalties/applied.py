"""The penalties of a training run, where its loop meets them."""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext

from torch import nn

from recurra.training.penalties.gradient_flow import GradientFlow
from recurra.training.penalties.options import GRADIENT_FLOW, listed, parse
from recurra.training.penalties.weights import proximal_step, weight_penalties


class Penalties:
    """What a run pays for besides its loss.

    Raises:
        BadInput: a text that cannot be read, or what the model does not have.
    """

    def __init__(self, model: nn.Module, asked: str | Mapping[str, float | str] | Iterable[str]) -> None:
        texts = listed(asked)
        self.flow_strength = sum(each.strength for each in map(parse, texts) if each.name == GRADIENT_FLOW)
        self.flow = GradientFlow(model) if self.flow_strength else None
        self.weights = weight_penalties(model, texts)

    def watching(self) -> AbstractContextManager[None]:
        """What the loss is to be computed in."""
        return self.flow.watching() if self.flow else nullcontext()

    def add_gradients(self, batches: int) -> None:
        """Add those of what was watched, in an update of so many batches, after the loss's own."""
        if self.flow and (omega := self.flow.omega()).requires_grad:
            (omega * (self.flow_strength / batches)).backward()

    def after_step(self, rate: float) -> None:
        """What the penalties make of the weights after a step of this learning rate."""
        proximal_step(self.weights, rate)
