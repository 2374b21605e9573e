"""The autoregressive network: one call beside a loop over steps, padding, gaps; draws beside their distributions."""

import math

import pytest
import torch

from recurra.cells import GRU
from recurra.layers import LearntState, Recurrent, Stack
from recurra.models.forecasting import autoregressive
from recurra.models.forecasting.autoregressive import Autoregressive
from recurra.models.forecasting.outputs import (
    BernoulliOutput,
    NegativeBinomialOutput,
    NormalOutput,
    QuantileOutput,
    StudentTOutput,
)
from recurra.models.forecasting.series_features import SeriesFeatures
from recurra.recurrence.state import select, tensors
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

OUTPUTS = {
    "normal": NormalOutput,
    "student": StudentTOutput,
    "counts": NegativeBinomialOutput,
    "bernoulli": BernoulliOutput,
    "quantiles": lambda features: QuantileOutput(features, [0.1, 0.5, 0.9]),
}
LAGS = (1, 3, 7)


def network(output="normal", lags=LAGS):
    torch.manual_seed(0)
    series = SeriesFeatures(1, groups=3, embedding_size=2)
    size = Autoregressive.input_size(KNOWN, series, lags)
    return shaken(Autoregressive(series, layers(size), OUTPUTS[output](6), lags=lags))


def row_by_loop(model, given, row):
    """The distributions of a row's values and the values that were read, one step of the layers after another."""
    begin = int(given.observed[row].nonzero()[0])
    state, values, found = model.layers.initial_state(1), [], []
    embedding = model.series.embedding.weight[given.group[row]]
    for step in range(begin, given.target.shape[1]):
        lagged = [values[-lag] if lag <= len(values) else torch.zeros(()).double() for lag in model.lags]
        there = torch.tensor([float(lag <= len(values)) for lag in model.lags]).double()
        x = torch.cat([torch.stack(lagged), there, given.known[row, step], given.static[row], embedding])
        hidden, state = model.layers.step(x.unsqueeze(0), state)
        found.append(model.output(hidden, given.scale[row : row + 1]))
        mean = found[-1].mean()[0].detach()
        values.append(given.target[row, step] if given.observed[row, step] else mean)
    return begin, found, values


@pytest.mark.parametrize("output", OUTPUTS)
def test_the_loss_is_that_of_a_loop_over_all_steps(output):
    model, given = network(output), windows(gaps=GAPS, begins=BEGINS, positive=output == "counts")
    if output == "bernoulli":
        given = given._replace(target=(given.target > 0).double())
    total = 0.0
    for row in range(ROWS):
        begin, found, _ = row_by_loop(model, given, row)
        for step, each in enumerate(found, begin):
            if given.observed[row, step]:
                total += each.cost(given.target[row, step : step + 1]).item()
    assert model.loss(given, 7.0).item() == pytest.approx(total / 7, rel=1e-9)


def test_the_gradient_is_that_of_a_loop_over_all_steps():
    model, given = network(), windows(gaps=GAPS, begins=BEGINS)
    model.loss(given).backward()
    found = {name: weight.grad for name, weight in model.named_parameters()}
    model.zero_grad(set_to_none=True)
    for row in range(ROWS):
        begin, loop, _ = row_by_loop(model, given, row)
        costs = [
            each.cost(given.target[row, step : step + 1])
            for step, each in enumerate(loop, begin)
            if given.observed[row, step]
        ]
        torch.cat(costs).sum().backward()
    for name, weight in model.named_parameters():
        wanted = weight.grad.clone()
        if name == "series.embedding.weight":
            wanted[0] = 0.0  # of a series that training does not know there is nothing to learn
        torch.testing.assert_close(found[name], wanted, rtol=1e-8, atol=1e-10, msg=name)


