"""Models of torch.nn layers before and after ``accelerate``."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import recurra
from tests.nn.helpers import close, results


class Translator(nn.Module):
    """An encoder and a decoder as one finds them: nested, with embeddings, packed and single steps."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(11, 6)
        self.encoder = nn.ModuleDict({"rnn": nn.LSTM(6, 5, 2, dropout=0.5, bidirectional=True, batch_first=True)})
        self.bridge = nn.Sequential(nn.Linear(5, 4), nn.Tanh())
        shared = nn.GRU(6, 4, batch_first=True)
        self.decoder = nn.ModuleList([shared, nn.Linear(4, 6), shared])
        self.smooth = nn.RNN(4, 3, nonlinearity="relu", batch_first=True)

    def forward(self, source, lengths, target):
        packed = pack_padded_sequence(self.embed(source), lengths, batch_first=True, enforce_sorted=False)
        outputs, (h, _) = self.encoder["rnn"](packed)
        memory = pad_packed_sequence(outputs, batch_first=True)[0].mean()
        once, middle, again = self.decoder
        decoded, _ = once(self.embed(target), self.bridge(h[-1:]))
        return self.smooth(again(middle(decoded))[0])[0] + memory


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Translator().double()


@pytest.fixture
def example():
    noise = torch.Generator().manual_seed(1)
    source, target = torch.randint(11, (3, 7), generator=noise), torch.randint(11, (3, 5), generator=noise)
    return source, torch.tensor([4, 7, 2]), target


def step(model, optimiser, example):
    torch.manual_seed(2)
    optimiser.zero_grad()
    loss = model(*example).square().sum()
    loss.backward()
    optimiser.step()
    return loss.detach()


@pytest.mark.usefixtures("on_our_own")
def test_a_model_trains_on_as_before(model, example):
    other = copy.deepcopy(model)
    optimisers = [torch.optim.Adam(m.parameters()) for m in (model, other)]
    close(step(model, optimisers[0], example), step(other, optimisers[1], example))
    report = recurra.accelerate(model)
    assert report == (["encoder.rnn", "decoder.0", "smooth"], {})
    assert type(model.encoder["rnn"]) is recurra.nn.LSTM and type(model.smooth) is recurra.nn.RNN
    assert type(model.decoder[0]) is recurra.nn.GRU and model.decoder[0] is model.decoder[2]
    for _ in range(3):
        close(step(model, optimisers[0], example), step(other, optimisers[1], example))
    close(model.state_dict(), other.state_dict())
    close(model.eval()(*example), other.eval()(*example))


@pytest.mark.usefixtures("on_our_own")
def test_the_module_stays_what_it_was():
    layer = nn.GRU(3, 4, dtype=torch.float64).eval().requires_grad_(False)
    calls = []
    layer.register_forward_hook(lambda *call: calls.append(call))
    kept = dict(vars(layer)), dict(layer.named_parameters()), repr(layer)
    assert recurra.accelerate(layer) == ([""], {})
    assert type(layer) is recurra.nn.GRU and not layer.training
    assert all(vars(layer)[name] is value for name, value in kept[0].items())
    assert all(value is kept[1][name] for name, value in layer.named_parameters()) and repr(layer) == kept[2]
    layer(torch.zeros(2, 1, 3, dtype=torch.float64))
    assert len(calls) == 1


class Doubled(nn.Module):
    def forward(self, weight):
        return weight * 2


@pytest.mark.usefixtures("on_our_own")
def test_parametrizations_stay():
    model = nn.Sequential(nn.LSTM(3, 4, dtype=torch.float64))
    parametrize.register_parametrization(model[0], "weight_hh_l0", Doubled())
    other = copy.deepcopy(model)
    assert recurra.accelerate(model) == (["0"], {})
    assert isinstance(model[0], recurra.nn.LSTM) and not isinstance(other[0], recurra.nn.LSTM)
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    close(results(model[0], x), results(other[0], x))
    close(results(copy.deepcopy(model)[0], x), results(other[0], x))
    parametrize.register_parametrization(model[0], "weight_ih_l0", Doubled())
    parametrize.register_parametrization(other[0], "weight_ih_l0", Doubled())
    close(results(model[0], x), results(other[0], x))
    parametrize.remove_parametrizations(model[0], "weight_hh_l0")
    parametrize.remove_parametrizations(model[0], "weight_ih_l0")
    assert type(model[0]) is recurra.nn.LSTM
    close(results(model[0], x), results(other[0], x))


class Home(nn.LSTM):
    pass


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:torch.quantize_per_tensor")
def test_what_is_left_and_why():
    wrapped = nn.GRU(2, 2)
    wrapped.forward = lambda x: x
    parametrized = Home(2, 2)
    parametrize.register_parametrization(parametrized, "weight_hh_l0", Doubled())
    model = nn.ModuleDict(
        {
            "cell": nn.LSTMCell(2, 2),
            "home": Home(2, 2),
            "parametrized": parametrized,
            "wrapped": wrapped,
            "quantized": torch.ao.nn.quantized.dynamic.LSTM(2, 2),
            "scripted": torch.jit.script(nn.GRU(2, 2)),
            "other": torch.jit.script(nn.Linear(2, 2)),
            "ours": recurra.nn.RNN(2, 2),
            "layer": nn.RNN(2, 2),
        }
    )
    kinds = {name: type(module) for name, module in model.items()}
    report = recurra.accelerate(model)
    assert report.replaced == ["layer"]
    assert report.left == {
        "cell": "a LSTMCell takes single steps: recurra.Recurrent runs one over sequences",
        "home": "Home is a subclass with code of its own",
        "parametrized": "ParametrizedHome is a subclass with code of its own",
        "wrapped": "its forward has been replaced by another function",
        "quantized": "its weights are quantized",
        "scripted": "TorchScript has compiled it: accelerate the model before",
    }
    assert {name: type(module) for name, module in model.items()} == {**kinds, "layer": recurra.nn.RNN}
    assert str(report).splitlines()[:2] == ["replaced layer", f"left cell: {report.left['cell']}"]


def test_the_report_in_words():
    assert str(recurra.accelerate(nn.Linear(2, 2))) == "found no recurrent module of torch.nn"
    layer = nn.RNN(2, 2)
    assert str(recurra.accelerate(layer)) == "replaced the model itself"
    assert recurra.accelerate(layer) == ([], {})
    with pytest.raises(TypeError, match="model must be a torch.nn.Module, got list"):
        recurra.accelerate([layer])
