import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.calibration import CalibratedClassifierCV, calibration_curve
from sklearn.frozen import FrozenEstimator
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from ml.errors import RegistryError, TrainingError
from ml.estimators.interface import Flags, Vector
from ml.lifecycle import calibration
from ml.lifecycle.calibration import CALIBRATORS, OWN_SHARE, Beta, Isotonic, Platt, reliability
from ml.lifecycle.ensembles import Members
from ml.lifecycle.metrics import EPSILON, log_loss_rows
from tests.lifecycle.planted import DAY, START, planted

LEARNED = [kind for kind in CALIBRATORS if kind != "none"]


def drawn(true: Vector, seed: int = 0) -> Flags:
    return np.random.default_rng(seed).random(true.size) < true


def well_calibrated(n: int = 20_000) -> tuple[Vector, Flags]:
    p = expit(np.random.default_rng(9).standard_normal(n))
    return p, drawn(p)


def excess(members: Members, p: Vector) -> float:
    """Mean log-loss over dates above that of the probabilities as they are."""
    return float(members.per_date(log_loss_rows(members.up, p) - log_loss_rows(members.up, members.p_up[:, 0])).mean())


def test_platt_is_the_logistic_regression_on_log_odds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "PRECISION", 1e-9)
    monkeypatch.setattr(calibration, "LEVEL_DATES", 1e-9)
    p, up = well_calibrated()
    bold = expit(0.3 + 2 * logit(p))
    reference = LogisticRegression(C=np.inf, tol=1e-10).fit(logit(bold)[:, None], up)
    np.testing.assert_allclose(
        Platt.fit(bold, up, np.ones(p.size)).calibrate(bold), reference.predict_proba(logit(bold)[:, None])[:, 1], 1e-5
    )


def test_platt_agrees_with_scikit_learns_calibrated_classifier() -> None:
    # Theirs smooths the outcomes a little, ours believes in the identity a little.
    p, up = well_calibrated()
    signal = 2 * logit(p)[:, None]
    raw = LogisticRegression(C=np.inf).fit(signal[:1000], up[:1000])
    reference = CalibratedClassifierCV(FrozenEstimator(raw), method="sigmoid").fit(signal, up)
    said = raw.predict_proba(signal)[:, 1]
    ours = Platt.fit(said, up, np.ones(p.size)).calibrate(said)
    np.testing.assert_allclose(ours, reference.predict_proba(signal)[:, 1], atol=0.005)


def test_beta_finds_the_map_that_was_planted() -> None:
    true, _ = well_calibrated(200_000)
    # Solve logit(true) = 0.2 + 0.5 ln p - 2 ln(1 - p) for p by its table.
    grid = np.linspace(1e-4, 1 - 1e-4, 100_001)
    p = np.interp(logit(true), 0.2 + 0.5 * np.log(grid) - 2 * np.log(1 - grid), grid)
    found = Beta.fit(p, drawn(true), np.ones(p.size))
    assert (found.intercept, found.a, found.b) == pytest.approx((0.2, 0.5, 2.0), abs=0.1)
    np.testing.assert_allclose(found.calibrate(p), true, atol=0.01)


def test_isotonic_is_scikit_learns_but_for_its_own_share() -> None:
    p, up = well_calibrated(3000)
    weight = np.random.default_rng(1).uniform(0.1, 1, p.size)
    margin = 1 / (weight.sum() + 2)
    reference = IsotonicRegression(y_min=margin, y_max=1 - margin, out_of_bounds="clip").fit(p, up, weight)
    asked = np.linspace(0.001, 0.999, 997)
    expected = (1 - OWN_SHARE) * reference.predict(asked) + OWN_SHARE * asked
    np.testing.assert_allclose(Isotonic.fit(p, up, weight).calibrate(asked), expected, rtol=1e-12)


def test_isotonic_keeps_the_order_of_rows_on_one_step() -> None:
    # No relation at all: the regression alone would give a few steps, and hundreds of rows the same answer.
    p = np.sort(np.random.default_rng(2).uniform(0.4, 0.6, 1000))
    calibrated = Isotonic.fit(p, drawn(np.full(1000, 0.5)), np.ones(1000)).calibrate(p)
    assert (np.diff(calibrated) > 0).all()


@pytest.mark.parametrize("kind", LEARNED)
@pytest.mark.parametrize("slope", [0.4, 2.5], ids=["timid", "bold"])
def test_what_is_miscalibrated_gets_calibrated_on_later_dates(kind: str, slope: float) -> None:
    members = planted(np.ones((400, 1)), noise=0.0, market=0.0, signal=1.0)
    said = expit(0.4 + slope * logit(members.p_up[:, 0]))
    known = members.date < 200
    found = calibration.fit(kind, said[known], members.up[known], members.evidence[known])
    later = members.where(~known)
    gap = excess(later, said[~known])
    assert excess(later, found.calibrate(said[~known])) < 0.1 * gap
    came, answered = calibration_curve(later.up, found.calibrate(said[~known]), n_bins=5, strategy="quantile")
    np.testing.assert_allclose(came, answered, atol=0.04)


