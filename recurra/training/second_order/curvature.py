"""Products with curvature matrices that are never formed: the Gauss–Newton matrix, and the Hessian."""

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import forward_ad, grad

from recurra.errors import BadInput
from recurra.recurrence.state import map_state, tensors
from recurra.training.second_order.passes import Made, Pass
from recurra.training.second_order.vectors import filled, flat, parts


class GaussNewton:
    r"""The Gauss–Newton matrix :math:`G = J^\top H_L J` of one batch at a model's present weights, N of them.

    J are the derivatives of the outputs, :math:`H_L` the Hessian of the loss in the outputs. Where the loss is
    convex in them, G has no negative curvature, whatever the network.

    Kept: the graph of one forward pass, as long as this object lives, and that of the loss alone. A product takes one
    pass with tangents and one backward; where some operation knows no forward mode, a backward through the graph of
    :math:`J^\top u`, which is then kept as well, takes the place of the pass with tangents.

    Args:
        call: the batch's pass.
        made: what its first run gave, with gradients.
        parameters: the trainable ones.

    Attributes:
        value: the loss.
        gradient: of the loss, ``(N,)``.

    Source: Schraudolph (2002), Neural Computation 14(7).

    Raises:
        BadInput: the loss depends on weights in another way than by the outputs.
    """

    def __init__(self, call: Pass[Any], made: Made, parameters: Sequence[Tensor]) -> None:
        self._parameters = parameters
        self._jacobian = Jacobian(call, made, parameters)
        outputs = map_state(_cut_off, made.outputs)
        self._outputs = [leaf for leaf in tensors(outputs) if leaf.requires_grad]
        with torch.enable_grad():
            value = made.loss(outputs)
            _check_form(value, parameters)
            slopes = grad(value, self._outputs, create_graph=True, allow_unused=True) if value.requires_grad else []
            self._slopes = filled(slopes, self._outputs)
        self.value = value.detach()
        self.gradient: Float[Tensor, " N"] = flat(self._jacobian.pull([slope.detach() for slope in self._slopes]))

    def product(self, v: Float[Tensor, " N"], hidden: float = 0.0) -> Float[Tensor, " N"]:
        r"""G v, plus the curvature of ``hidden`` times half the mean squared distance that the hidden states move by.

        The mean is over all vectors of a watched layer (structural damping, Martens and Sutskever 2011).

        Raises:
            BadInput: the loss has negative curvature along J v.
        """
        moved = self._jacobian.push(parts(v, self._parameters))
        outputs, states = moved[: len(self._outputs)], moved[len(self._outputs) :]
        curved = self._loss_curvature(outputs)
        _check_convex(outputs, curved, v)
        held = [state * (hidden * state.shape[-1] / max(1, state.numel())) for state in states]
        return flat(self._jacobian.pull([*curved, *held]))

    def _loss_curvature(self, w: list[Tensor]) -> list[Tensor]:
        """H_L w."""
        pairs = [(slope, each) for slope, each in zip(self._slopes, w, strict=True) if slope.requires_grad]
        if not pairs:  # linear in the outputs
            return [torch.zeros_like(each) for each in w]
        slopes, given = zip(*pairs, strict=True)
        return filled(grad(slopes, self._outputs, given, retain_graph=True, allow_unused=True), self._outputs)


