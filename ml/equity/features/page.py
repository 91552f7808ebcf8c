"""docs/features.md, made from the catalogue: `python -m ml.equity.features.page > docs/features.md`."""

from __future__ import annotations

import sys

from ml.equity.features import groups, inputs
from ml.equity.features.alpha158 import ALPHA158
from ml.equity.features.catalogue import CATEGORIES, DEFAULT_SET, SCALE_FEATURE, Feature, FeatureSet
from ml.equity.features.derived import DERIVED
from ml.equity.features.kernels.dates import LEAST
from ml.equity.features.kernels.recursions import BLOCK
from ml.equity.features.operators import MAX_SMOOTHING, MAX_WINDOW, OPERATORS


def render(feature_set: FeatureSet, alpha158: FeatureSet) -> str:
    """The whole page as Markdown."""
    parts = [_intro(feature_set)]
    parts += [_table(category.replace("_", "-").capitalize(), category, feature_set) for category in CATEGORIES]
    parts += [_table("Alpha158", groups.ALPHA158, alpha158), _ALPHA158, _language()]
    return "\n\n".join(parts) + "\n"


_HEAD = """| name | what it says | formula | unit | range | bars needed | else NaN when | source |
| --- | --- | --- | --- | --- | --- | --- | --- |"""

_ALPHA158 = f"""Set `{ALPHA158.name}` version {ALPHA158.version}, digest
`{ALPHA158.digest}`: qlib's definitions, its names and order. Two things differ. qlib lets a window begin with what
there is; here a value is NaN until its window is full. And daily bars carry no volume-weighted price, so `VWAP0`
takes the typical price in its place."""


def _intro(feature_set: FeatureSet) -> str:
    return f"""# Features

Made from the catalogue (`ml/equity/features/declared`); do not edit: change the
catalogue and run `python -m ml.equity.features.page > docs/features.md`.
Your own stand in a file: [custom features](custom-features.md).

Set `{feature_set.name}` version {feature_set.version}: {len(feature_set.features)} features, digest
`{feature_set.digest}`.

- A value at a close uses the symbol's own bars up to that close and nothing later. Those marked † also use the
  other symbols' bars up to the same close.
- Prices are adjusted forward for splits and dividends; every feature is free of the price's scale.
- A value is NaN until the bars it needs are there, where the column before the last says so, and while a NaN is in
  its window. Nothing is filled forward.
- A value depends, bit for bit, on the bars of its window. Recursive averages (`ema`, `wilder`, `adapt`) see the last
  {BLOCK} to {2 * BLOCK - 1} bars: they start anew with every {BLOCK} bars of the symbol's history, {BLOCK} bars before
  their values count. So the last {feature_set.warm_up} bars of a history are enough for the bits of the whole.
- Those of the group [sector](#sector) need a source that [tells sectors](corporate-actions.md#sectors). They are NaN
  where no sector is known, and where fewer than {LEAST} symbols of it have a value that day; from a source without
  sectors all of them are NaN in every row. That fails no check and stops no model: a row counts as long as any feature
  has a value, SQL shows `null`, and trees never split on a column without values. Whoever wants to be rid of the
  columns declares [a set](custom-features.md) without the group `sector`.
- Prediction intervals are scaled by `{SCALE_FEATURE}`."""


def _table(title: str, category: str, feature_set: FeatureSet) -> str:
    rows = [_row(feature) for feature in feature_set.features if feature.category == category]
    return "\n".join([f"## {title}", "", _HEAD, *rows])


def _row(feature: Feature) -> str:
    low, high = ("" if bound is None else f"{bound:g}" for bound in feature.valid_range)
    cells = (
        f"`{feature.name}`{' †' if feature.cross_sectional else ''}",
        feature.description,
        f"`{feature.expression}`",
        feature.unit,
        f"{low} .. {high}" if low or high else "",
        str(feature.lookback),
        feature.nan_when,
        feature.source,
    )
    return "| " + " | ".join(cells) + " |"


def _language() -> str:
    calls = [
        f"`{name}({', '.join([*(arg for arg in one.args), *(param.name for param in one.params)])})`"
        for name, one in OPERATORS.items()
        if name.isidentifier() and name not in {"and", "or", "not", "negative", "power"}
    ]
    words = [
        f"| `{name}{f'({chr(44).join(one.args)})' if one.args else ''}` | `{one.body}` |"
        for name, one in DERIVED.items()
    ]
    dates = [f"| `{name}` | {what} |" for name, what in inputs.DATES.items()]
    return "\n".join(
        [
            "## The language",
            "",
            "A feature is a formula, read and checked, never executed as Python. Inputs are",
            f"{', '.join(f'`{name}`' for name in inputs.BARS)} and what the date of the session says:",
            "",
            "| input | |\n| --- | --- |",
            *dates,
            "",
            "There are `+ - * /`, `** 2` to `** 4`, one comparison, `and`, `or`, `not`, and these calls, where a",
            f"window is a whole number up to {MAX_WINDOW} ({MAX_SMOOTHING} for recursive averages) that counts the",
            "present bar:",
            "",
            ", ".join(calls) + ".",
            "",
            "Calls that begin with `cs_` look at all symbols of the date, those with `sector_` at those of the same",
            f"sector: NaN where no sector is known, or where fewer than {LEAST} symbols of it have a value that day.",
            "",
            "NaN spreads through everything; division by zero and the logarithm of what is not positive are NaN.",
            "These words are formulas themselves:",
            "",
            "| word | formula |\n| --- | --- |",
            *words,
        ]
    )


if __name__ == "__main__":
    sys.stdout.write(render(DEFAULT_SET, ALPHA158))
