"""The page of data quality behind a real api-server, over rows given by hand."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from urllib.parse import quote

import httpx
import psycopg2
import pytest
from playwright.sync_api import Frame, Page, expect

from ml.settings import REPOSITORY
from tests.plugins.page import LAPTOP, PHONE, browser, check_width, log_in, new_page, watch
from tests.plugins.test_page_in_airflow import NASTY, Served, served  # noqa: F401 -- a fixture
from tests.sql.seed import insert

pytestmark = pytest.mark.xdist_group("airflow")

CHECKS, REFUSED = "#checks tbody tr", "#quarantine tbody tr"
NIGHT_1, NIGHT_2 = datetime(2013, 3, 4, 21, tzinfo=UTC), datetime(2013, 3, 5, 21, tzinfo=UTC)
RUN = "manual__2013-03-05T21:00:00+00:00"
REPORT = f"/afterbell/quality/?run=equity_backfill/{quote(RUN)}"
SPANS = [("2013-01-02", "2013-01-31"), ("2013-02-01", "2013-02-28"), ("2013-03-01", "2013-03-04")]
PATHS = ("quality/", "quality.js", "table.js", "api/quality", "api/quality/runs", "api/quality/sessions?ingest=1")


@pytest.fixture(scope="module")
def reported(served: Served) -> Served:  # noqa: F811
    """Two nights, the second stopped by its checks; one row released by hand, one with names that try to be markup."""
    counts = {"received_rows": 1000, "inserted_rows": 990, "unchanged_rows": 7, "quarantined_rows": 2}
    with closing(psycopg2.connect(served.warehouse_dsn)) as connection, connection:
        insert(
            connection,
            "market.ingest_runs",
            {
                "ingest_id": 1,
                "as_of": NIGHT_1,
                "attempt": "equity_ingest/manual__one",
                "window_end": date(2013, 3, 4),
                **counts,
            },
            {
                "ingest_id": 2,
                "as_of": NIGHT_2,
                "attempt": "equity_ingest/manual__two",
                "status": "failed",
                "known_at": None,
            },
        )
        bars = [("rows", f"check {n}", "close", "warn", True, 0) for n in range(20)]
        told = [("rows", "high below close", "high", "warn", False, 2), ("context", NASTY, "close", "warn", False, 1)]
        night = [("night", "share of rows in quarantine", "", "fail", True, 0)]
        names = ("suite", "check_name", "column_name", "severity", "passed", "unexpected_rows")
        for check in (*bars, *told, *night):
            given = dict(zip(names, check, strict=True))
            insert(connection, "market.check_results", {"ingest_id": 1, "observed": "2 of 1000 rows, " * 6, **given})
        stopped = {"check_name": "share of rows in quarantine", "passed": False, "observed": "2 of 9 rows quarantined"}
        insert(connection, "market.check_results", {"ingest_id": 2, "suite": "night", **stopped})
        row = {"session": date(2013, 3, 1), "reason": "high below close", "last_ingest_id": 2}
        insert(
            connection,
            "market.quarantine",
            {"quarantine_id": 1, "symbol": "IBM", **row},
            {"quarantine_id": 2, **row, "symbol": NASTY, "reason": "missing volume; " * 8, "volume": None},
        )
        word = {"reviewed_by": "ann", "why": "the exchange confirms it"}
        insert(connection, "market.quarantine_reviews", {"quarantine_id": 1, "verdict": "release", **word})
        cursor = connection.cursor()
        cursor.execute("select market.make_partitions('1d', %s, %s)", (NIGHT_1, NIGHT_2))
        cursor.execute("insert into market.symbols (symbol) values ('IBM') returning symbol_id")
        (symbol_id,) = cursor.fetchone() or (0,)
        values = (symbol_id, NIGHT_1, NIGHT_1)
        cursor.execute("insert into market.bars values ('1d', %s, %s, 1, 1, 1, 1, 1, %s, 1)", values)
    return served


def test_nothing_is_served_without_a_log_in(reported: Served) -> None:
    for path in PATHS:
        assert httpx.get(f"{reported.url}/afterbell/{path}", trust_env=False).status_code == 401, path


def test_the_report_is_given_as_json(reported: Served) -> None:
    assert [run["ingest_id"] for run in reported.get("api/quality/runs").json()] == [2, 1]
    assert reported.get("api/quality").json()["run"]["ingest_id"] == 2
    assert reported.get("api/quality?run=equity_ingest/manual__one").json()["run"]["ingest_id"] == 1
    report = reported.get("api/quality?ingest=1").json()
    assert (len(report["checks"]), len(report["quarantine"])) == (23, 2)
    counts = reported.get("api/quality/sessions?ingest=1").json()
    assert [(each["session"], each["bars"], each["quarantined"]) for each in counts] == [
        ("2013-03-01", 0, 2),
        ("2013-03-04", 1, 0),
    ]
    assert reported.get("api/quality?run=nobody").status_code == 404
    assert reported.get("api/quality?ingest=x").status_code == 422


def test_the_page_is_offered_in_the_navigation_on_runs_and_on_tasks(reported: Served) -> None:
    headers = {"Authorization": f"Bearer {reported.token('admin')}"}
    plugins = httpx.get(f"{reported.url}/api/v2/plugins", headers=headers, trust_env=False).json()["plugins"]
    views = [view for plugin in plugins for view in plugin["external_views"] if view["name"] == "Data quality"]
    assert {view["destination"]: view["href"] for view in views} == {
        "nav": "/afterbell/quality/",
        "dag_run": "/afterbell/quality/?run={DAG_ID}/{RUN_ID}",
        "task_instance": "/afterbell/quality/?run={DAG_ID}/{RUN_ID}",
    }


def test_the_report_in_airflow_at_both_widths(reported: Served, tmp_path: Path) -> None:
    with browser() as chromium, new_page(chromium) as page:
        log_in(page, reported.url, "admin", "admin")
        troubles = watch(page, reported.url)
        for name, size in (("laptop", LAPTOP), ("phone", PHONE)):
            page.set_viewport_size({"width": size[0], "height": size[1]})
            frame = open_from_navigation(page, reported.url)
            check_stopped_night(frame)
            frame.select_option("#runs", "1")
            check_report(frame)
            check_width(page, frame, ("#checks", "#quarantine"))
            page.screenshot(path=tmp_path / f"quality-{name}.png")
            frame.locator("#quarantine-title").scroll_into_view_if_needed()
            page.screenshot(path=tmp_path / f"quarantine-{name}.png")
        assert troubles == []


def open_from_navigation(page: Page, url: str) -> Frame:
    page.goto(url)
    entry = page.get_by_role("link", name="Data quality", exact=True)
    expect(entry).to_be_visible(timeout=30_000)
    entry.click()
    frame = page.locator("iframe").first.element_handle().content_frame()
    assert frame is not None
    frame.wait_for_url("**/afterbell/quality/")
    frame.wait_for_selector("#summary .notice")
    return frame


def check_stopped_night(frame: Frame) -> None:
    """The last delivery is shown first, and what stopped it."""
    expect(frame.locator("#summary .badge")).to_have_text("Stopped")
    expect(frame.locator("#summary")).to_contain_text("Night as of the close of Tue, 5 Mar 2013")
    expect(frame.locator(CHECKS).first).to_contain_text("2 of 9 rows quarantined")
    expect(frame.locator(f"{CHECKS} .badge").first).to_have_text("failed")


def check_report(frame: Frame) -> None:
    expect(frame.locator("#summary .badge")).to_have_text("Accepted")
    expect(frame.locator("#summary dd")).to_have_text(["1,000", "990", "\N{EN DASH}", "7", "2"])
    expect(frame.locator(CHECKS)).to_have_count(23)
    expect(frame.locator(f"{CHECKS} .badge")).to_have_text(["warning"] * 2 + ["passed"] * 21)
    expect(frame.locator(CHECKS).first.locator("th")).to_have_text("high below close")
    expect(frame.locator(REFUSED)).to_have_count(2)
    expect(frame.locator(REFUSED).first).to_contain_text(NASTY)
    expect(frame.locator(REFUSED).last).to_contain_text("ann")
    expect(frame.locator(REFUSED).last).to_contain_text("the exchange confirms it")
    expect(frame.locator("#plot .session")).to_have_count(2)
    expect(frame.locator("#plot .refused")).to_have_text(["Fri, 1 Mar 2013: 0 bars, 2 refused"])
    assert frame.locator("img").count() == 0


def test_a_run_that_asked_for_no_bars_is_told_so(reported: Served) -> None:
    with browser() as chromium, new_page(chromium) as page:
        page.context.add_cookies([{"name": "_token", "value": reported.token("viewer"), "url": reported.url}])
        page.goto(f"{reported.url}/afterbell/quality/?run=equity_ingest/manual__one")
        expect(page.locator("#summary")).to_contain_text("Delivery 1")
        page.goto(f"{reported.url}/afterbell/quality/?run=somebody")
        expect(page.locator("#trouble")).to_contain_text("No bars were asked for by 'somebody'")
        page.select_option("#runs", "2")
        expect(page.locator("#summary")).to_contain_text("Delivery 2")
        expect(page.locator("#trouble")).to_be_hidden()


@pytest.fixture(scope="module")
def backfilled(reported: Served) -> Served:
    """A run of equity_backfill in Airflow and its three deliveries, one of them stopped; a night's run of that name."""
    commands = {**reported.environment, "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "dags")}
    subprocess.run([sys.executable, "-m", "airflow", "dags", "reserialize"], env=commands, check=True, timeout=120)
    asked = {"dag_run_id": RUN, "logical_date": None, "conf": {"start": "2013-01-02"}}
    headers = {"Authorization": f"Bearer {reported.token('admin')}"}
    runs = f"{reported.url}/api/v2/dags/equity_backfill/dagRuns"
    assert httpx.post(runs, json=asked, headers=headers, trust_env=False).status_code == 200
    with closing(psycopg2.connect(reported.warehouse_dsn)) as connection, connection:
        night = {"ingest_id": 3, "as_of": NIGHT_2, "attempt": f"equity_ingest/{RUN}"}
        insert(connection, "market.ingest_runs", night)
        for number, (first, last) in enumerate(SPANS, start=4):
            chunk = {
                "ingest_id": number,
                "as_of": NIGHT_1,
                "kind": "backfill",
                "window_start": first,
                "window_end": last,
            }
            chunk |= {"attempt": f"equity_backfill/{RUN}/{first}/{last}", "received_rows": 105, "inserted_rows": 105}
            if number == 5:
                chunk |= {"status": "failed", "known_at": None, "inserted_rows": None}
            insert(connection, "market.ingest_runs", chunk)
        check = {"suite": "night", "check_name": "share of rows in quarantine", "passed": False}
        insert(connection, "market.check_results", {"ingest_id": 5, **check})
    return reported


def test_the_tab_of_a_task_lists_all_deliveries_of_its_run_and_no_other(backfilled: Served, tmp_path: Path) -> None:
    folder = Path(os.environ.get("SCREENSHOTS", tmp_path))
    with browser() as chromium, new_page(chromium) as page:
        page.context.add_cookies([{"name": "_token", "value": backfilled.token("admin"), "url": backfilled.url}])
        troubles = watch(page, backfilled.url)
        check_deliveries(page, open_tab_of_task(page, backfilled.url))
        page.screenshot(path=folder / "deliveries-laptop.png")
        # Airflow's own view of a task is at least 1280 pixels wide; on a phone the page is read by itself.
        page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
        page.goto(f"{backfilled.url}{REPORT}")
        check_deliveries(page, page.main_frame)
        page.screenshot(path=folder / "deliveries-phone.png")
        assert troubles == []


def check_deliveries(page: Page, frame: Frame) -> None:
    lines = frame.locator("#deliveries tbody tr")
    spans = ["2 Jan 2013 to 31 Jan 2013", "1 Feb 2013 to 28 Feb 2013", "1 Mar 2013 to 4 Mar 2013"]
    expect(lines.locator("button")).to_have_text(spans)
    expect(lines.locator(".badge")).to_have_text(["Accepted", "Stopped", "Accepted"])
    expect(frame.locator("#summary")).to_contain_text("Delivery 6")
    lines.locator("button").nth(1).click()
    expect(frame.locator("#summary")).to_contain_text("Delivery 5")
    expect(lines.locator("[aria-pressed=true]")).to_have_text(spans[1])
    check_width(page, frame, ("#deliveries", "#checks", "#quarantine"))


def open_tab_of_task(page: Page, url: str) -> Frame:
    page.goto(f"{url}/dags/equity_backfill/runs/{RUN}/tasks/plan")
    tab = page.get_by_role("link", name="Data quality", exact=True).last
    expect(tab).to_be_visible(timeout=30_000)
    tab.click()
    frame = page.locator("iframe").first.element_handle().content_frame()
    assert frame is not None
    frame.wait_for_selector("#deliveries tbody tr")
    return frame


def test_the_log_in_leads_back_to_the_report_of_the_run(backfilled: Served) -> None:
    with browser() as chromium, new_page(chromium) as page:
        page.goto(f"{backfilled.url}{REPORT}")
        page.fill("#username", "viewer")
        page.fill("#password", "viewer")
        page.click("input[type=submit]")
        expect(page.locator("#deliveries tbody tr")).to_have_count(3)
