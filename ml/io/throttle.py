"""The pace that a vendor's plan allows, and a circuit breaker, shared by all tasks through one row in Postgres.

Requests are granted so that no window of a minute ever holds more than the plan allows; the server's clock
counts. A grant is one statement that returns how long to wait; nobody sleeps inside a transaction.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from hashlib import sha256
from typing import Protocol

from ml.errors import ProviderUnavailable
from ml.io.warehouse import Warehouse
from ml.io.warehouse.connection import Parameters, Row

log = logging.getLogger(__name__)

FAILURES_TO_OPEN = 5
OPEN_SECONDS = 120.0
LONGEST_PAUSE_SLEPT = 120.0
LONGEST_PAUSE = 3600.0
_WINDOW_SECONDS = 60.5  # half a second more than the plan's minute: requests do not all travel equally fast
_TRIAL_SECONDS = 60.0


class Pacer(Protocol):
    """Says when the next request may leave, and is told what became of it."""

    def wait(self, at_least: float = 0.0) -> None:
        """Return when a request may leave, `at_least` so many seconds from now; ProviderUnavailable when none may."""

    def answered(self) -> None:
        """The vendor answered, whatever it said."""

    def failed(self) -> None:
        """No answer, or the vendor's own failure."""

    def pause(self, seconds: float) -> None:
        """The vendor asks to be left alone for so long."""


def fingerprint(vendor: str, key: str) -> str:
    """The name of a vendor's account that does not give its key away."""
    return f"{vendor}:{sha256(key.encode()).hexdigest()[:16]}"


class Throttle:
    """A Pacer over one row of market.throttles.

    FAILURES_TO_OPEN failures in a row, of whatever task, open the circuit for OPEN_SECONDS: every `wait` raises
    ProviderUnavailable at once. Afterwards one request goes out on trial while the others are still refused; its
    answer closes the circuit, its failure opens it again. A pause of up to LONGEST_PAUSE_SLEPT seconds is slept
    through by every task; a longer one is refused like an open circuit, and none counts beyond LONGEST_PAUSE. A
    task that was asleep before its place when either began asks for another place instead of leaving.
    """

    def __init__(
        self,
        warehouse: Warehouse,
        account: str,
        requests_per_minute: int,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`account` as of `fingerprint`; `requests_per_minute` 0 for a plan without a limit."""
        self._warehouse = warehouse
        self._account = account
        self._requests = requests_per_minute
        self._sleep = sleep
        self._failing = False

    def wait(self, at_least: float = 0.0) -> None:
        """As Pacer.wait. The place in the queue is taken after `at_least`, so that no grant is left unused."""
        if at_least > 0:
            self._sleep(at_least)
        while not self._slept_until_granted():
            log.info("held back: %s has asked for a pause or failed since", self._account)

    def _slept_until_granted(self) -> bool:
        """Take a place in the queue and wait for it; False when it no longer stands then, so that another is needed."""
        granted = self._warehouse.row(
            "throttle_take",
            {
                "account": self._account,
                "requests": self._requests,
                "window_seconds": _WINDOW_SECONDS,
                "failures": FAILURES_TO_OPEN,
                "trial_seconds": _TRIAL_SECONDS,
                "longest_pause": LONGEST_PAUSE_SLEPT,
            },
        )
        if granted is None:
            raise self._closed()
        self._failing = granted["failures"] > 0
        if granted["wait_seconds"] <= 0:
            return True
        log.info("the next request to %s leaves in %.1f s", self._account, granted["wait_seconds"])
        self._sleep(granted["wait_seconds"])
        return self._stands(granted)

    def _stands(self, granted: Row) -> bool:
        named = {
            "account": self._account,
            "failures": FAILURES_TO_OPEN,
            "leaves_at": granted["leaves_at"],
            "open_until": granted["open_until"],
        }
        row = self._warehouse.row("throttle_stands", named)
        return row is None or not (row["paused"] or row["opened"])

    def answered(self) -> None:
        """Ends a row of failures; costs nothing where there was none."""
        if self._failing:
            self._execute("throttle_answer", {"account": self._account})
            self._failing = False

    def failed(self) -> None:
        """Counts towards opening the circuit."""
        row = self._warehouse.row(
            "throttle_fail",
            {"account": self._account, "failures": FAILURES_TO_OPEN, "open_seconds": OPEN_SECONDS},
        )
        self._failing = True
        if row is not None and row["failures"] >= FAILURES_TO_OPEN:
            log.warning(
                "circuit open: %s failed %d times in a row and is left alone until %s",
                self._account,
                row["failures"],
                f"{row['open_until']:%Y-%m-%d %H:%M:%S %Z}",
            )

    def pause(self, seconds: float) -> None:
        """Holds every task's next request back."""
        self._execute("throttle_pause", {"account": self._account, "seconds": min(max(seconds, 0.0), LONGEST_PAUSE)})

    def _execute(self, name: str, parameters: Parameters) -> None:
        with self._warehouse.transaction() as transaction:
            transaction.execute(name, parameters)

    def _closed(self) -> ProviderUnavailable:
        row = self._warehouse.row("throttle_closed", {"account": self._account}) or {"failures": 0, "until": None}
        until = "a moment ago" if row["until"] is None else f"{row['until']:%Y-%m-%d %H:%M:%S %Z}"
        why = (
            f"an open circuit after {row['failures']} failures in a row"
            if row["failures"] >= FAILURES_TO_OPEN
            else "the vendor's wish to be left alone"
        )
        return ProviderUnavailable(
            f"{why}, for {self._account} until {until}",
            "a vendor that answers",
            "Nothing was asked; run this again after that instant",
        )
