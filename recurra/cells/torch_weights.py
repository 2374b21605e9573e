"""Weights from and to the recurrent modules of ``torch.nn``."""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from recurra.cells.elman import Elman
from recurra.cells.gru import GRU
from recurra.cells.irnn import IRNN
from recurra.cells.lstm import LSTM
from recurra.cells.lstmp import LSTMP

TORCH_ORDER: dict[type[nn.Module], str] = {LSTM: "ifgo", LSTMP: "ifgo", GRU: "rzg", Elman: "h", IRNN: "h"}
"""The gates of a cell in the order in which torch stacks them."""


@torch.no_grad()
def from_torch(module: nn.Module, layer: int = 0, *, reverse: bool = False) -> Elman | LSTM | LSTMP | GRU:
    """A cell with a copy of the weights of one layer and direction, which computes what they compute.

    Torch's two biases become their sum, but in the GRU's input node, where the reset gate scales the second alone.

    Args:
        module: an RNN, LSTM, GRU, RNNCell, LSTMCell or GRUCell of ``torch.nn``.
        layer: which layer of a stack, from 0; a cell has only that one.
        reverse: the weights of the direction that runs backwards.

    Raises:
        TypeError: another module.
        ValueError: the module has no such layer or direction.
    """
    build = _cell_builder(module)
    W_ih, W_hh, b_ih, b_hh = _stacked(module, layer, reverse)
    cell = build(W_ih.shape[1], module.hidden_size).to(W_ih)
    gates = TORCH_ORDER[type(cell)]
    stacks = {"W_x": W_ih, "W_h": W_hh, "b": b_ih + b_hh}
    weights = {
        f"{gate}.{name}": part
        for name, stack in stacks.items()
        for gate, part in zip(gates, stack.chunk(len(gates)), strict=True)
    }
    if isinstance(cell, GRU):
        weights |= {"g.b": b_ih[-cell.hidden_size :], "b_gh": b_hh[-cell.hidden_size :]}
    if isinstance(cell, LSTMP):
        weights["W_hm"] = module.get_parameter(f"weight_hr_l{layer}" + "_reverse" * reverse)
    cell.load_state_dict(weights)
    return cell


@torch.no_grad()
def to_torch(cell: nn.Module) -> nn.RNN | nn.LSTM | nn.GRU:
    """A ``torch.nn`` module of one layer, batch first, with a copy of the cell's weights.

    ``bias_hh_l0`` is zero but in the GRU's input node.

    Args:
        cell: an Elman, IRNN, LSTM, LSTMP or GRU.

    Raises:
        TypeError: ``torch.nn`` has no such recurrence.
        ValueError: it has, but not with this activation, projection or placement of the reset.
    """
    module = _torch_module(cell)
    weights = cell.state_dict()
    gates = TORCH_ORDER[type(cell)]
    W_ih, W_hh, b_ih = (torch.cat([weights[f"{gate}.{name}"] for gate in gates]) for name in ("W_x", "W_h", "b"))
    b_hh = torch.zeros_like(b_ih)
    if isinstance(cell, GRU):
        b_hh[-cell.hidden_size :] = weights["b_gh"]
    stacks = {"weight_ih_l0": W_ih, "weight_hh_l0": W_hh, "bias_ih_l0": b_ih, "bias_hh_l0": b_hh}
    if isinstance(cell, LSTMP):
        stacks["weight_hr_l0"] = weights["W_hm"]
    module.to(W_ih).load_state_dict(stacks)
    return module


def _cell_builder(module: nn.Module) -> Any:
    if isinstance(module, nn.LSTM) and module.proj_size:
        return partial(LSTMP, projection_size=module.proj_size)
    if isinstance(module, nn.LSTM | nn.LSTMCell):
        return LSTM
    if isinstance(module, nn.GRU | nn.GRUCell):
        return GRU
    if isinstance(module, nn.RNN | nn.RNNCell):
        return lambda *sizes: Elman(*sizes, activation=module.nonlinearity)
    raise TypeError(f"no cell is the counterpart of {type(module).__name__}")


def _torch_module(cell: nn.Module) -> nn.RNN | nn.LSTM | nn.GRU:
    if isinstance(cell, LSTM):
        return nn.LSTM(cell.input_size, cell.hidden_size, batch_first=True)
    if isinstance(cell, LSTMP):
        return nn.LSTM(cell.input_size, cell.hidden_size, proj_size=cell.output_size, batch_first=True)
    if isinstance(cell, GRU):
        if cell.b_gh is None:
            raise ValueError("torch.nn.GRU resets after the product, this GRU before it")
        return nn.GRU(cell.input_size, cell.hidden_size, batch_first=True)
    if isinstance(cell, Elman | IRNN):
        activation = "relu" if isinstance(cell, IRNN) else cell.activation
        if activation not in ("tanh", "relu"):
            raise ValueError(f"torch.nn.RNN has tanh and relu, not {activation}")
        return nn.RNN(cell.input_size, cell.hidden_size, nonlinearity=activation, batch_first=True)
    raise TypeError(f"torch.nn has no counterpart of {type(cell).__name__}")


def _stacked(module: nn.Module, layer: int, reverse: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """W_ih, W_hh, b_ih and b_hh of one layer and direction, each with its gates stacked; absent biases as zeros."""
    alone = isinstance(module, nn.RNNCellBase) and layer == 0 and not reverse
    suffix = "" if alone else f"_l{layer}" + "_reverse" * reverse
    weights = dict(module.named_parameters())
    if f"weight_ih{suffix}" not in weights:
        raise ValueError(f"{type(module).__name__} has no layer {layer} that runs {'back' if reverse else 'for'}wards")
    W_ih, W_hh = weights[f"weight_ih{suffix}"], weights[f"weight_hh{suffix}"]
    zeros = W_ih.new_zeros(len(W_ih))
    return W_ih, W_hh, weights.get(f"bias_ih{suffix}", zeros), weights.get(f"bias_hh{suffix}", zeros)
