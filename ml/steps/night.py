"""The key of a night as it travels between tasks: a few strings, never a frame."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

from ml.domain import Night
from ml.equity import sessions
from ml.errors import SettingsError
from ml.io.warehouse import Warehouse
from ml.settings import settings

Keys = dict[str, str]


def keys(night: Night, **more: str) -> Keys:
    """A night as strings, with whatever else the next step needs."""
    return {
        "domain": night.domain,
        "as_of": night.as_of.isoformat(),
        "known_at": night.known_at.isoformat(),
        **more,
    }


def parse(domain: str, as_of: str, known_at: str) -> Night:
    """The night that `keys` wrote down; SettingsError when an instant does not read as one."""
    return Night(domain, _instant("as_of", as_of), _instant("known_at", known_at))


def day(name: str, text: str) -> date:
    """A day of a form; SettingsError when it does not read as one."""
    try:
        return date.fromisoformat(text.strip())
    except ValueError as error:
        raise SettingsError(f"the {name} {text!r}", "a date such as 2013-03-01", "Correct it") from error


def last_accepted(warehouse: Warehouse, domain: str, as_of: datetime | None = None) -> Night:
    """The last night whose bars were accepted, or the one of `as_of`, with all that is known by now."""
    row = warehouse.row("ingest_last_accepted", {"domain": domain, "as_of": as_of})
    if row is None:
        raise SettingsError(
            f"no accepted bars of {domain}" + (f" for {as_of.isoformat()}" if as_of else ""),
            "a night that was ingested and passed its checks",
            "Trigger equity_ingest first",
        )
    return Night(domain, row["as_of"].astimezone(UTC), row["known_at"].astimezone(UTC))


def _instant(name: str, text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise SettingsError(f"{name} {text!r}", "an ISO 8601 instant", "Use 2013-03-01T21:00:00+00:00") from error
    if instant.tzinfo is None:
        raise SettingsError(f"{name} {text!r} without a zone", "an instant in UTC", f"Write {text}+00:00")
    return instant.astimezone(UTC)


def asked_for(domain: str, as_of: str | None, known_at: str | None) -> Keys:
    """The keys of the night that a form names: a session (or the last accepted one), as known then or now.

    A `known_at` after the last accepted delivery means the instant of that delivery: one that is being taken in just
    now has got its instant already, and would change the answer once it is there.
    """
    config = settings()
    close = sessions.parse_as_of(config.calendar, as_of).to_pydatetime() if as_of else None
    warehouse = Warehouse(config.require_warehouse_dsn())
    night = last_accepted(warehouse, domain, close)
    if not known_at:
        return keys(night)
    return keys(replace(night, known_at=min(_past("known_at", known_at), _last_learned(warehouse))))


def _last_learned(warehouse: Warehouse) -> datetime:
    """When the last delivery of any kind was taken in; there is one. No earlier instant ever gets another answer."""
    known_at: datetime = warehouse.rows("knowledge_last")[0]["known_at"]
    return known_at.astimezone(UTC)


def _past(name: str, text: str) -> datetime:
    instant = _instant(name, text)
    if instant > datetime.now(UTC):
        raise SettingsError(f"{name} {text!r}", "an instant that has passed", "What will be known nobody can replay")
    return instant
