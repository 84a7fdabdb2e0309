"""``smplifyx convert-results`` on files as a fit writes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from smplifyx.cli.main import SOME_FAILED, SUCCESS, WRONG_CALL, main
from tests.random_result import random_result


def write(path: Path, model_name: str = "open-body 1") -> None:
    random_result(model_name=model_name, gender="male").save(path)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    for name in ("reading/000", "reading/001", "walking/000"):
        write(tmp_path / "run" / "results" / f"{name}.npz")
    return tmp_path / "run"


def test_a_run_is_converted_file_by_file(run: Path, tmp_path: Path, capsys) -> None:
    assert main(["convert-results", str(run), "--to", "smplh", "--output", str(tmp_path / "h")]) == SUCCESS
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed[:3]] == ["reading/000.npz", "reading/001.npz", "walking/000.npz"]
    assert all(0 < float(line.split()[1]) < 2 for line in printed[:3])
    assert printed[3].startswith("3 converted, mean distance 0.")
    with np.load(tmp_path / "h" / "results" / "walking" / "000.npz") as file:
        assert str(file["model_type"]) == "smplh"


def test_one_file(run: Path, tmp_path: Path) -> None:
    one = run / "results" / "walking" / "000.npz"
    assert main(["convert-results", str(one), "--to", "smpl", "--output", str(tmp_path / "s")]) == SUCCESS
    with np.load(tmp_path / "s" / "results" / "000.npz") as file:
        assert file["body_pose"].shape == (69,)


def test_a_damaged_file_and_an_unknown_body_do_not_stop_the_others(run: Path, tmp_path: Path, capsys) -> None:
    (run / "results" / "reading" / "000.npz").write_bytes(b"nothing")
    write(run / "results" / "walking" / "000.npz", model_name="SMPLX_MALE")
    assert main(["convert-results", str(run), "--to", "smplh", "--output", str(tmp_path / "h")]) == SOME_FAILED
    printed = capsys.readouterr()
    assert "1 converted" in printed.out
    assert "reading/000.npz" in printed.err
    assert "expected the body model 'SMPLX_MALE', found 'open-body 1'" in printed.err
    assert [path.name for path in (tmp_path / "h").rglob("*.npz")] == ["001.npz"]


def test_wrong_calls(run: Path, tmp_path: Path, capsys) -> None:
    for arguments in (
        [str(tmp_path / "nowhere"), "--to", "smpl", "--output", str(tmp_path / "s")],
        [str(tmp_path), "--to", "smpl", "--output", str(tmp_path)],
        [str(run), "--to", "smpl", "--output", str(run)],
        [str(run), "--to", "smpl", "--output", __file__],
    ):
        assert main(["convert-results", *arguments]) == WRONG_CALL
        assert "smplifyx: error: " in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert main(["convert-results", str(tmp_path / "empty"), "--to", "smpl", "--output", "x"]) == WRONG_CALL
    assert "holds no results" in capsys.readouterr().err
