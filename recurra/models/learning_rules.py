"""How a Hopfield network's weights follow from the patterns it is to hold."""

import torch
from jaxtyping import Float
from torch import Tensor


def hebbian(weights: Float[Tensor, "N N"], patterns: Float[Tensor, "P N"]) -> Float[Tensor, "N N"]:
    r"""The weights after further patterns, whatever their order.

    .. math::
        w_{ij} \leftarrow w_{ij} + \frac1N \sum_\mu \xi_i^\mu \xi_j^\mu, \qquad w_{ii} = 0

    Source: Hopfield (1982), PNAS 79:2554.
    """
    return (weights + patterns.T @ patterns / len(weights)).fill_diagonal_(0)


def storkey(weights: Float[Tensor, "N N"], patterns: Float[Tensor, "P N"]) -> Float[Tensor, "N N"]:
    r"""The weights after further patterns, one after the other, each less what the network says of it already.

    .. math::
        w_{ij} \leftarrow w_{ij} + \frac1N (\xi_i \xi_j - \xi_i h_{ji} - h_{ij} \xi_j), \qquad
        h_{ij} = \sum_{k \ne i, j} w_{ik} \xi_k, \qquad w_{ii} = 0

    Source: Storkey (1997), ICANN, LNCS 1327:451.
    """
    for pattern in patterns:
        # h_ij is the field of i without what j adds to it; as ξ_j² = 1, the two terms left out come back as 2 w_ij
        against = torch.outer(weights @ pattern, pattern)
        change = torch.outer(pattern, pattern) - against - against.T + 2 * weights
        weights = (weights + change / len(weights)).fill_diagonal_(0)
    return weights


def pseudo_inverse(patterns: Float[Tensor, "P N"]) -> Float[Tensor, "N N"]:
    r"""The projection onto the patterns' span, its diagonal then set to 0; all patterns have to be known.

    .. math::
        W = \Xi^+ \Xi, \qquad w_{ii} \leftarrow 0

    A pattern's field is then :math:`(1 - w_{ii}) \xi_i`, of the pattern's own sign, so each stays a fixed point; where
    :math:`w_{ii} = 1` it is a tie, which keeps the state too.

    Source: Personnaz, Guyon and Dreyfus (1985), J. Physique Lett. 46:359; without self-weights, for wider basins,
    Kanter and Sompolinsky (1987), Phys. Rev. A 35:380.
    """
    return (torch.linalg.pinv(patterns) @ patterns).fill_diagonal_(0)
