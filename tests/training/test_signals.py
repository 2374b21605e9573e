"""The first signal is noted, the second acts, and none is lost."""

import signal
import threading
from collections.abc import Iterator

import pytest

from recurra.training.signals import stop_requests

BOTH = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


class Answered(Exception):
    pass


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """What the process would do by itself: here, raise."""

    def answer(number: int, frame: object) -> None:
        raise Answered(number)

    before = {number: signal.signal(number, answer) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@BOTH
def test_the_first_is_noted_and_the_second_acts_at_once(number: int) -> None:
    with pytest.raises(Answered), stop_requests() as request:
        signal.raise_signal(number)
        assert request.number == number
        signal.raise_signal(number)
        pytest.fail("the second was noted too")


@BOTH
def test_one_that_nobody_answered_is_sent_again(number: int) -> None:
    done = []
    with pytest.raises(Answered, match=str(int(number))), stop_requests():
        signal.raise_signal(number)
        done.append("to the end")
    assert done


def test_one_that_was_answered_is_not_sent_again() -> None:
    with pytest.raises(KeyError), stop_requests():
        signal.raise_signal(signal.SIGTERM)
        raise KeyError
    with stop_requests() as request:
        assert request.number is None


def test_off_the_main_thread_nothing_is_noted() -> None:
    seen = []

    def work() -> None:
        with stop_requests() as request:
            seen.append(request.number)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [None]
    with pytest.raises(Answered):
        signal.raise_signal(signal.SIGINT)
