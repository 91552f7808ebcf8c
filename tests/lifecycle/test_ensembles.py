import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from ml.errors import FrameError, RegistryError, TrainingError
from ml.estimators.interface import Vector
from ml.lifecycle import ensembles
from ml.lifecycle.ensembles import COMBINERS, Members, Meta, Single, Stack, Vote, Weighted
from ml.lifecycle.logistic import log_odds
from ml.lifecycle.metrics import log_loss_rows
from ml.lifecycle.significance import standard_error
from tests.lifecycle.planted import DAY, START, planted


def panel(p_up: list[list[float]], value: list[float], date: list[int], /, **changes: object) -> Members:
    """Rows written out by hand: members a, b... whose expected value is p_up - 0.5."""
    p = np.array(p_up, dtype=float)
    ts = START + np.array(date) * DAY
    plain: dict[str, object] = {
        "names": tuple("abcdef"[: p.shape[1]]),
        "p_up": p,
        "expected": p - 0.5,
        "regime": np.zeros((len(p), 0)),
        "value": np.array(value, dtype=float),
        "ts": ts,
        "matures_at": ts + DAY,
    }
    return Members(**{**plain, **changes})  # type: ignore[arg-type]


def loss(combiner: ensembles.Combiner, members: Members) -> float:
    """Mean over dates of the log-loss."""
    return float(members.per_date(log_loss_rows(members.up, combiner.combine(members)[0])).mean())


def halves(members: Members, dates: int) -> tuple[Members, Members]:
    first = members.ts < members.dates[dates]
    return members.where(first), members.where(~first)


def test_dates_count_alike_however_many_rows_they_hold() -> None:
    # b is right on the one row of the first date, a on the three rows of the second, a little less boldly.
    members = panel([[0.3, 0.8], [0.7, 0.3], [0.7, 0.3], [0.7, 0.3]], [1, 1, 1, 1], [0, 1, 1, 1])
    assert Single.fit(members).best == "b"
    rows = log_loss_rows(members.up, members.p_up[:, 0]).mean(), log_loss_rows(members.up, members.p_up[:, 1]).mean()
    assert rows[0] < rows[1], "pooled rows would have said a"


def test_the_weight_of_rows_within_a_date_is_theirs_to_share() -> None:
    p_up = [[0.9, 0.4], [0.1, 0.6]]
    assert Single.fit(panel(p_up, [1, 1], [0, 0], weight=np.array([3.0, 1.0]))).best == "a"
    assert Single.fit(panel(p_up, [1, 1], [0, 0], weight=np.array([1.0, 30.0]))).best == "b"
    assert panel(p_up, [1, 1], [0, 0], weight=np.array([3.0, 1.0])).date_weight.tolist() == [0.75, 0.25]


@pytest.mark.parametrize("horizon", [1, 5])
def test_labels_that_overlap_are_worth_fewer_dates(horizon: int) -> None:
    members = planted(np.zeros((30, 1)), horizon=horizon, entities=2)
    assert members.overlap == horizon
    assert members.evidence.sum() == pytest.approx(30 / horizon)
    gap = members.where((members.date < 10) | (members.date >= 20))
    assert gap.overlap == horizon


def test_the_vote_by_hand() -> None:
    # Base rate 1/2: votes 2, 1 1/2 and 0 of 2, and two imaginary ones that are split.
    members = panel([[0.6, 0.7], [0.5, 0.7], [0.1, 0.49]], [1, -1, 1], [0, 0, 1])
    vote = Vote.fit(members)
    assert vote.base_rate == 0.75
    p_up, expected = replace(vote, base_rate=0.5).combine(members)
    assert p_up.tolist() == [0.75, 0.625, 0.25]
    assert expected == pytest.approx([0.15, 0.1, -0.205])
    # Base rate 3/4: nobody is above it.
    assert vote.combine(members)[0] == pytest.approx([1.5 / 4] * 3)


def test_the_weights_by_score_are_the_softmax_in_standard_errors() -> None:
    members = planted(np.tile([0.8, 0.5, 0.0], (200, 1)), entities=10)
    daily = np.column_stack([members.per_date(log_loss_rows(members.up, p)) for p in members.p_up.T])
    apart = daily - daily.mean(axis=1, keepdims=True)
    temperature = np.sqrt(np.mean([standard_error(d, 1) ** 2 for d in apart.T]))
    weights = Weighted.fit(members).weights(members)[0]
    for i, j in pairwise(range(3)):
        assert np.log(weights[i] / weights[j]) == pytest.approx((daily[:, j] - daily[:, i]).mean() / temperature)


def test_members_who_always_said_the_same_weigh_alike() -> None:
    members = panel([[0.6, 0.6]] * 4, [1, -1, 1, 1], [0, 0, 1, 1])
    assert Weighted.fit(members).shares == (0.5, 0.5)
    assert Weighted.fit(panel([[0.6, 0.4]], [1], [0])).shares == (0.5, 0.5)


