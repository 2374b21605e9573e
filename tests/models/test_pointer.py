"""Copied tokens, beside sums taken place by place, and a task that nothing but copying solves."""

import pytest
import torch

from recurra.cells import GRU
from recurra.layers import Bidirectional, Recurrent
from recurra.layers.attention import DotAttention
from recurra.models.encoder_decoder import Decoder, Encoder
from recurra.models.pointer import Pointer
from recurra.models.softmax import Softmax
from recurra.models.translator import Translator

B, T, S, H, V = 2, 3, 5, 4, 7
SOURCE = torch.tensor([[3, 1, 3, 0, 0], [2, 2, 6, 5, 0]])
WANTED = torch.tensor([[3, 4, 0], [6, 2, -100]])


def drawn(only=False):
    torch.manual_seed(0)
    hidden, weights = torch.randn(B, T, H, dtype=torch.float64), torch.rand(B, T, S, dtype=torch.float64)
    weights[0, :, 4] = 0  # behind the first row's end
    pointer, softmax = Pointer(H, only=only).double(), Softmax(H, V).double()
    for parameter in (*pointer.parameters(), *softmax.parameters()):
        parameter.requires_grad_(False)
    return pointer, softmax, hidden, weights / weights.sum(2, keepdim=True)


def by_hand(pointer, softmax, hidden, weights, row, step, token):
    copied = sum(float(weights[row, step, place]) for place in range(S) if SOURCE[row, place] == token)
    if pointer.gate is None:
        return copied
    gate = float(torch.sigmoid(pointer.gate.weight[0] @ hidden[row, step] + pointer.gate.bias))
    scores = softmax.weight @ hidden[row, step] + softmax.bias
    return gate * float(scores.exp()[token] / scores.exp().sum()) + (1 - gate) * copied


@pytest.mark.parametrize("only", [False, True])
def test_probabilities_are_mixtures(only):
    pointer, softmax, hidden, weights = drawn(only)
    found = pointer(hidden, weights, SOURCE, softmax).exp()
    torch.testing.assert_close(found.sum(2), torch.ones(B, T, dtype=torch.float64), rtol=0, atol=1e-7)
    for row in range(B):
        for step in range(T):
            for token in range(V):
                want = by_hand(pointer, softmax, hidden, weights, row, step, token)
                assert abs(float(found[row, step, token]) - want) < 2e-9


@pytest.mark.parametrize("only", [False, True])
def test_what_cannot_be_written_is_not_copied(only):
    pointer, softmax, hidden, weights = drawn(only)
    source = SOURCE.masked_fill(SOURCE == 3, -1)  # in both forms, and all weight is the others'
    kept = weights * (source >= 0).unsqueeze(1)
    kept = kept / kept.sum(2, keepdim=True)
    found = pointer(hidden, weights, source, softmax)
    torch.testing.assert_close(found, pointer(hidden, kept, SOURCE, softmax), rtol=0, atol=1e-7)
    one, other = (pointer.cross_entropy(hidden, *each, softmax, WANTED) for each in ((weights, source), (kept, SOURCE)))
    torch.testing.assert_close(one, other)


@pytest.mark.parametrize("only", [False, True])
def test_the_loss_is_that_of_the_probabilities(only):
    pointer, softmax, hidden, weights = drawn(only)
    chances = pointer(hidden, weights, SOURCE, softmax)
    want = -sum(float(chances[row, step, WANTED[row, step]]) for row, step in ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1)))
    assert float(pointer.cross_entropy(hidden, weights, SOURCE, softmax, WANTED)) == pytest.approx(want, abs=1e-9)
    smoothed = float(pointer.cross_entropy(hidden, weights, SOURCE, softmax, WANTED, 0.2))
    if only:
        assert smoothed == pytest.approx(want, abs=1e-9)
    else:
        rest = -softmax(hidden).log_softmax(2).mean(2)[WANTED != -100].sum()
        assert smoothed == pytest.approx(0.8 * want + 0.2 * float(rest), abs=1e-9)


def test_a_pointer_network_puts_numbers_in_order():
    torch.manual_seed(0)
    words, size = 21, 32
    encoder = Encoder(words, 16, Bidirectional(Recurrent(GRU(16, size)), Recurrent(GRU(16, size))))
    decoder = Decoder(
        words, 16, Recurrent(GRU(16, 2 * size)), 2 * size,
        attention=DotAttention(2 * size, 2 * size), memory_size=2 * size, pointer=Pointer(2 * size, only=True),
    )  # fmt: skip
    model = Translator(encoder, decoder, None)

    def begin(source, lengths):
        memory = decoder.attention.remember(encoder(source, lengths)[0], lengths)
        return decoder.begin(decoder.layers.initial_state(len(source)), memory, source)

    model.begin = begin
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    lengths, rows = torch.full((64,), 6), 64
    for _ in range(250):
        source = torch.stack([torch.randperm(words - 1)[:6] + 1 for _ in range(rows)])
        wanted = source.sort(1).values
        given = torch.cat([torch.zeros(rows, 1, dtype=torch.int64), wanted[:, :-1]], 1)
        loss = model.loss(source, lengths, given, wanted, lengths, divisor=6.0 * rows)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    with torch.no_grad():
        found = decoder.scores(decoder.written(given, model.begin(source, lengths))[0], model.begin(source, lengths))
    assert float((found.argmax(2) == wanted).double().mean()) > 0.9
    assert all(set(row.tolist()) <= set(of.tolist()) for row, of in zip(found.argmax(2), source, strict=True))
