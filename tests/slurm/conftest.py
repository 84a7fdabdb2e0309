"""A Slurm on the loopback interface for the tests of this folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel", "sinfo")
_SCRIPT = Path(__file__).with_name("local_cluster.sh")


@pytest.fixture(scope="module")
def slurm() -> Iterator[dict[str, str]]:
    """The environment in which sbatch and its kin talk to the cluster."""
    search = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    missing = [name for name in _PROGRAMS if shutil.which(name, path=search) is None]
    if missing:
        pytest.skip(
            f"{', '.join(missing)} not installed: apt-get install --no-install-recommends slurmctld slurmd "
            "slurm-client munge"
        )
    if os.geteuid() != 0:
        pytest.skip("slurmd has to run as root")
    # The path of munge's socket must be short.
    folder = Path(tempfile.mkdtemp(prefix="slurm"))
    environment = {**os.environ, "PATH": search, "SLURM_CONF": str(folder / "slurm.conf")}
    started = subprocess.run(["bash", _SCRIPT, "start", folder], env=environment, capture_output=True, text=True)
    try:
        if started.returncode:
            pytest.skip(f"no Slurm can be started here: {started.stderr[-500:]}")
        yield environment
    finally:
        subprocess.run(["scancel", "--quiet", "--user=root"], env=environment, check=False)
        subprocess.run(["bash", _SCRIPT, "stop", folder], env=environment, check=False)
        shutil.rmtree(folder, ignore_errors=True)
