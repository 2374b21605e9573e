"""Results as a file: gone on with, summed up, compared, drawn."""

import json

import pytest

from recurra.bench import suite
from recurra.bench.chart import draw_speeds
from recurra.bench.results import Results, fallen, geometric_means, over_fastest_peer, read_results
from recurra.bench.roofline import Rates, Roofline
from recurra.bench.shapes import GRID, Shape
from recurra.bench.speed import Key, Settings, planned
from recurra.bench.tables import summary
from recurra.errors import BadInput

FREE = Roofline((Rates(1, 1e30, {1: 1e30}, 0.0),), 0.0)
SETTINGS = Settings(shapes=(Shape(3, 2, 4), Shape(1, 1, 4)), peers=("torch.nn",), pairs=3)


def entry_of(cell="lstm", shape="T3B2H4", mode="inference", *, ours=1.0, peers=None):
    """An entry in which Recurra takes ``ours`` seconds, and torch.nn two unless other ``peers`` are given."""
    peers = {"torch.nn": 2.0} if peers is None else peers
    return {
        **Key(cell, shape, mode)._asdict(),
        "contenders": {name: {"seconds": {"median": value}} for name, value in {"recurra": ours, **peers}.items()},
        "speedups": {name: {"median": value / ours} for name, value in peers.items()},
        "fastest_peer": min(peers, key=peers.get) if peers else None,
        "wrong": {},
        "failed": {},
        "others_cores": 0.0,
    }


@pytest.fixture
def measured(monkeypatch):
    """``suite.measure`` makes entries up, and logs which were asked for."""
    log = []

    def measure(cell, shape, mode, settings, roofline):
        log.append(Key(cell, str(shape), mode))
        return entry_of(cell, str(shape), mode)

    monkeypatch.setattr(suite, "measure", measure)
    return log


def start(path):
    return Results.start(path, SETTINGS, FREE, command="recurra bench")


def quiet(message):
    pass


