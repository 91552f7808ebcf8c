"""The page of decisions behind a real api-server, over decisions given by hand."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import httpx
import psycopg2
import pytest
from playwright.sync_api import Frame, Page, expect

from ml.domain import Target
from tests.plugins.page import LAPTOP, PHONE, browser, check_width, log_in, new_page, watch
from tests.plugins.test_page_in_airflow import NASTY, Served, served  # noqa: F401 -- a fixture
from tests.sql.decided import evidence
from tests.sql.seed import close, insert

pytestmark = pytest.mark.xdist_group("airflow")

PATHS = ("decisions/", "decisions.js", "course.js", "api/decisions", "api/decisions/2", "decisions/2.png")
LINES = "#decisions tbody tr"
TABLES = ("#scores", "#vetoes", "#models")


@pytest.fixture(scope="module")
def decided(served: Served) -> Served:  # noqa: F811
    """A first champion, one that replaced it by a person's approval, a refused one, and one kept by the gate."""
    with closing(psycopg2.connect(served.warehouse_dsn)) as connection, connection:
        for target, version in (("1d", 1), ("1d", 2), ("1d", 3), ("5d", 1), ("5d", 2)):
            why = {"reason": "drift_detected", "requested_by": NASTY} if version == 2 else {}
            row = {"target": target, "version": version, "training_key": f"{target}/{version}", **why}
            insert(connection, "lifecycle.model_versions", {**row, "estimator": "blend of xgboost, lightgbm, linear"})
        against = {"champion_version": 1, "as_of": close("2024-05-01"), "door": "replace"}
        proof = evidence(Target("equity", "1d", 1))
        insert(
            connection,
            "lifecycle.decisions",
            {"decision_id": 1, "target": "1d", "candidate_version": 1},
            {
                **{"decision_id": 2, "target": "1d", "candidate_version": 2, **against, "evidence": proof, "look": 1},
                **{"reason": f"superior: {NASTY}", "alpha_spent": 0.0002, "has_skill": True},
            },
            {"decision_id": 3, "target": "1d", "candidate_version": 3, **against, "evidence": proof},
            {
                **{"decision_id": 4, "target": "5d", "candidate_version": 2, **against, "verdict": "keep"},
                **{"evidence": evidence(Target("equity", "5d", 5), mean=0.0, seed=2), "reason": "not proven"},
            },
        )
        insert(connection, "lifecycle.promotions", {"decision_id": 1, "target": "1d", "to_version": 1})
        insert(connection, "lifecycle.promotions", {"decision_id": 2, "target": "1d", "to_version": 2})
        yes = {"decision_id": 2, "approved": True, "decided_by": "ann", "note": "it is winter"}
        insert(connection, "lifecycle.approvals", yes, {"decision_id": 3, "approved": False, "decided_by": "bob"})
    return served


def test_nothing_is_served_without_a_log_in(decided: Served) -> None:
    for path in PATHS:
        assert httpx.get(f"{decided.url}/afterbell/{path}", trust_env=False).status_code == 401, path


def test_decisions_are_given_as_json_with_a_band_and_as_a_picture(decided: Served) -> None:
    assert [each["decision_id"] for each in decided.get("api/decisions").json()] == [4, 3, 2, 1]
    chosen = decided.get("api/decisions?horizon=1d&verdict=promote").json()
    assert [(each["decision_id"], each["total"]) for each in chosen] == [(3, 3), (2, 3), (1, 3)]
    assert decided.get("api/decisions/horizons").json() == ["1d", "5d"]
    one = decided.get("api/decisions/2").json()
    assert "series" not in one["evidence"]
    assert (one["approved_by"], one["candidate"]["requested_by"]) == ("ann", NASTY)
    course = one["course"]
    assert len(course["dates"]) == len(course["d"]) == len(course["mean"]) == 504
    assert course["mean"][-1] == pytest.approx(one["mean_difference"])
    assert course["band"]["lower"][-1] < course["mean"][-1] < course["band"]["upper"][-1]
    assert decided.get("api/decisions/1").json()["course"] is None
    picture = decided.get("decisions/2.png")
    assert (picture.headers["content-type"], picture.content[:4]) == ("image/png", b"\x89PNG")
    for path in ("api/decisions/99", "decisions/1.png", "decisions/99.png"):
        assert decided.get(path).status_code == 404, path
    assert decided.get("api/decisions/x").status_code == 422


