"""The table of domains: all that the generic steps must be told about each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pandas as pd

from ml.domain import Domain, Target
from ml.equity import pricing, sessions
from ml.equity.domain import equity
from ml.equity.features.catalogue import MOMENTUM_FEATURE, REGIME_FEATURES, SCALE_FEATURE
from ml.equity.features.sets import configured
from ml.equity.features.words import descriptions, words
from ml.errors import SettingsError
from ml.settings import ESTIMATORS, Settings, horizon_name, settings

GRACE = timedelta(hours=6)


@dataclass(frozen=True)
class Parts:
    """A domain as `train`, `compare`, `promote` and `predict` see it.

    matures_at: when the outcome of a prediction made at an instant is known.
    due: when the answers of the night after an instant should be out.
    regime_features: what the weights of an ensemble's members may depend on.
    momentum_feature: whose sign the momentum baseline goes by; None when the night's features lack it.
    finish: adds the domain's own columns to finished predictions, given each entity's price.
    descriptions: what each feature is in words.
    words: one reason of a prediction (feature, effect, value, share_below) as a sentence.
    nights_between: how many nights the second of two nights lies after the first; negative when it lies before.
    """

    domain: Domain
    feature_names: tuple[str, ...]
    feature_set_digest: str
    scale_feature: str
    regime_features: tuple[str, ...]
    momentum_feature: str | None
    matures_at: Callable[[datetime, Target], datetime]
    due: Callable[[datetime], datetime]
    finish: Callable[[pd.DataFrame, pd.Series[float]], pd.DataFrame]
    descriptions: Mapping[str, str]
    words: Callable[..., str]
    nights_between: Callable[[datetime, datetime], int]


def parts(name: str, settings: Settings) -> Parts:
    """The domain called `name`; SettingsError naming the known ones otherwise."""
    known = {"equity": _equity}
    if name not in known:
        raise SettingsError(f"domain {name!r}", f"one of {', '.join(known)}", "Correct the name")
    return known[name](settings)


def target(name: str, horizon: str, settings: Settings) -> Target:
    """A domain's target by name; SettingsError naming the configured ones otherwise."""
    domain = parts(name, settings).domain
    try:
        return domain.target(horizon)
    except KeyError as error:
        raise SettingsError(
            f"horizon {horizon!r}",
            f"one of {', '.join(t.name for t in domain.targets)}",
            "Choose one of them, or add it to AFTERBELL_HORIZONS",
        ) from error


def horizons(name: str, asked: list[str] | None) -> list[str]:
    """The target names of a domain, or those of them that were asked for, by whatever name, each once."""
    config = settings()
    named = dict.fromkeys(horizon_name(typed) for typed in asked or [])
    names = list(named) or [t.name for t in parts(name, config).domain.targets]
    return [target(name, horizon, config).name for horizon in names]


def estimators(asked: list[str] | None) -> list[str]:
    """The estimators that are to learn: those asked for, or those of the settings. SettingsError for a strange one."""
    names = list(asked or settings().estimators)
    strange = [name for name in names if name not in ESTIMATORS]
    if strange:
        raise SettingsError(f"estimator {strange[0]!r}", f"one of {', '.join(ESTIMATORS)}", "Correct the name")
    return names


def _equity(settings: Settings) -> Parts:
    calendar, feature_set = settings.calendar, configured(settings)
    delay = timedelta(minutes=settings.close_delay_minutes) + GRACE

    def matures_at(as_of: datetime, target: Target) -> datetime:
        later = sessions.later_close(calendar, pd.Series([pd.Timestamp(as_of)]), target.horizon)
        return pd.Timestamp(later.iloc[0]).to_pydatetime().astimezone(UTC)

    def due(as_of: datetime) -> datetime:
        return pd.Timestamp(sessions.next_close(calendar, pd.Timestamp(as_of))).to_pydatetime() + delay

    def nights_between(first: datetime, second: datetime) -> int:
        one, other = sessions.positions(calendar, pd.Series([pd.Timestamp(first), pd.Timestamp(second)]))
        return int(other - one)

    return Parts(
        equity(settings.horizons, settings.labels, settings.scores),
        feature_set.names,
        feature_set.digest,
        SCALE_FEATURE,
        tuple(name for name in REGIME_FEATURES if name in feature_set.names),
        MOMENTUM_FEATURE if MOMENTUM_FEATURE in feature_set.names else None,
        matures_at,
        due,
        pricing.with_prices,
        descriptions(feature_set),
        words(feature_set),
        nights_between,
    )
