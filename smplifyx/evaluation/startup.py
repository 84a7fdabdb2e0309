"""Timeline of one `smplifyx fit` for one photo: what its main thread did when, from samples of its stack."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

#: Seconds between samples.
_INTERVAL = 0.004
_BEFORE, _AFTER = "start of Python", "end of Python"
#: Phases, the first that fits: name, ending of the file and name of the function of a frame.
_PHASES = (
    ("import torch", "torch/__init__.py", "<module>"),
    ("import Warp", "warp/__init__.py", "<module>"),
    ("other imports", "<frozen importlib._bootstrap>", "_find_and_load"),
    ("load kernels", "warp/_src/context.py", "load_module"),
    ("load kernels", "warp/_src/context.py", "load"),
    ("load body model, priors, networks", "fitting/fitter.py", "__init__"),
    ("fit", "fitting/fitter.py", "_fit_batch"),
    ("gender", "gender/people.py", ""),
    ("read keypoints and photos", "keypoints/", ""),
)
_REST = "everything else, waiting for files and pictures included"


@dataclass(frozen=True)
class Timeline:
    """Times of one process.

    Attributes:
        phases: seconds of each phase, in the order in which they began.
        processor: processor time of the main thread in each phase, seconds; hardly longer on a busy machine.
        processor_seconds: time of the processor.
        process_seconds: from the first line of the process to the end of the command, by its own clock.
    """

    phases: dict[str, float]
    processor: dict[str, float]
    processor_seconds: float
    process_seconds: float

    @property
    def seconds(self) -> float:
        """From the start of the process to its end."""
        return sum(self.phases.values())


def measure_timeline(arguments: Sequence[str]) -> Timeline:
    """Run the program in a process of its own.

    Args:
        arguments: of ``smplifyx``.

    Raises:
        CalledProcessError: it failed.
    """
    started, cpu = time.monotonic(), _children_cpu_seconds()
    command = [sys.executable, str(Path(__file__)), str(started), *arguments]
    # compiled modules are kept, as pip keeps them
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=variables)
    ended = time.monotonic()  # one clock for all processes since the start of the machine
    recorded = json.loads(done.stderr.splitlines()[-1])
    recorded["phases"][_AFTER] = ended - recorded["ended"]
    return Timeline(recorded["phases"], recorded["processor"], _children_cpu_seconds() - cpu, recorded["seconds"])


def _children_cpu_seconds() -> float:
    times = os.times()
    return times.children_user + times.children_system


def _frames(frame: FrameType | None) -> Iterator[tuple[str, str]]:
    """File and function of each frame, the outermost last."""
    while frame is not None:
        yield frame.f_code.co_filename.replace(os.sep, "/"), frame.f_code.co_name
        frame = frame.f_back


def _phase(frame: FrameType | None) -> str:
    frames = [*_frames(frame)]
    for name, file, function in _PHASES:
        if any(file in path and function in ("", called) for path, called in frames):
            return name
    return _REST


def _thread_clock() -> Callable[[], float]:
    """A clock of the processor time of the thread that calls this, in seconds; one that stands still on Windows."""
    if not hasattr(time, "pthread_getcpuclockid"):
        return lambda: 0.0
    clock = time.pthread_getcpuclockid(threading.get_ident())
    return lambda: time.clock_gettime(clock)


def _sampling(
    seconds: dict[str, float], processor: dict[str, float], latest: float, stop: threading.Event
) -> Callable[[], None]:
    """Add up the times of each phase of the thread that calls this, from ``latest`` until told to stop."""
    watched, used = threading.get_ident(), _thread_clock()

    def sample() -> None:
        nonlocal latest
        is_last, latest_used = False, used()
        while not is_last:
            is_last = stop.wait(_INTERVAL)  # what remains then belongs to a phase too
            phase = _REST if is_last else _phase(sys._current_frames().get(watched))
            now = time.monotonic()
            seconds[phase] = seconds.get(phase, 0.0) + now - latest
            processor[phase] = processor.get(phase, 0.0) + used() - latest_used
            latest, latest_used = now, used()

    return sample


def _main() -> None:
    """Run ``smplifyx`` in this process and print its phases in the last line of the standard error stream."""
    started, first = float(sys.argv.pop(1)), time.monotonic()
    seconds, processor = {_BEFORE: first - started}, {_BEFORE: time.process_time()}
    stop = threading.Event()
    sampler = threading.Thread(target=_sampling(seconds, processor, first, stop), daemon=True)

    def report() -> None:
        own_seconds = time.monotonic() - first
        stop.set()
        sampler.join()
        recorded = {
            "phases": seconds,
            "processor": processor,
            "ended": time.monotonic(),
            "seconds": own_seconds,
        }
        print(json.dumps(recorded), file=sys.stderr, flush=True)

    atexit.register(report)
    sampler.start()
    from smplifyx.__main__ import run

    run()


if __name__ == "__main__":
    sys.path.pop(0)  # this file's folder, which Python puts first
    _main()
