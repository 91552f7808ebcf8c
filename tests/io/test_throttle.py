"""The shared pace and the circuit breaker, against a real Postgres; time passes by moving the row's instants back."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from time import monotonic
from typing import Any

import psycopg2
import pytest

from ml.errors import ProviderUnavailable
from ml.io.throttle import FAILURES_TO_OPEN, LONGEST_PAUSE, LONGEST_PAUSE_SLEPT, OPEN_SECONDS, Throttle, fingerprint
from ml.io.warehouse import Warehouse

KEY = "a-key-that-nobody-may-read"
ACCOUNT = fingerprint("vendor", KEY)


class Sleeps(list[float]):
    """What would have been slept."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


def throttle(dsn: str, requests_per_minute: int = 5, sleeps: Sleeps | None = None) -> Throttle:
    return Throttle(Warehouse(dsn), ACCOUNT, requests_per_minute, Sleeps() if sleeps is None else sleeps)


def row(dsn: str, statement: str) -> tuple[Any, ...]:
    with closing(psycopg2.connect(dsn)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statement)
        found = cursor.fetchone()
        assert found is not None
        return found


def let_pass(dsn: str, seconds: float) -> None:
    """Move every instant of the row back, as if it had been written so much earlier."""
    back = f"interval '{seconds} seconds'"
    row(
        dsn,
        f"update market.throttles set granted_at = array(select g - {back} from unnest(granted_at) g order by g),"
        f" paused_until = paused_until - {back}, open_until = open_until - {back} returning account",
    )


def opened(dsn: str) -> None:
    one = throttle(dsn, 0)
    for _ in range(FAILURES_TO_OPEN):
        one.wait()
        one.failed()


def test_a_full_plan_leaves_at_once_and_the_next_request_a_minute_after_the_first(warehouse_dsn: str) -> None:
    sleeps = Sleeps()
    one = throttle(warehouse_dsn, 3, sleeps)
    for _ in range(3):
        one.wait()
    assert sleeps == []
    one.wait()
    one.wait()
    assert sleeps == pytest.approx([60.5, 60.5], abs=5)
    let_pass(warehouse_dsn, 130)
    sleeps.clear()
    one.wait()
    assert sleeps == []


def test_no_minute_holds_more_requests_than_the_plan_allows_whoever_asks(warehouse_dsn: str) -> None:
    leave: list[float] = []

    def ask(_: int) -> None:
        slept = Sleeps()
        throttle(warehouse_dsn, 5, slept).wait()
        leave.append(monotonic() + sum(slept))

    with ThreadPoolExecutor(4) as tasks:
        list(tasks.map(ask, range(23)))
    leave.sort()
    assert all(sixth - first >= 60 for first, sixth in zip(leave, leave[5:], strict=False))
    assert leave[-1] - leave[0] < 5 * 60, "and no slower than the plan needs"


def test_a_plan_without_a_limit_never_waits(warehouse_dsn: str) -> None:
    sleeps = Sleeps()
    one = throttle(warehouse_dsn, 0, sleeps)
    for _ in range(20):
        one.wait()
    assert sleeps == []


def test_the_wait_of_a_retry_comes_before_its_place_in_the_queue(warehouse_dsn: str) -> None:
    sleeps = Sleeps()
    throttle(warehouse_dsn, 5, sleeps).wait(at_least=7)
    assert sleeps == [7]


def test_nobody_sleeps_inside_a_transaction(warehouse_dsn: str) -> None:
    held: list[Any] = []

    def look(seconds: float) -> None:
        held.append(
            row(
                warehouse_dsn,
                "select count(*) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid() and xact_start is not null"
                " and backend_type = 'client backend'",
            )[0]
        )

    one = Throttle(Warehouse(warehouse_dsn), ACCOUNT, 1, look)
    one.wait()
    one.wait()
    assert held == [0]


def test_a_short_pause_holds_every_task_back(warehouse_dsn: str) -> None:
    sleeps = Sleeps()
    one, other = throttle(warehouse_dsn, 0), throttle(warehouse_dsn, 0, sleeps)
    one.wait()
    one.pause(90)
    one.pause(10)
    other.wait()
    assert sleeps == pytest.approx([90], abs=5)


def test_a_long_pause_is_refused_at_once_and_none_is_longer_than_the_longest(warehouse_dsn: str) -> None:
    sleeps = Sleeps()
    one = throttle(warehouse_dsn, 0, sleeps)
    one.wait()
    one.pause(10 * LONGEST_PAUSE)
    with pytest.raises(ProviderUnavailable, match=r"wish to be left alone, for vendor:\w{16} until 20\d\d-"):
        one.wait()
    assert sleeps == []
    let_pass(warehouse_dsn, LONGEST_PAUSE - LONGEST_PAUSE_SLEPT)
    one.wait()
    assert sleeps == pytest.approx([LONGEST_PAUSE_SLEPT], abs=5)


