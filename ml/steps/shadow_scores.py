"""Words of shadows to scores: how each did beside the champion of its night, once outcomes are known.

The unit of evidence is the date, as at the gate: one difference by version and night, on identical rows.
"""

from __future__ import annotations

import logging
from datetime import timedelta

import pandas as pd

from ml.domain import Target
from ml.frames import OUT_OF_FOLD, session_day
from ml.io.store import Store
from ml.io.warehouse import Warehouse, shadows
from ml.io.warehouse.connection import Row
from ml.lifecycle.comparison import score_difference
from ml.lifecycle.metrics import own_scores
from ml.settings import settings
from ml.steps import canary, domains, keep
from ml.steps.night import Keys, keys, parse

log = logging.getLogger(__name__)

LEAST_SHARE = 0.5
"""Of the champion's rows, those that have an outcome and a word of the shadow: with less, a date tells little."""
LOOK_BACK = timedelta(days=180)
"""Twice the longest horizon: a date that could not be scored by then never is."""


def run(domain: str, as_of: str, known_at: str, snapshot: str) -> Keys:
    """Score every night whose outcomes are known tonight, each once; returns the keys and how many were `scored`."""
    config = settings()
    night = parse(domain, as_of, known_at)
    warehouse, store = Warehouse(config.require_warehouse_dsn()), Store(config.store_root)
    scored = 0
    for target in domains.parts(domain, config).domain.targets:
        due = shadows.due(warehouse, target, night.as_of - LOOK_BACK, night.as_of)
        if due:
            outcomes = store.get(keep.labels(target, snapshot), ["entity", "ts", "value"])
            scored += sum(_score(warehouse, target, word, outcomes) for word in due)
        if (found := canary.test(warehouse, target)) is not None:
            log.info("canary: %s", canary.line(found))
    return keys(night, snapshot=snapshot, scored=str(scored))


def _score(warehouse: Warehouse, target: Target, word: Row, outcomes: pd.DataFrame) -> bool:
    pairs = shadows.pairs(warehouse, target, word)
    tonight = outcomes.loc[outcomes["ts"] == pd.Timestamp(word["as_of"]), ["entity", "value"]]
    rows = pairs.merge(tonight, on="entity").dropna().sort_values("entity", ignore_index=True)
    named = f"{target.model_name}: {word['role']} version {word['model_version']} on {session_day(word['as_of'])}"
    if len(rows) < LEAST_SHARE * len(pairs):
        log.warning("%s is not scored: %d of %d rows can be compared", named, len(rows), len(pairs))
        return False
    shadow = _answers(rows, word, "shadow_")
    difference = score_difference(shadow, _answers(rows, word, ""), target.score)
    if difference.empty:
        log.info("%s is not scored: its %d outcomes cannot be ranked", named, len(rows))
        return False
    # A forecast that is the same for all ranks nothing, and counts as 0 in the difference as well.
    score = own_scores(shadow).get(target.score, 0.0)
    found = {"n": len(rows), "score": score, "difference": float(difference.iloc[0])}
    shadows.record_score(warehouse, target, {**word, **found})
    return True


def _answers(rows: pd.DataFrame, word: Row, whose: str) -> pd.DataFrame:
    """OUT_OF_FOLD of one side. Scale and baseline have no part in a difference."""
    return OUT_OF_FOLD.cast(
        rows[["entity", "value"]].assign(
            ts=pd.Timestamp(word["as_of"]),
            p_up=rows[f"{whose}p_up"],
            expected=rows[f"{whose}expected_return"],
            scale=1.0,
            baseline_p_up=rows["p_up"],
        )
    )
