"""The README's picture, from a folder of results with few people."""

from __future__ import annotations

import numpy as np
import pytest

from smplifyx.keypoints import read_image
from smplifyx.output import SheetEntry
from tools import draw_readme_picture


@pytest.fixture(autouse=True)
def entries(monkeypatch):
    picture = np.full((60, 40, 3), 90, np.uint8)
    found = [
        SheetEntry(picture, np.zeros((135, 3)), picture, picture, f"{name}: 3.1 px") for name in ("a / 0", "b / 1")
    ]
    monkeypatch.setattr(draw_readme_picture, "sheet_entries", lambda results, left_out: iter(found))


def test_the_chosen_people_are_drawn(tmp_path, capsys) -> None:
    path = tmp_path / "demo.png"
    draw_readme_picture.main(["results", "--output", str(path), "--people", "b / 1", "a / 0"])
    assert capsys.readouterr().out.split() == [str(path)]
    assert read_image(path).shape[1] == 2 * (3 * (230 + 8) + 8)


def test_missing_people_are_named(tmp_path, capsys) -> None:
    with pytest.raises(SystemExit):
        draw_readme_picture.main(["results", "--people", "c / 0", "a / 0"])
    assert "no pictures of c / 0 in results; found a / 0, b / 1" in capsys.readouterr().err
