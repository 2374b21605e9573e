import pytest
import torch
from torch import nn

from recurra.models.softmax import AdaptiveSoftmax, Softmax

H, V = 16, 40


@pytest.fixture(params=["plain", "adaptive"])
def layer(request):
    torch.manual_seed(0)
    return (Softmax(H, V) if request.param == "plain" else AdaptiveSoftmax(H, V, [10, 20])).double()


@pytest.fixture
def hidden():
    return torch.randn(2, 5, H, generator=torch.manual_seed(1), dtype=torch.float64, requires_grad=True)


def test_the_loss_is_the_sum_over_targets_that_count(layer, hidden):
    targets = torch.randint(V, (2, 5), generator=torch.manual_seed(2))
    targets[0, 3:] = targets[1, 0] = -100
    log_p = layer(hidden).log_softmax(-1)
    places = [(b, t) for b in range(2) for t in range(5) if targets[b, t] >= 0]
    assert len(places) == 7
    by_hand = -sum(log_p[b, t, targets[b, t]] for b, t in places) / 3
    found = layer.cross_entropy(hidden, targets, divisor=3.0)
    torch.testing.assert_close(found, by_hand)
    parameters = [hidden, *layer.parameters()]
    pairs = zip(torch.autograd.grad(found, parameters), torch.autograd.grad(by_hand, parameters), strict=True)
    for gradient, wanted in pairs:
        torch.testing.assert_close(gradient, wanted)
    with torch.no_grad():
        torch.testing.assert_close(layer.cross_entropy(hidden, targets, divisor=3.0), by_hand)
    targets[:] = -100
    assert layer.cross_entropy(hidden, targets) == 0


def test_the_loss_under_autocast_is_near(layer, hidden):
    layer, hidden = layer.float(), hidden.float()
    targets = torch.randint(V, (2, 5), generator=torch.manual_seed(2))
    whole = layer.cross_entropy(hidden, targets)
    for given in (hidden, hidden.bfloat16()):
        with torch.autocast("cpu", torch.bfloat16):
            torch.testing.assert_close(layer.cross_entropy(given, targets), whole, rtol=1e-2, atol=0)


def test_the_plain_softmax_is_a_linear_layer(hidden):
    layer, linear = Softmax(H, V).double(), nn.Linear(H, V).double()
    linear.load_state_dict(layer.state_dict())
    torch.testing.assert_close(layer(hidden), linear(hidden))


def test_the_adaptive_softmax_is_that_of_its_equations(hidden):
    """The head scores the frequent tokens and the clusters; a cluster's tokens share its probability."""
    layer = AdaptiveSoftmax(H, V, [10, 20]).double()
    head = hidden @ layer.clusters.head.weight.T
    p_head = head.softmax(-1)
    wanted = [p_head[..., :10]]
    for number, (down, up) in enumerate(layer.clusters.tail):
        assert down.weight.shape[0] == H // 4 ** (number + 1)
        wanted.append(p_head[..., 10 + number, None] * (hidden @ down.weight.T @ up.weight.T).softmax(-1))
    torch.testing.assert_close(layer(hidden), torch.cat(wanted, -1).log())
    torch.testing.assert_close(layer(hidden[0]), layer(hidden)[0])


def test_the_adaptive_loss_is_that_of_torch(hidden):
    layer = AdaptiveSoftmax(H, V, [10, 20]).double()
    targets = torch.tensor([[0, 9, 10, 19, 20], [39, 3, 12, 30, 11]])
    by_torch = -layer.clusters(hidden.flatten(0, 1), targets.flatten()).output.sum()
    torch.testing.assert_close(layer.cross_entropy(hidden, targets), by_torch)
    with pytest.raises(RuntimeError, match="targets must lie in"):
        layer.cross_entropy(hidden, targets + 1)


def test_clusters_without_features_are_refused():
    with pytest.raises(ValueError, match="3 clusters leave no features of 16; they need 64"):
        AdaptiveSoftmax(H, V, [10, 20, 30])
    with pytest.raises(ValueError, match="cutoffs should be a sequence"):
        AdaptiveSoftmax(H, V, [10, V])
