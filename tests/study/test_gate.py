import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm, ttest_1samp

from ml.domain import Score, Target
from ml.lifecycle.comparison import Contender, Rules, decide, score_difference
from ml.lifecycle.looks import SHARES, Budget, Look, look
from ml.lifecycle.significance import ewc_test, nominal_level
from ml.lifecycle.vetoes import Limits
from ml.settings import Settings
from tests.study import gate, gate_speed, power, runs, verdicts
from tests.study.gate_speed import frame, seconds
from tests.study.nights import Year, best_of, came, scores, simulated
from tests.study.returns import Reals

TINY = Year(symbols=10, nights=8, window=80, inner=30, trials=5)
ALPHA = look(Budget(), 1).alpha
CERTAIN = Rules(limits=Limits(calibration_margin=1.0))


def series(nights: int = 60, dates: int = 130, shift: float = 0.0) -> Reals:
    """Nights of dependent differences, some with a mean of their own."""
    shocks = np.random.default_rng(3).standard_normal((nights, dates + 4))
    overlapping = np.lib.stride_tricks.sliding_window_view(shocks, 5, axis=1).mean(axis=2)
    return np.asarray(overlapping + shift * np.arange(nights)[:, None])


@pytest.mark.parametrize("horizon", [1, 5, 20])
@pytest.mark.parametrize("alpha", [0.05, ALPHA])
def test_all_nights_at_once_get_the_verdicts_of_the_gates_own_test(horizon: int, alpha: float) -> None:
    d = series(shift=0.01)
    tests = [ewc_test(each, horizon) for each in d]
    statistics = verdicts.cosine_statistics(d, tests[0].dof)
    assert statistics == pytest.approx([test.statistic for test in tests], rel=1e-9)
    superior = [test.p_value <= nominal_level(alpha, horizon) for test in tests]
    assert verdicts.gate(d, horizon, alpha).tolist() == superior
    assert 0 < sum(superior) < len(superior)


@pytest.mark.parametrize("score", ["log_loss", "rank_ic"])
def test_scores_and_verdicts_are_those_of_the_gate_on_the_same_frames(score: Score) -> None:
    rng = np.random.default_rng(5)
    value, noise = rng.standard_normal((2, 90, 12))
    signal = (noise + 0.3 * value).astype(np.float32)
    other = rng.standard_normal((90, 12)).astype(np.float32)
    outcome = came(value)
    d = np.asarray(getattr(scores(signal, outcome), score) - getattr(scores(other, outcome), score), dtype=np.float64)
    one, two = frame(value, signal.astype(np.float64)), frame(value, other.astype(np.float64))
    assert d == pytest.approx(np.asarray(score_difference(one, two, score)), abs=1e-6)
    until = np.datetime64("2024-01-01T21:00", "us")
    for alpha in (ALPHA, 0.05):
        target = Target("study", "5d", 5, score=score)
        contenders = Contender("one", one, until), Contender("two", two, until)
        decision = decide(target, *contenders, Look(1, alpha), CERTAIN)
        assert decision.door == "replace"
        superior = decision.reason.startswith("superior: ")
        assert verdicts.gate(d[None], 5, alpha)[0] == superior, json.dumps(decision.reason)


def test_a_champion_that_says_the_same_of_all_is_scored_as_the_gate_does() -> None:
    value, signal = np.random.default_rng(5).standard_normal((2, 70, 12))
    ours, silent = scores(signal.astype(np.float32), came(value)), frame(value, 0 * signal)
    for score in ("log_loss", "rank_ic"):
        d = getattr(ours, score) - getattr(power.SILENT, score)
        assert d == pytest.approx(np.asarray(score_difference(frame(value, signal), silent, score)), abs=1e-6)


def test_accuracy_is_the_share_of_directions_that_were_right() -> None:
    # of three symbols two are right, then none
    signal = np.array([[1.0, -1.0, 2.0], [1.0, 2.0, -1.0]], dtype=np.float32)
    right = scores(signal, came(np.array([[0.1, -0.2, -0.3], [-0.1, -0.2, 0.3]]))).accuracy
    assert np.asarray(right) == pytest.approx([2 / 3, 0])


def test_the_point_comparison_and_two_points_of_accuracy() -> None:
    assert verdicts.higher_mean(np.array([[1.0, -0.9], [1.0, -1.1]])).tolist() == [True, False]
    assert verdicts.two_points(np.array([[0.05, -0.005], [0.05, -0.02]])).tolist() == [True, False]