def test_stacking_many_dates_is_scikit_learns_regression_on_log_odds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ensembles, "PRECISION", 1e-9)
    monkeypatch.setattr(ensembles, "LEVEL_DATES", 1e-9)
    members = planted(np.tile([0.8, 0.5], (300, 1)), entities=10)
    reference = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(log_odds(members.p_up), members.up)
    np.testing.assert_allclose(
        Stack.fit(members).combine(members)[0], reference.predict_proba(log_odds(members.p_up))[:, 1], rtol=1e-5
    )


def test_stacking_few_dates_stays_with_the_mean() -> None:
    members = planted(np.tile([0.8, 0.5, 0.2], (20, 1)), signal=0.15, noise=0.1)
    stack = Stack.fit(members)
    assert stack.slopes == pytest.approx([1 / 3] * 3, abs=0.15)
    assert stack.value_slopes == pytest.approx([1 / 3] * 3, abs=0.15)
    assert abs(stack.intercept) < 0.1


def test_the_meta_learners_optimum_is_one() -> None:
    """No small step from what L-BFGS found lowers the objective, written out here once more, plainly."""
    rng = np.random.default_rng(1)
    knows = np.tile([0.9, 0.3, 0.1], (80, 1))
    members = planted(knows, entities=20, regime=rng.standard_normal((80, 2)))
    meta = Meta.fit(members)

    def objective(coefficients: Vector, sharpness: float) -> float:
        tried = replace(meta, coefficients=tuple(map(tuple, coefficients.tolist())), sharpness=sharpness)
        penalty = (
            ensembles.REGIME_PRECISION * float((coefficients**2).sum()) + ensembles.PRECISION * (sharpness - 1) ** 2
        )
        return loss(tried, members) * 80 + 0.5 * penalty

    found, best = np.array(meta.coefficients), objective(np.array(meta.coefficients), meta.sharpness)
    for direction in rng.standard_normal((20, *found.shape)):
        assert best <= objective(found + 0.05 * direction / np.linalg.norm(direction), meta.sharpness)
    assert best <= min(objective(found, meta.sharpness + step) for step in (-0.05, 0.05))


@pytest.mark.parametrize("kind", ["weighted", "stack", "meta"])
def test_a_member_that_is_right_gets_nearly_all_the_weight(kind: str) -> None:
    rng = np.random.default_rng(2)
    members = planted(
        np.tile([0.0, 1.0, 0.0], (500, 1)), signal=1.5, noise=1.0, market=0.1, regime=rng.standard_normal((500, 1))
    )
    assert ensembles.fit(kind, members).weights(members)[:, 1].min() > 0.9
    assert Single.fit(members).best == "b"


def test_two_members_who_know_different_halves_are_better_together() -> None:
    members = planted(np.tile([0.5, 0.5], (600, 1)), noise=0.6)
    known, later = halves(members, 300)
    single = loss(Single.fit(known), later)
    assert all(loss(ensembles.fit(kind, known), later) < single for kind in ("weighted", "stack"))


