"""The site in a real browser, from the file system."""

from collections.abc import Iterator
from pathlib import Path
from shutil import which
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # The system's Chromium where there is one, else the one that playwright installs.
        launched = playwright.chromium.launch(executable_path=which("chromium"), args=["--no-sandbox", "--disable-gpu"])
        yield launched
        launched.close()


def open_page(browser: Browser, path: Path, **context: Any) -> tuple[Page, list[str], list[str]]:
    page = browser.new_context(**context).new_page()
    requests: list[str] = []
    troubles: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: troubles.append(message.text))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.goto(path.as_uri())
    return page, requests, troubles


def test_no_network_and_no_complaint(browser: Browser, site: Path) -> None:
    for path in ("index.html", "catalogue.html", "method.html", "variants/multi_head.html"):
        _, requests, troubles = open_page(browser, site / path)
        assert troubles == []
        assert all(url.startswith("file:") for url in requests)
        assert any(url.endswith("style.css") for url in requests)


def test_sorting(browser: Browser, site: Path) -> None:
    page, *_ = open_page(browser, site / "index.html")
    table = page.locator("table", has_text="n=2048").first
    names = table.locator("tbody th a")
    header = table.locator("thead th", has_text="baseline")
    assert names.first.inner_text() == "linear_attention/chunked"
    header.locator("button").click()
    assert header.get_attribute("aria-sort") == "ascending"
    assert names.first.inner_text() == "multi_head/torch"
    header.locator("button").press("Enter")
    assert header.get_attribute("aria-sort") == "descending"
    assert names.first.inner_text() == "linear_attention/chunked"


def test_a_filter_is_in_the_address(browser: Browser, site: Path) -> None:
    page, *_ = open_page(browser, site / "catalogue.html")
    every = page.locator("tbody tr").count()
    page.get_by_role("searchbox").fill("softmax bahdanau")
    shown = page.locator("tbody tr:visible").count()
    assert 0 < shown < every
    assert f"{shown} of {every}" in page.locator("output").inner_text()
    page.reload()
    assert page.locator("tbody tr:visible").count() == shown


def test_the_theme_follows_the_system_until_it_is_switched(browser: Browser, site: Path) -> None:
    page, *_ = open_page(browser, site / "index.html", color_scheme="dark")

    def background() -> Any:
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    dark = background()
    page.get_by_role("button", name="Switch").click()
    assert background() == "rgb(255, 255, 255)" != dark
    page.reload()
    assert background() == "rgb(255, 255, 255)"
    page.get_by_role("button", name="Switch").click()
    assert background() == dark


@pytest.mark.parametrize("path", ["index.html", "catalogue.html", "variants/multi_head.html"])
def test_a_narrow_screen_scrolls_tables_and_not_the_page(browser: Browser, site: Path, path: str) -> None:
    page, *_ = open_page(browser, site / path, viewport={"width": 360, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    wide = "[...document.querySelectorAll('.scroll')].filter((box) => box.scrollWidth > box.clientWidth)"
    names = f"{wide}.flatMap((box) => [...box.querySelectorAll('tbody th')])"
    assert page.evaluate(f"{names}.length") > 0
    assert page.evaluate(f"{names}.every((name) => name.offsetWidth >= 120 && name.offsetWidth <= 200)")


def test_everything_is_there_without_scripts(browser: Browser, site: Path) -> None:
    page, *_ = open_page(browser, site / "index.html", java_script_enabled=False)
    assert page.locator("table tbody tr").count() > 10
    assert page.locator("thead button").count() == 0
    assert not page.locator("#theme").is_visible()
