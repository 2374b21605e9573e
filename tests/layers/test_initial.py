import torch
from torch import nn

from recurra.layers import LearntState, Recurrent
from recurra.recurrence.state import same_structure, tensors


class OffsetCell(nn.Module):
    """A cell of nested state that starts off zero and adds its inputs up."""

    def initial_state(self, batch_size):
        row = torch.arange(2.0, dtype=torch.float64).expand(batch_size, 2)
        return {"h": row + 1, "rest": [(row * 3,)]}

    def forward(self, x, state):
        return {"h": state["h"] + x, "rest": [(state["rest"][0][0] * 2,)]}


def test_it_begins_as_the_cells_own_start_for_any_batch():
    cell = OffsetCell()
    learnt, own = LearntState(cell)(3), cell.initial_state(3)
    assert same_structure(learnt, own)
    for got, want in zip(tensors(learnt), tensors(own), strict=True):
        assert torch.equal(got, want)


def test_starts_and_resets_go_to_the_learnt_values_and_gradients_come_back():
    cell = OffsetCell()
    layer = Recurrent(cell, initial_state=LearntState(cell))
    h, rest = layer.start.parameters()
    with torch.no_grad():
        h.copy_(torch.tensor([[5.0, 7.0]]))
    x = torch.ones(2, 3, 2, dtype=torch.float64)
    reset = torch.tensor([[0, 0, 1], [0, 0, 0]]).bool()
    outputs, _ = layer(x, reset=reset)
    assert outputs[:, :, 0].tolist() == [[6, 7, 6], [6, 7, 8]]
    outputs.sum().backward()
    assert h.grad.tolist() == [[6.0, 6.0]]  # every output of both rows rests on it, after the reset too
    h.grad = None
    elsewhere = {"h": torch.zeros_like(x[:, 0]), "rest": [(torch.zeros_like(x[:, 0]),)]}
    layer(x, elsewhere, reset=reset)[0].sum().backward()
    assert h.grad.tolist() == [[1.0, 1.0]]  # with a state given, only the step after the reset does


def test_fields_that_share_one_tensor_are_learnt_apart_and_saved_by_plain_names():
    cell = nn.LSTMCell(2, 3, dtype=torch.float64)
    layer = Recurrent(cell, initial_state=LearntState(cell))
    assert [name for name in layer.state_dict() if name.startswith("start")] == ["start.values.0", "start.values.1"]
    layer(torch.randn(4, 5, 2, dtype=torch.float64))[0].sum().backward()
    h, c = layer.start.parameters()
    assert h.grad.any() and c.grad.any() and not torch.equal(h.grad, c.grad)
    other = Recurrent(cell, initial_state=LearntState(cell))
    with torch.no_grad():
        h.fill_(0.5)
    other.load_state_dict(layer.state_dict())
    assert other.initial_state(2)[0].eq(0.5).all() and other.initial_state(2)[1].eq(0).all()


def test_it_follows_the_weights_to_another_type():
    cell = nn.GRUCell(2, 3)
    layer = Recurrent(cell, initial_state=LearntState(cell)).double()
    assert layer(torch.zeros(1, 1, 2, dtype=torch.float64))[0].dtype == torch.float64
