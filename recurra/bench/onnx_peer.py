"""ONNX Runtime's LSTM, GRU and RNN operators with the same weights; inference only."""

from typing import Any

import torch
from torch import nn

from recurra.bench.problem import Contender, Problem, stack_gates
from recurra.cells import GRU, LSTM, Elman
from recurra.cells.torch_weights import TORCH_ORDER

# operator, its gates by our names in its order
_OPERATORS: dict[type[nn.Module], tuple[str, str]] = {LSTM: ("LSTM", "iofg"), GRU: ("GRU", "zrg"), Elman: ("RNN", "h")}
_OPSET, _IR_VERSION = 14, 8


def onnxruntime(problem: Problem) -> Contender | None:
    """A model of the one operator, time first, with as many threads as torch has, none of which spins afterwards."""
    cell = problem.cell
    if problem.entry.training or type(cell) not in _OPERATORS or getattr(cell, "activation", "tanh") != "tanh":
        return None
    if isinstance(cell, GRU) and cell.b_gh is None:
        return None
    import onnxruntime as runtime

    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.add_session_config_entry("session.force_spinning_stop", "1")
    session = runtime.InferenceSession(
        recurrent_model(cell).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    feeds = {"X": problem.x.transpose(0, 1).contiguous().numpy()}
    feeds |= {name: leaf.unsqueeze(0).numpy() for name, leaf in zip(("H_0", "C_0"), problem.state, strict=False)}
    carried = [name for name in feeds if name != "X"]
    streaming = problem.entry.streaming

    def call() -> Any:
        outputs, *state = session.run(None, feeds)
        if streaming:
            feeds.update(zip(carried, state, strict=True))
        return outputs

    # outputs are (time, directions, batch, units)
    return Contender(call, lambda outputs: {"outputs": torch.from_numpy(outputs[:, 0]).transpose(0, 1)})


def recurrent_model(cell: nn.Module) -> Any:
    """An ONNX model of one layer: from X (T, B, I), H_0 and, for the LSTM, C_0 (1, B, H) to Y and the last states."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    operator, gates = _OPERATORS[type(cell)]
    states = ["H_0", "C_0"] if isinstance(cell, LSTM) else ["H_0"]
    last = [name.replace("0", "T") for name in states]
    weights = {name: numpy_helper.from_array(value.numpy(), name) for name, value in _weights(cell, gates).items()}
    options: dict[str, Any] = {"linear_before_reset": 1} if isinstance(cell, GRU) else {}
    node = helper.make_node(
        operator, ["X", *weights, "", *states], ["Y", *last], hidden_size=cell.hidden_size, **options
    )
    ranks = {"X": 3, "Y": 4} | dict.fromkeys((*states, *last), 3)
    kinds = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * ranks[name]) for name in ranks}
    graph = helper.make_graph(
        [node],
        "recurrence",
        [kinds[name] for name in ("X", *states)],
        [kinds[name] for name in ("Y", *last)],
        list(weights.values()),
    )
    opset = helper.make_opsetid("", _OPSET)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=_IR_VERSION)
    onnx.checker.check_model(model)
    return model


def _weights(cell: nn.Module, gates: str) -> dict[str, torch.Tensor]:
    """W, R and B of the operator: one direction, its gates in its order, the biases of x and of h one after another."""
    stacked = stack_gates(cell, cell.state_dict())
    order = [TORCH_ORDER[type(cell)].index(gate) for gate in gates]

    def reorder(stack: torch.Tensor) -> torch.Tensor:
        parts = stack.chunk(len(order))
        return torch.cat([parts[number] for number in order])

    of_x = reorder(stacked["b"])
    of_h = torch.zeros_like(of_x)
    if isinstance(cell, GRU):
        of_h[-cell.hidden_size :] = cell.state_dict()["b_gh"]
    weights = {"W": reorder(stacked["W_x"]), "R": reorder(stacked["W_h"]), "B": torch.cat([of_x, of_h])}
    return {name: weight.unsqueeze(0).contiguous() for name, weight in weights.items()}
