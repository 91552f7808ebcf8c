"""From adjusted bars to a feature frame: a plan of all formulas at once, run over chunks of symbols."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.equity import sessions
from ml.equity.features.feature import FeatureSet
from ml.equity.features.inputs import Inputs, unknown_sectors
from ml.equity.features.panel import Panel
from ml.equity.features.plan import THREADS, Plan
from ml.frames import FEATURE_KEYS


def compute(
    adjusted: pd.DataFrame,
    feature_set: FeatureSet,
    calendar: str,
    first_index: pd.Series | None = None,
    sector: pd.Categorical[str] | None = None,
) -> pd.DataFrame:
    """The features of ADJUSTED bars: entity, ts, then one float32 column per feature, sorted by (ts, entity).

    One row per bar. A value depends on the symbol's own bars up to its ts and on the calendar; a
    cross-sectional one on the other symbols' up to its ts besides. NaN until a feature's lookback is
    full and where its declaration says so; nothing is filled.
    first_index: by symbol, the index of its first row here in its own whole history, when only a tail
    is at hand. From `feature_set.warm_up` rows on, a tail gives the bits that the whole history gives.
    sector: of each row, missing where nobody knows it; without it nobody's is known.
    """
    place = sessions.positions(calendar, adjusted["ts"])
    panel = Panel.of(adjusted["symbol"], place, first_index)
    plan = Plan.of([feature.node for feature in feature_set.features])
    values = np.empty((len(feature_set.features), len(adjusted)), dtype=np.float32)
    with ThreadPoolExecutor(THREADS) as threads:
        keys = threads.submit(keys_of, adjusted, panel.order)
        sector = unknown_sectors(len(adjusted)) if sector is None else sector
        plan.run(panel, Inputs.of(adjusted, sector, calendar, place, plan.inputs), list(values), threads)
    features = pd.DataFrame(values.T, columns=list(feature_set.names), copy=False)
    return pd.concat([keys.result(), features], axis=1)


def keys_of(adjusted: pd.DataFrame, order: npt.NDArray[np.integer]) -> pd.DataFrame:
    """The keys of a feature frame whose rows come from the rows `order` of `adjusted`."""
    keys = pd.DataFrame({"entity": adjusted["symbol"].take(order).array, "ts": adjusted["ts"].take(order).array})
    return keys.astype(FEATURE_KEYS)
