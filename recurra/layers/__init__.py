"""Sequence layers: ``outputs, state = layer(x, state=None, lengths=None, reset=None)``."""

from recurra.layers.bidirectional import Bidirectional, BidirectionalState
from recurra.layers.crf import CRF
from recurra.layers.dropout import Dropout, RecurrentDropout, VariationalDropout, WeightDrop, Zoneout
from recurra.layers.initial import LearntState
from recurra.layers.pooling import AttentionPooling, LastPooling, MaxPooling, MeanPooling
from recurra.layers.recurrent import Recurrent, Trajectory
from recurra.layers.stack import Stack

__all__ = [
    "AttentionPooling",
    "Bidirectional",
    "BidirectionalState",
    "CRF",
    "Dropout",
    "LastPooling",
    "LearntState",
    "MaxPooling",
    "MeanPooling",
    "Recurrent",
    "RecurrentDropout",
    "Stack",
    "Trajectory",
    "VariationalDropout",
    "WeightDrop",
    "Zoneout",
]
