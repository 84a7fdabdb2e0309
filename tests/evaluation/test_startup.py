"""The timeline of a command covers the time from the start of its process to its end."""

from __future__ import annotations

import subprocess
import time

import pytest

from smplifyx.evaluation.startup import measure_timeline


def test_phases_cover_the_time_of_the_process() -> None:
    started = time.time()
    timeline = measure_timeline(["models", "--help"])
    elapsed = time.time() - started
    assert {"start of Python", "other imports", "end of Python"} <= set(timeline.phases)
    assert "import torch" not in timeline.phases  # help needs none
    assert 0.0 < timeline.seconds <= elapsed and timeline.processor_seconds > 0.0


def test_a_command_that_fails_is_told() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        measure_timeline(["nonsense"])
