"""Calls as one node of autograd: the gradients of separate calls, first and second, for whichever results are used."""

import pytest
import torch

from recurra.recurrence.autograd import Call
from recurra.recurrence.interpret import interpret
from recurra.recurrence.together import run_together
from tests.recurrence.abreast import assert_same_bits, both_ways, gradients_of, needs_pool
from tests.recurrence.programs import gru, highway, inputs, lstm

pytestmark = needs_pool
STEPS = 7
PAIRS = {
    "of one kind": (lstm(3, 21), lstm(3, 21)),
    "of sizes of their own": (lstm(3, 21), lstm(3, 24)),
    "of one stage and of two": (gru("after", 3, 21), gru("before", 3, 20)),
    "of two products in a row": (highway(3, 18), highway(3, 18)),
}


@pytest.fixture(params=PAIRS.values(), ids=PAIRS)
def programs(request):
    return request.param


def given_to(programs, dtype=torch.float64, grad=True):
    given = [inputs(program, STEPS, 2, dtype, seed) for seed, program in enumerate(programs)]
    for tensor in leaves(given):
        tensor.requires_grad_(grad)
    return given


def leaves(given):
    return [tensor for each in given for tensors in each for tensor in tensors]


def computed(programs, given):
    calls = [
        Call(program.text, *each, STEPS, len(program.outputs)) for program, each in zip(programs, given, strict=True)
    ]
    return run_together(calls)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_results_and_gradients_are_the_bits_of_separate_calls(programs, dtype):
    given = given_to(programs, dtype)

    def train():
        found = computed(programs, given)
        return found, gradients_of(found, leaves(given))

    abreast, apart, launches = both_ways(train)
    assert launches == 2  # forward and backward
    assert_same_bits(abreast, apart)


def test_without_gradients(programs):
    given = given_to(programs, torch.float32, grad=False)
    abreast, apart, launches = both_ways(lambda: computed(programs, given))
    assert launches == 1
    assert_same_bits(abreast, apart)
    for calls in abreast:
        own = [tensor.untyped_storage().data_ptr() for tensors in calls for tensor in tensors]
        assert len(own) == len(set(own))  # each may be edited in place


def meaning(programs, given):
    return [interpret(program, *each, STEPS) for program, each in zip(programs, given, strict=True)]


def test_gradients_are_those_of_the_programs_meaning(programs):
    given = given_to(programs)
    found, _, _ = both_ways(lambda: gradients_of(computed(programs, given), leaves(given)))
    for one, other in zip(found, gradients_of(meaning(programs, given), leaves(given)), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-13)


def test_second_derivatives(programs):
    given = given_to(programs)

    def twice(compute):
        first = gradients_of(compute(programs, given), leaves(given), create_graph=True)
        return gradients_of([each.square() for each in first], leaves(given))

    found, _, launches = both_ways(lambda: twice(computed))
    assert launches == 1  # forward
    for one, other in zip(found, twice(meaning), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-11)


@pytest.mark.parametrize("used", [0, 1])
def test_results_of_one_call_alone(programs, used):
    given = given_to(programs, torch.float32)

    def train():
        (own, last) = computed(programs, given)[used]
        return [each for each in gradients_of(own, leaves(given), allow_unused=True) if each is not None]

    abreast, apart, launches = both_ways(train)
    assert launches == 1  # forward: backward there is one loop to run
    assert len(abreast) == len(leaves(given[used : used + 1])) == len(apart)
    assert_same_bits(abreast, apart)


def test_calls_of_which_one_needs_no_gradient_run_one_after_the_other(programs):
    given = given_to(programs, torch.float32)
    for tensor in leaves(given[1:]):
        tensor.requires_grad_(False)
    (_, plain), _, launches = both_ways(lambda: computed(programs, given))
    assert launches == 0
    assert not any(tensor.requires_grad for tensors in plain for tensor in tensors)


def test_some_inputs_alone_need_gradients(programs):
    given = given_to(programs, torch.float32)
    given[0].sequences[0].requires_grad_(False)
    given[1].weights[-1].requires_grad_(False)
    wanted = [tensor for tensor in leaves(given) if tensor.requires_grad]
    abreast, apart, launches = both_ways(lambda: gradients_of(computed(programs, given), wanted))
    assert launches == 2
    assert_same_bits(abreast, apart)


def test_tensors_edited_before_the_gradient_are_seen(programs):
    given = given_to(programs, torch.float32)

    def edited():
        found = computed(programs, given)
        with torch.no_grad():
            given[1].weights[0].mul_(1)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            gradients_of(found, leaves(given))

    both_ways(lambda: (edited(), torch.zeros(1))[1])
