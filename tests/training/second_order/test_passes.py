"""A pass taken again draws what it drew, and leaves generators, weights and buffers alone."""

import torch
from torch import nn

from recurra.training.second_order.passes import Pass, trainable


def test_a_pass_again() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
    one = Pass(model, lambda x: (model(x), torch.sum), torch.randn(5, 3), [model[0]])
    outputs, loss, (hidden,) = one.first()
    after = {name: value.clone() for name, value in model.state_dict().items()}
    torch.rand(7)
    generators = torch.get_rng_state()
    again = one.at(trainable(model).values())
    assert torch.equal(again.outputs, outputs) and torch.equal(again.hidden[0], hidden) and loss is again.loss
    assert torch.equal(torch.get_rng_state(), generators)
    assert all(torch.equal(value, after[name]) for name, value in model.state_dict().items())
    doubled = one.at([2 * each for each in trainable(model).values()])
    torch.testing.assert_close(doubled.hidden[0], 2 * hidden, rtol=1e-6, atol=1e-6)
    assert torch.equal(model[0].weight, after["0.weight"])
