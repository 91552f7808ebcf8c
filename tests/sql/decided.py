"""Evidence of a comparison as the gate keeps it, of simulated differences, for the tests of who reads it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from ml.domain import Target
from ml.lifecycle.significance import critical_value, ewc_test

ALPHA = 0.0002
FIRST = datetime(2012, 1, 3, 21, tzinfo=UTC)


def evidence(target: Target, *, dates: int = 504, mean: float = 0.0008, seed: int = 1) -> dict[str, Any]:
    """Of a comparison whose difference by date is `mean` and noise of 0.004."""
    d = mean + 0.004 * np.random.default_rng(seed).normal(size=dates)
    test = ewc_test(d, target.horizon)
    at = {"alpha": ALPHA, "level": ALPHA, "critical": critical_value(ALPHA, test.dof)}
    scores = {"log_loss": 0.6912, "brier": 0.2489, "accuracy": 0.523, "rank_ic": 0.031}
    return {
        "target": asdict(target),
        "candidate": {"digest": "new", "scores": scores},
        "champion": {"digest": "old", "scores": {**scores, "log_loss": 0.692, "rank_ic": 0.024}},
        "skill": {**asdict(test), **at},
        "looks_taken": 41,
        "looks_per_year": 252,
        "series": [[(FIRST + timedelta(days=i)).isoformat(), float(x)] for i, x in enumerate(d)],
        "test": {**asdict(test), **at},
        "vetoes": [
            {"name": "calibration error", "found": "0.0120", "allowed": "at most 0.0200", "vetoed": False},
            {"name": "deflated Sharpe ratio", "found": "0.910", "allowed": "at least 0.95", "vetoed": True},
        ],
    }