def test_a_decision_can_be_judged_in_airflow_at_both_widths(decided: Served, tmp_path: Path) -> None:
    folder = Path(os.environ.get("SCREENSHOTS", tmp_path))
    with browser() as chromium, new_page(chromium) as page:
        log_in(page, decided.url, "admin", "admin")
        troubles = watch(page, decided.url)
        for name, size in (("laptop", LAPTOP), ("phone", PHONE)):
            page.set_viewport_size({"width": size[0], "height": size[1]})
            frame = open_from_navigation(page, decided.url)
            check_list(frame)
            check_width(page, frame, ("#decisions",))
            page.screenshot(path=folder / f"decisions-{name}.png")
            frame.get_by_role("link", name="2", exact=True).click()
            check_decision(frame)
            check_width(page, frame, TABLES)
            page.screenshot(path=folder / f"decision-{name}.png")
            frame.locator("#cards").evaluate("element => element.scrollIntoView()")
            page.screenshot(path=folder / f"decision-more-{name}.png")
        assert troubles == []


def open_from_navigation(page: Page, url: str) -> Frame:
    page.goto(url)
    entry = page.get_by_role("link", name="Decisions", exact=True)
    expect(entry).to_be_visible(timeout=30_000)
    entry.click()
    frame = page.locator("iframe").first.element_handle().content_frame()
    assert frame is not None
    frame.wait_for_selector(LINES)
    return frame


def check_list(frame: Frame) -> None:
    expect(frame.locator(f"{LINES} .badge")).to_have_text(["kept", "refused", "promoted", "promoted"])
    frame.select_option("#horizon", "5d")
    expect(frame.locator(LINES)).to_have_count(1)
    frame.select_option("#verdict", "promote")
    expect(frame.locator("#nothing")).to_be_visible()
    frame.select_option("#horizon", "")
    expect(frame.locator(LINES)).to_have_count(3)
    expect(frame.locator("#count")).to_have_text("3 of 3")
    assert frame.url.endswith("?verdict=promote"), "the choice has an address of its own"


def check_decision(frame: Frame) -> None:
    expect(frame.locator("#one-title")).to_have_text("Decision 2: equity 1d, version 2 against champion 1")
    expect(frame.locator("#words")).to_contain_text(f"superior: {NASTY}")
    expect(frame.locator("#words")).to_contain_text("Approved by ann")
    expect(frame.locator("#scores tbody th")).to_have_text(["log loss", "accuracy", "brier", "rank ic"])
    expect(frame.locator("#vetoes .badge")).to_have_text(["passed", "vetoed"])
    expect(frame.locator("#models")).to_contain_text(f"drift detected, by {NASTY}")
    chart = frame.locator("#course svg")
    expect(chart.locator("path.mean")).to_have_count(1)
    expect(chart.locator("path.fan")).to_have_count(1)
    expect(chart.locator("line.zero")).to_have_count(1)
    expect(chart.locator("circle.past")).to_have_count(504)
    readout = frame.locator("#course .readout")
    expect(readout).to_contain_text("mean of 504 dates")
    expect(readout).to_contain_text("with 95 % between")
    chart.press("Home")
    expect(readout).to_contain_text("too few yet for a band")
    assert frame.locator("img").count() == 0


def test_a_decision_has_an_address_of_its_own_and_an_unknown_one_leads_on(decided: Served) -> None:
    with browser() as chromium, new_page(chromium) as page:
        page.context.add_cookies([{"name": "_token", "value": decided.token("viewer"), "url": decided.url}])
        page.goto(f"{decided.url}/afterbell/decisions/?id=1")
        expect(page.locator("#one-title")).to_contain_text("without a champion")
        expect(page.locator("#no-course")).to_be_visible()
        page.goto(f"{decided.url}/afterbell/decisions/?id=99")
        expect(page.locator("#trouble")).to_contain_text("No decision 99")
        page.get_by_role("link", name="All decisions").last.click()
        expect(page.locator(LINES)).to_have_count(4)
