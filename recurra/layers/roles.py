"""What each weight of a model is for, told by where it stands and by its name."""

from typing import Any, NamedTuple

from torch import Tensor, nn

from recurra.layers.crf import CRF
from recurra.layers.initial import LearntState
from recurra.layers.recurrent import Recurrent

FROM_STATE = ("W_h", "W_mh", "W_yh", "W_hm", "u", "p", "v_f", "v_r")
"""Weights of this library's cells by which a step reads what the step before left."""

TO_OUTPUT = ("C_re", "C_im")
"""And those by which its output is made of that."""


class Weight(NamedTuple):
    """A parameter and what it is for.

    Args:
        name: its full name in the model.
        role: "input" (of a recurrent cell, from x), "recurrent" (of a cell, from its state), "bias", "embedding", or
            "output" (a matrix anywhere else: softmax, attention, what lies between).
        owner: the cell, or the module that holds it.
    """

    name: str
    role: str
    parameter: nn.Parameter
    owner: nn.Module

    def blocks(self) -> list[Tensor]:
        """Views of a matrix, one for each gate where a cell stacks them; none of a vector."""
        weight = self.parameter
        if weight.dim() < 2:
            return []
        matrix = weight if weight.dim() == 2 else weight.flatten(1)
        units: Any = getattr(self.owner, "hidden_size", None)
        stacked = self.role in ("input", "recurrent") and isinstance(units, int) and len(matrix) % units == 0
        return list(matrix.split(units)) if stacked else [matrix]


def recurrent_layers(model: nn.Module) -> list[Recurrent]:
    """The layers of a model that run a cell over its sequences; the sum over the taggings of a CRF is none."""
    sums = {id(module.sums) for module in model.modules() if isinstance(module, CRF)}
    return [module for module in model.modules() if isinstance(module, Recurrent) and id(module) not in sums]


def cells(model: nn.Module) -> list[nn.Module]:
    """What holds the weights of a recurrence: the cells of a model's layers, without what is wrapped around them, and
    recurrent modules of ``torch.nn``; the model where it is a cell itself."""
    found = [_innermost(layer.cell) for layer in recurrent_layers(model)]
    known = {id(part) for cell in found for part in cell.modules()}
    found += [
        module
        for module in model.modules()
        if isinstance(module, nn.RNNBase | nn.RNNCellBase) and id(module) not in known
    ]
    is_cell = all(hasattr(model, name) for name in ("input_size", "hidden_size", "output_size", "initial_state"))
    return [model] if is_cell and not found else found


def weights_by_role(model: nn.Module) -> list[Weight]:
    """The parameters of a model that have a role: not gains of norms, learnt starts and the like.

    A parameter that two modules share (a tied embedding) has the role in which the model first names it.
    """
    starts = {id(p) for module in model.modules() if isinstance(module, LearntState) for p in module.parameters()}
    homes = {id(parameter): cell for cell in cells(model) for parameter in cell.parameters()}
    found = []
    for name, parameter in model.named_parameters():
        path, _, last = name.rpartition(".")
        holder = model.get_submodule(path)
        cell = homes.get(id(parameter))
        role = None if id(parameter) in starts else _role(last, parameter, holder, in_cell=cell is not None)
        if role is not None:
            found.append(Weight(name, role, parameter, holder if cell is None else cell))
    return found


def _innermost(cell: nn.Module) -> nn.Module:
    sized = (module for module in cell.modules() if isinstance(getattr(module, "hidden_size", None), int))
    return next(sized, cell)


def _role(last: str, parameter: nn.Parameter, holder: nn.Module, *, in_cell: bool) -> str | None:
    if isinstance(holder, nn.Embedding):
        return "embedding"
    if in_cell and (last in FROM_STATE or last.startswith(("weight_hh", "weight_hr"))):
        return "recurrent"
    if parameter.dim() < 2:
        return "bias" if last.startswith("b") else None
    return "input" if in_cell and last not in TO_OUTPUT else "output"
