import numpy as np
import pytest

from tests.study import runs
from tests.study.datasets import simulate
from tests.study.returns import Plant
from tests.study.runs import Found, Scores, Size

TINY = Size(20, 400, outer=(2, 60), inner=(1, 60), trials=1, search_rows=20_000, fit_rows=20_000)
STRONG = Plant(0.3, 1)


def scored(ic: float, score: float) -> Scores:
    """A hundred dates about two means, with a little of their own."""
    own = 0.001 * np.random.default_rng(1).standard_normal(100)
    return Scores(ic + own, score - own, ic)


def test_a_mean_is_told_with_the_error_over_seeds() -> None:
    # Two numbers at 0.01 to either side of their mean.
    assert runs.told([0.05, 0.07]) == "0.0600 ± 0.0100"
    assert runs.told([0.5, 0.7], 0, 100) == "60 ± 10"
    assert runs.told([0.05]) == "0.0500 ± 0.0000"


def test_a_contest_is_held_with_everybody_on_the_same_rows_and_the_signal_beside_them() -> None:
    planted = simulate(STRONG, 1, TINY.symbols, TINY.dates)
    held = runs.held(planted, STRONG, ("linear",), TINY, 1)
    assert [each.name for each in held.entrants] == ["climatology", "linear", "chosen"]
    flat, linear = (runs.scores(planted, each.oof) for each in held.entrants[:2])
    assert flat.ic.shape == linear.score.shape == (120,)
    assert flat.follows == 0
    assert (flat.ic == 0).all()
    assert linear.follows > 0.8
    assert 0.2 < linear.ic.mean() < 0.4
    oracle = held.entrants[0].oof.assign(expected=runs.signal_on(planted, held.entrants[0].oof))
    assert runs.scores(planted, oracle).follows == pytest.approx(1)


def test_an_estimator_that_fails_ends_the_study() -> None:
    planted = simulate(STRONG, 1, TINY.symbols, TINY.dates)
    with pytest.raises(RuntimeError, match=r"nobody.*expected all to learn"):
        runs.held(planted, STRONG, ("linear", "nobody"), TINY, 1)


def test_a_duel_is_fought_by_date_over_all_markets() -> None:
    found: list[Found] = [
        {"one": scored(0.1, -0.690), "other": Scores(np.zeros(100), np.full(100, -0.693), 0.0)},
        {"one": scored(0.3, -0.692), "other": Scores(np.zeros(100), np.full(100, -0.693), 0.0)},
    ]
    by_ic, by_loss = runs.duel(found, "one", "other", 1)
    assert by_ic.mean == pytest.approx(0.2, abs=1e-3)
    assert by_loss.mean == pytest.approx(0.002, abs=1e-3)
    assert by_ic.p_value < 0.001
    back, _ = runs.duel(found, "other", "one", 1)
    assert back.mean == pytest.approx(-by_ic.mean)
    assert back.p_value == pytest.approx(1 - by_ic.p_value)
    table = runs.duels_table({("one", "other"): (by_ic, by_loss)}).splitlines()
    assert table[2].startswith(f"| one | other | +{by_ic.mean:.4f} ± ")


def test_scores_are_told_by_entrant() -> None:
    flat = {"one": Scores(np.full(60, 0.2), np.full(60, -0.69), 0.5)}
    assert runs.scores_table([flat, flat]).splitlines() == [
        "| seeds 0 to 1 | IC | log-loss, nats | correlation with the signal |",
        "| --- | --- | --- | --- |",
        "| one | 0.2000 ± 0.0000 | 0.69000 ± 0.00000 | 0.50 ± 0.00 |",
    ]
