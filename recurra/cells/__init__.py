"""One step of each recurrence, as equations."""

from collections.abc import Callable
from functools import partial

from torch import nn

from recurra.cells.elman import Elman, ElmanState
from recurra.cells.gate import Gate
from recurra.cells.gru import GRU, GRUState
from recurra.cells.irnn import IRNN
from recurra.cells.jordan import Jordan, JordanState
from recurra.cells.lstm import LSTM, LSTMState
from recurra.cells.original_lstm import OriginalLSTM
from recurra.cells.peephole_lstm import PeepholeLSTM
from recurra.cells.torch_weights import from_torch, to_torch

__all__ = [
    "CELLS",
    "GRU",
    "IRNN",
    "LSTM",
    "Elman",
    "ElmanState",
    "GRUState",
    "Gate",
    "Jordan",
    "JordanState",
    "LSTMState",
    "OriginalLSTM",
    "PeepholeLSTM",
    "from_torch",
    "to_torch",
]

CELLS: dict[str, Callable[..., nn.Module]] = {
    "elman": Elman,
    "irnn": IRNN,
    "jordan": Jordan,
    "original-lstm": OriginalLSTM,
    "lstm": LSTM,
    "peephole-lstm": PeepholeLSTM,
    "gru": GRU,
    "gru-reset-before": partial(GRU, reset="before"),
}
"""Each cell by the name it has on the command line, built from ``(input_size, hidden_size)``."""
