from recurra.commands.options import next_free
from recurra.data import standard_library


def test_demo_trains_scores_samples_and_draws_beside_what_exists(recurra, tmp_path, monkeypatch):
    monkeypatch.setattr(standard_library, "BYTES", 20_000)
    monkeypatch.setenv("RECURRA_CACHE", str(tmp_path / "cache"))
    (tmp_path / "demo").write_text("mine")
    code, out, _ = recurra("demo", "--out", tmp_path / "demo", "--time-limit", "0.1")
    assert code == 0 and (tmp_path / "demo-2" / "scores.json").exists()
    assert (tmp_path / "demo").read_text() == "mine"
    for part in ("model\t", "5-gram\t", "window-5\t", "- sample 3 -", "demo-2/pictures/scores.png"):
        assert part in out
    samples = out.split("- sample ")[1:]
    assert all(len(sample.split("-\n", 1)[1]) >= 200 for sample in samples)


def test_the_first_free_name_is_taken(tmp_path):
    assert next_free(tmp_path / "demo") == tmp_path / "demo"
    for taken in ("demo", "demo-2", "demo-4"):
        (tmp_path / taken).mkdir()
    assert next_free(tmp_path / "demo") == tmp_path / "demo-3"
