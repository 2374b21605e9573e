from pathlib import Path


def test_inspect_prints_the_pictures_it_draws(recurra, finished):
    code, out, err = recurra("inspect", finished)
    pictures = [Path(line) for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert [picture.name for picture in pictures] == ["learning-curve.png", "scores.png"]
    for picture in pictures:
        assert picture.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
