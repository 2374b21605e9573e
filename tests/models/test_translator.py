"""A translator's loss beside its own steps, and the ways from encoder to decoder."""

import pytest
import torch

from recurra.cells import GRU, LSTM
from recurra.layers import Bidirectional, Recurrent, Stack
from recurra.layers.attention import DotAttention
from recurra.models.encoder_decoder import Bridge, Decoder, Encoder
from recurra.models.translator import Translator

SOURCE, TARGET, E, H = 7, 9, 4, 6
LENGTHS, STEPS = torch.tensor([5, 2, 3]), torch.tensor([3, 4, 1])


def plain():
    layers = [Stack(Recurrent(LSTM(E, H)), Recurrent(LSTM(H, H))) for _ in range(2)]
    return Translator(Encoder(SOURCE, E, layers[0], reversed=True), Decoder(TARGET, E, layers[1], H))


def attending():
    read = Stack(Bidirectional(Recurrent(GRU(E, H)), Recurrent(GRU(E, H))))
    written = Stack(Recurrent(GRU(E, H)))
    decoder = Decoder(TARGET, E, written, H, attention=DotAttention(H, 2 * H), memory_size=2 * H)
    return Translator(Encoder(SOURCE, E, read), decoder, Bridge(4 * H, written.initial_state(1)))


def problem():
    draw = torch.Generator().manual_seed(3)
    source = torch.randint(SOURCE, (3, 5), generator=draw)
    given = torch.randint(TARGET, (3, 4), generator=draw)
    wanted = torch.randint(TARGET, (3, 4), generator=draw)
    return source, given, wanted.masked_fill(torch.arange(4) >= STEPS.unsqueeze(1), -100)


@pytest.mark.parametrize("build", [plain, attending])
def test_the_loss_is_that_of_each_row_step_by_step(build):
    torch.manual_seed(0)
    model = build().double()
    source, given, wanted = problem()
    total = 0.0
    for row in range(3):
        state = model.begin(source[row : row + 1, : LENGTHS[row]], LENGTHS[row : row + 1])
        for token, target in zip(given[row], wanted[row], strict=True):
            logits, state = model.step(token.unsqueeze(0), state)
            if target >= 0:
                total -= logits.log_softmax(1)[0, target].item()
    each = model.log_probabilities(source, LENGTHS, given, wanted, STEPS)
    assert -each.sum().item() == pytest.approx(total, rel=1e-12)
    found = model.loss(source, LENGTHS, given, wanted, STEPS, divisor=2.0)
    assert found.item() == pytest.approx(total / 2, rel=1e-12)


def test_without_a_bridge_the_decoder_begins_where_the_encoder_ended():
    torch.manual_seed(0)
    model = plain().double()
    source, *_ = problem()
    state = model.begin(source, LENGTHS)
    backwards = model.encoder.embedding(source[1, :2].flip(0)).unsqueeze(0)
    _, last = model.encoder.layers(backwards)
    torch.testing.assert_close(state.layers[1].h[1], last[1].h[0], rtol=1e-12, atol=0)
    assert state.memory == () and state.fed == ()


def test_what_lies_behind_a_sources_end_changes_nothing():
    torch.manual_seed(0)
    model = attending().double()
    source, given, wanted = problem()
    other = source.clone()
    other[1, 2:] = 0
    losses = [model.loss(each, LENGTHS, given, wanted, STEPS) for each in (source, other)]
    assert torch.equal(*losses)