def test_the_t_test_by_date_is_that_of_scipy() -> None:
    d = series(shift=0.002)
    expected = ttest_1samp(d, 0.0, axis=1, alternative="greater").pvalue < 0.05
    assert verdicts.per_date_t(d).tolist() == expected.tolist()
    assert 0 < expected.sum() < len(d)


@pytest.mark.parametrize(("dates", "horizon", "expected"), [(504, 1, 5), (504, 5, 5), (504, 20, 19), (100, 1, 4)])
def test_the_lags_of_newey_and_west(dates: int, horizon: int, expected: int) -> None:
    assert verdicts.lags(dates, horizon) == expected


@pytest.mark.parametrize("horizon", [1, 9])
def test_diebold_and_mariano_by_a_loop(horizon: int) -> None:
    d = series(nights=40, dates=60, shift=0.006)
    lags = verdicts.lags(60, horizon)
    expected = []
    for each in d.tolist():
        mean = sum(each) / 60
        about = [x - mean for x in each]
        variance = 0.0
        for i in range(60):
            for j in range(60):
                variance += max(0.0, 1 - abs(i - j) / (lags + 1)) * about[i] * about[j] / 60
        expected.append(norm.sf(mean / math.sqrt(variance / 60)) < 0.05)
    assert verdicts.diebold_mariano(d, horizon).tolist() == expected
    assert 0 < sum(expected) < len(expected)


def test_mcnemar_by_counting_rows() -> None:
    rng = np.random.default_rng(2)
    one, other = rng.random((2, 50, 30, 10)) < np.array([0.55, 0.5])[:, None, None, None]
    right, apart = (1.0 * one - 1.0 * other).mean(axis=2), (one != other).mean(axis=2)
    expected = []
    for mine, theirs in zip(one, other, strict=True):
        b, c = int((mine & ~theirs).sum()), int((~mine & theirs).sum())
        expected.append(norm.sf((b - c) / math.sqrt(b + c)) < 0.05)
    assert verdicts.mcnemar(right, apart, 10).tolist() == expected
    assert 0 < sum(expected) < len(expected)


def test_the_best_of_the_trials_is_drawn_as_if_all_had_been_simulated() -> None:
    size = Year(symbols=3, inner=12, trials=4, memory=0.8)
    rng = np.random.default_rng(8)
    direction = np.where(rng.random((12, 3)) < 0.5, 1, -1).astype(np.float32)
    count = 40_000
    drawn = best_of(rng, direction, np.zeros(count, dtype=np.int64), size)
    walked = rng.standard_normal((count, size.trials, 3))
    sums = np.sum(direction[0] * walked, axis=2)
    for today in direction[1:]:
        walked = 0.8 * walked + 0.6 * rng.standard_normal(walked.shape)
        sums += np.sum(today * walked, axis=2)
    best = walked[np.arange(count), sums.argmax(axis=1)]
    # Errors of the means of 40,000 draws are 0.005, those of the covariances 0.007.
    assert drawn.mean(axis=0) == pytest.approx(best.mean(axis=0), abs=0.03)
    assert np.abs(best.mean(axis=0)).max() > 0.2
    assert np.cov(drawn.T) == pytest.approx(np.cov(best.T), abs=0.04)


def test_a_year_without_skill_is_decided_by_its_seed_and_has_none() -> None:
    year, again = simulated(TINY, 1, (1, 5)), simulated(TINY, 1, (1, 5))
    assert list(year) == [1, 5]
    for h in year:
        assert year[h].ahead.log_loss.shape == year[h].apart.shape == (8, 80)
        assert np.array_equal(year[h].ahead.rank_ic, again[h].ahead.rank_ic)
    larger = simulated(Year(symbols=40, nights=40, window=80, inner=30), 2, (1,))[1]
    assert np.mean(larger.ahead.rank_ic) == pytest.approx(0, abs=0.03)
    # Two signals that know nothing of each other agree on half of the symbols.
    assert np.mean(larger.apart) == pytest.approx(0.5, abs=0.03)
    assert np.std(larger.ahead.rank_ic) == pytest.approx(math.sqrt(2 / 39), rel=0.1)


def test_the_champion_is_the_same_all_year_and_the_window_moves_by_one_date() -> None:
    ahead = simulated(TINY, 4, (1,))[1].ahead.log_loss
    champion_moves = [np.corrcoef(ahead[i, 1:], ahead[i + 1, :-1])[0, 1] for i in range(7)]
    # Half of a difference is the champion's, which two nights share on the same date, and not a date apart.
    assert np.mean(champion_moves) == pytest.approx(0.5, abs=0.2)
    assert np.mean([np.corrcoef(ahead[i], ahead[i + 1])[0, 1] for i in range(7)]) < 0.25


