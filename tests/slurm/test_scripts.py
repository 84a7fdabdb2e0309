"""The scripts that users copy, with programs that stand in for smplifyx and Slurm."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

_SCRIPTS = Path(__file__).parents[2] / "scripts"

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")


def _program(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)
    return str(path)


def _environment(folder: Path, fit: str) -> dict[str, str]:
    """An environment with a smplifyx that notes its arguments, and with a Slurm that notes requests."""
    _program(folder / "scontrol", f'echo "$@" >>{folder}/requests; kill -TERM $PPID')
    program = _program(folder / "smplifyx", f'echo "$@" >>{folder}/calls\n[ "$1" = fit ] || exit 0\n{fit}')
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("SLURM")},
        "PATH": f"{folder}:{os.environ['PATH']}",
        "SMPLIFYX": program,
        "IMAGES": "photos of people",
        "OUTPUT": str(folder / "output"),
        "SLURM_JOB_ID": "7",
        "SLURM_CPUS_PER_TASK": "5",
    }


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


@pytest.mark.parametrize("status", [75, 137])
def test_a_task_that_ended_early_goes_back_into_the_queue(status: int, tmp_path: Path) -> None:
    environment = _environment(tmp_path, f"exit {status}")
    done = subprocess.run(["bash", _SCRIPTS / "fit_slurm.sh"], env=environment, capture_output=True, text=True)
    assert done.returncode == -signal.SIGTERM
    assert _lines(tmp_path / "requests") == ["requeue 7"]
    assert f"status {status}; back into the queue, restart 1" in done.stdout
    worn = {**environment, "SLURM_RESTART_COUNT": "20"}
    done = subprocess.run(["bash", _SCRIPTS / "fit_slurm.sh"], env=worn, capture_output=True, text=True)
    assert done.returncode == status
    assert _lines(tmp_path / "requests") == ["requeue 7"]


@pytest.mark.parametrize("status", [0, 1, 2])
def test_a_task_that_is_done_is_done(status: int, tmp_path: Path) -> None:
    environment = _environment(tmp_path, f"exit {status}") | {"KEYPOINTS": "key points", "SHARDS": "4"}
    command = ["bash", _SCRIPTS / "fit_slurm.sh", "--gender", "neutral"]
    assert subprocess.run(command, env=environment, check=False).returncode == status
    assert not _lines(tmp_path / "requests")
    assert _lines(tmp_path / "calls") == [
        f"fit --images photos of people --output {tmp_path}/output --num-shards 4 --shard auto "
        "--keypoints key points --workers 5 --gender neutral"
    ]


def test_the_signal_before_the_time_is_over_reaches_the_program(tmp_path: Path) -> None:
    fit = f"trap 'exit 75' USR1; touch {tmp_path}/started; while :; do sleep 0.1; done"
    environment = _environment(tmp_path, fit)
    with subprocess.Popen(["bash", _SCRIPTS / "fit_slurm.sh"], env=environment, stdout=subprocess.PIPE) as script:
        while not (tmp_path / "started").exists():
            time.sleep(0.05)
        script.send_signal(signal.SIGUSR1)
        script.wait(timeout=60)
    assert _lines(tmp_path / "requests") == ["requeue 7"]


def test_a_killed_run_on_one_machine_is_started_again(tmp_path: Path) -> None:
    environment = _environment(tmp_path, f"[ $(grep -c fit {tmp_path}/calls) -gt 2 ] && exit 1; kill -9 $$")
    done = subprocess.run(["bash", _SCRIPTS / "fit_local.sh"], env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    fits = [line for line in _lines(tmp_path / "calls") if line.startswith("fit ")]
    assert fits == [f"fit --images photos of people --output {tmp_path}/output --workers auto"] * 3
    assert _lines(tmp_path / "calls")[-1] == f"status {tmp_path}/output"
    assert "ended with status 137; restart 2" in done.stderr
