"""The least time, by hand from rates made up for it; and that real rates are such as a machine can have."""

import pytest

from recurra.bench.roofline import Rates, Roofline, measure_roofline
from recurra.bench.shapes import Shape
from recurra.cells import CELLS

FREE = 1e30


def rates(*, threads=1, product=FREE, bandwidth=None, barrier=0.0):
    return Rates(threads, product, bandwidth or {1: FREE}, barrier)


def seconds(*found, call=0.0, mode="inference"):
    return Roofline(found, call).seconds(CELLS["lstm"](3, 3), Shape(5, 2, 3), mode)


def test_products():
    assert seconds(rates(product=10.0)) == pytest.approx(2 * 10 * 72 / 10)
    assert seconds(rates(product=10.0), mode="training") == pytest.approx(3 * 2 * 10 * 72 / 10)


def test_bytes_of_sequences_come_from_memory_and_of_weights_from_where_they_fit():
    # 72 weights and 12 biases, 336 bytes in all; the recurrent 36 are 144 bytes, read in 4 further steps
    slow_memory = rates(bandwidth={100: 1e9, 200: 1e6, 1000: 1e3})
    assert seconds(slow_memory) == pytest.approx(240 / 1e3 + 336 / 1e3 + 4 * 144 / 1e6)
    assert seconds(slow_memory, mode="training") == pytest.approx(1560 / 1e3 + 2 * (336 / 1e3 + 4 * 144 / 1e6))


def test_the_slower_of_products_and_bytes_and_then_barriers_and_the_call():
    one = rates(product=1.0, bandwidth={1: 1e3}, barrier=100.0)
    assert seconds(one, call=7.0) == pytest.approx(1440 + 5 * 100 + 7)


def test_the_better_number_of_threads():
    one, two = rates(product=10.0), rates(threads=2, product=20.0, barrier=20.0)
    assert seconds(one, two) == pytest.approx(144)
    assert seconds(one, rates(threads=2, product=20.0, barrier=1.0)) == pytest.approx(72 + 5)


def test_more_threads_each_hold_a_part_of_the_weights():
    bandwidth = {200: FREE, 1000: 1e3}
    assert seconds(rates(threads=2, bandwidth=bandwidth)) == pytest.approx(240 / 1e3)
    assert seconds(rates(threads=1, bandwidth=bandwidth)) == pytest.approx(240 / 1e3 + 336 / 1e3)


def test_real_rates():
    found = measure_roofline(1)
    (only,) = found.rates
    assert 1e9 < only.product < 1e14 and 1e8 < only.memory < 1e13 and 1e-8 < found.call < 1e-3
    assert list(only.bandwidth.values()) == sorted(only.bandwidth.values(), reverse=True) and only.barrier == 0
    assert found.to_json()["rates"][0]["product_gflops"] == only.product / 1e9
