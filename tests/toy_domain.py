"""The smallest second domain: shops and their demand, and whether next week's demand is above today's.

It shares nothing with equities but the lifecycle. Demand swings around each shop's own level and
returns to it, so the gap between today's demand and its recent mean foretells next week: a planted
signal that any sound lifecycle must find, beside a feature that is pure noise.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from ml.domain import Domain, Target
from ml.frames import LABELS, check_features

WEEK = Target("toy", "1w", 7)
TOY = Domain("toy", (WEEK,))
FEATURES = ("gap", "spread", "noise")
SHOPS, DAYS, WARM_UP = 30, 400, 28


def demand(seed: int = 7) -> pd.DataFrame:
    """Units sold, days x shops; the index is each day's closing instant."""
    rng = np.random.default_rng(seed)
    days = pd.date_range("2024-01-01 18:00", periods=DAYS, freq="D", tz="UTC").as_unit("us")
    level, swing = rng.uniform(50, 150, SHOPS), rng.uniform(2, 8, SHOPS)
    deviation = np.zeros((DAYS, SHOPS))
    for day in range(1, DAYS):
        deviation[day] = 0.6 * deviation[day - 1] + rng.standard_normal(SHOPS)
    return pd.DataFrame(level + swing * deviation, index=days, columns=[f"shop{i:02d}" for i in range(SHOPS)])


def features(sold: pd.DataFrame) -> pd.DataFrame:
    """The gap to the trailing mean (in trailing deviations), the trailing deviation, and noise."""
    trailing = sold.rolling(WARM_UP)
    spread = trailing.std()
    noise = pd.DataFrame(np.random.default_rng(1).standard_normal(sold.shape), sold.index, sold.columns)
    wide = {"gap": (sold - trailing.mean()) / spread, "spread": spread, "noise": noise}
    columns = {name: _long(frame.iloc[WARM_UP - 1 :]).astype("float32") for name, frame in wide.items()}
    return check_features(_keyed(pd.DataFrame(columns)), FEATURES)


def labels(sold: pd.DataFrame) -> pd.DataFrame:
    """Next week's demand minus today's, for every day whose week has passed."""
    change = _long((sold.shift(-WEEK.horizon) - sold).iloc[: -WEEK.horizon])
    frame = _keyed(pd.DataFrame({"value": change})).assign(target=WEEK.name)
    frame["matures_at"] = frame["ts"] + pd.Timedelta(days=WEEK.horizon)
    return LABELS.check(LABELS.cast(frame))


def _long(wide: pd.DataFrame) -> pd.Series[float]:
    index = pd.MultiIndex.from_product([wide.index, wide.columns])
    return pd.Series(wide.to_numpy().ravel(), index=index)


def _keyed(frame: pd.DataFrame) -> pd.DataFrame:
    keyed = frame.rename_axis(index=["ts", "entity"]).reset_index()
    keyed = keyed.astype({"entity": "str", "ts": "datetime64[us, UTC]"})
    return keyed[["entity", "ts", *frame.columns]].sort_values(["ts", "entity"], ignore_index=True)
