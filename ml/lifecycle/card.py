"""The facts of a model card that are computed: scores per fold with their uncertainty, curve, coverage, costs.

All of it is JSON-able as it is; a number that is not defined is None.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from itertools import repeat
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from ml.domain import Target
from ml.frames import FEATURE_KEYS
from ml.lifecycle.comparison import BASELINE, score_difference
from ml.lifecycle.dataset import Dataset, Instants
from ml.lifecycle.metrics import own_scores, scores
from ml.lifecycle.model import Model
from ml.lifecycle.significance import degrees_of_freedom, standard_error
from ml.lifecycle.splits import Fold

STRONGEST = 20
"""Features that a card names."""
ENTITIES_ASKED = 20
NIGHTS_ASKED = 5
MOST_SECONDS = 0.5
"""When no further forecast is timed: a training waits for it. One is always timed."""

Beside = Mapping[str, pd.DataFrame]
"""OUT_OF_FOLD frames of other forecasts of a candidate's outer rows, by their names."""


def judged(oof: pd.DataFrame, beside: Beside, target: Target) -> dict[str, Any]:
    """A model's scores on outer rows, those of others on the same rows, and how far it is ahead of each.

    scores: `metrics.scores`. beside: by name, `own_scores`. ahead_of: by name, and of `baseline`: see `_ahead`.
    """
    rivals: dict[str, pd.DataFrame | Literal["baseline"]] = {BASELINE: BASELINE, **beside}
    return {
        "scores": scores(oof),
        "beside": {name: own_scores(other) for name, other in beside.items()},
        "ahead_of": {name: _ahead(oof, rival, target) for name, rival in rivals.items()},
    }


def _ahead(oof: pd.DataFrame, rival: pd.DataFrame | Literal["baseline"], target: Target) -> dict[str, Any]:
    """The mean over dates of the difference in the target's score, above 0 where it speaks for the model, with the
    standard error of the gate's test."""
    d = np.asarray(score_difference(oof, rival, target.score))
    if d.size == 0:
        return {"mean": None, "standard_error": None, "degrees_of_freedom": None, "dates": 0}
    return {
        "mean": float(d.mean()),
        "standard_error": standard_error(d, target.horizon),
        "degrees_of_freedom": degrees_of_freedom(d.size, target.horizon),
        "dates": d.size,
    }


def by_fold(oof: pd.DataFrame, beside: Beside, folds: Sequence[Fold], target: Target) -> list[dict[str, Any]]:
    """`judged` on the test dates of each outer fold, with what the fold trained on and tested."""
    return [
        {
            "fold": number,
            "trained_from": _iso(fold.train[0]),
            "trained_until": _iso(fold.train[-1]),
            "tested_from": _iso(fold.test[0]),
            "tested_until": _iso(fold.test[-1]),
            **judged(_on(oof, fold.test), {name: _on(other, fold.test) for name, other in beside.items()}, target),
        }
        for number, fold in enumerate(folds, start=1)
    ]


def _on(oof: pd.DataFrame, dates: Instants) -> pd.DataFrame:
    kept = np.isin(oof["ts"].to_numpy(dtype="datetime64[us]"), dates)
    return oof[kept].reset_index(drop=True)


def calibration_curve(model: Model) -> list[dict[str, Any]]:
    """What came when so much was said, out of fold: a bin each, ascending."""
    curve = model.reliability
    bins = zip(curve.said, curve.came, curve.rows, curve.dates, strict=True)
    return [{"said": said, "came": came, "rows": rows, "dates": dates} for said, came, rows, dates in bins]


def coverage(model: Model) -> list[dict[str, float]]:
    """The coverage that each interval states, and the one measured on later dates."""
    stated = zip(model.intervals.coverages, model.intervals.measured, strict=True)
    return [{"stated": coverage, "measured": measured} for coverage, measured in stated]


def strongest(importance: Sequence[Mapping[str, Any]], descriptions: Mapping[str, str]) -> list[dict[str, Any]]:
    """The first STRONGEST of a model's `importance`, in words."""
    return [{**each, "words": descriptions[each["feature"]]} for each in importance[:STRONGEST]]


def costs(files: Path, dataset: Dataset) -> dict[str, Any]:
    """What a saved model weighs, and how long loading it and forecasting real rows took, in seconds.

    one_row: forecasts of single entities at the last instant of the dataset. night: of all its entities at once.
    Timed in a process that has imported what the model needs.
    """
    began = time.perf_counter()
    model = Model.load(files)
    loaded = time.perf_counter() - began
    night = _recent(dataset, model.lookback)
    last = night.loc[night["ts"] == night["ts"].iloc[-1], "entity"].to_numpy()
    asked = last[np.unique(np.linspace(0, last.size - 1, ENTITIES_ASKED).astype(np.int64))]
    singles = [night[(night["entity"] == entity).to_numpy()].reset_index(drop=True) for entity in asked]
    model.forecast(singles[0])  # a first call makes what later ones find ready
    return {
        "size_bytes": sum(file.stat().st_size for file in files.rglob("*") if file.is_file()),
        "load_seconds": loaded,
        "one_row": {"rows": 1, **_latency(model, singles)},
        "night": {"rows": last.size, **_latency(model, list(repeat(night, NIGHTS_ASKED)))},
    }


def _recent(dataset: Dataset, lookback: int) -> pd.DataFrame:
    """A feature frame of the last instant with the `lookback` instants before it."""
    period = dataset.panel.period
    first = int(np.searchsorted(period, period[-1] - lookback))
    ts = pd.DatetimeIndex(dataset.ts[first:]).tz_localize("UTC")
    keys = pd.DataFrame({"entity": dataset.entity[first:], "ts": ts}).astype(FEATURE_KEYS)
    return pd.concat([keys, pd.DataFrame(dataset.X[first:], columns=list(dataset.feature_names))], axis=1)


def _latency(model: Model, frames: Sequence[pd.DataFrame]) -> dict[str, float]:
    seconds: list[float] = []
    for frame in frames:
        began = time.perf_counter()
        model.forecast(frame)
        seconds.append(time.perf_counter() - began)
        if sum(seconds) > MOST_SECONDS:
            break
    p50, p95 = np.quantile(seconds, (0.5, 0.95)).tolist()
    return {"forecasts": len(seconds), "p50_seconds": p50, "p95_seconds": p95}


def _iso(instant: np.datetime64) -> str:
    return pd.Timestamp(instant).tz_localize("UTC").isoformat()
