from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml.errors import AuditFailed, FrameError
from ml.frames import PREDICTIONS
from ml.lifecycle.audit import AuditFinding, audit, raise_if_failed

UNIVERSE = [(entity, target) for entity in ("A", "B", "C") for target in ("1d", "5d")]


def night() -> pd.DataFrame:
    frame = pd.DataFrame(UNIVERSE, columns=["entity", "target"]).sort_values(["target", "entity"], ignore_index=True)
    numbers: dict[str, Any] = {
        "p_up": [0.6, 0.5, 0.4, 0.55, 0.5, 0.45],
        "direction": ["up", "neutral", "down", "up", "neutral", "down"],
        "confidence": [0.2, 0.0, 0.2, 0.1, 0.0, 0.1],
        "expected_return": 0.01,
        "return_lower": -0.02,
        "return_upper": 0.04,
        "price": 10.0,
        "price_target": 10.1,
        "price_lower": 9.8,
        "price_upper": 10.4,
        "return_lower_95": -0.08,
        "return_upper_95": 0.08,
        "return_stop": -0.04,
        "price_stop": 9.6,
        "target_probability": 0.25,
        "risk_score": 40.0,
        "similar_share_up": 0.5,
        "similar_dates": 100,
        "dissimilarity": 0.0,
        "is_outlier": False,
        "members": "{}",
        "reasons": "[]",
        "model_version": 1,
        "has_skill": False,
        "matures_at": pd.Timestamp("2024-01-09 21:00", tz="UTC"),
    }
    return PREDICTIONS.cast(frame.assign(**numbers))


def failed(findings: list[AuditFinding]) -> set[str]:
    return {finding.name for finding in findings if not finding.passed}


def test_a_sound_night_passes_every_check() -> None:
    findings = audit(night(), UNIVERSE, previous=night())
    assert failed(findings) == set()
    assert {finding.severity for finding in findings} == {"fail", "warn"}
    raise_if_failed(findings)


def put(column: str, value: Any) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def damage(frame: pd.DataFrame) -> pd.DataFrame:
        frame.loc[1, column] = value
        return frame

    return damage


@pytest.mark.parametrize(
    ("damage", "name"),
    [
        (lambda frame: frame.iloc[1:], "rows against the universe"),
        (lambda frame: frame.iloc[:0], "rows against the universe"),
        (put("entity", "Z"), "rows against the universe"),
        (lambda frame: pd.concat([frame, frame.iloc[[2]]]), "duplicate keys"),
        (put("expected_return", np.nan), "missing values"),
        (put("matures_at", pd.NaT), "missing values"),
        (put("price_target", np.inf), "infinite values"),
        (put("p_up", 1.01), "probabilities outside [0, 1]"),
        (put("p_up", np.nan), "probabilities outside [0, 1]"),
        (put("confidence", -0.1), "probabilities outside [0, 1]"),
        (put("return_upper", 0.0), "expected values outside their interval"),
        (put("return_lower", 0.02), "expected values outside their interval"),
        (put("direction", "up"), "directions that contradict p_up"),
    ],
)
def test_each_fault_is_found_by_its_check_and_stops_the_night(
    damage: Callable[[pd.DataFrame], pd.DataFrame], name: str
) -> None:
    findings = audit(damage(night()), UNIVERSE, previous=None)
    assert name in failed(findings)
    with pytest.raises(AuditFailed) as caught:
        raise_if_failed(findings)
    assert name in str(caught.value)


def test_a_night_without_a_universe_cannot_pass() -> None:
    assert "rows against the universe" in failed(audit(night().iloc[:0], [], previous=None))


def test_one_probability_for_everybody_is_a_warning() -> None:
    flat = night()
    for column, value in (("p_up", 0.5), ("direction", "neutral"), ("confidence", 0.0)):
        flat.loc[flat["target"] == "5d", column] = value
    findings = audit(flat, UNIVERSE, previous=None)
    assert failed(findings) == {"varied p_up"}
    assert "5d" in next(finding for finding in findings if not finding.passed).observed
    raise_if_failed(findings)


@pytest.mark.parametrize(("shift", "warned"), [(0.09, False), (0.11, True)])
def test_a_jump_against_the_previous_night_is_a_warning(shift: float, warned: bool) -> None:
    before = night()
    before.loc[before["target"] == "1d", "p_up"] -= shift
    findings = audit(night(), UNIVERSE, previous=before)
    assert failed(findings) == ({"shift of p_up"} if warned else set())
    raise_if_failed(findings)


def test_predictions_of_another_shape_are_refused() -> None:
    with pytest.raises(FrameError, match="p_up"):
        audit(night().drop(columns="p_up"), UNIVERSE, previous=None)
