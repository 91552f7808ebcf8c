"""A schedule that follows an exchange: one run after each real session's close."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.timetables.base import DagRunInfo, DataInterval, Timetable

if TYPE_CHECKING:
    from airflow.timetables.base import TimeRestriction
    from pendulum import DateTime

_INSTANT = timedelta(microseconds=1)


class SessionTimetable(Timetable):
    """Runs `delay_minutes` after each close of `calendar`: early closes, holidays and DST included.

    A run's logical date and its data interval are the close itself, which is the night's `as_of`;
    `run_after` is the close plus the delay. With catchup every session since the start date gets its
    run, without only the last one that is due. A manual run gets the last session that was due then.

    calendar: a code of exchange_calendars, e.g. "XNYS".
    """

    def __init__(self, calendar: str, delay_minutes: int) -> None:
        self.calendar = calendar
        self.delay_minutes = delay_minutes
        self.description = f"{delay_minutes} minutes after each session of {calendar} closes, holidays left out"

    @property
    def summary(self) -> str:
        return f"after each {self.calendar} close + {self.delay_minutes} min"

    def __repr__(self) -> str:
        return f"SessionTimetable({self.calendar!r}, {self.delay_minutes})"

    def serialize(self) -> dict[str, Any]:
        return {"calendar": self.calendar, "delay_minutes": self.delay_minutes}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> SessionTimetable:
        return cls(data["calendar"], data["delay_minutes"])

    def validate(self) -> None:
        """AirflowTimetableInvalid, so an import error in the UI, for an unknown calendar or a negative delay."""
        from airflow.exceptions import AirflowTimetableInvalid

        from ml.errors import SettingsError

        if self.delay_minutes < 0:
            raise AirflowTimetableInvalid(
                f"Found a delay of {self.delay_minutes} minutes; expected 0 or more. Correct the schedule."
            )
        try:
            self._last_due(_now())
        except SettingsError as error:
            raise AirflowTimetableInvalid(str(error)) from error

    def infer_manual_data_interval(self, *, run_after: DateTime) -> DataInterval:
        return DataInterval.exact(self._last_due(run_after))

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        candidates = []
        if restriction.earliest is not None:
            candidates.append(self._first_after(restriction.earliest - _INSTANT))
        if last_automated_data_interval is not None:
            candidates.append(self._first_after(last_automated_data_interval.end))
        if not restriction.catchup:
            candidates.append(self._last_due(_now()))
        if not candidates:
            return None
        close = max(candidates)
        if restriction.latest is not None and close > restriction.latest:
            return None
        return DagRunInfo(run_after=close + self._delay, data_interval=DataInterval.exact(close))

    @property
    def _delay(self) -> timedelta:
        return timedelta(minutes=self.delay_minutes)

    def _first_after(self, instant: datetime) -> DateTime:
        from ml.equity.sessions import next_close

        return _pendulum(next_close(self.calendar, instant))

    def _last_due(self, now: datetime) -> DateTime:
        """The last close whose delay has passed."""
        from ml.equity.sessions import latest_close

        return _pendulum(latest_close(self.calendar, now - self._delay))


def _now() -> datetime:
    from airflow.sdk.timezone import utcnow

    return utcnow()


def _pendulum(instant: datetime) -> DateTime:
    import pendulum

    return pendulum.instance(instant)