class Hessian:
    """The Hessian of one batch's loss at a model's present weights, N of them.

    Kept: the graph of the loss and of its gradient, about three times what a backward needs. A product is one backward
    through both. What is kept and the attributes are otherwise as of :class:`GaussNewton`.
    """

    def __init__(self, call: Pass[Any], made: Made, parameters: Sequence[Tensor]) -> None:
        self._parameters = parameters
        with torch.enable_grad():
            value = made.loss(made.outputs)
            self._slopes = flat(filled(grad(value, parameters, create_graph=True, allow_unused=True), parameters))
        self.value = value.detach()
        self.gradient: Float[Tensor, " N"] = self._slopes.detach()

    def product(self, v: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
        """H v."""
        if not self._slopes.requires_grad:  # linear in the weights
            return torch.zeros_like(v)
        found = grad(self._slopes, self._parameters, v, retain_graph=True, allow_unused=True)
        return flat(filled(found, self._parameters))


class Jacobian:
    """The derivatives of what a pass gives (those of its outputs that depend on weights, then its hidden states)."""

    def __init__(self, call: Pass[Any], made: Made, parameters: Sequence[Tensor]) -> None:
        self._call, self._parameters = call, parameters
        everything = _leaves(made)
        self._numbers = [number for number, leaf in enumerate(everything) if leaf.requires_grad]
        self._graph = [everything[number] for number in self._numbers]
        self._transposed: tuple[list[Tensor], list[Tensor]] | None = None

    def pull(self, u: Sequence[Tensor]) -> list[Tensor]:
        """Jᵀ u, by a backward through the graph that is kept; of ``u`` what is not given is zero."""
        graph = self._graph[: len(u)]
        if not graph:
            return [torch.zeros_like(each) for each in self._parameters]
        found = grad(graph, self._parameters, list(u), retain_graph=True, allow_unused=True)
        return filled(found, self._parameters)

    def push(self, v: Sequence[Tensor]) -> list[Tensor]:
        """J v."""
        if self._transposed is None:
            try:
                return forward_mode(self._call, self._numbers, self._parameters, v)
            except RuntimeError:  # an operation without forward mode; what is wrong otherwise is so below too
                self._transposed = self._transpose()
        u, slopes = self._transposed
        pairs = [(slope, each) for slope, each in zip(slopes, v, strict=True) if slope.requires_grad]
        if not pairs:
            return [torch.zeros_like(each) for each in u]
        from_slopes, given = zip(*pairs, strict=True)
        return filled(grad(from_slopes, u, given, retain_graph=True, allow_unused=True), u)

    def _transpose(self) -> tuple[list[Tensor], list[Tensor]]:
        """Jᵀ u with its graph in u, in which it is linear: J v is the derivative of vᵀ Jᵀ u."""
        u = [torch.zeros_like(leaf).requires_grad_() for leaf in self._graph]
        with torch.enable_grad():
            found = grad(self._graph, self._parameters, u, create_graph=True, allow_unused=True)
        return u, filled(found, self._parameters)


def forward_mode(
    call: Pass[Any], numbers: Sequence[int], parameters: Sequence[Tensor], v: Sequence[Tensor]
) -> list[Tensor]:
    """J v of the tensors that a pass gives, by one pass with dual numbers: nothing is kept for a backward.

    Args:
        numbers: which of the tensors.

    Raises:
        RuntimeError: an operation has no forward mode.
    """
    with torch.no_grad(), forward_ad.dual_level(), warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "`torch.jit.script` is deprecated", DeprecationWarning
        )  # torch's own use of it
        duals = [forward_ad.make_dual(each.detach(), tangent) for each, tangent in zip(parameters, v, strict=True)]
        leaves = _leaves(call.at(duals))
        found = [forward_ad.unpack_dual(leaves[number]) for number in numbers]
        return filled([dual.tangent for dual in found], [dual.primal for dual in found])


def _cut_off(leaf: Tensor) -> Tensor:
    return leaf.detach().requires_grad_() if leaf.requires_grad else leaf


def _leaves(made: Made) -> list[Tensor]:
    return [*tensors(made.outputs), *made.hidden]


def _check_form(value: Tensor, parameters: Sequence[Tensor]) -> None:
    # the loss was cut off from the model: what still reaches the weights went past the outputs
    past = grad(value, parameters, retain_graph=True, allow_unused=True) if value.requires_grad else ()
    if any(found is not None for found in past):
        raise BadInput(
            "a loss without Gauss–Newton form: it depends on weights in another way than by the outputs; let it be a "
            "function of its argument alone, and give a penalty of weights as weight_decay"
        )


def _check_convex(w: list[Tensor], curved: list[Tensor], v: Tensor) -> None:
    """Raise where wᵀ H_L w is negative beyond rounding, which is seen beside the least damping that is of use."""
    if not w:
        return
    flat_w, flat_c = flat(w), flat(curved)
    rounding = 1e3 * torch.finfo(flat_w.dtype).eps
    along = flat_w.dot(flat_c)
    if along < -rounding * (flat_w.norm() * flat_c.norm() + v.square().sum()):
        raise BadInput(
            f"a loss without Gauss–Newton form: it must be convex in the outputs, but its curvature is "
            f"{along / flat_w.square().sum():.3g} along a direction; "
            "choose another loss, or an optimizer without curvature"
        )
