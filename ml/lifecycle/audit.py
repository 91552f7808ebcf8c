"""The audit between writing predictions and publishing them: each check marked fail or warn."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from ml.errors import AuditFailed
from ml.frames import PREDICTIONS
from ml.lifecycle.prediction import direction

Severity = Literal["fail", "warn"]
MAX_SHIFT = 0.10
"""Mean |p_up - previous p_up| per target above which the model or its input has probably changed."""


@dataclass(frozen=True)
class AuditFinding:
    """One check of one night: what it saw, what it expected, and whether that matters."""

    name: str
    severity: Severity
    observed: str
    expected: str
    passed: bool


def audit(
    predictions: pd.DataFrame, expected: Collection[tuple[str, str]], previous: pd.DataFrame | None
) -> list[AuditFinding]:
    """Every check, passed or not, on one night's predictions.

    expected: the (entity, target) pairs that must be answered: entities x targets. previous: the
    predictions published before, None on the first night. FrameError when columns are not PREDICTIONS'.
    """
    PREDICTIONS.cast(predictions.iloc[:0])
    return [
        _rows(predictions, expected),
        _unique(predictions),
        _nulls(predictions),
        _finite(predictions),
        _probabilities(predictions),
        _ordered(predictions),
        _directions(predictions),
        _varied(predictions),
        _absent(predictions, previous),
        _shift(predictions, previous),
    ]


def raise_if_failed(findings: list[AuditFinding]) -> None:
    """AuditFailed naming every failed check marked `fail`; nothing otherwise."""
    failed = [finding for finding in findings if finding.severity == "fail" and not finding.passed]
    if failed:
        raise AuditFailed(
            "; ".join(f"{finding.name}: {finding.observed}" for finding in failed),
            "; ".join(finding.expected for finding in failed),
            "Nothing was published; repair the cause and run the night again",
        )


def _rows(predictions: pd.DataFrame, expected: Collection[tuple[str, str]]) -> AuditFinding:
    wanted = set(expected)
    answered = set(zip(predictions["entity"], predictions["target"], strict=True))
    missing, strange = sorted(wanted - answered), sorted(answered - wanted)
    observed = f"{len(predictions)} rows, {len(missing)} missing {missing[:3]}, {len(strange)} unexpected {strange[:3]}"
    passed = not missing and not strange and bool(wanted)
    return AuditFinding("rows against the universe", "fail", observed, f"{len(wanted)} rows, at least one", passed)


def _unique(predictions: pd.DataFrame) -> AuditFinding:
    return _none("duplicate keys", int(predictions.duplicated(["entity", "target"]).sum()))


def _nulls(predictions: pd.DataFrame) -> AuditFinding:
    return _none("missing values", int(predictions[list(PREDICTIONS.columns)].isna().sum().sum()))


def _finite(predictions: pd.DataFrame) -> AuditFinding:
    numbers = predictions[[c for c in PREDICTIONS.columns if PREDICTIONS.columns[c] == "float64"]].to_numpy(float)
    return _none("infinite values", int(np.isinf(numbers).sum()))


def _probabilities(predictions: pd.DataFrame) -> AuditFinding:
    inside = predictions["p_up"].between(0, 1) & predictions["confidence"].between(0, 1)
    return _none("probabilities outside [0, 1]", int((~inside).sum()))


def _ordered(predictions: pd.DataFrame) -> AuditFinding:
    low, mid, high = (predictions[c] for c in ("return_lower", "expected_return", "return_upper"))
    return _none("expected values outside their interval", int((~((low <= mid) & (mid <= high))).sum()))


def _directions(predictions: pd.DataFrame) -> AuditFinding:
    differs = predictions["direction"].to_numpy() != direction(predictions["p_up"].to_numpy()).to_numpy()
    return _none("directions that contradict p_up", int(np.sum(differs)))


def _none(name: str, found: int) -> AuditFinding:
    return AuditFinding(name, "fail", f"{found} {name}", "none", found == 0)


def _varied(predictions: pd.DataFrame) -> AuditFinding:
    groups = predictions.groupby("target")["p_up"]
    flat = sorted(groups.size().index[(groups.size() > 1) & (groups.max() == groups.min())])
    observed = f"one p_up for all entities of {flat}" if flat else "p_up varies within every target"
    return AuditFinding("varied p_up", "warn", observed, "different entities, different p_up", not flat)


def _absent(predictions: pd.DataFrame, previous: pd.DataFrame | None) -> AuditFinding:
    """A symbol or a whole horizon that was answered the night before and is not tonight."""
    before = set() if previous is None else set(zip(previous["entity"], previous["target"], strict=True))
    gone = sorted(before - set(zip(predictions["entity"], predictions["target"], strict=True)))
    observed = f"{len(gone)} answers of the night before missing {gone[:3]}"
    return AuditFinding("answers of the night before", "warn", observed, "each entity and target again", not gone)


def _shift(predictions: pd.DataFrame, previous: pd.DataFrame | None) -> AuditFinding:
    limit = f"at most {MAX_SHIFT} in every target"
    if previous is None or previous.empty:
        return AuditFinding("shift of p_up", "warn", "no earlier predictions", limit, True)
    both = predictions.merge(previous, on=["entity", "target"], suffixes=("", "_previous"))
    shift = (both["p_up"] - both["p_up_previous"]).abs().groupby(both["target"]).mean()
    observed = ", ".join(f"{target} {mean:.4f}" for target, mean in shift.items()) or "no common entity"
    return AuditFinding("shift of p_up", "warn", observed, limit, bool((shift <= MAX_SHIFT).all()))
