"""Progress in a log: a line every half minute with what one wants to know."""

from __future__ import annotations

import threading

import pytest

from smplifyx.cli import messages, progress
from smplifyx.cli.progress import Progress


def test_a_line_tells_what_is_done_and_left(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    shown = Progress(4100, lambda: 1000)
    for second in range(1, 31):
        now[0] = float(second)
        shown.add(n_people=2, n_failures=second == 10)
    assert shown.line() == "1,030 of 4,100 photos, 60 people fitted, 2.00 people/s, 51 min left, 1 failure"


def test_the_time_left_of_clips_knows_that_frames_are_written_after_their_fit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two clips of 20 frames, 100 seconds of fit and 1 second a frame each, after one that was finished before."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    shown = Progress(50, lambda: 10, is_shown=False)

    def left() -> str:
        return shown.line().split(", ")[3]

    for clip in (0, 120):
        shown.begin_clip(20)
        now[0] = clip + 60.0
        assert left() == ("unknown time left" if not clip else "60 s left")
        for frame in range(1, 21):
            now[0] = clip + 100.0 + frame
            shown.add(n_people=1, n_failures=0)
            if frame == 10:
                assert left() == ("2 min left" if not clip else "10 s left")
    assert left() == "0 s left"


def test_lines_come_although_no_photo_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As long as photos are skipped, or a batch is fitted."""
    told = threading.Event()
    monkeypatch.setattr(progress, "_INTERVAL", 0.01)
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: False, raising=False)
    monkeypatch.setattr(progress.messages, "note", lambda line: (print(line), told.set()))
    with Progress(10, lambda: 4):
        assert told.wait(60)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("4 of 10 photos, 0 people fitted, 0.00 people/s, unknown time left")


@pytest.mark.parametrize(("seconds", "text"), [(5, "5 s"), (600, "10 min"), (86400, "24.0 h")])
def test_durations_are_short(seconds: float, text: str) -> None:
    assert messages.duration(seconds) == text
