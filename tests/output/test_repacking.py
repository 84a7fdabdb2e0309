"""Packing and unpacking: nothing is lost, whatever fails or writes meanwhile."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
from pathlib import Path

import pytest

from smplifyx.cli.main import main
from smplifyx.config import Config, RunOptions
from smplifyx.errors import UsageError
from smplifyx.locks import lock
from smplifyx.output.layout import OutputLayout
from smplifyx.output.repacking import pack, unpack
from smplifyx.packs import OLD, PackWriter, mend_packs, pack_files
from smplifyx.pipeline.journal import Journal, check_no_run, may_be_running

STEMS = ("a", "b", "c")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for stem in STEMS:
        for name in (f"results/{stem}/000.npz", f"images/{stem}/000/overlay.jpg"):
            path = tmp_path / name
            path.parent.mkdir(parents=True)
            path.write_bytes(name.encode())
    return tmp_path


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def fail_at(count: int, patch: pytest.MonkeyPatch, name: str) -> None:
    """Let a function write ``count`` times, and then tell of a full disk."""
    module, _, attribute = name.rpartition(".")
    original, calls = getattr(sys.modules[module], attribute), []

    def limited(*arguments: object) -> object:
        calls.append(arguments)
        if len(calls) > count:
            raise OSError(28, "No space left on device")
        return original(*arguments)

    patch.setattr(name, limited)


def test_a_pack_that_fails_leaves_everything_as_it_was(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = contents(root)
    with monkeypatch.context() as patch:
        fail_at(5, patch, "smplifyx.packs.writing.write_all")
        with pytest.raises(OSError, match="No space"):
            list(pack(root))
    assert contents(root) == before
    assert len(list(pack(root))) == len(STEMS)


def test_an_unpack_that_fails_leaves_everything_as_it_was(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = contents(root)
    list(pack(root))
    before = contents(root)
    with monkeypatch.context() as patch:
        fail_at(3, patch, "smplifyx.output.repacking.write_bytes")
        with pytest.raises(OSError, match="No space"):
            list(unpack(root))
    assert contents(root) == before
    list(unpack(root))
    assert contents(root) == files


def test_a_file_that_is_written_meanwhile_stays(root: Path) -> None:
    path = root / "results" / "a" / "000.npz"
    for _ in pack(root):
        path.write_bytes(b"a newer result")
    assert contents(root / "results") == {"a/000.npz": b"a newer result"}


def run_without_end(root: Path, host: str) -> Path:
    """The log of a run; its manifest has no end."""
    log = root / "runs" / "one" / "log.jsonl"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("")
    started = "2026-01-01T00:00:00Z"
    log.with_name("manifest.json").write_text(json.dumps({"started": started, "host": host, "ended": None}))
    return log


def test_a_folder_is_not_packed_while_a_run_of_another_machine_writes(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = run_without_end(root, "elsewhere")
    for command in ("pack", "unpack"):
        assert main([command, str(root)]) == 2
        assert "is a run on elsewhere without an end" in capsys.readouterr().err
    os.utime(log, (1, 1))
    check_no_run(OutputLayout(root))  # it was killed long ago


def test_of_this_machine_a_lock_tells_whether_a_run_writes(root: Path) -> None:
    folder = run_without_end(root, socket.gethostname()).parent
    check_no_run(OutputLayout(root))  # it was killed just now
    assert not may_be_running(folder, {"host": socket.gethostname(), "ended": None})
    journal = Journal(OutputLayout(root), Config(), RunOptions(output=root), "settings", "context")
    assert may_be_running(journal.folder, {"host": socket.gethostname(), "ended": None})
    with pytest.raises(UsageError, match="without an end"):
        check_no_run(OutputLayout(root))
    journal.close("done", {})
    check_no_run(OutputLayout(root))
    journal = Journal(OutputLayout(root), Config(), RunOptions(output=root), "settings", "context")
    shutil.rmtree(journal.folder)
    check_no_run(OutputLayout(root))


def test_a_log_that_cannot_be_written_tells_of_a_run_too(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As that of another user."""
    log = run_without_end(root, socket.gethostname())
    allowed = {os.R_OK}
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: mode in allowed if Path(path) == log else access(path, mode))
    with log.open() as running:
        assert lock(running)
        with pytest.raises(UsageError, match="without an end"):
            check_no_run(OutputLayout(root))
    check_no_run(OutputLayout(root))
    allowed.clear()  # nor read: its time tells
    with pytest.raises(UsageError, match="without an end"):
        check_no_run(OutputLayout(root))
    os.utime(log, (1, 1))
    check_no_run(OutputLayout(root))


def incomplete(root: Path) -> Path:
    list(pack(root))
    (path,) = pack_files(root)
    with path.open("ab") as stream:
        stream.write(b"half a sample")
    return path


def test_archives_of_other_machines_have_to_be_old(root: Path) -> None:
    path = incomplete(root)
    path = path.rename(path.with_name(path.name.replace(socket.gethostname(), "elsewhere")))
    assert mend_packs(root) == []
    with pytest.raises(UsageError, match="may be in use"):
        list(pack(root))
    moment = path.stat().st_mtime - OLD - 1
    os.utime(path, (moment, moment))
    assert mend_packs(root) == [path]


def test_without_locks_archives_have_to_be_old(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = incomplete(root)
    monkeypatch.setattr("smplifyx.locks.fcntl", None)
    assert mend_packs(root) == []
    with pytest.raises(UsageError, match="may be in use"):
        list(unpack(root))
    moment = path.stat().st_mtime - OLD - 1
    os.utime(path, (moment, moment))
    assert mend_packs(root) == [path]


def test_without_locks_an_archive_is_written(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smplifyx.locks.fcntl", None)
    writer = PackWriter(root)
    writer.write("d/000", {"npz": b"result"})
    writer.close()
    assert len(pack_files(root)) == 1
