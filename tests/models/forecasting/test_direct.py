"""The direct network: its equations by hand, padding, gaps, streams beside the whole, quantiles that it learns."""

import pytest
import torch

from recurra.cells import GRU, LSTM
from recurra.layers import Bidirectional, Recurrent, Stack
from recurra.models.forecasting.direct import Direct, HorizonFeatures
from recurra.models.forecasting.outputs import NormalOutput, PointOutput, QuantileOutput, StudentTOutput
from recurra.models.forecasting.series_features import SeriesFeatures
from tests.models.forecasting.windows import (
    BEGINS,
    CONTEXT,
    GAPS,
    HORIZON,
    KNOWN,
    ROWS,
    layers,
    row_from,
    shaken,
    windows,
    without_horizon,
)

PAST = 3
LEVELS = [0.1, 0.5, 0.9]
OUTPUTS = {
    "normal": NormalOutput,
    "student": StudentTOutput,
    "quantiles": lambda features: QuantileOutput(features, LEVELS),
    "point": PointOutput,
}


def network(output="normal", both=False, patch=1):
    torch.manual_seed(0)
    series = SeriesFeatures(1, groups=3, embedding_size=2)
    size = Direct.input_size(KNOWN, PAST, series, patch)
    read = Stack(Bidirectional(Recurrent(LSTM(size, 6)), Recurrent(GRU(size, 4)))) if both else layers(size)
    steps = HorizonFeatures(10 if both else 6, KNOWN, HORIZON, context_size=3, output_size=7)
    return shaken(Direct(series, read, steps, OUTPUTS[output](7), patch=patch, backward=4 if both else 0))


def encoded_by_loop(model, given, row):
    """The outputs of the layers after a row's context, one step after another."""
    begin = int(given.observed[row].nonzero()[0])
    state, last = model.layers.initial_state(1), torch.zeros(()).double()
    embedding = model.series.embedding.weight[given.group[row]]
    for step in range(begin, CONTEXT):
        seen = bool(given.observed[row, step])
        last = given.target[row, step] if seen else last
        marks = torch.stack([last, 0.0 * model.gate if seen else model.gate])
        x = torch.cat([marks, given.known[row, step], given.past[row, step], given.static[row], embedding])
        hidden, state = model.layers.step(x.unsqueeze(0), state)
    return hidden


def test_a_forecast_is_that_of_a_loop_over_the_context():
    model, given = network(), windows(PAST, GAPS, BEGINS)
    found = model.forecast(given)
    for row in range(ROWS):
        hidden, x = encoded_by_loop(model, given, row)[0], given.known[row, CONTEXT:]
        contexts = model.steps.everywhere(torch.cat([hidden, x.flatten()])).clamp(min=0).view(HORIZON + 1, 3)
        for step in range(HORIZON):
            parts = torch.cat([contexts[step], contexts[HORIZON], x[step], hidden])
            loc, width = model.output.linear(model.steps.there(parts).clamp(min=0))
            torch.testing.assert_close(found.loc[row, step], loc)
            torch.testing.assert_close(
                found.width[row, step], width.exp().log1p() / 2**0.0 / 0.6931471805599453, rtol=2e-4, atol=1e-4
            )


@pytest.mark.parametrize("both", [False, True], ids=["ahead", "both ways"])
def test_a_row_is_forecast_by_itself_whatever_stands_before_it(both):
    model, given = network(both=both), windows(PAST, GAPS, BEGINS)
    noise = torch.where(given.observed.cummax(1).values, 0.0, 99.0)
    noisy = given._replace(
        target=given.target + noise,
        known=given.known + noise.unsqueeze(2),
        past=given.past + noise[:, :CONTEXT].unsqueeze(2),
    )
    found = model.mean(noisy)
    for row, begin in enumerate(BEGINS):
        torch.testing.assert_close(found[row : row + 1], model.mean(row_from(given, row, begin)))


@pytest.mark.parametrize("output", OUTPUTS)
def test_the_loss_is_the_sum_of_the_costs_of_what_was_observed(output):
    model, given = network(output), windows(PAST, [*GAPS, (2, CONTEXT), (3, CONTEXT + 4)], BEGINS)
    forecast, total = model.forecast(given), 0.0
    costs = forecast.cost(given.target[:, CONTEXT:])
    for row in range(ROWS):
        for step in range(HORIZON):
            total += costs[row, step].item() if given.observed[row, CONTEXT + step] else 0.0
    assert model.loss(given, 3.0).item() == pytest.approx(total / 3, rel=1e-9)


@pytest.mark.parametrize("both", [False, True], ids=["ahead", "both ways"])
def test_the_horizon_is_not_read(both):
    model, given = network(both=both), windows(PAST, begins=BEGINS)
    changed = given._replace(target=given.target.clone().index_fill_(1, torch.arange(CONTEXT, CONTEXT + 2), 50.0))
    for other in (changed, without_horizon(given)):
        assert torch.equal(model.mean(other), model.mean(given))


