"""The page behind a real api-server with its own log-in, over rows given by hand."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import exchange_calendars
import httpx
import psycopg2
import pytest
from playwright.sync_api import Page, expect

from ml.settings import REPOSITORY
from ml.stack.airflow import prepare
from ml.stack.ports import free_port
from ml.stack.postgres import PostgresServer
from ml.stack.waiting import wait_until
from tests.airflow_environment import PLUGINS
from tests.plugins.page import ROWS, browser, check_closed, check_page, new_page, watch
from tests.sql.seed import insert

pytestmark = pytest.mark.xdist_group("airflow")

FAB = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
HORIZONS = {"1d": 1, "5d": 5, "20d": 20}
NASTY = "<img src=x onerror=alert(1)>&amp;"
CLOSES = [
    close.to_pydatetime()
    for close in exchange_calendars.get_calendar("XNYS", start="2012-01-03", end="2013-04-30").closes
]
NIGHT = CLOSES.index(datetime(2013, 3, 4, 21, tzinfo=UTC))


@dataclass(frozen=True)
class Served:
    """An api-server, the write role's address of the warehouse it shows, and its environment."""

    url: str
    warehouse_dsn: str
    environment: dict[str, str]

    def get(self, path: str, user: str = "viewer") -> httpx.Response:
        """The answer to a client with the user's token."""
        headers = {"Authorization": f"Bearer {self.token(user)}"}
        return httpx.get(f"{self.url}/afterbell/{path}", headers=headers, trust_env=False)

    def token(self, user: str) -> str:
        answer = httpx.post(f"{self.url}/auth/token", json={"username": user, "password": user}, trust_env=False)
        return str(answer.json()["access_token"])

    @contextmanager
    def page(self, user: str = "viewer", scheme: Literal["light", "dark"] = "light") -> Iterator[Page]:
        """The page in a browser that has the cookie of a log-in; its own errors fail the test."""
        with browser() as chromium, new_page(chromium, scheme) as page:
            page.context.add_cookies([{"name": "_token", "value": self.token(user), "url": self.url}])
            troubles = watch(page, self.url)
            page.goto(f"{self.url}/afterbell/")
            yield page
            assert troubles == []


