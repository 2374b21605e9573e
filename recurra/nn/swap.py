"""Swapping this library's ``LSTM``, ``GRU`` and ``RNN`` into a model that has torch's."""

from typing import NamedTuple

import torch
from torch import nn
from torch.nn.utils import parametrize

from recurra.nn.layers import GRU, LSTM, RNN

OURS: dict[type[nn.Module], type[nn.Module]] = {nn.LSTM: LSTM, nn.GRU: GRU, nn.RNN: RNN}


class Accelerated(NamedTuple):
    """What :func:`accelerate` did; as text, one line for each module.

    ``replaced`` names modules as ``model.named_modules()`` does (the model itself is ""); ``left`` says why not.
    """

    replaced: list[str]
    left: dict[str, str]

    def __repr__(self) -> str:
        lines = [f"replaced {name or 'the model itself'}" for name in self.replaced]
        lines += [f"left {name or 'the model itself'}: {reason}" for name, reason in self.left.items()]
        return "\n".join(lines or ["found no recurrent module of torch.nn"])


def accelerate(model: nn.Module) -> Accelerated:
    """Let every ``torch.nn.LSTM``, ``GRU`` and ``RNN`` in ``model``, or the model itself, run by this library.

    In place, and each module stays the same object: only its class changes, as parametrizations do it too. Parameters,
    their values, devices and types, hooks, training mode, optimisers and every other reference remain as they are. Only
    exactly those classes are replaced, with or without parametrizations; other recurrent modules are left, with the
    reason.

    Raises:
        TypeError: ``model`` is not a module.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    done = Accelerated([], {})
    for name, module in model.named_modules():
        reason = _reason_to_leave(module)
        if reason is not None:
            done.left[name] = reason
        elif _torch_class(module) in OURS:
            module.__class__ = _our_class(module)
            done.replaced.append(name)
    return done


def _torch_class(module: nn.Module) -> type:
    """The module's class, as it was before any parametrization."""
    return type(module).__base__ if parametrize.is_parametrized(module) else type(module)  # type: ignore[return-value]


def _our_class(module: nn.Module) -> type[nn.Module]:
    ours = OURS[_torch_class(module)]
    if not parametrize.is_parametrized(module):
        return ours
    # A parametrized module's class holds its parametrized attributes as properties. A deep copy of the module has the
    # same class, so this makes another rather than change its base.
    properties = {name: value for name, value in vars(type(module)).items() if name not in ("__dict__", "__weakref__")}
    return type(type(module).__name__, (ours,), properties)


def _reason_to_leave(module: nn.Module) -> str | None:
    """Why a recurrent module cannot be replaced; None for one that can, and for all other modules."""
    kind = type(module)
    if isinstance(module, torch.jit.ScriptModule):
        scripted = module.original_name in ("LSTM", "GRU", "RNN")
        return "TorchScript has compiled it: accelerate the model before" if scripted else None
    if kind.__module__.startswith("torch.ao.") and kind.__name__ in ("LSTM", "GRU", "LSTMCell", "GRUCell", "RNNCell"):
        return "its weights are quantized"
    if isinstance(module, nn.RNNCellBase):
        return f"a {kind.__name__} takes single steps: recurra.Recurrent runs one over sequences"
    if isinstance(module, nn.RNNBase) and not isinstance(module, LSTM | GRU | RNN):
        if _torch_class(module) not in OURS:
            return f"{kind.__name__} is a subclass with code of its own"
        if "forward" in vars(module):
            return "its forward has been replaced by another function"
    return None
