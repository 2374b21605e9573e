"""Results as a file: gone on with, summed up, compared, drawn."""

import json
from dataclasses import replace

import pytest

from recurra.bench import suite
from recurra.bench.entry import Entry, Way
from recurra.bench.plan import Settings, planned
from recurra.bench.results import Results, fallen, geometric_means, over_fastest_peer, read_results
from recurra.bench.roofline import Rates, Roofline
from recurra.bench.shapes import COARSE, GRID, Shape, parse_shape
from recurra.bench.tables import summary
from recurra.cells import CELLS
from recurra.errors import BadInput

RATES = {"float32": 1e30, "bfloat16": 1e30}
FREE = Roofline((Rates(1, RATES, {1: 1e30}, 0.0),), 0.0)
BOTH = ("float32", "bfloat16")
SETTINGS = Settings(shapes=(Shape(3, 2, 4), Shape(1, 1, 4)), peers=("torch.nn",), pairs=3)


def entry_of(cell="lstm", shape="T3B2H4", mode="inference", *, ours=1.0, peers=None, **way):
    """An entry in which Recurra takes ``ours`` seconds, and torch.nn two unless other ``peers`` are given."""
    peers = {"torch.nn": 2.0} if peers is None else peers
    return {
        **Entry(cell, parse_shape(shape), mode, Way(**way)).to_json(),
        "contenders": {
            name: {"seconds": {"median": value}, "roofline_share": 0.5 / value}
            for name, value in {"recurra": ours, **peers}.items()
        },
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

    def measure(entry, settings, roofline):
        log.append(entry)
        return entry_of(entry.cell, str(entry.shape), entry.mode, **entry.way._asdict())

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
    everything = planned(SETTINGS, FREE)
    assert measured == everything and len(everything) == 3 * 2 + 3 * 2
    assert [Entry.from_json(entry) for entry in read_results(path)["entries"]] == everything
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
    with pytest.raises(BadInput, match="measured with precision float32, now float32 and bfloat16"):
        Results.resume(path, replace(SETTINGS, precisions=BOTH))
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
    every = planned(Settings(shapes=GRID), FREE)
    sizes = {entry.shape for entry in every}
    assert Shape(4000, 128, 1024) not in {entry.shape for entry in every if entry.training}
    assert Shape(4000, 128, 64) in sizes and Shape(100, 32, 256) in sizes
    slow = Roofline((Rates(1, {"float32": 1e9}, {1: 1e30}, 0.0),), 0.0)
    sizes = {entry.shape for entry in planned(Settings(shapes=GRID), slow)}
    assert all(2 * shape.B * shape.T * 2 * shape.H**2 < 1e9 for shape in sizes)


def test_a_coarse_grid_comes_first_and_what_is_short_before_what_is_long():
    slow = Roofline((Rates(1, {"float32": 1e12, "bfloat16": 1e13}, {1: 1e30}, 0.0),), 0.0)
    every = planned(Settings(shapes=GRID, precisions=BOTH), slow)
    coarse = [entry.shape in COARSE for entry in every]
    assert coarse == sorted(coarse, reverse=True) and 100 < sum(coarse) < len(every) / 4
    assert {entry.way.precision for entry in every[:20]} == set(BOTH)
    fine = [slow.seconds(entry.cells(CELLS[entry.cell]), entry) for entry in every[sum(coarse) :][::50]]
    assert fine == sorted(fine)


def test_loops_are_measured_at_their_own_shapes_in_float32():
    entries = planned(Settings(precisions=BOTH, layers=(1, 2)), FREE)
    looped = {(str(entry.shape), entry.way) for entry in entries if entry.cell == "peephole-lstm"}
    assert looped == {("T35B20H200", Way()), ("T512B1H128", Way())}


def test_the_plain_ways_come_first_and_the_others_differ_from_them_in_one_respect():
    settings = Settings(precisions=BOTH, threads=(2, 1), layers=(1, 3), bidirectional=True)
    assert list(map(str, settings.ways)) == [
        "float32, 2 threads",
        "bfloat16, 2 threads",
        "float32, 1 thread",
        "bfloat16, 1 thread",
        "float32, 2 threads, 3 layers",
        "bfloat16, 2 threads, 3 layers",
        "float32, 2 threads, bidirectional",
        "bfloat16, 2 threads, bidirectional",
    ]
    entries = planned(settings, FREE)
    assert [entry.way for entry in entries] == sorted((e.way for e in entries), key=settings.ways.index)
    assert all(Entry.from_json(entry.to_json()) == entry for entry in entries)


def test_results_from_before_there_were_other_ways(tmp_path):
    path = tmp_path / "results.json"
    old = {name: value for name, value in entry_of().items() if name not in Way._fields}
    path.write_text(json.dumps({"threads": 2, "entries": [old]}))
    (entry,) = read_results(path)["entries"]
    assert Entry.from_json(entry) == Entry("lstm", Shape(3, 2, 4), "inference", Way("float32", 2, 1, False))


def test_geometric_means_by_hand():
    entries = [
        entry_of(ours=1.0, peers={"torch.nn": 2.0, "jax": 4.0}),
        entry_of(mode="training", ours=1.0, peers={"torch.nn": 8.0}),
        entry_of(shape="T1B1H4", mode="streaming", ours=2.0, peers={"torch.nn": 16.0}),
        entry_of(shape="T1B1H4", mode="streaming-paused", ours=2.0, peers={"torch.nn": 1e9}),
        entry_of("peephole-lstm", peers={"torchrecurrent": 1e9}),
        entry_of("gru", precision="bfloat16", peers={"torch.nn": 3.0}),
        entry_of("gru", precision="bfloat16", peers={"torch.nn": 12.0}),
        entry_of("lstm", precision="bfloat16", mode="training", peers={"torch.nn": 6.0}),
        entry_of(threads=2, peers={"torch.nn": 7.0}),
    ]
    found = geometric_means(entries)
    ours, mean = found["float32, 1 thread"]["recurra"], 128 ** (1 / 3)
    cell = {"lstm": mean, "lstm inference": 4.0, "lstm training": 8.0}
    assert ours == pytest.approx({"all": mean, "inference": 4.0, "training": 8.0, **cell})
    assert found["float32, 1 thread"]["jax"] == pytest.approx(
        dict.fromkeys(("all", "inference", "lstm", "lstm inference"), 0.5)
    )
    rounded = found["bfloat16, 1 thread"]["recurra"]
    assert (rounded["all"], rounded["gru"], rounded["lstm"]) == pytest.approx((6.0, 6.0, 6.0))
    assert (rounded["inference"], rounded["gru inference"], rounded["lstm training"]) == pytest.approx((6.0, 6.0, 6.0))
    assert found["float32, 2 threads"]["recurra"]["all"] == pytest.approx(7.0) and len(found) == 3


def test_the_slowest_beside_the_fastest_peer_comes_first():
    entries = [entry_of(ours=1.0), entry_of("gru", ours=1.0, peers={"torch.nn": 9.0, "jax": 0.5})]
    ratios = [(ratio, str(entry)) for ratio, entry in over_fastest_peer(entries)]
    assert ratios == [
        (0.5, "gru T3B2H4 inference, float32, 1 thread"),
        (2.0, "lstm T3B2H4 inference, float32, 1 thread"),
    ]


def test_a_summary_names_the_slowest_entry_and_says_when_the_machine_was_not_quiet():
    entries = [entry_of(), entry_of("gru", ours=8.0) | {"others_cores": 0.7}]
    means, disturbed, slowest = summary({"entries": entries})
    expected = "all 0.71, inference 0.71, lstm 2.00, gru 0.25"
    assert means == f"recurra over torch.nn, float32, 1 thread, geometric mean: {expected}"
    assert disturbed.startswith("1 of 2 entries were measured while others used more than 0.1 cores")
    assert slowest.endswith("at least 0.25 times as fast (gru T3B2H4 inference, float32, 1 thread)")


@pytest.mark.parametrize(("ours", "falls"), [(1.0, False), (1.1, False), (1.12, True), (0.5, False)])
def test_a_fall_beyond_the_tolerance(ours, falls):
    message = fallen(entry_of(), entry_of(ours=ours), 0.1)
    assert (message is not None) == falls
    if falls:
        assert message == "lstm T3B2H4 inference, float32, 1 thread: 1.79 times as fast as torch.nn, was 2.00"


def test_wrong_and_failed_results_are_falls():
    assert "wrong by 1.0e+00" in fallen(entry_of(), entry_of() | {"wrong": {"recurra": 1.0}}, 0.1)
    assert "RuntimeError" in fallen(entry_of(), entry_of() | {"failed": {"recurra": "RuntimeError: x"}}, 0.1)


def test_a_check_measures_what_is_recorded_and_believes_a_fall_that_shows_twice(monkeypatch):
    paused = entry_of(shape="T1B1H4", mode="streaming-paused")
    others = [
        entry_of("elman", shape="T9B9H9"),
        entry_of(precision="bfloat16"),
        entry_of(threads=2),
        entry_of(layers=2),
    ]
    document = {"entries": [entry_of("lstm"), entry_of("gru"), *others, paused]}
    made = {"lstm": iter([1.5, 1.0]), "gru": iter([1.5, 1.5])}
    log = []

    def measure(entry, settings, roofline):
        log.append((entry, settings.peers))
        return entry_of(entry.cell, ours=next(made[entry.cell]))

    monkeypatch.setattr(suite, "measure", measure)
    settings = Settings(shapes=SETTINGS.shapes, peers=("torch.nn", "jax"))
    messages = suite.check(document, settings, FREE, 0.15, quiet)
    assert messages == ["gru T3B2H4 inference, float32, 1 thread: 1.33 times as fast as torch.nn, was 2.00"]
    once = [(Entry(cell, Shape(3, 2, 4), "inference"), ("torch.nn",)) for cell in ("lstm", "gru")]
    assert log == [once[0], once[0], once[1], once[1]]


def test_a_check_of_another_way_measures_that_way_alone(measured):
    ways = [Way(), Way("bfloat16"), Way(threads=2), Way("bfloat16", 2)]
    document = {"entries": [entry_of(**way._asdict()) for way in ways]}
    suite.check(document, replace(SETTINGS, precisions=("bfloat16",), threads=(2,)), FREE, 0.15, quiet)
    assert [entry.way for entry in measured] == [Way("bfloat16", 2)]
    with pytest.raises(BadInput, match="no entry of shape T3B2H4 or T1B1H4 with float32, 3 threads; there is"):
        suite.check(document, replace(SETTINGS, threads=(3,)), FREE, 0.15, quiet)
