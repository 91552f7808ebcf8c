"""The vendor's dates and texts, read one way everywhere."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ml.errors import ProviderError


def day_of(value: Any, what: str) -> datetime:
    """Midnight of a written date or instant; ProviderError where it does not read as one."""
    try:
        return datetime.combine(datetime.fromisoformat(value).date(), datetime.min.time())
    except (TypeError, ValueError) as error:
        raise ProviderError(f"a {what} dated {value!r}", "a date such as 2012-01-31", "Tell the vendor") from error


def day_if_given(value: Any, what: str) -> datetime | None:
    """As `day_of`; None where the vendor gives no date."""
    return None if value in (None, "") else day_of(value, what)


def text_if_given(value: Any) -> str | None:
    """A text that is there; None for nothing, blanks and whatever is no text."""
    return value.strip() or None if isinstance(value, str) else None
