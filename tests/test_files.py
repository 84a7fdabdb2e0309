"""Files are complete or absent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from smplifyx.body.arrays import save_npz
from smplifyx.files import atomic_path, write_bytes, write_text


def test_write_makes_folders_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "table.csv"
    write_text(path, "ä\n")
    write_text(path, "new\r\n")
    assert path.read_bytes() == b"new\r\n"
    assert [p.name for p in path.parent.iterdir()] == ["table.csv"]


def test_temporary_path_is_in_the_same_folder_with_the_same_suffix(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "x.npz") as temporary:
        assert temporary.parent == tmp_path and temporary.suffix == ".npz"
        temporary.write_bytes(b"1")
        assert not (tmp_path / "x.npz").exists()
    assert (tmp_path / "x.npz").read_bytes() == b"1"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_interrupted_write_keeps_the_old_file_and_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "x.bin"
    write_bytes(path, b"old")
    with pytest.raises(error), atomic_path(path) as temporary:
        temporary.write_bytes(b"half of the ne")
        raise error
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_body_file_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "SMPLX_MALE.npz"
    save_npz(path, {"a": np.ones(3)})
    old = path.read_bytes()
    with pytest.raises(ValueError, match="Object arrays"):
        save_npz(path, {"a": np.zeros(3), "b": np.array([{}], dtype=object)})
    assert path.read_bytes() == old
    assert list(path.parent.iterdir()) == [path]
