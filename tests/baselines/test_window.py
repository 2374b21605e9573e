import math

import numpy as np
import pytest
import torch

from recurra.baselines.window import WindowNetwork, WindowState

V, W, E, H = 11, 5, 3, 7


@pytest.fixture
def network() -> WindowNetwork:
    torch.manual_seed(0)
    return WindowNetwork(V, window=W, embedding_size=E, hidden_size=H).double()


def random_tokens(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randint(V, shape, generator=torch.Generator().manual_seed(seed))


def test_every_step_is_the_equations_on_its_window(network):
    tokens = random_tokens(3, 13)
    logits, state = network(tokens)
    embedding, kernel, b_h, W_yh, b_y = (p.detach().numpy() for p in network.parameters())
    for row, stream in enumerate(tokens.tolist()):
        padded = [V] * W + stream
        for t in range(len(stream)):
            pre = b_h.copy()
            for lag, token in enumerate(reversed(padded[t + 1 : t + 1 + W])):
                pre += kernel[:, :, W - 1 - lag] @ embedding[token]
            np.testing.assert_allclose(logits[row, t].detach(), W_yh @ np.tanh(pre) + b_y, rtol=1e-12, atol=1e-13)
    assert state.tokens.tolist() == tokens[:, -W:].tolist()


def test_logits_are_the_output_layer_on_the_hidden_vectors(network):
    tokens = random_tokens(2, 4)
    h, hidden_state = network.hidden(tokens)
    logits, state = network(tokens)
    assert h.shape == (2, 4, H)
    torch.testing.assert_close(network.output(h), logits, rtol=0, atol=0)
    assert torch.equal(state.tokens, hidden_state.tokens)


@pytest.mark.parametrize("pieces", [(1,) * 13, (2, 11), (11, 2), (W, W, 3), (12, 1)], ids=str)
def test_any_split_of_a_stream_gives_the_same_logits(network, pieces):
    tokens = random_tokens(2, 13)
    whole, last = network(tokens)
    state, parts = network.initial_state(2), []
    for piece in tokens.split(pieces, dim=1):
        logits, state = network(piece, state)
        parts.append(logits)
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, rtol=1e-13, atol=1e-13)
    assert torch.equal(state.tokens, last.tokens)


def test_steps_give_the_logits_of_the_whole_stream(network):
    tokens = random_tokens(2, 8)
    state, steps = network.initial_state(2), []
    for token in tokens.unbind(1):
        logits, state = network.step(token, state)
        steps.append(logits)
    torch.testing.assert_close(torch.stack(steps, dim=1), network(tokens)[0], rtol=1e-13, atol=1e-13)


def test_the_token_w_steps_back_changes_nothing_and_the_one_after_it_does(network):
    tokens = random_tokens(1, 9)
    final_logits = network(tokens)[0][0, -1]
    for lag in range(9):
        other = tokens.clone()
        other[0, -1 - lag] = (other[0, -1 - lag] + 1) % V
        assert torch.equal(network(other)[0][0, -1], final_logits) is (lag >= W), f"{lag} steps back"


def test_no_gradient_reaches_a_token_outside_the_window(network):
    tokens = torch.arange(9).unsqueeze(0)
    network(tokens)[0][0, -1].square().sum().backward()
    reached = network.embedding.weight.grad.abs().sum(dim=1) > 0
    assert reached.nonzero().flatten().tolist() == [4, 5, 6, 7, 8]


@pytest.mark.parametrize(("lag", "learnable"), [(W - 1, True), (W, False)])
def test_a_window_cannot_answer_what_happened_before_it(lag, learnable):
    """Name the symbol, one of four at random, that came ``lag`` steps ago: ln 4 nats is the score of a guess."""
    torch.manual_seed(0)
    network = WindowNetwork(4, window=W, embedding_size=8, hidden_size=32)
    optimiser = torch.optim.Adam(network.parameters(), lr=0.01)

    def loss(batch_size: int) -> torch.Tensor:
        tokens = torch.randint(4, (batch_size, 20))
        logits, _ = network(tokens)
        return torch.nn.functional.cross_entropy(logits[:, lag:].flatten(0, 1), tokens[:, : 20 - lag].flatten())

    for _ in range(100):
        optimiser.zero_grad()
        loss(16).backward()
        optimiser.step()
    with torch.no_grad():
        score = loss(2000).item()
    assert score < 0.05 if learnable else abs(score - math.log(4)) < 0.02


def test_what_does_not_fit_is_refused(network):
    with pytest.raises(ValueError, match="at least 1"):
        WindowNetwork(V, window=0, embedding_size=E, hidden_size=H)
    with pytest.raises(ValueError, match="one step"):
        network(torch.zeros(2, 0, dtype=torch.long))
    with pytest.raises(ValueError, match=r"\(2, 5\), got \(3, 5\)"):
        network(random_tokens(2, 4), network.initial_state(3))
    with pytest.raises(ValueError, match=r"\(2, 5\), got \(2, 4\)"):
        network(random_tokens(2, 4), WindowState(random_tokens(2, 4)))