def test_candidates_of_looks_go_on_to_the_last_look_of_the_year() -> None:
    year = simulated(TINY, 3, (1,))[1]
    assert (TINY.apart, TINY.before) == (2, 6)
    assert TINY.followed.tolist() == [0, 1, 2, 3, 5, 7, 9]
    # Those of the nights with a look are the nightly ones, which go on.
    assert np.array_equal(year.followed.log_loss[3:, :80], year.ahead.log_loss[::2])
    known = np.isfinite(year.followed.log_loss).sum(axis=1)
    assert known.tolist() == [86, 86, 86, 86, 85, 83, 81]
    for now in range(4):
        for number in range(1, 5):
            candidate = len(SHARES) + now - number
            assert known[candidate] >= 80 + 2 * (number - 1), "each look finds what it needs"


def test_a_look_promotes_whoever_has_the_evidence_at_its_own_level() -> None:
    size = Year(nights=252, window=100)
    still = np.random.default_rng(4).standard_normal((7, 289)) * 0.01
    assert verdicts.looks(still, size, 1, Budget()).tolist() == [False] * 4
    for candidate, found in [(0, [True, False, False, False]), (3, [True] * 4), (6, [False, False, False, True])]:
        d = still.copy()
        d[candidate] += 0.1
        assert verdicts.looks(d, size, 1, Budget()).tolist() == found


def test_planted_skill_has_the_asked_size_and_is_found() -> None:
    duel = power.fought(1, 0, dates=330, symbols=200, ic=0.1)
    assert duel.rank_ic["silent"].shape == (330,)
    assert duel.rank_ic["silent"].mean() == pytest.approx(0.1, abs=0.02)
    assert power.looks(duel.rank_ic["noise"], 252, 26, 1, Budget()).all()
    without = power.fought(1, 0, dates=330, symbols=200, ic=0.0)
    assert not power.looks(without.rank_ic["silent"], 252, 26, 1, Budget()).any()


def test_more_false_years_than_the_budget_allows_fail_at_the_gate_alone() -> None:
    kept = {(name, 1): (38, 0.001) for name in gate.GATE.values()}
    assert not gate.too_many({**kept, ("lower mean log-loss", 1): (1000, 0.5)}, 1000)
    assert gate.too_many({**kept, (gate.GATE["rank_ic"], 20): (41, 0.001)}, 1000)
    assert runs.upper_bound(0, 200) == pytest.approx(1 - 0.05 ** (1 / 200))
    assert gate.noise_table({("somebody", h): (10, 0.5) for h in gate.HORIZONS}, 100).splitlines()[2] == runs.row(
        "somebody", *["10.0% (≤ 16.4%)", "50.00%"] * 3
    )


def test_history_says_how_many_dates_find_most() -> None:
    told = gate.history_table({(1, "rank_ic", "silent"): {252: 0.7, 504: 0.8}, (20, "rank_ic", "noise"): {252: 0.1}})
    assert told.splitlines()[2:] == [
        "| 1d | rank_ic | silent | 70% | 80% | 504 |",
        "| 20d | rank_ic | noise | 10% |  | more than 252 |",
    ]


def test_the_study_is_of_the_gate_as_it_is_set() -> None:
    defaults = Settings.model_fields
    assert (defaults["alpha_per_year"].default, defaults["looks_per_year"].default) == (gate.BUDGET, Year().looks)
    assert Budget() == Budget(gate.BUDGET, Year().looks)


def test_a_look_is_timed() -> None:
    assert 0 < seconds("log_loss", symbols=5, dates=60, tries=1) < 5


def test_the_study_prints_its_tables_and_draws_its_picture(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "POWERED", (gate.Powered(1, 252, 504),))
    monkeypatch.setattr(gate_speed, "SYMBOLS", 5)
    picture = tmp_path / "gate.png"
    # One year cannot prove a rate of 5 %.
    assert gate.main(["--years", "1", "--markets", "1", "--picture", str(picture)]) == 1
    tables = capsys.readouterr().out.split("\n\n")
    assert [len(table.splitlines()) - 2 for table in tables] == [8, 4, 4, 3]
    assert picture.read_bytes().startswith(b"\x89PNG")
