"""Penalties of weights by their proximal maps, whose zeros are exactly zero: after a step of any optimiser a weight w
becomes the v at which ½ (v - w)² + rate · penalty(v) is least."""

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import groupby
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from recurra.errors import BadInput
from recurra.layers.roles import Weight, weights_by_role
from recurra.training.penalties.options import GRADIENT_FLOW, GROUPS, WEIGHTS, Penalty, listed, parse


class WeightPenalty(NamedTuple):
    """One penalty and the weights that it is of."""

    penalty: Penalty
    weights: list[Weight]


def weight_penalties(model: nn.Module, asked: str | Mapping[str, float | str] | Iterable[str]) -> list[WeightPenalty]:
    """The penalties of a model's weights, for :func:`proximal_step`.

    Args:
        asked: ``{"recurrent:l1": 1e-4, "output:group-in": 1e-3}``, or texts ``recurrent:l1=1e-4``. What stands before
            the colon is a role ("input", "recurrent", "bias", "embedding", "output"; see
            :class:`recurra.layers.roles.Weight`) or a pattern of parameters' names (``encoder.*``); without it, all
            weights but biases. The penalties of a weight w, each times its strength:

            l1          Σ |w|. With l2 of the same group this is the elastic net.
            l2          ½ Σ w².
            truncated   ``1e-4,0.1``: l1 of the weights of a magnitude up to 0.1 alone.
            group-in    Σ √p ‖w‖ over the units of a layer, w being all p weights by which its gates read: units go to
                        zero as a whole. Of an embedding: over its tokens.
            group-out   the same, w being all weights that leave a unit, to every gate of the next step.

    Raises:
        BadInput: a text that cannot be read, or a group that the model does not have.

    Source: Duchi and Singer (2009), Efficient online and batch learning using forward backward splitting, JMLR 10;
        Langford, Li and Zhang (2009), Sparse online learning via truncated gradient, JMLR 10; groups and their √p: Yuan
        and Lin (2006), JRSS B 68.
    """
    parsed = [penalty for penalty in map(parse, listed(asked)) if penalty.name != GRADIENT_FLOW]
    known = weights_by_role(model) if parsed else []
    found = [WeightPenalty(penalty, _chosen(penalty, known)) for penalty in parsed]
    return sorted(found, key=lambda each: WEIGHTS.index(each.penalty.name))


@torch.no_grad()
def proximal_step(penalties: Sequence[WeightPenalty], rate: float) -> None:
    """What the penalties make of the weights after an optimiser's step of this learning rate.

    With plain gradient descent this is forward-backward splitting, whose fixed points are the minima of loss plus
    penalties. Weights are drawn together by rate · strength whatever the optimiser scaled its step by, as decoupled
    weight decay does it: under momentum µ the loss weighs 1 / (1 - µ) times as much, and under Adam and its like a
    weight's loss weighs as that weight's own scale says.
    """
    for penalty, weights in penalties:
        amount = rate * penalty.strength
        match penalty.name:
            case "l1" | "truncated":
                for weight in weights:
                    truncate(weight.parameter, amount, penalty.threshold)
            case "l2":
                for weight in weights:
                    weight.parameter.div_(1 + amount)
            case "group-in":
                for blocks in _units(weights, 0):
                    shrink_groups([block.T for block in blocks], amount)
            case "group-out":
                for blocks in _units(weights, 1):
                    shrink_groups(blocks, amount)


def truncate(weight: Float[Tensor, "..."], amount: float, threshold: float) -> None:
    """Draw numbers of a magnitude up to ``threshold`` towards zero by ``amount``, and to zero where they come there."""
    drawn = torch.where(weight.abs() > amount, weight - amount * weight.sign(), torch.zeros_like(weight))
    weight.copy_(drawn if threshold == torch.inf else torch.where(weight.abs() <= threshold, drawn, weight))


def shrink_groups(blocks: Sequence[Float[Tensor, "R_ C"]], amount: float) -> None:
    """Shorten each column, taken through all blocks as one vector of p numbers, by ``amount`` · √p; to zero where it is
    shorter than that."""
    size = sum(len(block) for block in blocks)
    squares = sum(block.square().sum(0) for block in blocks)
    assert isinstance(squares, Tensor)
    norms, least = squares.sqrt(), amount * size**0.5
    kept = torch.where(norms > least, 1 - least / norms, torch.zeros_like(norms))
    for block in blocks:
        block.mul_(kept)


def zeros(model: nn.Module) -> dict[str, dict[str, int]]:
    """How many weights of each role there are, and how many of them are exactly zero: ``{"recurrent": {"zero": 3,
    "weights": 16}}``."""
    known = weights_by_role(model)
    found = {}
    for role in GROUPS:
        own = [weight.parameter for weight in known if weight.role == role]
        if own:
            count = sum(weight.numel() for weight in own)
            found[role] = {"zero": count - sum(int(weight.count_nonzero()) for weight in own), "weights": count}
    return found


def zeros_described(found: Mapping[str, Mapping[str, int]]) -> str:
    """What :func:`zeros` found, in a line."""
    shares = (f"{role} {each['zero'] / each['weights']:.1%} of {each['weights']:,}" for role, each in found.items())
    return "weights that are zero: " + ", ".join(shares)


def _chosen(penalty: Penalty, known: list[Weight]) -> list[Weight]:
    group, text = penalty.group, penalty.text
    if group in GROUPS:
        found = [weight for weight in known if weight.role == group]
    elif group:
        found = [weight for weight in known if fnmatchcase(weight.name, group)]
    else:
        found = [weight for weight in known if weight.role != "bias"]
    if penalty.name.startswith("group"):
        found = [weight for weight in found if weight.blocks()]
    if not found:
        kind = "matrices" if penalty.name.startswith("group") else "weights"
        roles = [role for role in GROUPS if any(weight.role == role for weight in known)]
        raise BadInput(
            f"--regularize {text}: the model has no such {kind}; it has weights of the groups {', '.join(roles)}"
        )
    return found


def _units(weights: list[Weight], side: int) -> list[list[Tensor]]:
    """The matrices that share their units on a side (0: those that are read into, 1: those that are left): of one role,
    cell and size."""

    def shared(pair: tuple[Weight, Tensor]) -> tuple[int, str, int]:
        weight, block = pair
        return id(weight.owner), weight.role, block.shape[side]

    pairs = sorted(((weight, block) for weight in weights for block in weight.blocks()), key=shared)
    return [[block for _, block in together] for _, together in groupby(pairs, key=shared)]
