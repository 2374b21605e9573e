"""The same recurrences as JAX users write them: ``lax.scan`` of a step, jitted."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from recurra.bench.problem import Contender, Problem, stack_gates
from recurra.cells import GRU, LSTM, Elman

Step = Callable[[Any, Any, Any], Any]
"""``(weights, state, x) -> state``; its first array is the output."""


def jax(problem: Problem) -> Contender | None:
    """A scan over time, time first, its weights arguments of the jitted function."""
    step = _step(problem.cell)
    if step is None:
        return None
    _prepare(torch.get_num_threads())
    weights = {name: _array(value) for name, value in _weights(problem.cell).items()}
    state = tuple(map(_array, problem.state))
    x, gradient = (_array(value.transpose(0, 1)) for value in (problem.x, problem.gradient))
    if problem.entry.training:
        return _training(step, weights, state, x, gradient)
    return _streaming(step, weights, state, x) if problem.entry.streaming else _inference(step, weights, state, x)


def _inference(step: Step, weights: Any, state: Any, x: Any) -> Contender:
    import jax as library

    run = library.jit(lambda weights, state, x: _scan(step, weights, state, x))
    return Contender(
        lambda: run(weights, state, x).block_until_ready(),
        lambda outputs: {"outputs": _tensor(outputs).transpose(0, 1)},
    )


def _streaming(step: Step, weights: Any, state: Any, x: Any) -> Contender:
    import jax as library

    run = library.jit(step)

    def call() -> Any:
        nonlocal state
        state = run(weights, state, x[0])
        return library.block_until_ready(state)[0]

    return Contender(call, lambda output: {"outputs": _tensor(output).unsqueeze(1)})


def _training(step: Step, weights: Any, state: Any, x: Any, gradient: Any) -> Contender:
    import jax as library

    def loss(weights: Any, x: Any) -> Any:
        return (_scan(step, weights, state, x) * gradient).sum()

    run = library.jit(library.grad(loss, argnums=(0, 1)))

    def read(gradients: Any) -> dict[str, torch.Tensor]:
        of_weights, of_x = gradients
        return {"x": _tensor(of_x).transpose(0, 1), **{name: _tensor(value) for name, value in of_weights.items()}}

    return Contender(lambda: library.block_until_ready(run(weights, x)), read)


def _scan(step: Step, weights: Any, state: Any, x: Any) -> Any:
    from jax import lax

    def body(state: Any, x_t: Any) -> Any:
        state = step(weights, state, x_t)
        return state, state[0]

    return lax.scan(body, state, x)[1]


def _step(cell: nn.Module) -> Step | None:
    if isinstance(cell, LSTM):
        return _lstm
    if isinstance(cell, GRU) and cell.b_gh is not None:
        return _gru
    return _elman if isinstance(cell, Elman) and cell.activation == "tanh" else None


def _lstm(weights: Any, state: Any, x: Any) -> Any:
    from jax import nn as functions
    from jax import numpy as jnp

    h, s = state
    i, f, g, o = jnp.split(x @ weights["W_x"].T + h @ weights["W_h"].T + weights["b"], 4, axis=-1)
    s = functions.sigmoid(f) * s + functions.sigmoid(i) * jnp.tanh(g)
    return functions.sigmoid(o) * jnp.tanh(s), s


def _gru(weights: Any, state: Any, x: Any) -> Any:
    from jax import nn as functions
    from jax import numpy as jnp

    (h,) = state
    r_x, z_x, g_x = jnp.split(x @ weights["W_x"].T + weights["b"], 3, axis=-1)
    r_h, z_h, g_h = jnp.split(h @ weights["W_h"].T, 3, axis=-1)
    z = functions.sigmoid(z_x + z_h)
    g = jnp.tanh(g_x + functions.sigmoid(r_x + r_h) * (g_h + weights["b_gh"]))
    return ((1 - z) * g + z * h,)


def _elman(weights: Any, state: Any, x: Any) -> Any:
    from jax import numpy as jnp

    return (jnp.tanh(x @ weights["W_x"].T + state[0] @ weights["W_h"].T + weights["b"]),)


def _weights(cell: nn.Module) -> dict[str, torch.Tensor]:
    weights = cell.state_dict()
    return stack_gates(cell, weights) | ({"b_gh": weights["b_gh"]} if isinstance(cell, GRU) else {})


def _prepare(threads: int) -> None:
    """XLA reads its number of threads from the environment when it starts; a later change has no effect."""
    os.environ["NPROC"] = str(threads)
    os.environ.setdefault("JAX_PLATFORMS", "cpu")


def _array(value: torch.Tensor) -> Any:
    from jax import numpy as jnp

    return jnp.asarray(value.detach().contiguous().numpy())


def _tensor(array: Any) -> torch.Tensor:
    return torch.from_numpy(np.array(array))
