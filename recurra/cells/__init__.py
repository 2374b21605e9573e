"""One step of each recurrence, as equations."""

from collections.abc import Callable
from functools import partial

from torch import nn

from recurra.cells.elman import Elman, ElmanState
from recurra.cells.gate import Gate
from recurra.cells.gru import GRU, GRUState
from recurra.cells.indrnn import IndRNN
from recurra.cells.irnn import IRNN
from recurra.cells.jordan import Jordan, JordanState
from recurra.cells.layer_norm_lstm import LayerNormLSTM
from recurra.cells.lru import LRU, LRUState
from recurra.cells.lstm import LSTM, LSTMState
from recurra.cells.lstmp import LSTMP, LSTMPState
from recurra.cells.min_gru import MinGRU
from recurra.cells.min_lstm import MinLSTM
from recurra.cells.mlstm import MLSTM, MLSTMState
from recurra.cells.multiplicative_lstm import MultiplicativeLSTM
from recurra.cells.original_lstm import OriginalLSTM
from recurra.cells.peephole_lstm import PeepholeLSTM
from recurra.cells.recurrent_highway import RecurrentHighway
from recurra.cells.slstm import SLSTM, SLSTMState
from recurra.cells.sru import SRU, SRUState
from recurra.cells.torch_weights import from_torch, to_torch

__all__ = [
    "CELLS",
    "GRU",
    "IRNN",
    "LRU",
    "LSTM",
    "LSTMP",
    "MLSTM",
    "SLSTM",
    "SRU",
    "Elman",
    "ElmanState",
    "GRUState",
    "Gate",
    "IndRNN",
    "Jordan",
    "JordanState",
    "LRUState",
    "LSTMPState",
    "LSTMState",
    "LayerNormLSTM",
    "MLSTMState",
    "MinGRU",
    "MinLSTM",
    "MultiplicativeLSTM",
    "OriginalLSTM",
    "PeepholeLSTM",
    "RecurrentHighway",
    "SLSTMState",
    "SRUState",
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
    "layer-norm-lstm": LayerNormLSTM,
    "lstmp": LSTMP,
    "multiplicative-lstm": MultiplicativeLSTM,
    "recurrent-highway": RecurrentHighway,
    "indrnn": IndRNN,
    "sru": SRU,
    "min-gru": MinGRU,
    "min-lstm": MinLSTM,
    "lru": LRU,
    "slstm": SLSTM,
    "mlstm": MLSTM,
}
"""Each cell by the name it has on the command line, built from ``(input_size, hidden_size)``."""
