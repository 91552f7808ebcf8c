"""The page of exports behind a real api-server: what is listed, what is given out, and what never is."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
from playwright.sync_api import Frame, Page, expect

from ml.io import exports
from ml.settings import settings
from tests.plugins.page import LAPTOP, PHONE, browser, check_width, log_in, new_page, watch
from tests.plugins.test_page_in_airflow import NASTY, Served, served  # noqa: F401 -- a fixture

pytestmark = pytest.mark.xdist_group("airflow")

LINES = "#exports tbody tr"
NAMES = ("momentum", "ret_1", "ret_5", "gap", "rsi_14", "macd", "adx_14", "volume_ratio_5")
SECRETS = ("stack.env", "../stack.env", "..%2Fstack.env", "%2E%2E/stack.env", "..%5Cstack.env", "/etc/passwd", "%00")


@dataclass(frozen=True)
class Exported:
    """The api-server and what lies in its exports, the newest first."""

    served: Served
    known: list[dict[str, Any]]

    @property
    def home(self) -> Path:
        return Path(self.served.environment["AFTERBELL_HOME"])


@pytest.fixture(scope="module")
def exported(served: Served) -> Exported:  # noqa: F811
    """One export of each format, a symbol of theirs with a name that tries to be markup; one that is being written."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("AFTERBELL_HOME", served.environment["AFTERBELL_HOME"])
        settings.cache_clear()
        known = [write(number, file_format) for number, file_format in enumerate(("parquet", "json", "csv"))]
        folder = settings().home / "exports"
    settings.cache_clear()
    (folder / ".writing-now").mkdir()
    (folder / ".writing-now" / "half.csv").write_text("symbol")
    (folder.parent / "stack.env").write_text("PASSWORD=secret")
    return Exported(served, known[::-1])


def write(number: int, file_format: str) -> dict[str, Any]:
    rows = 3 if number else 4
    stamps = pd.date_range("2013-02-25 21:00", periods=rows, freq="D", tz="UTC").as_unit("us")
    values = {name: pd.Series([0.123456789, None, -2.0, 1e9][:rows], dtype="float32") for name in NAMES}
    piece = pd.DataFrame({"symbol": ["AAPL", *[NASTY] * (rows - 1)], "ts": stamps, **values})
    about = {
        "night": "2013-03-01",
        "as_of": "2013-03-01T21:00:00+00:00",
        "known_at": "2013-03-01T22:30:00+00:00",
        "snapshot": "digest",
        "symbols": 2,
        "first": "2013-02-25",
        "last": "2013-02-28",
        "groups": ["price", "indicator", "cross_sectional", "custom"],
        "custom": {"momentum": "close / ref(close, 5)"},
    }
    name = f"equity-2013-03-01-{number:012x}"
    return exports.write(name, file_format, NAMES, iter([piece]), ["symbol", "ts", *NAMES], about)


def test_nothing_is_served_without_a_log_in(exported: Exported) -> None:
    name = exported.known[0]["name"]
    for path in ("exports/", "exports.js", "icon-exports.svg", "api/exports", f"exports/{name}", "exports/none"):
        answer = httpx.get(f"{exported.served.url}/afterbell/{path}", trust_env=False)
        assert answer.status_code == 401, path
        assert "AAPL" not in answer.text


def test_what_is_known_of_each_export_is_given_as_json(exported: Exported) -> None:
    assert exported.served.get("api/exports").json() == exported.known
    assert [each["format"] for each in exported.known] == ["csv", "json", "parquet"]


def test_a_viewer_downloads_the_very_bytes_under_the_files_name(exported: Exported) -> None:
    kinds = {"csv": "text/csv", "json": "application/jsonl", "parquet": "application/vnd.apache.parquet"}
    for each in exported.known:
        answer = exported.served.get(f"exports/{each['name']}", user="viewer")
        assert answer.status_code == 200
        assert answer.headers["content-disposition"] == f'attachment; filename="{each["file"]}"'
        assert answer.headers["content-type"].startswith(kinds[each["format"]])
        assert answer.headers["cache-control"] == "no-store"
        assert answer.content == (exported.home / "exports" / each["name"] / each["file"]).read_bytes()


