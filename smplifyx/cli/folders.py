"""Checks of the folders that a call names, before any work is done."""

from __future__ import annotations

from pathlib import Path

from smplifyx.errors import UsageError


def check_output(path: Path | None, option: str = "--output") -> None:
    """Raises UsageError where a file is in the place of a folder to write to; None names no folder."""
    if path is not None and path.is_file():
        raise UsageError(f"{option}: {path} is a file; expected a folder")


def check_input(path: Path | None, option: str) -> None:
    """Raises UsageError unless a folder to read from exists; None names no folder."""
    if path is not None and not path.is_dir():
        raise UsageError(f"{option}: {path} is {'a file' if path.exists() else 'not there'}; expected a folder")