@pytest.mark.parametrize("gaps", [[], GAPS])
def test_a_stream_equals_the_whole(gaps):
    """Context by `begin`, then value after value, beside the loop over all of them."""
    model, given = network(), windows(gaps=gaps, begins=BEGINS)
    state = model.begin(given)
    found = [model.distribution(state)]
    for step in range(CONTEXT, CONTEXT + HORIZON - 1):
        value = given.target[:, step].masked_fill(~given.observed[:, step], torch.nan)
        each, state = model.step(value, given.known[:, step + 1], state)
        found.append(each)
    for row in range(ROWS):
        begin, loop, _ = row_by_loop(model, given, row)
        for step, each in enumerate(found):
            wanted = loop[CONTEXT - begin + step]
            torch.testing.assert_close(each.loc[row : row + 1], wanted.loc)
            torch.testing.assert_close(each.width[row : row + 1], wanted.width)


def test_a_state_keeps_its_size():
    model, given = network(), windows()
    state = model.begin(given)
    sizes = [leaf.shape for leaf in tensors(state)]
    for step in range(CONTEXT, CONTEXT + HORIZON - 1):
        _, state = model.step(given.target[:, step], given.known[:, step + 1], state)
    assert [leaf.shape for leaf in tensors(state)] == sizes


@pytest.mark.parametrize("gaps", [[], GAPS])
def test_padding_at_the_front_is_never_read(gaps):
    model, given = network(), windows(gaps=gaps, begins=BEGINS)
    noise = torch.where(given.observed.cummax(1).values, 0.0, 99.0)
    noisy = given._replace(target=given.target + noise, known=given.known + noise.unsqueeze(2))
    torch.testing.assert_close(model.loss(noisy), model.loss(given))
    alone = sum(model.loss(row_from(given, row, begin)) for row, begin in enumerate(BEGINS))
    torch.testing.assert_close(model.loss(given), alone)


def test_a_learnt_start_meets_every_row_where_it_begins():
    torch.manual_seed(0)
    series = SeriesFeatures(1)
    cell = GRU(Autoregressive.input_size(KNOWN, series), 6)
    model = shaken(Autoregressive(series, Stack(Recurrent(cell, LearntState(cell))), NormalOutput(6)))
    given = windows(begins=BEGINS)
    alone = sum(model.loss(row_from(given, row, begin)) for row, begin in enumerate(BEGINS))
    torch.testing.assert_close(model.loss(given), alone)


def test_the_horizon_is_not_read_where_it_is_forecast():
    model, given = network(), windows(begins=BEGINS)
    found = [
        model.sample(each, HORIZON, 3, torch.Generator().manual_seed(0))
        for each in (
            given,
            without_horizon(given),
            given._replace(target=given.target.clone().index_fill_(1, torch.tensor([CONTEXT]), 50.0)),
        )
    ]
    for other in found[1:]:
        torch.testing.assert_close(other, found[0])  # the first call of a loop is the reference's, to rounding
    assert found[0].shape == (ROWS, 3, HORIZON)


def test_draws_of_the_first_step_are_of_its_distribution():
    model, given = network(), windows(begins=BEGINS)
    count = 20_000
    drawn = model.sample(given, 1, count, torch.Generator().manual_seed(1))[..., 0]
    known = model.distribution(model.begin(given))
    assert ((drawn.mean(1) - known.loc).abs() < 4 * known.width / math.sqrt(count)).all()
    torch.testing.assert_close(drawn.std(1), known.width, rtol=0.025, atol=0)


def test_a_path_goes_on_from_its_own_values():
    """The draws of the second step, each less what the network expects after that path's first, are of one width."""
    model, given = network(), windows(begins=BEGINS)
    count = 5_000
    drawn = model.sample(given, 3, count, torch.Generator().manual_seed(2))
    state = select(model.begin(given), torch.arange(ROWS).repeat_interleave(count))
    for step in range(2):
        known = given.known[:, CONTEXT + step + 1].repeat_interleave(count, 0)
        after, state = model.step(drawn[:, :, step].flatten(), known, state)
        standard = ((drawn[:, :, step + 1].flatten() - after.loc) / after.width).view(ROWS, count)
        assert (standard.mean(1).abs() < 4 / math.sqrt(count)).all()
        assert ((standard.std(1) - 1).abs() < 4 / math.sqrt(2 * count)).all()
        moves = torch.stack([drawn[..., step], after.loc.view(ROWS, count)])
        assert all(abs(torch.corrcoef(moves[:, row])[0, 1]) > 0.1 for row in range(ROWS))


