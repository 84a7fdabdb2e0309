"""The viewer in a browser."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from smplifyx.export.files import result_files
from tests.browser import opened_browser
from tests.report.folders import add_person, person


@pytest.mark.slow
def test_the_page_draws_the_body_and_its_controls(tmp_path: Path) -> None:
    pytest.importorskip("viser", reason="serves the scene: pip install 'smplifyx[view]'")
    from smplifyx.viewer import Viewer

    add_person(tmp_path, "one", 0, person())
    viewer = Viewer(result_files(tmp_path), port=18080)
    try:
        with opened_browser() as browser:
            page = browser.new_page(viewport={"width": 900, "height": 600})
            faults: list[str] = []
            page.on("pageerror", lambda error: faults.append(str(error)))
            page.goto(viewer.address)
            page.get_by_text("as fitted").wait_for(timeout=60_000)
            page.get_by_text("expression").wait_for()
            pictures = []
            for k in range(40):  # until the scene is drawn
                page.wait_for_timeout(500)
                path = tmp_path / f"{k}.png"
                page.screenshot(path=path, clip={"x": 0, "y": 200, "width": 560, "height": 400})
                pictures.append(np.asarray(Image.open(path).convert("L"), np.int64))
                if pictures[-1].std() > 20:
                    break
            assert pictures[-1].std() > 20 and not faults
    finally:
        viewer.stop()
