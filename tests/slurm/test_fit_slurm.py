"""``scripts/fit_slurm.sh`` on a real Slurm: an array, a task killed half-way, a task out of time; nothing is lost."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from smplifyx.body.files import load_body_model_data
from smplifyx.body.search import find_body_model
from smplifyx.synthetic.documents import write_openpose_json
from smplifyx.synthetic.people import SyntheticOptions, synthetic_people

pytestmark = pytest.mark.slow

_ROOT = Path(__file__).parents[2]
_SCRIPT = _ROOT / "scripts" / "fit_slurm.sh"
_N_PHOTOS, _N_SHARDS = 45, 3
_PATIENCE = 900.0
_OPTIONS = [
    *("--device", "cpu", "--gender", "neutral", "--no-render", "--no-mesh", "--workers", "1", "--batch-size", "1"),
    *("--collision.enabled", "false", "--optimizer.max_iterations", "30"),
]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    (folder / "images").mkdir()
    data = load_body_model_data(find_body_model("smplx", "neutral"))
    for number, person in enumerate(synthetic_people(data, _N_PHOTOS, SyntheticOptions(seed=3))):
        width, height = person.image_size
        cv2.imwrite(str(folder / "images" / f"photo_{number:02d}.jpg"), np.full((height, width, 3), 128, np.uint8))
        write_openpose_json([person], folder / "keypoints" / f"photo_{number:02d}_keypoints.json")
    return folder


class _Cluster:
    """Commands of Slurm in the environment of a user who has smplifyx installed."""

    def __init__(self, environment: dict[str, str], photos: Path, folder: Path) -> None:
        program = folder / "smplifyx"
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m smplifyx "$@"\n')
        program.chmod(0o755)
        self.folder, self.output = folder, folder / "output"
        self.environment = {
            **environment,
            "PYTHONPATH": os.pathsep.join([str(_ROOT), environment.get("PYTHONPATH", "")]),
            "OMP_NUM_THREADS": "1",
            "IMAGES": str(photos / "images"),
            "KEYPOINTS": str(photos / "keypoints"),
            "OUTPUT": str(self.output),
            "SHARDS": str(_N_SHARDS),
            "SMPLIFYX": str(program),
        }
        #: When tasks were let go.
        self._nudged: dict[str, float] = {}

    def run(self, *command: str) -> str:
        done = subprocess.run(command, env=self.environment, cwd=self.folder, capture_output=True, text=True)
        assert not done.returncode, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def submit(self, *options: str) -> str:
        resources = ["--cpus-per-task=1", "--mem=0", f"--array=0-{_N_SHARDS - 1}", *options]
        return self.run("sbatch", "--parsable", *resources, str(_SCRIPT), *_OPTIONS).strip()

    def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + _PATIENCE
        while not condition():
            if time.monotonic() > end:
                logs = "".join(path.read_text()[-2000:] for path in self.folder.glob("*.log"))
                pytest.fail(f"waited {_PATIENCE:.0f} s for {what}; logs: {logs}")
            time.sleep(0.5)

    def wait_for_end(self, job: str) -> None:
        # A task that is put back into the queue is not listed there at first.
        def is_over() -> bool:
            self._nudge(job)
            return set(re.findall(r"JobState=(\w+)", self.run("scontrol", "show", "job", job))) == {"COMPLETED"}

        self.wait_for(is_over, "the end of all tasks")

    def _nudge(self, job: str) -> None:
        """Let go soon the tasks that wait some two minutes because of a restart.

        In the second in which a task was put back, Slurm refuses its credential.
        """
        left = self.run("squeue", "--noheader", "--array", "--format=%i %T %r", f"--jobs={job}")
        for line in left.splitlines():
            task, state, why = line.split()
            if state == "PENDING" and why == "BeginTime" and time.monotonic() > self._nudged.get(task, 0.0) + 10.0:
                self._nudged[task] = time.monotonic()
                self.run("scontrol", "update", f"JobId={task}", "StartTime=now+3", "TimeLimit=60")

    def results(self) -> list[str]:
        return sorted(path.parent.name for path in self.output.glob("results/*/*.npz"))

    def results_of(self, task: int) -> int:
        """Number of results of a shard."""
        return sum(int(name.removeprefix("photo_")) % _N_SHARDS == task for name in self.results())

    def log(self, job: str, task: int) -> str:
        path = self.folder / f"smplifyx-{job}_{task}.log"
        return path.read_text() if path.exists() else ""


def _is_told(process: int) -> bool:
    """Whether SIGUSR1 waits for a process that is stopped."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    waiting = next(int(line.split()[1], 16) for line in lines if line.startswith("ShdPnd:"))
    return bool(waiting & 1 << (signal.SIGUSR1 - 1))


def _program_of(cluster: _Cluster, task: int) -> int:
    """The process of the fit of a task."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().split(b"\0")
                environment = (entry / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            mine = f"OUTPUT={cluster.output}".encode() in environment
            if mine and b"smplifyx" in command and f"SLURM_ARRAY_TASK_ID={task}".encode() in environment:
                return int(entry.name)
    raise AssertionError(f"task {task} is not running")


def test_an_array_loses_nothing(slurm: dict[str, str], photos: Path, tmp_path: Path) -> None:
    cluster = _Cluster(slurm, photos, tmp_path)
    job = cluster.submit("--time=60", "--signal=B:USR1@30")
    cluster.wait_for(lambda: all(cluster.results_of(task) for task in range(_N_SHARDS)), "a result of each task")
    # Task 0 is killed. Task 1 is made slow, so that its time is nearly over before it has finished.
    killed, slow = _program_of(cluster, 0), _program_of(cluster, 1)
    os.kill(slow, signal.SIGSTOP)
    os.kill(killed, signal.SIGKILL)
    cluster.run("scontrol", "update", f"JobId={job}_1", "TimeLimit=1")
    cluster.wait_for(lambda: _is_told(slow), "the signal before the time is over")
    os.kill(slow, signal.SIGCONT)
    cluster.wait_for(lambda: "status 75; back into the queue, restart 1" in cluster.log(job, 1), "the end of task 1")
    before = cluster.results()
    assert len(before) < _N_PHOTOS
    cluster.wait_for_end(job)
    assert "ended with status 137; back into the queue, restart 1" in cluster.log(job, 0)
    assert cluster.results() == [f"photo_{number:02d}" for number in range(_N_PHOTOS)]
    status = cluster.run(str(tmp_path / "smplifyx"), "status", str(cluster.output))
    assert f"{_N_PHOTOS} of {_N_PHOTOS} are done" in status
    summary = (cluster.output / "summary.csv").read_text().splitlines()
    assert len(summary) == 1 + _N_PHOTOS
