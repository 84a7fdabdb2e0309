"""Progress in a log: a line every half minute with what one wants to know."""

from __future__ import annotations

import pytest

from smplifyx.cli import progress
from smplifyx.cli.progress import Progress


def test_a_line_every_half_minute(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: False, raising=False)
    with Progress(4100) as shown:
        for second in range(1, 61):
            now[0] = float(second)
            shown.show(n_photos=1, n_people=2, n_failures=second == 10, n_skipped=1000)
    assert capsys.readouterr().err.splitlines() == [
        "1,030 of 4,100 photos, 60 people fitted, 2.00 people/s, 51 min left, 1 failures",
        "1,060 of 4,100 photos, 120 people fitted, 2.00 people/s, 51 min left, 1 failures",
    ]


@pytest.mark.parametrize(("seconds", "text"), [(5, "5 s"), (600, "10 min"), (86400, "24.0 h")])
def test_durations_are_short(seconds: float, text: str) -> None:
    assert progress._duration(seconds) == text