def test_failures_in_a_row_open_the_circuit_for_every_task(
    warehouse_dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    opened(warehouse_dsn)
    assert f"circuit open: {ACCOUNT} failed {FAILURES_TO_OPEN} times in a row" in caplog.text
    sleeps = Sleeps()
    with pytest.raises(ProviderUnavailable, match=rf"open circuit after {FAILURES_TO_OPEN} failures in a row.* until"):
        throttle(warehouse_dsn, 5, sleeps).wait()
    assert sleeps == [], "at once"


def test_an_answer_between_failures_starts_the_count_anew(warehouse_dsn: str) -> None:
    one, other = throttle(warehouse_dsn, 0), throttle(warehouse_dsn, 0)
    for _ in range(3):
        for _ in range(FAILURES_TO_OPEN - 1):
            one.wait()
            one.failed()
        other.wait()
        other.answered()
    other.wait()


def test_after_its_time_one_request_goes_out_on_trial_and_its_answer_closes_the_circuit(warehouse_dsn: str) -> None:
    opened(warehouse_dsn)
    let_pass(warehouse_dsn, OPEN_SECONDS + 1)
    trial, other = throttle(warehouse_dsn, 0), throttle(warehouse_dsn, 0)
    trial.wait()
    with pytest.raises(ProviderUnavailable, match="open circuit"):
        other.wait()
    trial.answered()
    other.wait()


def test_a_failed_trial_opens_the_circuit_again_for_its_whole_time(warehouse_dsn: str) -> None:
    opened(warehouse_dsn)
    let_pass(warehouse_dsn, OPEN_SECONDS + 1)
    trial = throttle(warehouse_dsn, 0)
    trial.wait()
    trial.failed()
    let_pass(warehouse_dsn, OPEN_SECONDS - 20)
    with pytest.raises(ProviderUnavailable):
        trial.wait()


def test_a_trial_that_was_killed_is_followed_by_another(warehouse_dsn: str) -> None:
    opened(warehouse_dsn)
    let_pass(warehouse_dsn, OPEN_SECONDS + 1)
    throttle(warehouse_dsn, 0).wait()
    let_pass(warehouse_dsn, OPEN_SECONDS)
    throttle(warehouse_dsn, 0).wait()


class Meanwhile(Sleeps):
    """The first sleep is interrupted by what happens to the account; then so much time passes as is slept."""

    def __init__(self, dsn: str, happens: Callable[[], object]) -> None:
        super().__init__()
        self._dsn, self._happens = dsn, happens

    def __call__(self, seconds: float) -> None:
        super().__call__(seconds)
        let_pass(self._dsn, seconds)
        if len(self) == 1:
            self._happens()


def test_a_task_asleep_before_its_place_keeps_a_pause_that_began_meanwhile(warehouse_dsn: str) -> None:
    one = throttle(warehouse_dsn, 1)
    one.wait()
    sleeps = Meanwhile(warehouse_dsn, lambda: one.pause(90))
    throttle(warehouse_dsn, 1, sleeps).wait()
    assert sleeps == pytest.approx([60.5, 90], abs=5)


def test_after_a_pause_the_tasks_that_it_held_back_leave_no_faster_than_the_plan_allows(warehouse_dsn: str) -> None:
    one = throttle(warehouse_dsn, 1)
    one.wait()
    held = Meanwhile(warehouse_dsn, lambda: one.pause(90))
    throttle(warehouse_dsn, 1, held).wait()
    later = Sleeps()
    throttle(warehouse_dsn, 1, later).wait()
    assert later == pytest.approx([60.5], abs=5)


def test_a_task_asleep_before_its_place_is_refused_a_long_pause_that_began_meanwhile(warehouse_dsn: str) -> None:
    one = throttle(warehouse_dsn, 1)
    one.wait()
    sleeps = Meanwhile(warehouse_dsn, lambda: one.pause(10 * LONGEST_PAUSE_SLEPT))
    with pytest.raises(ProviderUnavailable, match="wish to be left alone"):
        throttle(warehouse_dsn, 1, sleeps).wait()
    assert len(sleeps) == 1


def test_a_task_asleep_before_its_place_does_not_leave_through_a_circuit_that_opened_meanwhile(
    warehouse_dsn: str,
) -> None:
    one = throttle(warehouse_dsn, 1)
    one.wait()

    def fails() -> None:
        for _ in range(FAILURES_TO_OPEN):
            one.failed()

    with pytest.raises(ProviderUnavailable, match="open circuit"):
        throttle(warehouse_dsn, 1, Meanwhile(warehouse_dsn, fails)).wait()


def test_a_trial_that_has_to_sleep_first_goes_out_all_the_same(warehouse_dsn: str) -> None:
    opened(warehouse_dsn)
    let_pass(warehouse_dsn, OPEN_SECONDS + 1)
    throttle(warehouse_dsn).pause(30)
    trial = Sleeps()
    throttle(warehouse_dsn, 5, trial).wait()
    assert trial == pytest.approx([30], abs=5)


def test_accounts_do_not_touch_each_other(warehouse_dsn: str) -> None:
    opened(warehouse_dsn)
    Throttle(Warehouse(warehouse_dsn), fingerprint("vendor", "another key"), 5, Sleeps()).wait()


def test_the_row_names_the_account_without_its_key_and_no_reader_sees_it(warehouse_dsn: str, reader_dsn: str) -> None:
    throttle(warehouse_dsn).wait()
    (written,) = row(warehouse_dsn, "select t::text from market.throttles t")
    assert ACCOUNT in written
    assert KEY not in written
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        row(reader_dsn, "select account from market.throttles")
