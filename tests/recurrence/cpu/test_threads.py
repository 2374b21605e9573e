"""One loop on several threads: the same bits for any team, and no hang wherever a team cannot be had.

What might hang runs in a process of its own with a time limit.
"""

import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.cells import LSTM
from recurra.layers import Recurrent
from recurra.recurrence.cpu import execute as engine
from recurra.recurrence.cpu import pool
from recurra.recurrence.graph import Graph
from recurra.recurrence.program import Span
from tests.recurrence.parity import difference
from tests.recurrence.programs import finish, gru, highway, inputs, layer_norm, lstm, softmax

ROOT = Path(__file__).parents[3]
PROGRAMS = {
    "one stage": lambda hidden: lstm(3, hidden),
    "two stages": lambda hidden: gru("before", 3, hidden),
    "depth two": lambda hidden: highway(3, hidden),
    "sums over the features": lambda hidden: layer_norm(3, hidden),
    "largest of the features": lambda hidden: softmax(3, hidden),
}

pytestmark = pytest.mark.skipif(pool.pool() is None, reason="PyTorch has no OpenMP pool here that can be found")


@pytest.fixture
def two_threads():
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


def run(program, given, team, by_rows=False):
    """Outputs and last states by a team of that size, however little there is to do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "team_for", lambda work, batch, **_: (team, by_rows))
        steps = len(given.sequences[0])
        outcome = engine.execute(program, engine.Arguments(*given), steps)
    return [*outcome.outputs, *outcome.states]


@pytest.mark.parametrize("by_rows", [True, False], ids=["rows shared", "features shared"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_every_team_gives_the_same_bits(program, by_rows):
    """Widths of one block, of overlapping ones, of fewer and of more blocks than threads; rows likewise."""
    for hidden, rows in ((1, 1), (5, 2), (16, 5), (17, 3), (33, 13), (96, 2), (130, 7)):
        step = PROGRAMS[program](hidden)
        numbers = inputs(step, steps=9, batch=rows, dtype=torch.float32)
        alone = run(step, numbers, 1)
        for team in (2, 3, 5):
            assert all(map(torch.equal, run(step, numbers, team, by_rows), alone)), (hidden, rows, team)


def lagging(hidden):
    """A state that the first stage, which has no product, replaces, and the second reads as it was."""
    graph = Graph()
    x, s, h = graph.read("sequence", 0, hidden), graph.read("state", 0, hidden), graph.read("state", 1, hidden)
    product = graph.product(s * x, 0, Span(0, hidden), Span(0, hidden))
    new = product.apply("tanh") * s + h * 0.5
    return finish(graph, [s * 0.9 + x, new], [new], sequences=[hidden], weights=[(hidden, hidden)])


@pytest.mark.parametrize("hidden", [1, 17, 32])
def test_nobody_overtakes_a_thread_that_still_reads(hidden):
    program = lagging(hidden)
    numbers = inputs(program, steps=300, batch=3, dtype=torch.float32)
    alone = run(program, numbers, 1)
    for team in (2, 3):
        for _ in range(10):
            assert all(map(torch.equal, run(program, numbers, team), alone))


@settings(max_examples=10, derandomize=True, deadline=None, database=None)
@given(st.integers(1, 70), st.integers(1, 20), st.integers(2, 4), st.booleans())
def test_any_sizes_on_any_team(hidden, rows, team, by_rows):
    step = gru("before", 3, hidden)
    numbers = inputs(step, steps=5, batch=rows)
    assert all(map(torch.equal, run(step, numbers, team, by_rows), run(step, numbers, 1)))


def test_threads_share_rows_where_there_are_many_and_none_are_woken_for_little(two_threads):
    assert engine.team_for(10**6, 1) == (2, False) and engine.team_for(10**6, 64) == (2, True)
    assert engine.team_for(100, 1) == (1, False)
    torch.set_num_threads(1)
    assert engine.team_for(10**6, 64) == (1, False)


def test_a_loop_of_a_real_size_gives_the_same_bits_on_one_thread_and_two(two_threads):
    program = lstm(8, 128)
    for rows in (3, 40):
        numbers = inputs(program, steps=20, batch=rows, dtype=torch.float32)
        # torch's own product of all inputs is taken once, as a sequence: its bits differ with the number of threads
        both = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            assert engine.team_for(4 * 128 * 128, rows)[0] == threads
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(engine, "compute_hoisted", hoisted_by_one_thread)
                outcome = engine.execute(program, engine.Arguments(*numbers), 20)
            both.append([*outcome.outputs, *outcome.states])
        assert all(map(torch.equal, *both))


real_hoisted = engine.compute_hoisted


def hoisted_by_one_thread(*arguments):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    found = real_hoisted(*arguments)
    torch.set_num_threads(threads)
    return found


def test_one_thread_where_no_pool_is_found(two_threads, monkeypatch):
    program = lstm(3, 64)
    numbers = inputs(program, steps=5, batch=8, dtype=torch.float32)
    alone = run(program, numbers, 1)
    monkeypatch.setattr(pool, "pool", lambda: None)
    assert pool.threads() == 1 and engine.team_for(10**6, 8) == (1, False)
    assert all(map(torch.equal, run(program, numbers, 2), alone))  # asked for all the same


def test_four_threads_of_python_at_once_use_one_layer_and_one_loop(two_threads):
    torch.manual_seed(0)
    layer = Recurrent(LSTM(3, 65))
    xs = [torch.randn(6, 12, 3) for _ in range(8)]

    def train(x):
        outputs, _ = layer(x)
        return [outputs, *torch.autograd.grad(outputs.square().sum(), layer.parameters())]

    with ThreadPoolExecutor(4) as workers:  # first use included
        together = list(workers.map(train, xs * 2))
    for found, want in zip(together, [train(x) for x in xs] * 2, strict=True):
        assert difference(found, want) <= 4e-6  # torch's own products are not the same bits in every thread
    assert layer.plans.found[0].fault is None


PREAMBLE = """
    import ctypes, os, signal
    from dataclasses import replace
    import torch
    torch.set_num_threads(2)
    from recurra.recurrence.cpu import execute as engine
    from recurra.recurrence.cpu import pool
    from tests.recurrence.programs import inputs, lstm

    program = replace(lstm(4, 64), gathered=True)  # torch's own products may hang in a forked child
    given = inputs(program, steps=20, batch=8, dtype=torch.float32)

    def run(team=None):
        if team is not None:
            engine.team_for = lambda work, batch, **_: (team, False)
        outcome = engine.execute(program, engine.Arguments(*given), 20)
        return [*outcome.outputs, *outcome.states]

    def same(one, other):
        return all(torch.allclose(a, b, rtol=0, atol=1e-6) for a, b in zip(one, other))