def test_rows_that_are_stepped_apart_are_drawn_alike(monkeypatch):
    """One chunk or several, a path has the values of one walk; the first chunk draws the same numbers."""
    model, given = network("student"), windows(begins=BEGINS)
    whole = model.sample(given, HORIZON, 6, torch.Generator().manual_seed(3))
    monkeypatch.setattr(autoregressive, "ROWS", 5)
    parts = model.sample(given, HORIZON, 6, torch.Generator().manual_seed(3))
    assert parts.shape == whole.shape
    again = model.sample(given, HORIZON, 6, torch.Generator().manual_seed(3))
    assert torch.equal(parts, again)
    state = select(model.begin(given), torch.arange(1, 2))
    _, state = model.step(parts[1, 5, :1], given.known[1:2, CONTEXT + 1], state)
    assert model.distribution(state).cost(parts[1, 5, 1:2]).item() < 20


def test_mean_and_quantiles_are_those_of_the_paths():
    model, given = network(), windows(begins=BEGINS)
    drawn = model.sample(given, HORIZON, 101, torch.Generator().manual_seed(4))
    mean = model.mean(given, paths=101, generator=torch.Generator().manual_seed(4))
    torch.testing.assert_close(mean, drawn.mean(1))
    levels = [0.0, 0.1, 0.5, 1.0]
    found = model.quantiles(given, levels, paths=101, generator=torch.Generator().manual_seed(4))
    ordered = drawn.sort(1).values
    torch.testing.assert_close(found, ordered[:, [0, 10, 50, 100]].transpose(1, 2))


def test_what_is_not_known_ahead_is_not_forecast():
    model, given = network(), windows()
    with pytest.raises(ValueError, match="the covariates are known for 5 steps, too few for 6"):
        model.sample(given, HORIZON + 1, 2)
    with pytest.raises(ValueError, match="lags must grow from 1"):
        network(lags=(2, 3))


def test_it_learns_what_its_own_past_decides():
    """Values that alternate around a level of their own: the next is known, its width the noise's."""
    torch.manual_seed(0)
    series = SeriesFeatures(1)
    model = Autoregressive(series, Stack(Recurrent(GRU(Autoregressive.input_size(KNOWN, series), 8))), NormalOutput(8))
    given = windows(dtype=torch.float32)
    signs = torch.tensor([1.0, -1.0]).repeat(7)
    noise = 0.05 * torch.randn(ROWS, CONTEXT + HORIZON, generator=torch.Generator().manual_seed(5))
    given = given._replace(
        target=signs + noise, known=torch.zeros_like(given.known), static=torch.zeros_like(given.static)
    )
    optimiser = torch.optim.Adam(model.parameters(), lr=0.03)
    for _ in range(120):
        optimiser.zero_grad()
        model.loss(given, float(given.target.numel())).backward()
        optimiser.step()
    mean = model.eval().mean(given, generator=torch.Generator().manual_seed(6))
    assert ((mean - signs[CONTEXT:]).abs() < 0.1).all()


@pytest.mark.parametrize("output", OUTPUTS)
def test_in_bfloat16_it_costs_the_same_to_rounding(output):
    model = network(output).float()
    given = windows(gaps=GAPS, begins=BEGINS, positive=output == "counts", dtype=torch.float32)
    if output == "bernoulli":
        given = given._replace(target=(given.target > 0).float())
    with torch.autocast("cpu", torch.bfloat16):
        found = model.loss(given)
        drawn = model.sample(given, 3, 5)
    assert found.dtype == drawn.dtype == torch.float32
    assert found.item() == pytest.approx(model.loss(given).item(), rel=4e-3)  # 8 bits, less where errors cancel
