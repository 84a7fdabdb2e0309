"""The timeline of a command covers the time from the start of its process to its end."""

from __future__ import annotations

import subprocess
import time

import pytest

from smplifyx.evaluation.startup import measure_timeline


def test_phases_cover_the_time_of_the_process() -> None:
    started = time.monotonic()
    timeline = measure_timeline(["models", "--help"])
    elapsed = time.monotonic() - started
    outside = {"start of Python", "end of Python"}
    assert outside < set(timeline.phases) and all(seconds >= 0.0 for seconds in timeline.phases.values())
    assert sum(timeline.processor.values()) <= timeline.processor_seconds + 0.1
    assert "import torch" not in timeline.phases  # help needs none
    inside = sum(seconds for name, seconds in timeline.phases.items() if name not in outside)
    assert 0.0 < timeline.process_seconds <= inside + 1e-6
    assert timeline.seconds <= elapsed + 1e-6 and timeline.processor_seconds > 0.0


def test_a_command_that_fails_is_told() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        measure_timeline(["nonsense"])