@pytest.fixture(scope="module")
def served(new_warehouse: Callable[[], Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One api-server for the module, its warehouse empty at first."""
    warehouse, home, port = new_warehouse(), tmp_path_factory.mktemp("airflow"), free_port()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AFTERBELL_", "AIRFLOW_"))}
    environment = {
        **kept,
        "AFTERBELL_HOME": str(home),
        "AFTERBELL_READER_DSN": warehouse.reader_dsn,
        "AFTERBELL_STACK_ADMIN_PASSWORD": "admin",
        "AFTERBELL_STACK_VIEWER_PASSWORD": "viewer",
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__AUTH_MANAGER": FAB,
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PLUGINS),
        "AIRFLOW__API__BASE_URL": f"http://localhost:{port}",
        "AIRFLOW__API__SECRET_KEY": "a key for the test",
        "AIRFLOW__API_AUTH__JWT_SECRET": "a secret for the test, long enough to sign with it" * 2,
        "PYTHONPATH": str(REPOSITORY),
    }
    prepare(environment, home / "prepare.log")
    url = f"http://localhost:{port}"
    with (home / "api-server.log").open("wb") as log:
        command = [
            sys.executable,
            "-m",
            "airflow",
            "api-server",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--workers",
            "1",
        ]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        assert wait_until(lambda: answers(url), 120), (home / "api-server.log").read_text()
        yield Served(url, warehouse.dsn, environment)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/api/v2/monitor/health", timeout=5, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.fixture(scope="module")
def published(served: Served) -> Served:
    """The same server once a night of five symbols is published, one with a name that tries to be markup."""
    with closing(psycopg2.connect(served.warehouse_dsn)) as connection, connection:
        as_of = CLOSES[NIGHT]
        insert(connection, "market.ingest_runs", {"ingest_id": 1, "as_of": as_of})
        for number, (target, _) in enumerate(HORIZONS.items(), start=1):
            insert(connection, "lifecycle.model_versions", {"target": target, "version": 1, "training_key": target})
            given = {"decision_id": number, "target": target, "has_skill": target == "5d"}
            insert(connection, "lifecycle.decisions", {**given, "candidate_version": 1, "as_of": as_of})
            insert(connection, "lifecycle.promotions", {"decision_id": number, "target": target, "to_version": 1})
        insert(connection, "lifecycle.publications", {"publication_id": 1, "as_of": as_of, "row_count": 15})
        for place, symbol in enumerate(("AAPL", "IBM", "GOOG", "MSFT", NASTY)):
            bars = [{"symbol": symbol, "ts": ts, **prices(place, day)} for day, ts in enumerate(CLOSES[: NIGHT + 1])]
            insert(connection, "market.bars", *bars)
            insert(connection, "lifecycle.predictions", *predictions(place, symbol))
    return served


def prices(place: int, day: int) -> dict[str, float]:
    close = 100.0 * (place + 1) + day / 10 + (day * 7919 % 13)
    return {"open": close, "high": close + 1, "low": close - 1, "close": close}


def predictions(place: int, symbol: str) -> list[dict[str, Any]]:
    price = prices(place, NIGHT)["close"]
    return [
        {
            "publication_id": 1,
            "entity": symbol,
            "target": target,
            "as_of": CLOSES[NIGHT],
            "matures_at": CLOSES[NIGHT + sessions],
            "has_skill": target == "5d",
            "p_up": 0.4 + 0.05 * place,
            "direction": ("down", "down", "neutral", "up", "up")[place],
            "expected_return": 0.001 * sessions,
            "price": price,
            "price_target": price * (1 + 0.001 * sessions),
            "price_lower": price * (1 - 0.01 * sessions),
            "price_upper": price * (1 + 0.012 * sessions),
        }
        for target, sessions in HORIZONS.items()
    ]


def test_nothing_is_served_without_a_log_in(served: Served) -> None:
    check_closed(served.url)
    for path in ("docs", "redoc", "openapi.json", "app.py", "nothing"):
        answer = httpx.get(f"{served.url}/afterbell/{path}", trust_env=False)
        assert answer.status_code in (401, 404), path


def test_before_the_first_night_the_page_says_what_to_do(served: Served) -> None:
    """Runs before `published` fills the warehouse."""
    with served.page() as page:
        expect(page.locator("#empty")).to_be_visible()
        expect(page.locator("#empty")).to_contain_text("make run")
        expect(page.locator("#content")).to_be_hidden()


def test_a_viewer_reads_the_views_as_json_and_no_other_file(published: Served) -> None:
    rows = published.get("api/predictions?symbol=AAPL&horizon=5d")
    assert rows.headers["content-security-policy"].startswith("default-src 'none'")
    assert rows.headers["cache-control"] == "no-store"
    assert [(row["symbol"], row["horizon"]) for row in rows.json()] == [("AAPL", "5d")]
    assert [row["row_count"] for row in published.get("api/publications").json()] == [15]
    assert [row["horizon"] for row in published.get("api/models").json()] == ["1d", "5d", "20d"]
    series = published.get("api/series?symbol=IBM").json()
    assert len(series["prices"]) == 250
    assert set(series["predictions"]) == set(HORIZONS)
    assert published.get("api/series?symbol=NOPE").status_code == 404
    assert published.get("api/series").status_code == 422
    assert published.get("app.py").status_code == 404
    assert published.get("login.html").status_code == 404


def test_the_page_in_airflow_at_both_widths(published: Served, tmp_path: Path) -> None:
    check_page(published.url, "admin", "admin", tmp_path)
    assert (tmp_path / "chart-phone.png").stat().st_size > 10_000


def test_sorting_skill_and_direction_and_hostile_names(published: Served) -> None:
    with published.page("admin", "dark") as page:
        names = page.locator(f"{ROWS} th")
        page.get_by_role("button", name="Symbol").first.click()
        expect(names.first).to_have_text("MSFT")
        page.get_by_role("button", name="Price").click()
        expect(names.first).to_have_text("AAPL")
        expect(names.last).to_have_text(NASTY)
        expect(page.locator("thead [aria-sort=ascending]")).to_contain_text("Price")
        page.check("#skilled")
        expect(page.locator(ROWS)).to_have_count(5)
        expect(page.locator(f"{ROWS} .badge")).to_have_text(["beats the baseline"] * 5)
        page.select_option("#direction", "down")
        expect(page.locator(ROWS)).to_have_count(2)
        page.fill("#symbol", "onerror")
        page.select_option("#direction", "up")
        page.locator(ROWS).get_by_role("button").press("Enter")
        expect(page.locator("#detail-title")).to_have_text(NASTY)
        expect(page.locator("#detail svg")).to_be_visible()
        assert page.locator("img").count() == 0


def test_the_banner_tells_fresh_stale_and_replay_apart(published: Served) -> None:
    overdue, due = datetime(2013, 3, 5, tzinfo=UTC), datetime.now(UTC) + timedelta(days=1)
    with published.page() as page:
        banner = page.locator("#freshness")
        for expires_at, word in ((None, "Replay"), (overdue, "Stale"), (due, "Fresh")):
            with closing(psycopg2.connect(published.warehouse_dsn)) as connection, connection:
                connection.cursor().execute("update lifecycle.publications set expires_at = %s", (expires_at,))
            page.reload()
            expect(banner.locator(".badge")).to_have_text(word)
            expect(banner).to_contain_text("As of the close of Mon, 4 Mar 2013")


def test_a_warehouse_that_is_gone_gives_one_clear_message(published: Served, postgres: PostgresServer) -> None:
    name = published.warehouse_dsn.rsplit("/", 1)[1]
    with browser() as chromium, new_page(chromium) as page:
        page.context.add_cookies([{"name": "_token", "value": published.token("viewer"), "url": published.url}])
        page.goto(f"{published.url}/afterbell/")
        expect(page.locator(ROWS)).to_have_count(15)
        with closed(postgres, name):
            answer = published.get("api/predictions")
            assert answer.status_code == 503
            assert "AFTERBELL_READER_DSN" in answer.json()["detail"]
            page.locator(ROWS).first.click()
            expect(page.locator("#detail-body")).to_contain_text("AFTERBELL_READER_DSN")
            page.reload()
            expect(page.locator("#trouble")).to_contain_text("AFTERBELL_READER_DSN")


@contextmanager
def closed(postgres: PostgresServer, database: str) -> Iterator[None]:
    """The database lets nobody in, as when its server is gone."""
    with postgres.superuser() as cursor:
        cursor.execute(f'alter database "{database}" with allow_connections false')
        yield
        cursor.execute(f'alter database "{database}" with allow_connections true')
