"""Loops side by side: the bits of one after the other, whatever the threads, and only where it is faster."""

import pytest
import torch

from recurra.recurrence.batched import Arguments
from recurra.recurrence.cpu import execute as engine
from recurra.recurrence.cpu import pool, together
from recurra.recurrence.cpu.execute import Job, execute, prepare
from recurra.recurrence.packing import Packing
from tests.recurrence.abreast import assert_same_bits, needs_pool
from tests.recurrence.cpu.test_threads import in_a_process
from tests.recurrence.programs import gru, highway, inputs, lstm

pytestmark = needs_pool


@pytest.fixture
def two_threads():
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


def job(program, steps, batch, seed=0, packing=None):
    given = inputs(program, steps, batch, torch.float32, seed)
    if packing is not None:
        given = given._replace(sequences=[torch.randn(packing.total, width) for width in program.sequences])
    return Job(program, Arguments(*given, packing=packing), steps)


def run(jobs, threads, launches=None):
    """Side by side, each on its part of so many threads, however little there is to do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(together, "side_by_side", lambda jobs: True)
        patch.setattr(engine, "team_for", lambda work, batch, loops=1, **_: (max(1, threads // loops), batch > 4))
        if launches is not None:
            real = together._run
            patch.setattr(together, "_run", lambda ready: (launches.append(len(ready)), real(ready)))
        outcomes = together.execute_together([prepare(each) for each in jobs])
    return [[*each.outputs, *each.states] for each in outcomes]


def alone(jobs):
    return [[*each.outputs, *each.states] for each in (execute(*job) for job in jobs)]


@pytest.mark.parametrize("rows", [1, 7], ids=["features shared", "rows shared"])
@pytest.mark.parametrize("threads", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("count", [2, 3])
def test_any_loops_on_any_threads_give_the_same_bits(count, threads, rows):
    """Loops of one stage, of two and of two with products; widths of several blocks; steps of their own."""
    programs = [lstm(3, 65), gru("before", 4, 33), highway(3, 48)][:count]
    jobs = [job(program, 40 + 7 * seed, rows, seed) for seed, program in enumerate(programs)]
    want, launches = alone(jobs), []
    for _ in range(5):
        assert_same_bits(run(jobs, threads, launches), want)
    assert launches.count(count) == 5


def test_ragged_rows():
    packing = Packing([3, 3, 2, 2, 2, 1], 4)
    jobs = [job(lstm(3, 17), 6, 4, packing=packing), job(gru("after", 3, 20), 6, 4, packing=packing)]
    assert_same_bits(run(jobs, 4), alone(jobs))


def test_a_loop_in_more_pieces_than_the_other(monkeypatch):
    """The hoisted values of a wide loop are computed some steps at a time; the other waits for none of them."""
    jobs = [job(lstm(3, 5), 21, 2), job(lstm(3, 64), 21, 2)]
    want = alone(jobs)
    monkeypatch.setattr(engine, "MOST_HOISTED", 4 * 64 * 4 * 2 * 10)
    monkeypatch.setattr(engine, "PIECE", 4 * 64 * 4 * 2 * 8)
    launches = []
    assert_same_bits(run(jobs, 2, launches), want)
    assert launches == [2, 1, 1, 0]


def test_a_pool_that_gives_one_thread_runs_the_loops_in_turn():
    found = in_a_process(
        """
        from recurra.recurrence.cpu import together
        from recurra.recurrence.cpu.execute import Job, prepare
        together.LEAST = 0
        jobs = [prepare(Job(program, engine.Arguments(*given), 20)) for _ in range(2)]
        print(together.side_by_side(jobs), pool.threads())
        one, other = together.execute_together(jobs)
        want = run(1)
        print(*(same([*each.outputs, *each.states], want) for each in (one, other)))
        """,
        OMP_THREAD_LIMIT="1",
    )
    assert found == ["True", "2", "True", "True"]


def test_a_forked_child_runs_loops_one_after_the_other():
    found = in_a_process(
        """
        from recurra.recurrence.cpu import together
        from recurra.recurrence.cpu.execute import Job, prepare
        together.LEAST = 0
        def both():
            jobs = [prepare(Job(program, engine.Arguments(*given), 20)) for _ in range(2)]
            return together.side_by_side(jobs), [each.outputs[0] for each in together.execute_together(jobs)]
        first, want = both()
        child = os.fork()
        if child == 0:
            signal.alarm(30)  # one that hangs is not left behind
            then, found = both()
            print(then, same(found, want), flush=True)
            os._exit(0)
        print(os.waitpid(child, 0)[1], first)
        """
    )
    assert found == ["False", "True", "0", "True"]


def test_side_by_side_only_where_it_is_faster(two_threads):
    def rule(*jobs):
        return together.side_by_side([prepare(each) for each in jobs])

    plain = job(lstm(8, 128), 100, 2)
    assert rule(plain, plain) and rule(plain, job(gru("after", 8, 128), 100, 2))
    assert not rule(plain)
    assert not rule(plain, plain, plain)  # more than threads
    assert not rule(plain, job(lstm(8, 80), 100, 2))  # it would be done long before
    short, many, large = job(lstm(8, 128), 5, 2), job(lstm(8, 128), 100, 40), job(lstm(8, 320), 100, 2)
    assert not rule(short, short) and not rule(many, many) and not rule(large, large)
    assert rule(job(lstm(8, 64), 100, 1), job(lstm(8, 64), 100, 1))  # each by itself would be one thread's
    torch.set_num_threads(1)
    assert not rule(plain, plain)


def test_loops_ask_for_no_more_threads_than_there_are(two_threads, monkeypatch):
    asked, real = [], pool.run
    monkeypatch.setattr(pool, "run", lambda *given: (asked.append(given[-1]), real(*given)))
    jobs = [prepare(job(lstm(8, 128), 100, 2)) for _ in range(2)]
    together.execute_together(jobs)
    assert asked == [2] and engine.team_for(10**6, 1, loops=2) == (1, False)
    torch.set_num_threads(5)
    assert engine.team_for(10**6, 1, loops=2) == (2, False)
