"""Encoders and decoders: streams beside whole sequences, padding, the order of reading, and a task they learn."""

import pytest
import torch
from torch import nn

from recurra.cells import GRU, LSTM
from recurra.layers import Bidirectional, Recurrent, Stack
from recurra.layers.attention import AdditiveAttention, DotAttention
from recurra.models.encoder_decoder import Bridge, Decoder, Encoder
from recurra.models.pointer import Pointer
from recurra.recurrence.state import select, tensors

WORDS, E, H = 11, 4, 6


def stack(size, hidden=H):
    return Stack(Recurrent(LSTM(size, hidden)), Recurrent(GRU(hidden, hidden)))


POINTERS = {"none": lambda: None, "mixed": lambda: Pointer(8), "only": lambda: Pointer(8, only=True)}


def decoder(attention, feeding=False, copying="none"):
    torch.manual_seed(0)
    kinds = {"none": None, "dot": DotAttention(H, 5), "additive": AdditiveAttention(H, 5, 7)}
    kinds["covering"] = AdditiveAttention(H, 5, 7, covers=True)
    model = Decoder(
        WORDS, E, stack(E + (8 if feeding else 0)), H, attention=kinds[attention], memory_size=5, hidden_size=8,
        feeding=feeding, pointer=POINTERS[copying](),
    )  # fmt: skip
    return model.double()


def started(model, rows=3):
    draw = torch.manual_seed(1)
    values = torch.randn(rows, 4, 5, generator=draw, dtype=torch.float64)
    memory = () if model.attention is None else model.attention.remember(values, torch.tensor([4, 2, 3])[:rows])
    source = () if model.pointer is None else torch.tensor([[3, 5, 3, 1], [2, 9, 9, 9], [4, 4, 7, 0]])[:rows]
    return model.begin(model.layers.initial_state(rows), memory, source)


def tokens(rows=3, steps=5):
    return torch.randint(WORDS, (rows, steps), generator=torch.manual_seed(2))


kinds = pytest.mark.parametrize(
    ("attention", "feeding", "copying"),
    [
        ("none", False, "none"),
        ("dot", False, "none"),
        ("additive", False, "mixed"),
        ("dot", True, "only"),
        ("covering", False, "none"),
        ("covering", True, "mixed"),
    ],
)


@kinds
def test_steps_give_what_the_whole_sequence_gives(attention, feeding, copying):
    model, given = decoder(attention, feeding, copying), tokens()
    written, last = model.written(given, started(model))
    state, found = started(model), []
    for token in given.unbind(1):
        logits, state = model.step(token, state)
        found.append(logits)
    torch.testing.assert_close(torch.stack(found, 1), model.scores(written, last), rtol=1e-12, atol=1e-14)
    for one, other in zip(tensors(state.layers), tensors(last.layers), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-14)


