"""Depth: sequence layers one above the other."""

from typing import Any

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from recurra.layers.dropout import Dropout
from recurra.recurrence.ragged import blank_padding
from recurra.recurrence.state import State


class Stack(nn.Module):
    """Sequence layers, each reading the outputs of the one before. The state is the tuple of theirs.

    Args:
        layers: at least one sequence layer (:class:`Recurrent`, :class:`Bidirectional`, :class:`Stack`).
        residual: add its inputs to the outputs of every layer (Wu et al. 2016, arXiv:1609.08144, section 3.1).
        dropout: between layers, never after the last: the rate of plain dropout, drawn anew at each step (Zaremba et
            al. 2014, arXiv:1409.2329), or a module applied to ``(B, T, F)`` such as :class:`VariationalDropout`.

    Raises:
        ValueError: no layers; or, when called, a state of another depth, or ``residual`` around a layer whose outputs
            and inputs differ in size.

    Source: Graves et al. (2013), Sutskever et al. (2014).
    """

    def __init__(self, *layers: nn.Module, residual: bool = False, dropout: float | nn.Module = 0.0) -> None:
        super().__init__()
        if not layers:
            raise ValueError("a stack needs at least one layer")
        self.layers = nn.ModuleList(layers)
        self.residual = residual
        self.dropout = dropout if isinstance(dropout, nn.Module) else Dropout(dropout)

    def initial_state(self, batch_size: int) -> tuple[State, ...]:
        """The state of ``batch_size`` rows before their first step."""
        layers: list[Any] = list(self.layers)
        return tuple(layer.initial_state(batch_size) for layer in layers)

    def forward(
        self,
        x: Float[Tensor, "B T I"],
        state: tuple[State, ...] | None = None,
        lengths: Int[Tensor, " B"] | None = None,
        reset: Bool[Tensor, "B T"] | None = None,
    ) -> tuple[Float[Tensor, "B T O"], tuple[State, ...]]:
        """As :meth:`Recurrent.forward`, through all layers."""
        states = [None] * len(self.layers) if state is None else list(state)
        if len(states) != len(self.layers):
            raise ValueError(f"a stack of {len(self.layers)} layers has as many states, got {len(states)}")
        if self.residual:
            x = blank_padding(x, lengths)  # else what stands past a row's end would pass into the outputs
        for depth, layer in enumerate(self.layers):
            outputs, states[depth] = layer(x, states[depth], lengths, reset)
            if self.residual:
                outputs = _added(x, outputs, depth)
            x = outputs if depth == len(self.layers) - 1 else self.dropout(outputs)
        return x, tuple(states)

    def step(self, x: Float[Tensor, "B I"], state: tuple[State, ...]) -> tuple[Float[Tensor, "B O"], tuple[State, ...]]:
        """One step of a stream; a ValueError where a layer is bidirectional."""
        if len(state) != len(self.layers):
            raise ValueError(f"a stack of {len(self.layers)} layers has as many states, got {len(state)}")
        states: list[State] = []
        for depth, (layer, before) in enumerate(zip(self.layers, state, strict=True)):
            outputs, after = layer.step(x, before)  # type: ignore[operator]
            states.append(after)
            if self.residual:
                outputs = _added(x, outputs, depth)
            x = outputs if depth == len(self.layers) - 1 else self.dropout(outputs.unsqueeze(1)).squeeze(1)
        return x, tuple(states)


def _added(x: Tensor, outputs: Tensor, depth: int) -> Tensor:
    if x.shape != outputs.shape:
        raise ValueError(
            f"layer {depth} turns {x.shape[-1]} features into {outputs.shape[-1]}: a residual connection needs equal "
            "sizes; change a size, or keep that layer outside the residual stack"
        )
    return x + outputs
