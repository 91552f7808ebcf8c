"""What every DAG of the house shares: its assets, its defaults, which errors are final, and who is waited for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, RetryDecision, RetryPolicy, get_current_context
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from alerts import on_failure

if TYPE_CHECKING:
    from airflow.sdk import Context

DOMAIN = "equity"
TRAINING_POOL = "training"

BARS = Asset(name="equity_bars", uri="afterbell://equity/bars", group="afterbell")
FEATURES = Asset(name="equity_features", uri="afterbell://equity/features", group="afterbell")
CHAMPION = Asset(name="equity_champion", uri="afterbell://equity/champion", group="afterbell")
PREDICTIONS = Asset(name="equity_predictions", uri="afterbell://equity/predictions", group="afterbell")

RETRIES = 3
DEFAULT_ARGS: dict[str, Any] = {
    "owner": "afterbell",
    "retries": RETRIES,
    "retry_delay": timedelta(seconds=20),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=10),
    "on_failure_callback": on_failure,
}


class Patience(RetryPolicy):
    """A vendor or a warehouse that is away is waited for by all of a task's retries; anything else has RETRIES."""

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,
        max_tries: int,
        context: Context | None = None,  # noqa: ARG002  Airflow gives it by its name
    ) -> RetryDecision:
        """As RetryPolicy.evaluate. Counted from the end: a task that was cleared has all its retries again."""
        used = PATIENT_ARGS["retries"] - (max_tries - try_number)
        if isinstance(exception, ConnectionError) or used <= RETRIES:
            return RetryDecision.default()
        return RetryDecision.fail(f"{type(exception).__name__} again: more retries are for who is away")


PATIENT_ARGS: dict[str, Any] = {
    "retries": 40,
    "max_retry_delay": timedelta(minutes=30),
    "retry_policy": Patience(),
}
"""Of tasks that ask a vendor: some seventeen hours. A plan without same-day bars gives those of a night much later."""


@contextmanager
def final_errors() -> Iterator[None]:
    """Trying again helps against an absent server or a full disk, never against bad input.

    A night without a champion is no failure: the retraining beside it installs one, and then
    predictions are made again.
    """
    from ml.errors import AfterbellError, NoChampion, ProviderError, Superseded

    try:
        yield
    except NoChampion as error:
        raise AirflowSkipException(str(error)) from error
    except AfterbellError as error:
        bad_input = isinstance(error, ValueError | PermissionError | LookupError | Superseded)
        # The bare class: a file or a reply that cannot be used. Its subclasses tell a vendor that is away apart.
        if bad_input or type(error) is ProviderError:
            raise AirflowFailException(str(error)) from error
        raise


def show(**names: str) -> None:
    """Give a mapped task's `map_index_template` its variables: the arguments of a mapped group are none of them."""
    get_current_context().update(names)  # type: ignore[typeddict-item]


def nights_of(context: Mapping[str, Any]) -> list[dict[str, str]]:
    """The nights a run is about, each with all that is known by now: those of its asset events, or of its form.

    Airflow may leave an event out that arrived while a run was waiting. So the newest night is always
    among them; a night that has nothing new costs a step little and changes nothing.
    """
    from ml.steps.night import asked_for

    events = [event for found in (context.get("triggering_asset_events") or {}).values() for event in found]
    with final_errors():
        if not events:
            return [asked_for(DOMAIN, context["params"].get("as_of"), context["params"].get("known_at"))]
        announced = {event.extra["as_of"] for event in events if "as_of" in event.extra}
        nights = [asked_for(DOMAIN, None, None), *(asked_for(DOMAIN, as_of, None) for as_of in announced)]
    return [night for _, night in sorted({night["as_of"]: night for night in nights}.items())]