def test_every_entry_is_written_down_at_once_and_none_is_measured_twice(tmp_path, measured, monkeypatch):
    path = tmp_path / "results.json"

    def stop(message):
        if message.startswith("4/"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        suite.measure_entries(start(path), SETTINGS, FREE, stop)
    assert len(read_results(path)["entries"]) == 3

    assert suite.measure_entries(Results.resume(path, SETTINGS), SETTINGS, FREE, quiet) == 0
    everything = [Key(cell, str(shape), mode) for cell, shape, mode in planned(SETTINGS, FREE)]
    assert measured == everything and len(everything) == 3 * 2 + 3 * 2
    assert [Key(e["cell"], e["shape"], e["mode"]) for e in read_results(path)["entries"]] == everything
    assert [file.name for file in tmp_path.iterdir()] == ["results.json"]


def test_a_time_limit_says_how_much_is_left(measured, monkeypatch):
    clock = iter(range(100))
    monkeypatch.setattr(suite.time, "monotonic", lambda: next(clock))
    assert suite.measure_entries(start(None), SETTINGS, FREE, quiet, time_limit=4.5) == 12 - 4
    assert len(measured) == 4


def test_results_of_other_settings_are_not_gone_on_with(tmp_path):
    path = tmp_path / "results.json"
    start(path).put("entries", [])
    assert Results.resume(path, SETTINGS).done == set()
    with pytest.raises(BadInput, match="measured with pairs 3, now 4"):
        Results.resume(path, Settings(pairs=4))
    document = read_results(path)
    path.write_text(json.dumps(document | {"machine": {"processor": "abacus"}}))
    with pytest.raises(BadInput, match="abacus"):
        Results.resume(path, SETTINGS)


@pytest.mark.parametrize("content", [None, "{", "[]", "{}", '{"entries": [{"cell": "lstm"}]}', '{"entries": 1}'])
def test_files_that_are_no_results(tmp_path, content):
    path = tmp_path / "results.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(BadInput, match=r"results\.json"):
        read_results(path)


def test_the_grid_leaves_out_what_is_too_long_or_too_large():
    every = list(planned(Settings(shapes=GRID), FREE))
    sizes = {shape for _, shape, _ in every}
    assert Shape(4000, 128, 1024) not in {shape for _, shape, mode in every if mode == "training"}
    assert Shape(4000, 128, 64) in sizes and Shape(100, 32, 256) in sizes
    slow = Roofline((Rates(1, 1e9, {1: 1e30}, 0.0),), 0.0)
    assert all(2 * shape.B * shape.T * 2 * shape.H**2 < 1e9 for _, shape, _ in planned(Settings(shapes=GRID), slow))


def test_loops_are_measured_at_their_own_shapes():
    cells = {(cell, str(shape)) for cell, shape, _ in planned(Settings(), FREE)}
    assert {shape for cell, shape in cells if cell == "peephole-lstm"} == {"T35B20H200", "T512B1H128"}


def test_geometric_means_by_hand():
    entries = [
        entry_of(ours=1.0, peers={"torch.nn": 2.0, "jax": 4.0}),
        entry_of(mode="training", ours=1.0, peers={"torch.nn": 8.0}),
        entry_of(shape="T1B1H4", mode="streaming", ours=2.0, peers={"torch.nn": 16.0}),
        entry_of(shape="T1B1H4", mode="streaming-paused", ours=2.0, peers={"torch.nn": 1e9}),
        entry_of("peephole-lstm", peers={"torchrecurrent": 1e9}),
    ]
    found = geometric_means(entries)
    assert found["recurra"] == pytest.approx({"inference": 4.0, "training": 8.0, "all": 128 ** (1 / 3)})
    assert found["jax"] == pytest.approx({"inference": 0.5, "all": 0.5})


def test_the_slowest_beside_the_fastest_peer_comes_first():
    entries = [entry_of(ours=1.0), entry_of("gru", ours=1.0, peers={"torch.nn": 9.0, "jax": 0.5})]
    assert over_fastest_peer(entries) == [(0.5, ("gru", "T3B2H4", "inference")), (2.0, ("lstm", "T3B2H4", "inference"))]


def test_a_summary_names_the_slowest_entry_and_says_when_the_machine_was_not_quiet():
    entries = [entry_of(), entry_of("gru", ours=8.0) | {"others_cores": 0.7}]
    document = {"entries": entries, "geometric_means": geometric_means(entries)}
    means, disturbed, slowest = summary(document)
    assert means == "recurra over torch.nn, geometric mean: all 0.71, inference 0.71"
    assert disturbed.startswith("1 of 2 entries were measured while others used more than 0.1 cores")
    assert slowest.endswith("at least 0.25 times as fast (gru T3B2H4 inference)")


@pytest.mark.parametrize(("ours", "falls"), [(1.0, False), (1.1, False), (1.12, True), (0.5, False)])
def test_a_fall_beyond_the_tolerance(ours, falls):
    message = fallen(entry_of(), entry_of(ours=ours), 0.1)
    assert (message is not None) == falls
    if falls:
        assert message == "lstm T3B2H4 inference: 1.79 times as fast as torch.nn, was 2.00"


def test_wrong_and_failed_results_are_falls():
    assert "wrong by 1.0e+00" in fallen(entry_of(), entry_of() | {"wrong": {"recurra": 1.0}}, 0.1)
    assert "RuntimeError" in fallen(entry_of(), entry_of() | {"failed": {"recurra": "RuntimeError: x"}}, 0.1)


def test_a_check_measures_what_is_recorded_and_believes_a_fall_that_shows_twice(monkeypatch):
    paused = entry_of(shape="T1B1H4", mode="streaming-paused")
    document = {"entries": [entry_of("lstm"), entry_of("gru"), entry_of("elman", shape="T9B9H9"), paused]}
    made = {"lstm": iter([1.5, 1.0]), "gru": iter([1.5, 1.5])}
    log = []

    def measure(cell, shape, mode, settings, roofline):
        log.append((cell, shape, mode, settings.peers))
        return entry_of(cell, str(shape), mode, ours=next(made[cell]))

    monkeypatch.setattr(suite, "measure", measure)
    settings = Settings(shapes=SETTINGS.shapes, peers=("torch.nn", "jax"))
    messages = suite.check(document, settings, FREE, 0.15, quiet)
    assert messages == ["gru T3B2H4 inference: 1.33 times as fast as torch.nn, was 2.00"]
    assert log == [(cell, Shape(3, 2, 4), "inference", ("torch.nn",)) for cell in ("lstm", "lstm", "gru", "gru")]


@pytest.mark.parametrize("entries", [[], [entry_of(), entry_of("gru", mode="training"), entry_of("jordan", peers={})]])
def test_a_picture_of_any_results(tmp_path, entries):
    document = {"entries": entries, "threads": 2, "machine": {"processor": "abacus"}}
    path = draw_speeds(tmp_path / "speeds.png", document)
    assert path.read_bytes().startswith(b"\x89PNG") and list(tmp_path.iterdir()) == [path]
