# SPDX-License-Identifier: GPL-2.0-only
import os
import shutil
from pathlib import Path

import pytest
from recorded_run import small_run


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Path:
    return small_run(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="session")
def browser():
    """Chromium without a window: the machine's own ($CHROMIUM, chromium, google-chrome), or playwright's download."""
    sync_api = pytest.importorskip("playwright.sync_api")
    names = (os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome")
    program = next((found for name in names if name and (found := shutil.which(name))), None)
    with sync_api.sync_playwright() as playwright:
        try:
            started = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        except sync_api.Error as error:
            pytest.skip(f"no Chromium to look at reports with (apt-get install chromium): {str(error).splitlines()[0]}")
        yield started
        started.close()


@pytest.fixture
def look(browser):
    """Open a page: returns it once it is drawn, and fails at the end if it complained or asked for anything."""
    troubles, pages = [], []

    def open_page(path: Path, width: int = 1280, scheme: str = "light"):
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        pages.append(page)
        page.on("console", lambda message: troubles.append(message.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("request", lambda request: None if request.url.startswith(("data:", "file:", "blob:"))
                else troubles.append(request.url))  # fmt: skip
        page.goto(path.resolve().as_uri())
        page.wait_for_selector("html[data-ready]", state="attached", timeout=60_000)
        return page

    yield open_page
    for page in pages:
        page.close()
    assert not troubles
