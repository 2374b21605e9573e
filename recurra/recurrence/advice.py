"""What to do about a cell that cannot be compiled: the reasons that the compiler gives, and the way around each."""

import re

_NUMBERS = (
    "take the value of both branches and choose by torch.where; read numbers (.item(), .numpy()) outside the step"
)
_ROWS = "let each row of the batch go its own way: what rows share belongs before the loop, in the cell's inputs(x)"
_ONE_TYPE = "keep inputs, states and everything between in one float type, float32 or float64 (truth may be bool)"
_OWN_TENSORS = "make a new tensor instead: an edit in place is fine on what the step itself has computed"
_BLOCKS = "keep features in whole blocks (chunk, split, slices, cat); a state of large matrices cannot be fused"
_STATE = "make what changes from step to step a part of the state, and what does not a plain attribute"
_PER_ROW = "nothing, where each row has a matrix for its state; any other product needs a parameter as one factor"

_ADVICE = {
    r"a Python value or branch|depends on a tensor's numbers|reads a tensor's": _NUMBERS,
    r"reduces over the batch|joins rows|repeats rows|single rows|sums over the batch|other values for each row": _ROWS,
    r"number of rows|does not start with the batch|two batch dimensions|no batch dimension": _ROWS,
    r"makes torch|of one float type|is of type|are of torch|comes back as": _ONE_TYPE,
    r"writes to|written to more than once|is changed after|changes a tensor's shape": _OWN_TENSORS,
    r"one by one|interleave|a reduction of|vectors in each row|by strides": _BLOCKS,
    r"changes the cell's attribute": _STATE,
    r"both change from row to row": _PER_ROW,
    r"draws random numbers": "draw before the loop, in the cell's inputs(x), as recurra.layers.Zoneout does",
    r"autograd\.Function": "write the function in PyTorch's operations; its gradient follows",
    r"gradients on or off|requires a gradient|how a tensor was computed|inference mode|\.data|sets a tensor's": (
        "stop gradients with .detach(), and leave modes and flags to the code around the layer"
    ),
    r"registers a hook|hooks are called": "take the hooks off the cell; one on the layer around it does no harm",
    r"no parameter, buffer or attribute": "keep the tensor on the cell, as a parameter, a buffer or an attribute",
    r"a linear map of more": "multiply one vector for each row; view (batch, n, features) as n slices",
    r"is not an operation|a norm of order": (
        "write it with operations that are known; docs/compiler.md lists them, and shows how to add one"
    ),
    r"lies on|are on|the device": "move the cell and its inputs to the CPU; on other devices the reference runs",
    r"the step raised": "call the cell once by itself: the error is the step's own, or one of a tensor without numbers",
    r"different numbers": "please report this cell: the compiler has misunderstood it; its results are the reference's",
    r"autocast to|torch\.func|batch is empty": "nothing: this call alone runs so, others are compiled",
}


def advice(reason: str) -> str:
    """One line for whoever wrote the cell."""
    found = (what for pattern, what in _ADVICE.items() if re.search(pattern, reason))
    return next(found, "compute this before the loop, in the cell's inputs(x), or after it, where time allows")
