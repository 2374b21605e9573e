"""The least time, by hand from rates made up for it; and that real rates are such as a machine can have."""

import pytest

from recurra.bench.entry import Entry, Way
from recurra.bench.roofline import Rates, Roofline, measure_roofline
from recurra.bench.shapes import Shape
from recurra.cells import CELLS

FREE = 1e30


def rates(*, threads=1, product=FREE, rounded=FREE, bandwidth=None, barrier=0.0):
    return Rates(threads, {"float32": product, "bfloat16": rounded}, bandwidth or {1: FREE}, barrier)


def seconds(*found, call=0.0, mode="inference", **way):
    entry = Entry("lstm", Shape(5, 2, 3), mode, Way(**{"threads": 2} | way))
    return Roofline(found, call).seconds(entry.cells(CELLS["lstm"]), entry)


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


def test_an_entry_of_one_thread_has_the_rates_of_one():
    one, two = rates(product=10.0), rates(threads=2, product=20.0)
    assert seconds(one, two, threads=1) == pytest.approx(144)


def test_rounded_products_and_half_the_bytes_of_what_is_kept_rounded():
    assert seconds(rates(product=10.0, rounded=40.0), precision="bfloat16") == pytest.approx(1440 / 40)
    # sequences and all weights once as before, the recurrent weights later in 72 bytes
    slow_memory = rates(bandwidth={100: 1e9, 200: 1e6, 1000: 1e3})
    expected = 240 / 1e3 + 336 / 1e3 + 4 * 72 / 1e9
    assert seconds(slow_memory, precision="bfloat16") == pytest.approx(expected)
    # in training the gradients of the gates: 4 * 10 * 9 + 4 * 10 * 6, and 2 bytes of 10 * 24
    slow = rates(bandwidth={1: 1.0})
    assert seconds(slow, mode="training", precision="bfloat16") == pytest.approx(600 + 480 + 2 * (336 + 4 * 72))


def test_layers_and_directions_one_after_another():
    one = rates(product=10.0)
    assert seconds(one, call=1.0, bidirectional=True) == pytest.approx(2 * 144 + 1)
    assert seconds(one, call=1.0, layers=3) == pytest.approx(3 * 144 + 1)
    # the second layer's input is as wide as two directions: 4 * (6 + 3) * 3 numbers in place of 72
    assert seconds(one, layers=2, bidirectional=True) == pytest.approx(2 * 144 + 2 * 144 * 1.5)


def test_real_rates():
    found = measure_roofline((1,), ("float32", "bfloat16"))
    (only,) = found.rates
    assert (
        1e9 < only.product["float32"] < 1e14
        and 1e8 < only.product["bfloat16"] < 1e15
        and 1e8 < only.memory < 1e13
        and 1e-8 < found.call < 1e-3
    )
    assert list(only.bandwidth.values()) == sorted(only.bandwidth.values(), reverse=True) and only.barrier == 0
    assert found.to_json()["rates"][0]["product_gflops"]["bfloat16"] == only.product["bfloat16"] / 1e9
