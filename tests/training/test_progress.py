"""What is shown while a model trains."""

import io
import sys
import time

import pytest

from recurra.training.progress import Moment, Speed, StreamMoment, reporting

MOMENT = Moment(epoch=2, update=40, done=0.25, loss=1.23456, score="1.5000 best", speed=12_345.6, left=3_725)
LINE = "epoch 2  update 40  loss 1.2346  validation 1.5000 best  12.3k/s  1:02:05 left"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_line_holds_loss_score_speed_and_time_left() -> None:
    assert MOMENT.line() == LINE
    early = Moment(epoch=1, update=1, done=0.0, loss=2.0, score="", speed=700.4, left=65.9)
    assert early.line() == "epoch 1  update 1  loss 2.0000  700/s  1:05 left"


def test_plain_lines_elsewhere_at_most_one_in_ten_seconds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with reporting() as progress:
        progress.show(MOMENT)
        now[0] = 110.0
        progress.show(MOMENT)
        now[0] = 119.0
        progress.show(MOMENT)
        progress.note("update 40: validation")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [f" 25%  {LINE}", "update 40: validation"]


def test_a_stream_without_a_known_end_has_no_share_of_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = [StreamMoment(done, read=12_000, recent=1.5, overall=2.25, speed=850.0) for done in (None, 0.5)]
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with reporting() as progress:
        for moment in moments:
            now[0] += 10.0
            progress.show(moment)
    line = "12,000 bytes  1.5000 bits per character of late, 2.2500 in all  850/s"
    assert capsys.readouterr().err.splitlines() == [line, f" 50%  {line}"]
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("TERM", "xterm")
    with reporting() as progress:
        progress.show(moments[0])
    assert line in terminal.getvalue()


def test_a_bar_in_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("TERM", "xterm")
    with reporting() as progress:
        progress.show(MOMENT)
        progress.note("[a note] kept as it stands")
    shown = terminal.getvalue()
    assert LINE in shown and "25%" in shown and "[a note] kept as it stands" in shown and "\x1b[" in shown


def test_speed_counts_updates_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    speed = Speed()
    for moment in (1.0, 2.0, 3.0):
        now[0] = moment
        speed.add(50)
    assert speed.value == pytest.approx(50)
    speed.pause()
    for moment in (1000.0, 1001.0):  # validated for a quarter of an hour
        now[0] = moment
        speed.add(50)
    assert speed.value == pytest.approx(50)
