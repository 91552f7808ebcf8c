"""The study of refreshes: its sides know what the folds let them know, and its verdicts are the gate's."""

from __future__ import annotations

import numpy as np
import pytest

from ml.domain import Score, Target
from ml.lifecycle.comparison import Contender, decide
from ml.lifecycle.looks import Look
from tests.study import refresh
from tests.study.gate_speed import frame
from tests.study.nights import SLOPE, Scores, came, scores
from tests.study.refresh import FOLD, WINDOW, Market, accepted, harms, simulated, waited
from tests.study.returns import Reals


def flat(level: float, dates: int = WINDOW + refresh.NIGHTS) -> Scores:
    return Scores(*np.full((3, dates), level))


def market(change: int, horizon: int = 1) -> Market:
    """Whoever goes by the new world scores 10, by the old one 1; the old side 0.5 less."""
    return Market(horizon, change, {False: flat(1.0), True: flat(10.0)}, {False: flat(0.5), True: flat(9.5)})


@pytest.mark.parametrize(
    ("change", "lag", "expected"),
    [
        (2 * WINDOW, 42, [0.5, 0.5, 0.5, 0.5]),  # still to come
        (WINDOW - FOLD - 2, 42, [0.5, 0.5, 0.5, 0.5]),  # no fold has trained on it
        (WINDOW - FOLD - 3, 42, [0.5, 0.5, 0.5, 9.5]),  # the last one, and not as old as the champion
        (WINDOW - FOLD - 45, 42, [0.5, 0.5, 0.5, 0.5]),  # as old as the champion, too
        (WINDOW - FOLD - 45, 300, [0.5, 0.5, 0.5, 9.5]),
    ],
)
def test_each_side_of_a_fold_knows_of_the_change_what_its_train_dates_do(
    change: int, lag: int, expected: list[float]
) -> None:
    ahead = market(change).ahead("log_loss", WINDOW, lag)
    assert ahead.tolist() == pytest.approx(np.repeat(expected, FOLD).tolist())


@pytest.mark.parametrize("score", ["log_loss", "rank_ic"])
@pytest.mark.parametrize(("share", "promotes"), [(0.9, False), (0.999, True)])
def test_the_verdict_is_the_gates_on_the_same_frames(score: Score, share: float, promotes: bool) -> None:
    rng = np.random.default_rng(3)
    value, one, other = rng.standard_normal((3, 120, 40))
    signal, near = 0.3 * value + one, share * (0.3 * value + one) + np.sqrt(1 - share**2) * other
    outcome = came(value)
    both = [getattr(scores(each.astype(np.float32), outcome), score).astype(np.float64) for each in (near, signal)]
    older, newer = (np.datetime64(f"2024-0{month}-01T21:00", "us") for month in (1, 2))
    contenders = Contender("a", frame(value, near), newer), Contender("a", frame(value, signal), older)
    decision = decide(Target("study", "1d", 1, score=score), *contenders, Look(1, 0.0))
    assert decision.door == "refresh"
    assert accepted(both[0] - both[1], 1, score) == (decision.verdict == "promote"), decision.reason
    assert (decision.verdict == "promote") == promotes
    assert SLOPE > 0


def test_who_waits_is_refreshed_by_the_first_fit_that_is_accepted_behind_the_change() -> None:
    jitter = np.tile([1e-6, -1e-6], WINDOW)

    def sides(lost: float) -> Market:
        fresh, stale = flat(1.0), Scores(*(np.full(2 * WINDOW, 1.0) + lost + jitter for _ in range(3)))
        return Market(5, WINDOW + 30, dict.fromkeys((False, True), fresh), dict.fromkeys((False, True), stale))

    assert waited(sides(0.0), "log_loss", 21) == 42 + 5 - 30, "the first try came before the change"
    assert waited(sides(1.0), "log_loss", 21) == refresh.NEVER


def test_what_is_planted_is_known_before_the_change_by_the_old_and_after_it_by_the_new() -> None:
    found = [simulated(1, seed, 60, 0.9, WINDOW + 252, 21) for seed in range(3)]

    def mean(pick: str, knows: bool, dates: slice) -> float:
        return float(np.mean([getattr(each, pick)[knows].rank_ic[dates].mean() for each in found]))

    before, after = slice(0, WINDOW), slice(WINDOW + 21, None)
    for side in ("fresh", "stale"):
        assert mean(side, False, before) == pytest.approx(0.034, abs=0.012)
        assert mean(side, True, after) == pytest.approx(0.034, abs=0.015)
        assert mean(side, True, before) == pytest.approx(0.0, abs=0.012)
        assert mean(side, False, after) == pytest.approx(0.0, abs=0.015)
    assert all(WINDOW <= each.change < WINDOW + 21 for each in found)


def test_harm_is_what_is_lost_everywhere_or_in_the_last_fold() -> None:
    found = harms(simulated(1, 0, 30, 0.9, WINDOW, 21), "rank_ic")
    everywhere, last = found["on all dates"], found["in the last fold alone"]
    assert everywhere.shape == last.shape == (WINDOW,)
    assert (everywhere[-FOLD:] == last[-FOLD:]).all()
    assert (everywhere[:-FOLD] != last[:-FOLD]).all()


def told(d: Reals) -> str:
    return refresh.share(int((d > 0).sum()), d.size)


def test_a_share_is_told_with_its_bounds() -> None:
    assert told(np.r_[np.ones(19), np.zeros(1)]) == "95.0% (78.4% to 99.7%)"
    assert told(np.ones(20)) == "100.0% (86.1% to 100.0%)"


def test_the_command_prints_its_tables(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refresh, "HORIZONS", (1,))
    monkeypatch.setattr(refresh, "OTHERS", (0.5,))
    assert refresh.main(["--markets", "2", "--symbols", "10", "--every", "63"]) == 1, "two markets prove nothing"
    printed = capsys.readouterr().out
    assert [printed.count(f"| {word} |") for word in ("log_loss", "rank_ic", "0.90", "0.50")] == [4, 4, 2, 2]
