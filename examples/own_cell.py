"""A cell of one's own: an LSTM whose input and forget gates are coupled (f = 1 - i), run over ragged sequences.

python examples/own_cell.py
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from recurra import Recurrent
from recurra.cells import Gate


class CoupledState(NamedTuple):
    h: Tensor
    s: Tensor


class CoupledLSTM(nn.Module):
    """What the cell takes in, it lets go of: s = g i + s (1 - i); the CIFG of Greff et al. (2017), arXiv:1503.04069."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.g = Gate(input_size, hidden_size)
        self.i = Gate(input_size, hidden_size)
        self.o = Gate(input_size, hidden_size)

    def initial_state(self, batch_size: int) -> CoupledState:
        zeros = self.g.b.new_zeros(batch_size, self.hidden_size)
        return CoupledState(zeros, zeros)

    def forward(self, x: Tensor, state: CoupledState) -> tuple[Tensor, CoupledState]:
        h, s = state
        g = torch.tanh(self.g(x, h))
        i = torch.sigmoid(self.i(x, h))
        o = torch.sigmoid(self.o(x, h))
        s = g * i + s * (1 - i)
        h = torch.tanh(s) * o
        return h, CoupledState(h, s)


def main() -> None:
    """Learn which of two symbols came first in sequences of 5 to 20 steps."""
    torch.manual_seed(0)
    layer, answer = Recurrent(CoupledLSTM(2, 16)), nn.Linear(16, 2)
    optimizer = torch.optim.Adam([*layer.parameters(), *answer.parameters()], lr=0.01)
    for update in range(120):
        lengths = torch.randint(5, 21, (32,))
        symbols = torch.randint(2, (32, 20))
        _, state = layer(nn.functional.one_hot(symbols, 2).float(), lengths=lengths)
        loss = nn.functional.cross_entropy(answer(state.h), symbols[:, 0])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if update % 30 == 29:
            print(f"update {update + 1}: loss {loss.item():.3f} (guessing: 0.693)")

    print()
    print("How it ran, with nothing in the cell about it:")
    print(layer.explain())


if __name__ == "__main__":
    main()