def test_no_name_leads_to_anything_that_is_not_listed(exported: Exported) -> None:
    name, file = exported.known[0]["name"], exported.known[0]["file"]
    assert (exported.home / "stack.env").exists()
    own = (f"{name}/{file}", f"{name}/about.json", f"{name}%2Fabout.json")
    for path in (*SECRETS, *own, "about.json", ".writing-now"):
        answer = exported.served.get(f"exports/{path}")
        assert answer.status_code == 404, path
        assert "secret" not in answer.text


def test_the_page_is_offered_in_the_navigation(exported: Exported) -> None:
    headers = {"Authorization": f"Bearer {exported.served.token('admin')}"}
    answer = httpx.get(f"{exported.served.url}/api/v2/plugins", headers=headers, trust_env=False)
    views = [view for plugin in answer.json()["plugins"] for view in plugin["external_views"]]
    assert [(v["destination"], v["href"]) for v in views if v["name"] == "Exports"] == [("nav", "/afterbell/exports/")]


def test_a_browser_lists_previews_and_downloads_at_both_widths(exported: Exported, tmp_path: Path) -> None:
    folder = Path(os.environ.get("SCREENSHOTS", tmp_path))
    url = exported.served.url
    with browser() as chromium, new_page(chromium) as page:
        log_in(page, url, "admin", "admin")
        troubles = watch(page, url)
        for name, size in (("laptop", LAPTOP), ("phone", PHONE)):
            page.set_viewport_size({"width": size[0], "height": size[1]})
            frame = open_from_navigation(page, url)
            check_listing(frame)
            check_download(page, frame, exported, tmp_path / f"{name}.csv")
            check_width(page, frame, ("#exports", "#preview"))
            page.screenshot(path=folder / f"exports-{name}.png")
        assert troubles == []


def open_from_navigation(page: Page, url: str) -> Frame:
    page.goto(url)
    entry = page.get_by_role("link", name="Exports", exact=True)
    expect(entry).to_be_visible(timeout=30_000)
    entry.click()
    frame = page.locator("iframe").first.element_handle().content_frame()
    assert frame is not None
    frame.wait_for_url("**/afterbell/exports/")
    frame.wait_for_selector(LINES)
    return frame


def check_listing(frame: Frame) -> None:
    expect(frame.locator(LINES)).to_have_count(3)
    expect(frame.locator(LINES).first).to_contain_text("25 Feb 2013 to 28 Feb 2013")
    expect(frame.locator(LINES).first).to_contain_text("price, indicator, cross-sectional, custom")
    expect(frame.locator(f"{LINES} a")).to_have_text(["Download csv", "Download json", "Download parquet"])
    expect(frame.locator("#about")).to_contain_text("momentum = close / ref(close, 5)")
    expect(frame.locator("#more")).to_have_text("3 of 3 rows, 10 of 10 columns.")
    expect(frame.locator("#preview tbody tr")).to_have_count(3)
    expect(frame.locator("#preview tbody tr").nth(1)).to_contain_text(NASTY)
    expect(frame.locator("#preview tbody tr").nth(1).locator("td").last).to_have_text("\N{EN DASH}")
    expect(frame.locator("#preview tbody tr").first.locator("td").last).to_have_text("0.123457")
    frame.locator(f"{LINES} button").last.click()
    expect(frame.locator("#preview tbody tr")).to_have_count(4)
    expect(frame.locator(f"{LINES} [aria-pressed=true]")).to_have_count(1)
    assert frame.locator("img").count() == 0


def check_download(page: Page, frame: Frame, exported: Exported, place: Path) -> None:
    """What the browser saves is the file, under its name."""
    with page.expect_download() as waiting:
        frame.locator(f"{LINES} a").first.click()
    newest = exported.known[0]
    assert waiting.value.suggested_filename == newest["file"]
    waiting.value.save_as(place)
    assert place.read_bytes() == (exported.home / "exports" / newest["name"] / newest["file"]).read_bytes()


def test_before_the_first_export_the_page_says_what_to_do(exported: Exported) -> None:
    folder, aside = exported.home / "exports", exported.home / "aside"
    folder.rename(aside)
    try:
        with browser() as chromium, new_page(chromium) as page:
            url = exported.served.url
            page.context.add_cookies([{"name": "_token", "value": exported.served.token("viewer"), "url": url}])
            page.goto(f"{url}/afterbell/exports/")
            expect(page.locator("#empty")).to_contain_text("equity_export")
            expect(page.locator("#content")).to_be_hidden()
    finally:
        aside.rename(folder)
