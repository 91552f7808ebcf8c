"""Features of a user's own: a name and a formula of the feature language, checked like those of the catalogue."""

from __future__ import annotations

import re

from ml.equity.features.alpha158 import ALPHA158
from ml.equity.features.catalogue import DEFAULT_SET
from ml.equity.features.feature import Feature
from ml.equity.features.groups import CUSTOM
from ml.equity.features.inputs import INPUTS
from ml.equity.features.language import parse
from ml.errors import ExpressionError, SettingsError
from ml.frames import FEATURE_KEYS

_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")
_TAKEN = {name.lower() for name in (*DEFAULT_SET.names, *ALPHA158.names)}
_COLUMNS = {"symbol", *FEATURE_KEYS, *INPUTS}


def custom(
    name: str, formula: str, description: str = "", unit: str = "none",
    valid_range: tuple[float | None, float | None] = (None, None), category: str = CUSTOM,
) -> Feature:  # fmt: skip
    """A feature of the user's own, its formula read at once, so that lookback and inputs are known.

    SettingsError for a name that is none or is taken by a feature of the catalogue, of Alpha158 or by a
    column of the bars; ExpressionError, which names the feature too, for what is no formula.
    """
    check_name(name)
    if name in _COLUMNS:
        raise SettingsError(f"the feature name {name!r}, which is a column of the bars", "another", "Rename it")
    if name in _TAKEN:
        found = f"the feature name {name!r}, which the catalogue or Alpha158 has already"
        raise SettingsError(found, "another name (docs/features.md lists those)", "Rename the feature")
    try:
        parse(formula)
    except ExpressionError as error:
        raise ExpressionError(f"{error.found} of the feature {name!r}", error.expected, error.todo) from error
    return Feature(name, formula, category, description, unit, valid_range, "the formula has no value")


def check_name(name: str) -> None:
    """SettingsError for what is no name of a feature or of a set."""
    if not _NAME.fullmatch(name):
        expected = "1 to 60 lower-case letters, digits and underscores, a letter first"
        raise SettingsError(f"the name {name[:80]!r}", expected, "Choose such a name")
