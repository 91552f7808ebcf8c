"""docs/features.md, made from the catalogue: `python -m ml.equity.features.page > docs/features.md`."""

from __future__ import annotations

import sys

from ml.equity.features.catalogue import CATEGORIES, DEFAULT_SET, SCALE_FEATURE, Feature, FeatureSet


def render(feature_set: FeatureSet) -> str:
    """The whole page as Markdown."""
    parts = [_intro(feature_set)]
    for category in CATEGORIES:
        rows = [_row(feature) for feature in feature_set.features if feature.category == category]
        parts.append("\n".join([f"## {category.capitalize()}", "", _HEAD, *rows]))
    return "\n\n".join(parts) + "\n"


_HEAD = """| name | what it says | formula | unit | range | bars needed | else NaN when |
| --- | --- | --- | --- | --- | --- | --- |"""


def _intro(feature_set: FeatureSet) -> str:
    return f"""# Features

Made from the catalogue (`ml/equity/features/catalogue.py`); do not edit: change the
catalogue and run `python -m ml.equity.features.page > docs/features.md`.

Set `{feature_set.name}` version {feature_set.version}: {len(feature_set.features)} features, digest
`{feature_set.digest}`.

- A value at a close uses the symbol's own bars up to that close and nothing later.
- Prices are adjusted forward for splits and dividends; every feature is free of the price's scale.
- A value is NaN until the bars it needs are there, and where the last column says so. Nothing is
  filled forward.
- RSI, MACD, ATR and ADX are recursive: they start at the first bar of the symbol's history.
- Prediction intervals are scaled by `{SCALE_FEATURE}`."""


def _row(feature: Feature) -> str:
    low, high = ("" if bound is None else f"{bound:g}" for bound in feature.valid_range)
    limits = f"{low} .. {high}" if low or high else ""
    cells = (
        f"`{feature.name}`",
        feature.description,
        feature.formula.replace("|", "\\|"),
        feature.unit,
        limits,
        str(feature.lookback),
        feature.nan_when,
    )
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    sys.stdout.write(render(DEFAULT_SET))
