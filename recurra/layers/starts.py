"""How the weights of a recurrence begin: starts of the literature, for any cell by what its weights are for."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from recurra.cells import (
    GRU,
    LSTM,
    LSTMP,
    MLSTM,
    SLSTM,
    SRU,
    LayerNormLSTM,
    MinGRU,
    MinLSTM,
    MultiplicativeLSTM,
    PeepholeLSTM,
    RecurrentHighway,
)
from recurra.errors import BadInput
from recurra.layers.roles import cells, weights_by_role


class Gates(NamedTuple):
    """The biases of what lets a unit keep its past and take in the new.

    Args:
        keep: of the gate that decides how much of its past a unit keeps.
        sign: 1 where more of that bias keeps more, -1 where it keeps less.
        enter: of the input gate, where it is not what the other leaves.
    """

    keep: Tensor
    sign: int
    enter: Tensor | None = None


@torch.no_grad()
def orthogonal(module: nn.Module, scale: float = 1.0) -> None:
    """Let every square block of recurrent weights, one for each gate, begin as a random orthogonal matrix times
    ``scale``: in a linear recurrence no error would grow or vanish.

    Args:
        module: a cell, a layer, or a model with recurrent layers in it.

    Raises:
        BadInput: no recurrent weights are square.

    Source: Saxe, McClelland and Ganguli (2014), arXiv:1312.6120.
    """
    for block in _square_blocks(module):
        nn.init.orthogonal_(block, gain=scale)


@torch.no_grad()
def identity(module: nn.Module, scale: float = 1.0) -> None:
    """Let every square block of recurrent weights begin as the identity times ``scale``: with rectified units and no
    bias, a unit keeps its value. Arguments and errors as of :func:`orthogonal`.

    Source: Le, Jaitly and Hinton (2015), arXiv:1504.00941, of simple recurrent networks.
    """
    for block in _square_blocks(module):
        nn.init.eye_(block).mul_(scale)


@torch.no_grad()
def rotations(module: nn.Module, scale: float = 1.0) -> None:
    """Let every square block of recurrent weights begin as rotations of pairs of units, times ``scale``: the real form
    of a diagonal unitary matrix. Arguments and errors as of :func:`orthogonal`.

    The angles are uniform between 0 and π/2, so that the eigenvalues lie on the right half of the unit circle; of an
    odd number of units the last keeps to itself. The paper's D, which may reflect some of them, is the identity.

    Source: Helfrich, Willmott and Ye (2018), arXiv:1707.09520: the Cayley transform of blocks of 2 × 2.
    """
    for block in _square_blocks(module):
        angles = torch.rand(len(block) // 2, dtype=block.dtype, device=block.device) * (math.pi / 2)
        first = torch.arange(0, 2 * len(angles), 2, device=block.device)
        nn.init.eye_(block)
        block[first, first] = block[first + 1, first + 1] = torch.cos(angles)
        block[first, first + 1] = -torch.sin(angles)
        block[first + 1, first] = torch.sin(angles)
        block.mul_(scale)


@torch.no_grad()
def forget_bias(module: nn.Module, bias: float = 1.0) -> None:
    """Let the biases of the gates that keep a unit's past begin at ``bias``: above zero, units begin by remembering.

    Where the gate lets the new in instead of keeping the old (minGRU's z, the recurrent highway's t), at ``-bias``.

    Args:
        module: a cell, a layer, or a model with recurrent layers in it.

    Raises:
        BadInput: a cell has no such gate.

    Source: Gers, Schmidhuber and Cummins (2000); Jozefowicz, Zaremba and Sutskever (2015).
    """
    for keep, sign, _ in _gates(module):
        keep.fill_(sign * bias)


@torch.no_grad()
def chrono(module: nn.Module, lag: int) -> None:
    """Let every unit begin with a memory of its own length, spread so that they reach back over up to ``lag`` steps.

    Biases of forget gates begin at log u, u uniform between 1 and ``lag`` - 1, those of input gates, where there are
    any, at -log u. Arguments and errors as of :func:`forget_bias`.

    Raises:
        ValueError: a lag below 2.

    Source: Tallec and Ollivier (2018), arXiv:1804.11188.
    """
    if lag < 2:
        raise ValueError(f"lag must be at least 2 steps, got {lag}")
    for keep, sign, enter in _gates(module):
        keep.uniform_(1, lag - 1).log_()
        if enter is not None:
            enter.copy_(-keep)
        keep.mul_(sign)


def _square_blocks(module: nn.Module) -> list[Tensor]:
    recurrent = [weight for weight in weights_by_role(module) if weight.role == "recurrent"]
    found = [block for weight in recurrent for block in weight.blocks() if block.shape[0] == block.shape[1]]
    if not found:
        names = ", ".join(type(cell).__name__ for cell in cells(module)) or type(module).__name__
        raise BadInput(f"{names}: has no square matrix from its units to themselves that could start otherwise")
    return found


def _gates(module: nn.Module) -> list[Gates]:
    found = [gates for cell in cells(module) for gates in _gates_of(cell)]
    if not found:
        raise BadInput(f"{type(module).__name__}: has no cells with a gate that keeps a unit's past")
    return found


def _gates_of(cell: nn.Module) -> list[Gates]:
    match cell:
        case LSTM() | PeepholeLSTM() | LSTMP() | MultiplicativeLSTM() | SLSTM():
            return [Gates(cell.f.b, 1, cell.i.b)]
        case LayerNormLSTM():
            _, i, f, _ = cell.b.chunk(4)
            return [Gates(f, 1, i)]
        case MinLSTM() | MLSTM():
            return [Gates(cell.f.bias, 1, cell.i.bias)]
        case SRU():
            return [Gates(cell.f.bias, 1)]
        case GRU():
            return [Gates(cell.z.b, 1)]
        case MinGRU():
            return [Gates(cell.z.bias, -1)]
        case RecurrentHighway():
            return [Gates(gate.b, -1) for gate in (cell.t, *cell.inner_t)]
    raise BadInput(f"{type(cell).__name__}: has no gate that keeps a unit's past, whose bias could begin elsewhere")
