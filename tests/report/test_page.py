"""The report in a browser: Chromium without a window, driven by Playwright."""

from __future__ import annotations

import base64
import io
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from smplifyx.output import BodyMesh, SoftwareRenderer
from smplifyx.report import write_report
from smplifyx.result import load_result
from tests.browser import opened_browser
from tests.report.folders import HOSTILE, add_person, person

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with opened_browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("run")
    many = person(0)
    for k in range(70):
        add_person(root, f"frame_{k}", 0, replace(many, expected_error_mm=30.0 + k / 10))
    add_person(root, "woman", 0, person(1, expected_error_mm=20.0, gender="female"))
    flags = {"flags": ("few_keypoints", "not_converged")}
    add_person(root, HOSTILE, 0, person(2, expected_error_mm=99.0, gender_reason=HOSTILE, **flags))
    off_centre = np.array([300, 260], np.float32)
    plain = person(3, expected_error_mm=98.0, principal_point=off_centre)
    add_person(root, "plain", 0, plain, with_pictures=False)
    return write_report(root, n_detailed=10).page


@pytest.fixture
def page(browser: Any, report: Path) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1200, "height": 800})
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type != "log" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda request: complaints.append(request.url))
    page.on("request", lambda one: None if one.url.startswith(("file:", "data:")) else complaints.append(one.url))
    page.goto(report.as_uri())
    page.wait_for_function("document.getElementById('count').textContent === '73 people'")
    yield page
    assert not complaints
    context.close()


def names(page: Any) -> list[str]:
    return page.locator(".tile .photo").all_inner_texts()


def opened(page: Any, number: int = 0) -> str:
    """Open a person by a click; returns the heading of the panel."""
    page.locator(".tile").nth(number).click()
    page.wait_for_selector("#panel section")
    return page.inner_text("#name")


def test_a_hostile_name_is_a_text(page: Any) -> None:
    assert opened(page) == f"{HOSTILE}, person 000"
    page.wait_for_selector(".stage img")
    assert page.evaluate("typeof hacked") == "undefined"
    assert page.locator("#panel script, #panel img[src='x'], .tile script").count() == 0
    assert page.locator(".figures td", has_text="<script>").count() == 1
    assert page.evaluate("[...document.images].every((one) => !one.complete || one.naturalWidth > 0)")


def test_panel_has_pictures_mesh_and_figures(page: Any) -> None:
    opened(page)
    page.wait_for_selector(".turn canvas")
    assert page.locator(".stage img").count() == 2
    assert page.locator(".views .still img").count() == 2
    text = page.inner_text("#panel")
    assert "Fewer than 10 body keypoints are visible" in text and "99 mm" in text
    assert "stage 5" in text and "right arm" in text
    cells = page.locator(".courses tr", has_text="body pose").locator("td").all_inner_texts()
    assert cells == ["\u2013", "\u2013", "1.0", "2.0", "4.5"]
    assert page.locator(".shares rect").count() == 5 * 2
    # the canvas shows a body: not all pixels are alike
    colours = page.evaluate(
        """async () => {
            const picture = new Image();
            picture.src = document.querySelector('.views .still img').src;
            await picture.decode();
            const canvas = document.createElement('canvas');
            [canvas.width, canvas.height] = [picture.width, picture.height];
            const context = canvas.getContext('2d');
            context.drawImage(picture, 0, 0);
            const data = context.getImageData(0, 0, canvas.width, canvas.height).data;
            return new Set(data).size;
        }"""
    )
    assert colours > 50


def test_slider_moves_the_edge(page: Any) -> None:
    opened(page)
    edge = page.locator(".stage .edge")
    before = int(edge.evaluate("(one) => one.style.left").removesuffix("%"))
    page.focus("#slider")
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    assert 30 < before < 70 and edge.evaluate("(one) => one.style.left") == f"{before + 5}%"
    box = page.locator(".stage").bounding_box()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 50)
    page.mouse.up()
    assert 23 <= float(page.input_value("#slider")) <= 27


def test_keypoints_appear_on_demand(page: Any) -> None:
    opened(page)
    button = page.locator("[data-toggle='observed keypoints']")
    group = page.locator(".stage svg .seen")
    assert group.get_attribute("visibility") == "hidden"
    button.click()
    assert group.get_attribute("visibility") == "visible" and button.get_attribute("aria-pressed") == "true"


def test_filters(page: Any) -> None:
    page.fill("#file", "frame_1?")
    assert sorted(names(page)) == [f"frame_{k}" for k in range(10, 20)]
    page.click("#clear")
    page.fill("#text", "10 body keypoints")
    assert names(page) == [HOSTILE]
    page.click("#clear")
    page.select_option("#gender", "female")
    assert names(page) == ["woman"]
    page.click("#clear")
    page.select_option("#flag", "not_converged")
    assert names(page) == [HOSTILE]
    page.select_option("#flag", "-")
    page.select_option("#order", "name")
    assert names(page)[:3] == ["frame_0", "frame_1", "frame_2"]
    page.fill("#file", "nobody")
    assert page.inner_text("#grid") == "Nobody matches the filters."


def test_pages(page: Any) -> None:
    assert len(names(page)) == 60
    page.get_by_role("button", name="Next", exact=True).click()
    assert len(names(page)) == 13 and page.get_by_role("button", name="Last").is_disabled()


def test_keyboard(page: Any) -> None:
    page.locator(".tile").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    page.wait_for_selector("#panel section")
    assert page.inner_text("#name") == "plain, person 000"
    page.click("[data-toggle='fitted keypoints']")  # goes with the panel of this person
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    page.wait_for_function("document.getElementById('place').textContent === '1 of 73'")
    page.keyboard.press("Escape")
    page.wait_for_function("!document.getElementById('person').open")
    page.wait_for_function(
        "(name) => document.activeElement.querySelector('.photo')?.textContent === name", arg=HOSTILE
    )
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "text"


def test_people_without_pictures_mesh_or_details(page: Any, report: Path) -> None:
    assert opened(page, 1) == "plain, person 000"
    drawn = page.locator(".stage img[src^='data:']")  # the body is drawn by the page
    drawn.wait_for()
    encoded = base64.b64decode(drawn.get_attribute("src").partition(",")[2])
    alpha = np.asarray(Image.open(io.BytesIO(encoded)))[..., 3] > 127
    result = load_result(report.parents[1] / "results" / "plain" / "000.npz")
    mesh = BodyMesh(result.vertices, result.faces)
    expected = SoftwareRenderer().render([mesh], result.camera)[..., 3] > 127
    assert (alpha & expected).sum() > 0.98 * (alpha | expected).sum() > 1000
    page.keyboard.press("Escape")
    page.fill("#file", "woman")
    opened(page)
    assert "reports with more details" in page.inner_text("#panel")
    assert page.locator(".stage img").count() == 1


def test_a_report_that_was_copied_alone(browser: Any, report: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(report.parent, tmp_path / "copy")
    page = browser.new_page()
    page.goto((folder / "index.html").as_uri())
    page.locator(".tile").nth(2).click()
    page.wait_for_selector(".stage img[src^='data:']")
    assert page.inner_text(".label.right") == "fit (drawn here)"
    page.close()


def test_a_person_has_an_address(page: Any, report: Path) -> None:
    opened(page, 2)
    name, address = page.inner_text("#name"), page.url
    assert "#" in address
    page.goto("about:blank")
    page.goto(address)
    page.wait_for_selector("#panel section")
    assert page.inner_text("#name") == name
