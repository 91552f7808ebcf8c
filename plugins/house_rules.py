"""What every DAG of the house shares: its assets, its defaults, and which errors are final."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from airflow.sdk import Asset
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from alerts import on_failure

DOMAIN = "equity"
TRAINING_POOL = "training"

BARS = Asset(name="equity_bars", uri="afterbell://equity/bars", group="afterbell")
FEATURES = Asset(name="equity_features", uri="afterbell://equity/features", group="afterbell")
CHAMPION = Asset(name="equity_champion", uri="afterbell://equity/champion", group="afterbell")
PREDICTIONS = Asset(name="equity_predictions", uri="afterbell://equity/predictions", group="afterbell")

DEFAULT_ARGS: dict[str, Any] = {
    "owner": "afterbell",
    "retries": 3,
    "retry_delay": timedelta(seconds=20),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=10),
    "on_failure_callback": on_failure,
}


@contextmanager
def final_errors() -> Iterator[None]:
    """Trying again helps against an absent server or a full disk, never against bad input.

    A target without a champion is no failure: the retraining beside it installs one, and then
    predictions are made again.
    """
    from ml.errors import AfterbellError, NoChampion

    try:
        yield
    except NoChampion as error:
        raise AirflowSkipException(str(error)) from error
    except (AfterbellError, KeyError) as error:
        if isinstance(error, ValueError | PermissionError | LookupError):
            raise AirflowFailException(str(error)) from error
        raise


def nights_of(context: Mapping[str, Any]) -> list[dict[str, str]]:
    """The nights a run is about: each night of its asset events once, or the one its form names.

    Events that piled up while a run was busy arrive together, so that no night is lost.
    """
    events: Sequence[Any] = [e for found in (context.get("triggering_asset_events") or {}).values() for e in found]
    if events:
        nights = {event.extra["as_of"]: dict(event.extra) for event in sorted(events, key=lambda e: e.timestamp)}
        return [nights[as_of] for as_of in sorted(nights)]
    from ml.steps import night

    with final_errors():
        return [night.asked_for(DOMAIN, context["params"].get("as_of"), context["params"].get("known_at"))]
