"""The equity domain: what is predicted for a stock after each session's close."""

from __future__ import annotations

from collections.abc import Mapping

from ml.domain import Domain, Label, Score, Target
from ml.errors import SettingsError
from ml.settings import HORIZONS, LOG_LOSSES, RETURNS

NAME = "equity"


def equity(
    horizons: tuple[str, ...], labels: Mapping[str, Label] = RETURNS, scores: Mapping[str, Score] = LOG_LOSSES
) -> Domain:
    """The domain with one target per horizon name ("1d", "5d"...); a target's horizon counts sessions.

    labels, scores: by horizon name, what its target learns and is judged by.
    SettingsError for a horizon that does not exist.
    """
    unknown = [name for name in horizons if name not in HORIZONS]
    if unknown or not horizons:
        raise SettingsError(
            f"the horizons {unknown}" if unknown else "no horizon",
            f"some of {', '.join(HORIZONS)}",
            "Correct AFTERBELL_HORIZONS or the form",
        )
    return Domain(NAME, tuple(Target(NAME, name, HORIZONS[name], labels[name], scores[name]) for name in horizons))
