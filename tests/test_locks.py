"""Locks of files and folders, with other processes as the witness."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from smplifyx import locks
from smplifyx.locks import is_abandoned, lock, locked_folder

_HOLD = """
import sys
from smplifyx.locks import lock
stream = open(sys.argv[1], "r+b")
print(lock(stream), flush=True)
input()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "file"
    file.write_bytes(b"content")
    return file


@contextmanager
def held_by_another(path: Path) -> Iterator[None]:
    """A process that has locked a file, and is killed at the end."""
    command = [sys.executable, "-c", _HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "True\n"
        try:
            yield
        finally:
            process.kill()


def test_a_file_is_locked_until_its_process_is_killed(path: Path) -> None:
    with held_by_another(path), path.open("r+b") as stream:
        assert lock(stream) is False
        assert not is_abandoned(stream, True, 0.0) and not is_abandoned(stream, False, -1.0)
    with path.open("r+b") as stream:
        assert lock(stream) is True and is_abandoned(stream, True, 1e9)


def test_of_another_machine_or_without_locks_the_age_decides(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.utime(path, (time.time() - 1000, time.time() - 1000))
    with path.open("r+b") as stream:
        assert is_abandoned(stream, False, 900.0) and not is_abandoned(stream, False, 1100.0)
        monkeypatch.setattr(locks, "fcntl", None)
        assert lock(stream) is None
        assert is_abandoned(stream, True, 900.0) and not is_abandoned(stream, True, 1100.0)


_WAIT = """
import sys
from pathlib import Path
from smplifyx.locks import locked_folder
print("ready", flush=True)
folder = Path(sys.argv[1])
with locked_folder(folder):
    print((folder / "mark").exists())
"""


def test_who_wants_a_folder_waits(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    with locked_folder(folder):
        process = subprocess.Popen([sys.executable, "-c", _WAIT, str(folder)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        time.sleep(0.2)  # in which the other one would come if it did not wait
        (folder / "mark").touch()
    assert process.communicate()[0] == "True\n"


def test_without_locks_nobody_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "fcntl", None)
    with locked_folder(tmp_path), locked_folder(tmp_path):
        pass
