"""The page "Predictions" in a real browser, inside a running Airflow. For any stack: give its address and a log-in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import httpx
from playwright.sync_api import Browser, Frame, Page, expect, sync_playwright

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
LAPTOP, PHONE = (1440, 900), (390, 844)
PATHS = ("", "page.css", "page.js", "chart.js", "icon.svg", "api/predictions", "api/publications", "api/models")
ROWS = "#predictions tbody tr"


def check_page(base_url: str, username: str, password: str, screenshot_dir: Path, rows: int = 15) -> None:
    """Everything a user does with the page, at the width of a laptop and of a phone.

    Leaves predictions-laptop.png, chart-laptop.png and the same for the phone in `screenshot_dir`.
    `rows`: how many predictions are published; AAPL must be among the symbols, with three horizons.
    """
    check_closed(base_url)
    screenshot_dir.mkdir(parents=True, exist_ok=True)
    with browser() as chromium, new_page(chromium) as page:
        log_in(page, base_url, username, password)
        troubles = watch(page, base_url)
        for name, size in (("laptop", LAPTOP), ("phone", PHONE)):
            page.set_viewport_size({"width": size[0], "height": size[1]})
            frame = open_from_navigation(page, base_url)
            expect(frame.locator(ROWS)).to_have_count(rows)
            check_width(page, frame)
            page.screenshot(path=screenshot_dir / f"predictions-{name}.png")
            check_filters(frame, rows)
            check_chart(frame)
            check_width(page, frame)
            page.screenshot(path=screenshot_dir / f"chart-{name}.png")
            frame.locator("body").press("Escape")
            expect(frame.locator("#detail")).to_be_hidden()
        assert troubles == []


def check_closed(base_url: str) -> None:
    """Nothing is given to somebody who is not logged in; a browser is shown the way to the log-in."""
    for path in PATHS:
        assert httpx.get(f"{base_url}/afterbell/{path}", trust_env=False).status_code == 401, path
    refused = httpx.get(f"{base_url}/afterbell/", headers={"Accept": "text/html"}, trust_env=False)
    assert refused.status_code == 401
    assert "/api/v2/auth/login?next=/afterbell/" in refused.text


@contextmanager
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        yield chromium
        chromium.close()


@contextmanager
def new_page(chromium: Browser, scheme: Literal["light", "dark"] = "light") -> Iterator[Page]:
    """A page in a context of its own, as wide as a laptop."""
    context = chromium.new_context(viewport={"width": LAPTOP[0], "height": LAPTOP[1]}, color_scheme=scheme)
    yield context.new_page()
    context.close()


def log_in(page: Page, base_url: str, username: str, password: str) -> None:
    """Through Airflow's own form, which must lead back to where one wanted to go.

    FAB takes five log-ins in forty seconds and refuses more.
    """
    page.goto(f"{base_url}/afterbell/")
    page.fill("#username", username)
    page.fill("#password", password)
    page.click("input[type=submit]")
    page.wait_for_url("**/afterbell/")


def watch(page: Page, base_url: str) -> list[str]:
    """Fills up with the errors of our page: in its console, thrown, or answered by our routes."""
    ours = f"{base_url}/afterbell/"
    troubles: list[str] = []
    page.on(
        "console",
        lambda message: (
            troubles.append(message.text)
            if message.type == "error" and message.location["url"].startswith(ours)
            else None
        ),
    )
    page.on("pageerror", lambda error: troubles.append(str(error)) if ours in (error.stack or "") else None)
    page.on(
        "response",
        lambda answer: (
            troubles.append(f"{answer.status} {answer.url}")
            if answer.url.startswith(ours) and answer.status >= 400
            else None
        ),
    )
    return troubles


def open_from_navigation(page: Page, base_url: str) -> Frame:
    """Follow "Predictions" in Airflow's navigation; the frame that our page lies in."""
    page.goto(base_url)
    entry = page.get_by_role("link", name="Predictions", exact=True)
    expect(entry).to_be_visible(timeout=30_000)
    entry.click()
    frame = page.locator("iframe").first.element_handle().content_frame()
    assert frame is not None
    frame.wait_for_url("**/afterbell/")
    frame.wait_for_selector("#freshness .notice")
    return frame


def check_width(page: Page, frame: Frame, tables: tuple[str, ...] = ("#predictions", "#champions")) -> None:
    """Nothing has to be scrolled sideways, neither the page nor what surrounds it."""
    for part in (page.main_frame, frame):
        wide, room = part.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        assert wide <= room, (part.url, wide, room)
    for selector in tables:
        wide, room = frame.locator(f".scroll:has({selector})").evaluate("e => [e.scrollWidth, e.clientWidth]")
        assert wide <= room, (selector, wide, room)


def check_filters(frame: Frame, rows: int) -> None:
    frame.fill("#symbol", "aapl")
    expect(frame.locator(ROWS)).to_have_count(3)
    assert set(frame.locator(f"{ROWS} th").all_inner_texts()) == {"AAPL"}
    frame.select_option("#horizon", "5d")
    expect(frame.locator(ROWS)).to_have_count(1)
    expect(frame.locator("#count")).to_have_text(f"1 of {rows}")
    frame.fill("#symbol", "no such symbol")
    expect(frame.locator("#nothing")).to_be_visible()
    frame.fill("#symbol", "AAPL")
    frame.select_option("#horizon", "")
    expect(frame.locator(ROWS)).to_have_count(3)


def check_chart(frame: Frame) -> None:
    """The row that is clicked shows its prices and three targets; the read-out follows the pointer and the keys."""
    frame.locator(ROWS).nth(1).locator("td").nth(2).click()
    chart = frame.locator("#detail svg")
    expect(chart).to_be_visible()
    expect(frame.locator("#detail-title")).to_have_text("AAPL")
    expect(chart.locator(".target")).to_have_count(3)
    assert len(chart.locator(".line").get_attribute("d") or "") > 100
    readout = frame.locator(".readout")
    expect(readout).to_contain_text("80 % interval")
    box = chart.bounding_box()
    assert box is not None
    chart.hover(position={"x": box["width"] / 3, "y": box["height"] / 2})
    expect(readout).to_contain_text("close")
    before = readout.inner_text()
    chart.press("ArrowRight")
    expect(readout).not_to_have_text(before)