def test_in_changing_regimes_meta_beats_every_fixed_weighting_out_of_sample() -> None:
    regime = np.where(np.arange(600)[:, None] // 15 % 2 == 0, 1.0, -1.0)
    regime = np.column_stack([regime, np.random.default_rng(3).standard_normal(600)])
    knows = np.where(regime[:, :1] > 0, [1.0, 0.0], [0.0, 1.0])
    members = planted(knows, noise=0.6, signal=1.0, regime=regime)
    known, later = halves(members, 300)
    meta = Meta.fit(known)
    best_fixed = min(
        loss(Weighted(members.names, (share, 1 - share)), later) for share in np.linspace(0, 1, 51).tolist()
    )
    assert loss(meta, later) < best_fixed - 0.005
    in_calm = meta.weights(later)[later.regime[:, 0] > 0, 0]
    assert in_calm.mean() > 0.9, "the first member in its own regime"


def test_without_any_regime_meta_does_little_harm() -> None:
    regime = np.random.default_rng(4).standard_normal((600, 3))
    members = planted(np.tile([0.5, 0.5, 0.4], (600, 1)), regime=regime)
    known, later = halves(members, 300)
    assert loss(Meta.fit(known), later) < loss(Weighted(members.names, (1 / 3,) * 3), later) + 0.001


def test_a_missing_regime_feature_counts_as_its_mean_and_a_wild_one_as_three_deviations() -> None:
    rng = np.random.default_rng(5)
    regime = rng.standard_normal((100, 2)) + 5
    members = planted(np.where(regime[:, :1] > 5, [1.0, 0.0], [0.0, 1.0]), regime=regime)
    gone = members.regime.copy()
    gone[::3, 1] = np.nan
    meta = Meta.fit(replace(members, regime=gone))

    def weights_at(*row: float) -> Vector:
        return np.asarray(meta.weights(replace(members, regime=np.tile(row, (len(members), 1))))[0])

    np.testing.assert_array_equal(weights_at(np.nan, np.nan), weights_at(*meta.centre))
    far = np.array(meta.centre) + 3 * np.array(meta.spread)
    np.testing.assert_allclose(weights_at(1e9, np.inf), weights_at(far[0], meta.centre[1]))


def test_a_regime_feature_that_nobody_has_or_that_never_moves_changes_nothing() -> None:
    regime = np.column_stack([np.full(100, np.nan), np.full(100, 7.0), np.random.default_rng(0).standard_normal(100)])
    members = planted(np.tile([0.9, 0.1], (100, 1)), regime=regime)
    alone = Meta.fit(replace(members, regime=members.regime[:, 2:]))
    weights = Meta.fit(members).weights(members)
    np.testing.assert_allclose(weights, alone.weights(replace(members, regime=members.regime[:, 2:])), atol=1e-3)


probabilities = st.floats(0, 1)
regimes = st.floats(-1e6, 1e6) | st.just(float("nan"))


@st.composite
def anything(draw: st.DrawFn) -> Members:
    """A few dates of any answers at all."""
    m, dates, per_date, r = (draw(st.integers(low, high)) for low, high in ((1, 4), (1, 5), (1, 3), (0, 2)))
    n = dates * per_date

    def numbers(columns: int, of: st.SearchStrategy[float]) -> Vector:
        rows = draw(st.lists(st.lists(of, min_size=columns, max_size=columns), min_size=n, max_size=n))
        return np.array(rows, dtype=float).reshape(n, columns)

    return panel(
        numbers(m, probabilities).tolist(),
        numbers(1, st.floats(-1, 1))[:, 0].tolist(),
        np.repeat(np.arange(dates), per_date).tolist(),
        regime=numbers(r, regimes),
        expected=numbers(m, st.floats(-1, 1)),
    )


@pytest.mark.parametrize("kind", COMBINERS)
@settings(max_examples=40, deadline=None)
@given(members=anything())
def test_of_any_combiner(kind: str, members: Members) -> None:
    combiner = ensembles.fit(kind, members)
    p_up, expected = combiner.combine(members)
    weights = combiner.weights(members)
    assert ((p_up > 0) & (p_up < 1)).all()
    assert np.isfinite(expected).all()
    assert weights.shape == members.p_up.shape
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1)

    again = ensembles.from_document(json.loads(json.dumps(combiner.to_document(), allow_nan=False)))
    assert again == combiner
    np.testing.assert_array_equal(again.combine(members), [p_up, expected])
    np.testing.assert_array_equal(again.weights(members), weights)

    alone = members.where(np.arange(len(members)) == len(members) - 1)
    np.testing.assert_array_equal(combiner.combine(alone), [p_up[-1:], expected[-1:]])


@pytest.mark.parametrize("kind", COMBINERS)
def test_rows_without_outcome_can_be_combined_but_not_learned_from(kind: str) -> None:
    members = planted(np.tile([0.9, 0.1], (50, 1)), regime=np.ones((50, 1)))
    never = np.full(len(members), np.datetime64("NaT", "us"))
    tonight = replace(members, value=np.full(len(members), np.nan), ts=never, matures_at=never)
    combiner = ensembles.fit(kind, members)
    np.testing.assert_array_equal(combiner.combine(tonight), combiner.combine(members))
    with pytest.raises(TrainingError, match="without outcome"):
        ensembles.fit(kind, tonight)


def test_other_members_than_those_of_the_fit_are_refused() -> None:
    members = planted(np.tile([0.9, 0.1], (50, 1)), regime=np.ones((50, 1)))
    others = members.only(("b", "a"))
    np.testing.assert_array_equal(others.p_up, members.p_up[:, ::-1])
    for kind in COMBINERS:
        combiner = ensembles.fit(kind, members)
        with pytest.raises(FrameError, match="'b', 'a'"):
            combiner.combine(others)
        with pytest.raises(FrameError, match="'b', 'a'"):
            combiner.weights(others)
    with pytest.raises(FrameError, match="2 regime features"):
        Meta.fit(members).combine(replace(members, regime=np.ones((len(members), 2))))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"p_up": np.full((4, 2), np.nan)}, "missing, infinite or no probabilities"),
        ({"p_up": np.full((4, 2), 1.1)}, "missing, infinite or no probabilities"),
        ({"expected": np.full((4, 2), np.inf)}, "missing, infinite or no probabilities"),
        ({"expected": np.zeros((4, 3))}, r"\(4, 3\)"),
        ({"regime": np.zeros((3, 1))}, "3 regimes"),
        ({"names": ("a",)}, "1 members"),
    ],
)
def test_broken_answers_are_refused(changes: dict[str, object], told: str) -> None:
    with pytest.raises(FrameError, match=told):
        panel([[0.6, 0.4]] * 4, [1, -1, 1, 1], [0, 0, 1, 1], **changes)


def test_unknown_kinds_and_broken_documents_are_refused() -> None:
    members = planted(np.tile([0.9, 0.1], (5, 1)))
    with pytest.raises(TrainingError, match="'magic'"):
        ensembles.fit("magic", members)
    written = Single.fit(members).to_document()
    for broken in ({**written, "kind": "magic"}, {**written, "format": 2}, {**written, "extra": 1}, {}, None):
        with pytest.raises(RegistryError):
            ensembles.from_document(broken)
