"""The compiler: one step of any recurrence, as one compiled loop over the whole sequence, forward and backward.

The ground
    state.py        states: any nesting of tensors whose first dimension is the batch
    ragged.py       rows of lengths of their own
    packing.py      and how their steps stand in one tensor without padding
    request.py      one call of a layer, and what it gives
    reference.py    the cell called step by step: what every other path is tested against

From a step to a program
    record.py       the step's calls to PyTorch, written down on tensors without numbers
    shapes.py       the shapes of their results
    guard.py        what such a recording takes for granted about the cell
    trace.py        a step recorded twice, and compared
    blocks.py       tensors as pieces of memory, each a value of the program or a block of a parameter
    aten.py         element-wise operations of PyTorch, by those of operations.py
    rowwise.py      its products, reductions and rearrangements
    lower.py        all of it together: the calls become a program

The program
    program.py      the language: one step as a small graph
    operations.py   its element-wise operations: meaning, gradient, instructions
    graph.py        building programs
    parse.py        reading one back from its text
    interpret.py    what a program means, in plain PyTorch
    masks.py        lengths and resets as parts of a program
    gradient.py     the adjoint program
    tangent.py      the program of values and tangents
    gather.py       sums in which products come first
    schedule.py     what is computed before the loop, in which stage of it, and after it
    int8.py         weights kept as int8 with scales
    narrow.py       which values are kept in bfloat16

Running it
    batched.py      what is computed for all steps at once
    collect.py      gradients summed over all steps
    tail.py         both, of short calls
    cpu/            the loop itself, by LLVM
    training.py     a program's two halves where gradients are wanted
    operator.py     one PyTorch operator, and its gradient's
    autograd.py     its gradient, gradients of gradients, and forward mode
    brief.py        the same for short calls
    dual.py         calls along a direction, for forward mode and second derivatives
    together.py     several calls as one node of autograd, their loops side by side
    check.py        the first use, compared with the reference
    weights.py      a program's weights, as the cell's parameters are now
    fused.py        from a cell and the user's tensors to a program and its, and back
    stream.py       short calls, and streams
    segments.py     long sequences in little memory: segments that are run again
    stepwise.py     the same for a cell that is called step by step
    capture.py      under torch.compile and torch.export
    paths.py        which way a call goes
    explain.py      how a layer runs, in words
    advice.py       what to do about a cell that cannot be compiled

``docs/compiler.md`` follows one cell through these files, and shows how to add an operation.
"""
