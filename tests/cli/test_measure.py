"""``smplifyx measure`` on an output folder."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from smplifyx.cli.main import SOME_FAILED, SUCCESS, WRONG_CALL, main
from tests.export.people import fitted


@pytest.fixture
def run(tmp_path: Path) -> Path:
    for seed, name in enumerate(("frame_2/000", "frame_10/000")):
        fitted(seed=seed).save(tmp_path / "run" / "results" / f"{name}.npz")
    return tmp_path / "run"


def table(run: Path) -> list[dict[str, str]]:
    with (run / "measurements.csv").open() as file:
        return list(csv.DictReader(file))


def test_people_with_a_known_focal_length(run: Path, capsys) -> None:
    assert main(["measure", str(run)]) == SUCCESS
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["frame_2 000", "frame_10 000"] and "+-" not in lines[0]
    rows = table(run)
    assert [row["stem"] for row in rows] == ["frame_2", "frame_10"]
    assert 1.2 < float(rows[0]["height"]) < 2.2 and rows[0]["height_uncertainty"] == ""


def test_a_hand_is_named_and_the_others_are_measured(run: Path, capsys) -> None:
    fitted("mano").save(run / "results" / "frame_2" / "001_left.npz")
    assert main(["measure", str(run), "--no-uncertainty"]) == SOME_FAILED
    assert "001_left.npz: model_type: expected one of" in capsys.readouterr().err
    assert len(table(run)) == 2


@pytest.mark.slow
def test_an_unknown_focal_length_leaves_an_uncertainty(tmp_path: Path, capsys) -> None:
    root = tmp_path / "run"
    result = fitted(camera_source="fallback", image_path="")
    body = result.body()(**result.parameters)
    pixels = result.camera.project(body.keypoints[0].numpy())
    result.keypoints_2d[:, :2], result.keypoints_2d[:, 2] = pixels, 1.0
    result.save(root / "results" / "photo" / "000.npz")
    (root / "config.yaml").write_text("removed: {section: 1}\n")
    assert main(["measure", str(root), "--focal-length-factor", "1.5"]) == SUCCESS
    remarks = capsys.readouterr().err
    assert "fitting 1 person again" in remarks and "left out: removed" in remarks
    (row,) = table(root)
    assert 0.0 < float(row["height_uncertainty"]) < 0.3 and row["camera_source"] == "fallback"


def test_wrong_calls(run: Path, capsys) -> None:
    assert main(["measure", str(run), "--focal-length-factor", "0.5"]) == WRONG_CALL
    assert "expected more than 1" in capsys.readouterr().err
    assert main(["measure", str(run / "results")]) == WRONG_CALL