"""


def in_a_process(script, **environment):
    """Run a script after the preamble; what it prints. Anything that hangs or crashes fails."""
    code = textwrap.dedent(PREAMBLE) + textwrap.dedent(script)
    path = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=path | environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_a_child_of_a_process_that_has_used_the_pool_runs_alone():
    found = in_a_process(
        """
        want = run()
        print(engine.team_for(4 * 64 * 64, 8)[0], flush=True)
        child = os.fork()
        if child == 0:
            signal.alarm(30)  # one that hangs is not left behind
            print(engine.team_for(4 * 64 * 64, 8)[0], same(run(), want), flush=True)
            os._exit(0)
        print(os.waitpid(child, 0)[1], same(run(), want))
        """
    )
    assert found == ["2", "1", "True", "0", "True"]


def test_a_child_of_a_process_that_streams_steps_alone():
    found = in_a_process(
        """
        from recurra import Recurrent
        from recurra.cells import LSTM
        from recurra.recurrence.cpu import standing
        torch.set_grad_enabled(False)
        standing.IDLE = 60.0  # the pool's threads are taken to be awake
        layer, x = Recurrent(LSTM(256, 256)), torch.randn(1, 256)
        layer(x.expand(1, 3, 256))
        state = layer.initial_state(1)
        want = [layer.step(x, state)[0] for _ in range(3)]
        print(layer.plans.stepper._calls._last._local.ready._loop._threads.team, same(want[:1], want[2:]), flush=True)
        child = os.fork()
        if child == 0:
            signal.alarm(30)  # one that hangs is not left behind
            print(same(want[:1], [layer.step(x, state)[0]]), flush=True)
            os._exit(0)
        print(os.waitpid(child, 0)[1], same(want[:1], [layer.step(x, state)[0]]))
        """
    )
    assert found == ["2", "True", "True", "0", "True"]


def test_workers_of_a_data_loader():
    found = in_a_process(
        """
        import warnings
        from torch.utils.data import DataLoader, Dataset

        class Runs(Dataset):
            def __len__(self): return 4
            def __getitem__(self, index):
                torch.set_num_threads(2)
                return run()[0]

        want = run()[0]
        batches = list(DataLoader(Runs(), num_workers=2, batch_size=2, multiprocessing_context="fork"))
        print(len(batches), all(same([row], [want]) for batch in batches for row in batch))
        """
    )
    assert found == ["2", "True"]


def test_inside_a_parallel_region_each_thread_runs_alone():
    """OpenMP's threads, each of which calls back into Python and runs a loop."""
    found = in_a_process(
        """
        want, seen = run(), []
        def body(_):
            try:
                seen.append((pool.threads(), same(run(), want)))
            except BaseException as error:
                seen.append(error)
        callback = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(body)
        for _ in range(5):
            pool.pool().parallel(ctypes.cast(callback, ctypes.c_void_p), None, 2, 0)
        print(len(seen), set(seen) == {(1, True)})
        """
    )
    assert found == ["10", "True"]


def test_a_pool_that_gives_one_thread_where_two_are_asked_for():
    script = """
        print(pool.threads(), same(run(), run(1)), same(run(2), run(1)), same(run(3), run(1)))
    """
    assert in_a_process(script, OMP_THREAD_LIMIT="1") == ["2", "True", "True", "True"]


def test_two_processes_at_once_share_the_cores():
    code = textwrap.dedent(PREAMBLE) + "\nwant = run()\nprint(all(same(run(), want) for _ in range(50)))"
    begin = [sys.executable, "-c", code]
    path = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
    both = [subprocess.Popen(begin, env=path, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate(timeout=60)[0].split() for process in both] == [["True"], ["True"]]