def test_a_stream_equals_the_whole():
    """Each new value moves the context on by one; the past is never read again."""
    model, given = network(), windows(PAST, GAPS, BEGINS)
    begin = 6
    known = torch.cat([given.known, given.known.flip(1)], dim=1)

    def upto(step):
        return given._replace(
            target=given.target[:, :step],
            observed=given.observed[:, :step],
            known=known[:, : step + HORIZON],
            past=given.past[:, :step],
        )

    state = model.begin(upto(begin))
    torch.testing.assert_close(model.distribution(state).loc, model.forecast(upto(begin)).loc)
    for step in range(begin, CONTEXT):
        value = given.target[:, step].masked_fill(~given.observed[:, step], torch.nan)
        found, state = model.step(value, known[:, step + 1 : step + 1 + HORIZON], state, given.past[:, step])
        torch.testing.assert_close(found.loc, model.forecast(upto(step + 1)).loc)
        torch.testing.assert_close(found.width, model.forecast(upto(step + 1)).width)


def test_patches_are_read_as_steps_of_the_layers():
    """Of nine steps by fours the first is not read; a row that begins within a patch has zeros before that."""
    model, given = network(patch=4), windows(PAST, GAPS, [0, 2, 0, 7])
    values, seen = given.target.masked_fill(~given.observed, 0.0), given.observed
    found = model.forecast(given)
    for row, begin in enumerate([0, 2, 0, 7]):
        state = model.layers.initial_state(1)
        embedding = model.series.embedding.weight[given.group[row]]
        last = values[row, 0]
        for first in [1, 5] if begin < 5 else [5]:
            parts = []
            for step in range(first, first + 4):
                last = values[row, step] if seen[row, step] else last
                mark = 0.0 * model.gate if seen[row, step] else model.gate
                here = torch.cat([torch.stack([last, mark]), given.known[row, step], given.past[row, step]])
                parts.append(here if step >= begin else torch.zeros_like(here))
            x = torch.cat([*parts, given.static[row], embedding])
            hidden, state = model.layers.step(x.unsqueeze(0), state)
        wanted = model.output(model.steps(hidden, given.known[row : row + 1, CONTEXT:]), given.scale[row : row + 1])
        torch.testing.assert_close(found.loc[row], wanted.loc[0])
    with pytest.raises(ValueError, match="a network that reads 4 steps at once cannot read them one by one"):
        model.begin(given)
    with pytest.raises(ValueError, match="a network that reads 10 steps at once needs as long a context, got 9"):
        network(patch=10).mean(given)


def test_a_bidirectional_network_has_no_stream():
    with pytest.raises(ValueError, match="future"):
        network(both=True).begin(windows(PAST))


def test_a_network_that_has_seen_no_gap_is_not_disturbed_by_one():
    model, given = network(), windows(PAST)
    with torch.no_grad():
        model.gate.zero_()
    gap = windows(PAST, [(row, 4) for row in range(ROWS)])
    carried = given._replace(target=given.target.index_copy(1, torch.tensor([4]), given.target[:, 3:4]))
    torch.testing.assert_close(model.mean(gap), model.mean(carried))
    model.loss(gap).backward()
    assert model.gate.grad.abs() > 1e-6


def test_quantiles_are_those_of_the_forecast():
    given = windows(PAST, begins=BEGINS)
    for output in ("normal", "student", "quantiles"):
        found = network(output).quantiles(given, [0.05, *LEVELS, 0.95])
        assert found.shape == (ROWS, HORIZON, 5) and (found.diff(dim=2) > 0).all()
    model = network("quantiles")
    torch.testing.assert_close(model.quantiles(given, LEVELS), model.forecast(given).values)
    with pytest.raises(ValueError, match="a point forecast has no quantiles"):
        network("point").quantiles(given, LEVELS)


def test_it_learns_the_quantiles_of_noise():
    """Of a horizon that no context speaks of, uniform between -1 and 1, the levels lie at 2 p - 1."""
    torch.manual_seed(0)
    series = SeriesFeatures(1)
    read = Recurrent(GRU(Direct.input_size(KNOWN, 0, series), 4))
    steps = HorizonFeatures(4, KNOWN, HORIZON, context_size=2, output_size=4)
    model = Direct(series, read, steps, QuantileOutput(4, LEVELS))
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    draw = torch.Generator().manual_seed(7)
    given = windows(dtype=torch.float32)
    given = given._replace(**{name: torch.zeros_like(getattr(given, name)) for name in ("known", "static")})
    for update in range(120):
        optimiser.param_groups[0]["lr"] = 0.05 / (1 + update / 15)
        noise = torch.zeros(200, CONTEXT + HORIZON)
        noise[:, CONTEXT:].uniform_(-1, 1, generator=draw)
        batch = given._replace(
            **{name: getattr(given, name)[:1].expand(200, *getattr(given, name).shape[1:]) for name in given._fields}
        )
        optimiser.zero_grad()
        model.loss(batch._replace(target=noise), float(noise.numel())).backward()
        optimiser.step()
    wanted = (2 * torch.tensor(LEVELS) - 1).expand(200, HORIZON, -1)
    torch.testing.assert_close(model.quantiles(batch, LEVELS), wanted, rtol=0, atol=0.05)


@pytest.mark.parametrize("output", OUTPUTS)
def test_in_bfloat16_it_costs_the_same_to_rounding(output):
    model, given = network(output).float(), windows(PAST, GAPS, BEGINS, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        found = model.loss(given)
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(model.loss(given).item(), rel=4e-3)  # 8 bits, less where errors cancel