@pytest.mark.parametrize("kind", LEARNED)
def test_what_is_calibrated_is_not_made_much_worse(kind: str) -> None:
    members = planted(np.ones((600, 1)), noise=0.0, market=0.0)
    known = members.date < 300
    found = calibration.fit(kind, members.p_up[known, 0], members.up[known], members.evidence[known])
    later = members.where(~known)
    # The deviation of a map of k parameters costs about k / 2 nats over the rows of the fit (here 12,000).
    assert excess(later, found.calibrate(later.p_up[:, 0])) < 0.002


@pytest.mark.parametrize("kind", ["platt", "beta"])
def test_one_date_on_which_everything_fell_moves_a_probability_little(kind: str) -> None:
    p = np.linspace(0.4, 0.6, 50)
    found = calibration.fit(kind, p, np.zeros(50, bool), np.full(50, 1 / 50))
    assert found.calibrate(np.array([0.45, 0.5, 0.55])) == pytest.approx([0.45, 0.5, 0.55], abs=0.1)


def test_dates_count_alike() -> None:
    # One date of a hundred rises, one of a single fall: even odds, however many rows.
    p, up = np.full(101, 0.5), np.r_[np.ones(100, bool), False]
    weight = np.r_[np.full(100, 0.01), 1.0]
    for kind in CALIBRATORS:
        assert calibration.fit(kind, p, up, weight).calibrate(p[:1])[0] == pytest.approx(0.5)


rows = st.lists(st.tuples(st.floats(0, 1), st.booleans(), st.floats(0.01, 1)), min_size=1, max_size=30)


@pytest.mark.parametrize("kind", CALIBRATORS)
@settings(max_examples=60, deadline=None)
@given(seen=rows, asked=st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_of_any_calibrator(kind: str, seen: list[tuple[float, bool, float]], asked: list[float]) -> None:
    p, up, weight = (np.array(column) for column in zip(*seen, strict=True))
    found = calibration.fit(kind, p, up, weight)
    q = found.calibrate(np.sort(asked))
    assert ((q >= EPSILON) & (q <= 1 - EPSILON)).all()
    assert (np.diff(q) >= 0).all(), "monotone"
    again = calibration.from_document(json.loads(json.dumps(found.to_document(), allow_nan=False)))
    assert again == found
    np.testing.assert_array_equal(again.calibrate(np.sort(asked)), q)


def test_unknown_kinds_no_rows_and_broken_documents_are_refused() -> None:
    with pytest.raises(TrainingError, match="'magic'"):
        calibration.fit("magic", np.ones(1), np.ones(1, bool), np.ones(1))
    with pytest.raises(TrainingError, match="0 rows"):
        calibration.fit("platt", np.empty(0), np.empty(0, bool), np.empty(0))
    for broken in ({"kind": "magic"}, {"kind": "platt", "format": 1, "slope": 1.0}, {"kind": "none", "format": 2}, 3):
        with pytest.raises(RegistryError):
            calibration.from_document(broken)


def test_the_reliability_curve_by_hand() -> None:
    # Two dates, three rows and one: those of the first weigh a third each.
    p, up = np.array([0.2, 0.4, 0.8, 0.6]), np.array([False, True, True, False])
    curve = reliability(p, up, START + np.array([0, 0, 0, 1]) * DAY, bins=2)
    # Of the weight 2 the rows 0.2, 0.4 and 0.6 hold 5/3, 0.2 and 0.4 only 2/3: half is reached at 0.6.
    assert curve.until == (0.6,)
    assert curve.said == pytest.approx(((0.2 / 3 + 0.4 / 3 + 0.6) / (5 / 3), 0.8))
    assert curve.came == pytest.approx(((1 / 3) / (5 / 3), 1.0))
    assert (curve.rows, curve.dates) == ((3, 1), (2, 1))
    assert curve.bin_of(np.array([0.0, 0.6, 0.61, 1.0])).tolist() == [0, 0, 1, 1]


def test_the_reliability_curve_of_calibrated_probabilities_is_the_diagonal() -> None:
    members = planted(np.ones((300, 1)), noise=0.0, market=0.0, signal=1.0)
    curve = reliability(members.p_up[:, 0], members.up, members.ts)
    assert len(curve.came) == 10
    np.testing.assert_allclose(curve.came, curve.said, atol=4 * 0.5 / np.sqrt(1200))
    assert sum(curve.rows) == len(members)
    assert type(curve).from_document(json.loads(json.dumps(curve.to_document()))) == curve


def test_equal_probabilities_share_a_bin() -> None:
    curve = reliability(np.full(50, 0.5), np.arange(50) % 2 == 0, START + np.arange(50) * DAY)
    assert (curve.until, curve.said, curve.came, curve.dates) == ((), (0.5,), (0.5,), (50,))
    with pytest.raises(TrainingError, match="no predictions"):
        reliability(np.empty(0), np.empty(0, bool), np.empty(0, "datetime64[us]"))
