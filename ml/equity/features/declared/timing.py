"""Time: what the date of the session says. What counts forward uses the schedule published beforehand."""

from __future__ import annotations

from ml.equity.features.feature import Feature

_CIRCLE = (-1.0, 1.0)
_FLAG = (0.0, 1.0)
_ENDLESS = "the exchange knows no holidays"

FEATURES: tuple[Feature, ...] = (
    Feature("weekday", "weekday", "time", "Day of the week, 0 = Monday", "day", (0.0, 6.0), source="French 1980"),
    Feature("month_sin", "month_sin", "time", "Month on a circle, first axis", "none",
            _CIRCLE),
    Feature("month_cos", "month_cos", "time", "Month on a circle, second axis", "none",
            _CIRCLE),
    Feature("year_sin", "year_sin", "time", "Day of the year on a circle, first axis", "none", _CIRCLE),
    Feature("year_cos", "year_cos", "time", "Day of the year on a circle, second axis", "none", _CIRCLE),
    Feature("session_of_month", "session_of_month", "time", "Sessions of this month so far, 1 on the first",
            "sessions", (1.0, 31.0)),
    Feature("sessions_left", "sessions_left", "time", "Scheduled sessions of this month still to come", "sessions",
            (0.0, 30.0)),
    Feature("turn_of_month", "session_of_month <= 3 or sessions_left == 0", "time",
            "Last session of a month or one of the first three", "flag", _FLAG, source="Lakonishok and Smidt 1988"),
    Feature("days_since_session", "days_since", "time", "Calendar days since the exchange's session before", "days",
            (1.0, None)),
    Feature("days_until_session", "days_until", "time", "Calendar days until the next scheduled session", "days",
            (1.0, None)),
    Feature("since_holiday", "since_holiday", "time", "Sessions since the last holiday, 1 = the first after it",
            "sessions", (1.0, None), _ENDLESS),
    Feature("until_holiday", "until_holiday", "time", "Scheduled sessions until the next holiday, 1 = the last before",
            "sessions", (1.0, None), _ENDLESS, "Ariel 1990"),
)  # fmt: skip
