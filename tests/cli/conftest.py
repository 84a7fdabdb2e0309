"""Fixtures of the commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.photo_folders import Folders


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    """Empty folders of photos and keypoints."""
    return Folders(tmp_path)