@kinds
def test_rows_can_be_chosen_from_a_state(attention, feeding, copying):
    model, given = decoder(attention, feeding, copying), tokens()
    rows = torch.tensor([2, 0, 2])
    whole, chosen = (
        model.scores(*model.written(tokens, state))
        for tokens, state in ((given, started(model)), (given[rows], select(started(model), rows)))
    )
    torch.testing.assert_close(chosen, whole[rows], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("feeding", [False, True])
def test_weights_are_those_that_made_the_contexts(feeding):
    model, given = decoder("dot", feeding), tokens()
    state = started(model)
    weights = model.weights(given, state)
    assert weights.shape == (3, 5, 4)
    torch.testing.assert_close(weights.sum(2), torch.ones(3, 5, dtype=torch.float64))
    if not feeding:
        outputs, _ = model.layers(model.embedding(given), state.layers)
        torch.testing.assert_close(weights, model.attention(outputs, state.memory).weights, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("both", [False, True])
def test_a_source_read_backwards_gives_its_outputs_in_order(both):
    torch.manual_seed(0)
    layers = Bidirectional(Recurrent(GRU(E, H)), Recurrent(GRU(E, H))) if both else Recurrent(GRU(E, H))
    plain, turned = Encoder(WORDS, E, layers), Encoder(WORDS, E, layers, reversed=True)
    turned.load_state_dict(plain.state_dict())
    source, lengths = tokens(2, 4), torch.tensor([4, 2])
    found, _ = turned(source, lengths)
    for row, length in enumerate(lengths.tolist()):
        back, _ = plain(source[row : row + 1, :length].flip(1), lengths[row : row + 1])
        torch.testing.assert_close(found[row : row + 1, :length], back.flip(1))


def test_a_bridge_starts_every_tensor_of_a_state():
    layers, vectors = stack(E), torch.randn(3, 7)
    bridge = Bridge(7, layers.initial_state(1))
    state = bridge(vectors, layers.initial_state(3))
    for leaf, start in zip(tensors(state), bridge.maps, strict=True):
        torch.testing.assert_close(leaf, torch.tanh(vectors @ start.weight.T + start.bias))


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="feeding needs an attention"):
        Decoder(WORDS, E, stack(E), H, feeding=True)
    with pytest.raises(ValueError, match="a pointer needs an attention"):
        Decoder(WORDS, E, stack(E), H, pointer=Pointer(H))
    with pytest.raises(ValueError, match="tied weights need equal sizes, got 4 and 6"):
        Decoder(WORDS, E, stack(E), H, tied=True)
    model = decoder("none")
    with pytest.raises(ValueError, match="a decoder without attention has no weights of it"):
        model.weights(tokens(), started(model))


def test_attention_learns_to_turn_a_sequence_round():
    """The last token first: without looking back no state of eight units holds eight tokens of eleven so soon."""
    torch.manual_seed(0)
    encoder = Encoder(WORDS, 16, Bidirectional(Recurrent(GRU(16, 16)), Recurrent(GRU(16, 16))))
    model = Decoder(WORDS, 16, Recurrent(GRU(16, 32)), 32, attention=DotAttention(32, 32), memory_size=32)
    parameters = [*encoder.parameters(), *model.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=0.01)
    lengths, losses = torch.full((64,), 8), []
    for _ in range(150):
        source = torch.randint(1, WORDS, (64, 8))
        wanted = source.flip(1)
        before = torch.cat([torch.zeros(64, 1, dtype=torch.int64), wanted[:, :-1]], 1)
        values, _ = encoder(source, lengths)
        state = model.begin(model.layers.initial_state(64), model.attention.remember(values, lengths))
        loss = model.output.cross_entropy(model.hidden(before, state)[0], wanted, divisor=512.0)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > 2.2 and losses[-1] < 0.1


@pytest.mark.parametrize(
    ("attention", "feeding"), [("none", False), ("dot", False), ("additive", False), ("dot", True), ("covering", False)]
)
def test_own_tokens_are_read_in_the_place_of_given_ones(attention, feeding):
    model, given = decoder(attention, feeding), tokens()
    with torch.no_grad():
        model.output.weight.mul_(1e4)  # so that what is drawn is the likeliest
    none = torch.zeros_like(given, dtype=torch.bool)
    same, _ = model.sampled(given, none, started(model))
    for one, other in zip(same, model.written(given, started(model))[0], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-14)
    found, _ = model.sampled(given, ~none, started(model))
    read = given.clone()
    for step in range(1, given.shape[1]):
        hidden, _ = model.hidden(read[:, :step], started(model))
        read[:, step] = model.output(hidden[:, -1]).argmax(1)
    torch.testing.assert_close(found.hidden, model.hidden(read, started(model))[0], rtol=1e-12, atol=1e-14)
    found.hidden.sum().backward()
    assert model.embedding.weight.grad is not None


def test_tied_weights_without_attention_are_reached_by_a_matrix():
    torch.manual_seed(0)
    model = Decoder(WORDS, E, stack(E), H, hidden_size=E, tied=True).double()
    given, state = tokens(), started(model)
    hidden, _ = model.hidden(given, state)
    outputs, _ = model.layers(model.embedding(given), state.layers)
    assert model.output.weight is model.embedding.weight
    torch.testing.assert_close(hidden, outputs @ model.combine.weight.T + model.combine.bias, rtol=1e-12, atol=1e-14)
