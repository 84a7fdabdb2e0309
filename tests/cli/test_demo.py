"""The demo as a user calls it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from smplifyx.keypoints import read_image
from smplifyx.output import OutputLayout, read_summary
from smplifyx.result import load_result


@pytest.mark.slow
def test_demo_fits_all_people_and_prints_where_pictures_are(tmp_path):
    program = Path(sys.executable).with_name("smplifyx")
    done = subprocess.run(
        [str(program), "demo", "--output", "out", "--run.threads", "1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    layout = OutputLayout(tmp_path / "out")
    rows = read_summary(layout.summary_path)
    assert [(row.stem, row.person) for row in rows] == [
        ("reaching", 0), ("sitting", 0), ("talking", 0), ("talking", 1), ("walking", 0),
    ]  # fmt: skip
    assert all(row.status == "ok" and row.reprojection_error_px < 12.0 for row in rows)
    for row in rows:
        result = load_result(layout.result_path(row.stem, row.person))
        assert np.isfinite(result.joints).all()
        assert layout.mesh_path(row.stem, row.person).is_file()
        assert layout.side_view_path(row.stem, row.person).is_file()
        assert layout.overlay_path(row.stem, row.person).is_file() is (row.stem != "talking")
    assert layout.group_overlay_path("talking").is_file()
    assert not layout.group_overlay_path("walking").exists()
    shown = [tmp_path / line.strip() for line in done.stdout.splitlines() if line.endswith("overlay.jpg")]
    assert f"open {Path('out', 'report', 'index.html')} in a browser" in done.stdout
    assert len(list((tmp_path / "out" / "report" / "people").glob("*/*.js"))) == len(rows)
    assert len(shown) == 8 and all(path.is_file() for path in shown)
    from_photos = read_summary(OutputLayout(tmp_path / "out" / "from_photos").summary_path)
    assert sorted((row.stem, row.status) for row in from_photos) == [(row.stem, row.status) for row in rows]
    _sheets_show_everybody(tmp_path, tmp_path / "out")


def _sheets_show_everybody(folder, results):
    program = Path(sys.executable).with_name("smplifyx")
    done = subprocess.run(
        [str(program), "evaluate", "photos", str(results), "--sheets", "sheets", "--people-per-sheet", "3"],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and done.stderr == ""
    paths = [folder / line for line in done.stdout.splitlines() if line.endswith(".png")]
    shapes = [read_image(path).shape for path in paths]
    assert shapes == [(2 * (24 + 400 + 8), 2 * (3 * 308 + 8), 3), (24 + 400 + 8, 2 * (3 * 308 + 8), 3)]
