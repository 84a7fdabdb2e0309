"""Chromium without a window, driven by Playwright, for tests of pages."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
#: WebGL without a GPU.
_ARGUMENTS = ("--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")


@contextmanager
def opened_browser() -> Iterator[Any]:
    """A browser of Playwright; the test skips where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="drives the browser: pip install playwright")
    path = os.environ.get("SMPLIFYX_BROWSER") or next(filter(None, map(shutil.which, _BROWSERS)), None)
    if path is None:
        pytest.skip("no browser: apt-get install chromium, or name one by SMPLIFYX_BROWSER")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()
