"""The loop of a program on a processor.

From below
    machine.py      what the processor offers; LLVM, from a module's text to functions
    vector.py       arithmetic on vectors, as instructions
    functions.py    exp, tanh and their kin on vectors, with their errors
    control.py      functions and counted loops
    tile.py         the product kernel, in registers, and the packing of weights for it
    pairs.py        operands rounded to bfloat16, in pairs
    int8.py         matrices of int8, widened as they are read
    amx.py          the product kernel for them, in tile registers
    streaming.py    products of few rows, with weights where they lie
    products.py     these kernels, compiled when they are needed
    pool.py         PyTorch's threads
    team.py         threads that wait for each other

The loop
    layout.py       what the generated function is given, and where it keeps things
    tables.py       which product kernels a loop calls
    factors.py      packed weights and rounded operands
    places.py       addresses of each value at each step
    loop.py         the generator
    outer.py        gradients of weights, of factors rounded to bfloat16
    softmax.py      the errors of a softmax layer
    room.py         memory for large results
    launch.py       the user's tensors, handed to a loop
    execute.py      a program compiled once, and what is done around its loop
    together.py     several loops side by side
    handover.py     the tensors of a short call, handed over by compiled code
    standing.py     loops that stand ready for tensors of known shapes
    direct.py       short calls: steps, and sequences with little to do
"""
