"""``LSTM``, ``GRU`` and ``RNN`` of ``torch.nn``, run by this library; ``accelerate`` swaps them into a model.
``quantize`` keeps the weights of a model's recurrent layers, of these or any other cell, as int8.

Same arguments, parameter names, ``state_dict``, draws, results and errors. This layer is the one place here that speaks
torch.nn's language (``(time, batch, features)``, packed sequences, ``(layers, batch, H)``); all else has batch first.
"""

from recurra.nn.layers import GRU, LSTM, RNN
from recurra.nn.quantize import Quantized, quantize
from recurra.nn.swap import Accelerated, accelerate

__all__ = ["GRU", "LSTM", "RNN", "Accelerated", "Quantized", "accelerate", "quantize"]
