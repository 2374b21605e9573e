"""Keeping the weight matrices of a model's recurrent layers as int8, for inference."""

from typing import NamedTuple

import torch
from torch import nn

from recurra.layers import Recurrent
from recurra.nn.layers import GRU, LSTM, RNN, forget, int8, matrices_of
from recurra.recurrence.fused import Plans
from recurra.recurrence.int8 import hold_as_int8, matrices

ALREADY = "its weights are int8 already"


class Quantized(NamedTuple):
    """What :func:`quantize` did; as text, one line for each layer.

    ``weights`` names, for each layer as ``model.named_modules()`` does (the model itself is ""), the parameters that
    are int8 now; ``left`` says why a layer has none.
    """

    weights: dict[str, list[str]]
    left: dict[str, str]

    def __repr__(self) -> str:
        lines = [f"{name or 'the model itself'}: int8 {', '.join(weights)}" for name, weights in self.weights.items()]
        lines += [f"left {name or 'the model itself'}: {reason}" for name, reason in self.left.items()]
        return "\n".join(lines or ["found no recurrent layer"])


def quantize(model: nn.Module) -> Quantized:
    """Keep the weight matrices of every :class:`recurra.Recurrent` and :class:`recurra.nn.LSTM`, ``GRU`` and ``RNN`` in
    ``model``, or of the model itself, as int8 with a float32 scale for each row: a quarter of the memory, and of what a
    step of a stream has to read.

    In place, and for inference only: what was a parameter ``W`` becomes the buffers ``W_int8`` and ``W_scale``, the
    layer's other parameters no longer require gradients, and a call that wants a gradient through the layer raises a
    ValueError. Each weight moves by at most half its row's scale, 1/254 of the row's largest number. Inputs, states,
    sums, biases and everything outside these layers stay float32: a quantized layer computes what a float32 layer with
    the rounded weights would. To load a saved quantized model, quantize a fresh one first.

    Matrices that a cell does more with than multiply by them stay, as do layers that are not float32, that run step by
    step in PyTorch, or that torch's classes run (:func:`recurra.accelerate` changes that).

    Raises:
        TypeError: ``model`` is not a module.
        ValueError: a cell without ``input_size`` in a layer that was never called.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    done = Quantized({}, {})
    for name, module in list(model.named_modules()):
        match module:
            case Recurrent():
                found = _quantize_recurrent(module)
            case LSTM() | GRU() | RNN():
                found = _quantize_drop_in(module)
            case nn.RNNBase():
                found = "torch's own code runs it: call recurra.accelerate before"
            case _:
                continue
        if isinstance(found, str):
            done.left[name] = found
        else:
            done.weights[name] = found
            module.requires_grad_(False)
    return done


def _quantize_recurrent(layer: Recurrent) -> list[str] | str:
    """The names of the weights that are int8 now, or why there are none."""
    explanation = layer.explain()
    if explanation.path == "reference":
        return f"it runs step by step in PyTorch: {explanation.reason}"
    (*_, plan) = layer.plans.found
    assert plan.lowered is not None
    if plan.lowered.program.int8:
        return ALREADY
    parameters = dict(layer.cell.named_parameters())
    chosen = {id(parameters[name]) for name in matrices(plan.lowered) if name in parameters}
    names = [name for name, each in layer.cell.named_parameters(remove_duplicate=False) if id(each) in chosen]
    if reason := _reason_to_leave([parameters[name] for name in names if name in parameters]):
        return reason
    for module in list(layer.cell.modules()):
        own = [name for name, each in module._parameters.items() if each is not None and id(each) in chosen]
        if own:
            hold_as_int8(module, own)
    layer.plans = Plans()
    return names


def _quantize_drop_in(layer: LSTM | GRU | RNN) -> list[str] | str:
    if int8(layer):
        return ALREADY
    names = [name for name in matrices_of(layer) if name in layer._parameters]
    if reason := _reason_to_leave([layer.get_parameter(name) for name in names]):
        return reason
    hold_as_int8(layer, names)
    forget(layer)
    return names


def _reason_to_leave(weights: list[nn.Parameter]) -> str | None:
    if not weights:
        return "none of its parameters is a matrix that it only multiplies by"
    strange = {weight.dtype for weight in weights} - {torch.float32}
    return f"its weights are {strange.pop()}, and int8 takes the place of torch.float32" if strange else None
