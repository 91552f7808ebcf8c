import json

import numpy as np
import pandas as pd
import pytest

from ml.domain import Score, Target
from ml.errors import TrainingError
from ml.frames import OUT_OF_FOLD
from ml.lifecycle.comparison import BASELINE, Contender, Decision, alpha_per_look, decide, score_difference, skill_test

DAY = Target("toy", "1d", 1)
RANKS = Target("toy", "1d", 1, score="rank_ic")
MONTH = Target("toy", "20d", 20)
OLDER, NEWER = np.datetime64("2024-01-01T21:00", "us"), np.datetime64("2024-01-02T21:00", "us")


def panel(skill: float, n_dates: int = 300, seed: int = 0, noise: float = 0.02) -> pd.DataFrame:
    """20 entities; p_up moves by `skill` towards what happens, beside noise of its own."""
    ts = np.repeat(pd.date_range("2023-01-01", periods=n_dates, tz="UTC").as_unit("us"), 20)
    value = np.random.default_rng(99).standard_normal(ts.size)
    p_up = 0.5 + skill * np.sign(value) + np.random.default_rng(seed).uniform(-noise, noise, ts.size)
    entity = pd.array([f"E{i:02d}" for i in range(20)] * n_dates, dtype="str")
    frame = pd.DataFrame({"entity": entity, "ts": ts, "value": value, "p_up": p_up, "expected": 0.0})
    return OUT_OF_FOLD.check(OUT_OF_FOLD.cast(frame.assign(scale=1.0, baseline_p_up=0.5)))


def contender(digest: str, oof: pd.DataFrame, until: np.datetime64 = OLDER) -> Contender:
    return Contender(digest, oof, until)


def gate(candidate: Contender, champion: Contender | None, looks_taken: int = 0, target: Target = DAY) -> Decision:
    alpha = alpha_per_look(0.05, 252)
    return decide(target, candidate, champion, alpha_for_this_look=alpha, looks_taken=looks_taken)


def test_the_difference_is_a_mean_per_date_above_zero_for_the_better_by_hand() -> None:
    two = panel(0.0, n_dates=2).iloc[[0, 1, 20]].reset_index(drop=True)
    two["value"] = [1.0, -1.0, 1.0]
    better, worse = two.assign(p_up=[0.6, 0.5, 0.8]), two.assign(p_up=[0.5, 0.5, 0.4])
    d = score_difference(better, worse)
    assert d.tolist() == pytest.approx([np.log(0.6 / 0.5) / 2, np.log(0.8 / 0.4)])
    brier = score_difference(better, worse, "brier")
    assert brier.tolist() == pytest.approx([(0.25 - 0.16) / 2, 0.36 - 0.04])
    assert score_difference(better, BASELINE).tolist() == pytest.approx([np.log(0.6 / 0.5) / 2, np.log(0.8 / 0.5)])


@pytest.mark.parametrize("damage", ["row", "entity", "value"])
def test_rows_that_are_not_identical_are_refused(damage: str) -> None:
    a = panel(0.0)
    b = a.iloc[:-1].reset_index(drop=True) if damage == "row" else a.copy()
    if damage == "entity":
        b["entity"] = b["entity"].replace("E19", "X19")
    if damage == "value":
        b["value"] += 1e-9 * (b.index == 5)
    with pytest.raises(TrainingError, match="same outer folds"):
        score_difference(a, b)


def test_missing_probabilities_are_refused() -> None:
    broken = panel(0.01)
    broken.loc[3, "p_up"] = np.nan
    with pytest.raises(TrainingError, match="not finite"):
        gate(contender("a", broken), None)


@pytest.mark.parametrize(("skill", "proven"), [(0.02, True), (0.0, False)])
def test_a_first_champion_is_installed_and_the_truth_told_about_its_skill(skill: float, proven: bool) -> None:
    decision = gate(contender("a", panel(skill)), None)
    assert (decision.door, decision.verdict, decision.has_skill) == ("first", "promote", proven)
    assert ("not proven" in decision.reason) is not proven
    assert decision.alpha_spent == 0.0


def test_a_better_recipe_replaces() -> None:
    decision = gate(contender("b", panel(0.03, seed=1)), contender("a", panel(0.0)))
    assert (decision.door, decision.verdict, decision.has_skill) == ("replace", "promote", True)
    assert decision.alpha_spent == pytest.approx(0.05 / 252)
    test = decision.evidence["test"]
    assert test["statistic"] > test["critical"]
    assert test["n_dates"] == len(decision.evidence["series"]) == 300


def test_a_lucky_difference_that_would_pass_five_percent_does_not_pass_its_share_of_the_year() -> None:
    a, b = panel(0.0, noise=0.02), panel(0.0, noise=0.02, seed=1)
    d = score_difference(b, a)
    lucky = b.copy()
    # Shift b's probabilities so that the advantage is about 2.5 standard errors: p near 1 %.
    lucky["p_up"] += np.sign(b["value"]) * (2.5 * d.std() / np.sqrt(300) - d.mean()) / 2
    decision = gate(contender("b", lucky), contender("a", a))
    assert 0.0002 < decision.evidence["test"]["p_value"] < 0.05
    assert decision.verdict == "keep"
    assert (
        decide(DAY, contender("b", lucky), contender("a", a), alpha_for_this_look=0.05, looks_taken=0).verdict
        == "promote"
    )


def test_a_worse_recipe_or_a_twin_in_all_but_name_is_kept_out() -> None:
    good = panel(0.03)
    worse = gate(contender("b", panel(0.0, seed=1)), contender("a", good))
    assert (worse.verdict, worse.has_skill) == ("keep", False)
    twin = gate(contender("b", good), contender("a", good))
    assert (twin.door, twin.verdict) == ("replace", "keep")
    assert "same on every date" in twin.reason


def test_too_few_dates_keep_the_champion_however_good_the_candidate() -> None:
    decision = gate(contender("b", panel(0.2, n_dates=59)), contender("a", panel(0.0, n_dates=59, seed=1)))
    assert (decision.verdict, decision.has_skill) == ("keep", False)
    assert "too few" in decision.reason


def test_long_horizons_are_held_to_the_stricter_level() -> None:
    decision = gate(contender("b", panel(0.03, seed=1)), contender("a", panel(0.0)), target=MONTH)
    assert decision.evidence["test"]["level"] == pytest.approx(0.8 * 0.05 / 252)
    assert decision.evidence["skill"]["level"] == pytest.approx(0.04)


@pytest.mark.parametrize(("looks", "verdict"), [(251, "promote"), (252, "keep")])
def test_the_year_has_only_so_many_looks(looks: int, verdict: str) -> None:
    decision = gate(contender("b", panel(0.03, seed=1)), contender("a", panel(0.0)), looks_taken=looks)
    assert decision.verdict == verdict
    if verdict == "keep":
        assert "alpha budget spent" in decision.reason
        assert decision.alpha_spent == 0.0


def test_the_looks_of_a_year_and_their_candidates_share_one_budget() -> None:
    assert alpha_per_look(0.05, 252) * 252 == pytest.approx(0.05)
    assert alpha_per_look(0.05, 252, candidates=3) * 252 * 3 == pytest.approx(0.05)


def test_the_champions_recipe_on_newer_rows_refreshes_without_spending_alpha() -> None:
    oof = panel(0.0)
    decision = gate(contender("a", oof, NEWER), contender("a", oof, OLDER), looks_taken=252)
    assert (decision.door, decision.verdict, decision.alpha_spent) == ("refresh", "promote", 0.0)
    assert "without a test" in decision.reason


def test_the_same_recipe_without_newer_rows_changes_nothing() -> None:
    oof = panel(0.03)
    decision = gate(contender("a", oof, OLDER), contender("a", oof, OLDER))
    assert (decision.door, decision.verdict) == ("refresh", "keep")
    assert "no newer rows" in decision.reason


@pytest.mark.parametrize(("loss", "verdict"), [(0.0, "promote"), (0.01, "keep")])
def test_a_refresh_that_scores_differently_must_be_proven_not_inferior(loss: float, verdict: str) -> None:
    # A forecast moved by `loss` away from the truth costs about 2 x loss nats near even odds.
    champion = panel(0.02, noise=0.0)
    jitter = np.random.default_rng(4).uniform(-1e-4, 1e-4, len(champion))
    refreshed = champion.assign(p_up=champion["p_up"] + jitter - loss * np.sign(champion["value"]))
    decision = gate(contender("a", refreshed, NEWER), contender("a", champion, OLDER))
    assert (decision.door, decision.verdict) == ("refresh", verdict), decision.reason


def test_the_evidence_survives_json() -> None:
    decision = gate(contender("b", panel(0.03, seed=1)), contender("a", panel(0.0)))
    evidence = json.loads(json.dumps(decision.evidence, allow_nan=False))
    assert evidence == decision.evidence
    assert evidence["series"][0][0] == "2023-01-01T00:00:00+00:00"
    assert evidence["candidate"]["scores"]["log_loss"] < evidence["champion"]["scores"]["log_loss"]


def test_skill_is_measured_against_the_baseline_of_the_same_rows() -> None:
    assert skill_test(panel(0.02), DAY).p_value < 1e-6
    assert skill_test(panel(-0.02), DAY).p_value > 0.99


def ranked(skill: float, n_dates: int = 300, seed: int = 0) -> pd.DataFrame:
    """The panel without any skill in p_up, and with `skill` in expected: its share of the outcome beside noise."""
    frame = panel(0.0, n_dates)
    noise = np.random.default_rng(seed).standard_normal(len(frame))
    return frame.assign(expected=skill * frame["value"] + noise)


def small(*dates: list[tuple[float, float, float]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two OUT_OF_FOLD frames from rows of (value, one's expected, the other's), a list for each date."""
    rows = [(f"E{i}", day, *row) for day, date in enumerate(dates) for i, row in enumerate(date)]
    frame = pd.DataFrame(rows, columns=["entity", "day", "value", "one", "other"])
    ts = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(frame["day"], unit="D")
    whole = frame.assign(ts=ts, p_up=0.5, scale=1.0, baseline_p_up=0.5)
    one, other = (OUT_OF_FOLD.cast(whole.assign(expected=whole[name])) for name in ("one", "other"))
    return one, other


def test_the_difference_in_rank_correlation_by_hand() -> None:
    one, other = small(
        [(1.0, 10.0, 3.0), (2.0, 20.0, 1.0), (3.0, 30.0, 2.0)],  # 1 and -0.5
        [(1.0, 1.0, 2.0), (2.0, 2.0, 1.0)],  # two rows: left out
        [(0.5, 1.0, 3.0), (0.5, 2.0, 2.0), (0.5, 3.0, 1.0)],  # nothing to rank: left out
        [(1.0, 7.0, 1.0), (2.0, 7.0, 2.0), (3.0, 7.0, 3.0)],  # 0, the same for all, and 1
    )
    d = score_difference(one, other, "rank_ic")
    assert d.tolist() == pytest.approx([1.5, -1.0])
    assert pd.DatetimeIndex(d.index).day.tolist() == [1, 4]
    assert score_difference(other, one, "rank_ic").tolist() == pytest.approx([-1.5, 1.0])
    assert score_difference(one, BASELINE, "rank_ic").tolist() == pytest.approx([1.0, 0.0])
    assert score_difference(other, BASELINE, "rank_ic").tolist() == pytest.approx([-0.5, 1.0])


def test_missing_expectations_are_refused_and_not_taken_for_a_constant() -> None:
    broken = ranked(0.1)
    broken.loc[3, "expected"] = np.nan
    with pytest.raises(TrainingError, match="not finite"):
        gate(contender("a", broken), None, target=RANKS)


@pytest.mark.parametrize(("skill", "proven"), [(0.1, True), (0.0, False), (-0.1, False)])
def test_skill_in_ranks_is_a_correlation_above_that_of_a_constant(skill: float, proven: bool) -> None:
    assert gate(contender("a", ranked(skill)), None, target=RANKS).has_skill is proven


def test_the_score_that_the_target_declares_decides() -> None:
    """One is better at probabilities, the other at ranks."""
    probable = panel(0.03, seed=1).assign(expected=ranked(0.0, seed=2)["expected"])
    orderly = panel(0.0, seed=3).assign(expected=ranked(0.3)["expected"])

    def verdicts(score: Score) -> tuple[str, str]:
        target = Target("toy", "1d", 1, score=score)
        one, other = contender("p", probable), contender("o", orderly)
        return gate(one, other, target=target).verdict, gate(other, one, target=target).verdict

    assert verdicts("log_loss") == verdicts("brier") == ("promote", "keep")
    assert verdicts("rank_ic") == ("keep", "promote")


def test_a_decision_says_what_it_was_judged_by() -> None:
    target = Target("toy", "20d", 20, label="barrier", score="rank_ic")
    decision = gate(contender("b", ranked(0.3)), contender("a", ranked(0.0, seed=1)), target=target)
    assert "rank correlation" in decision.reason
    assert decision.evidence["target"] == {
        "domain": "toy", "name": "20d", "horizon": 20, "label": "barrier", "score": "rank_ic"
    }  # fmt: skip
    assert decision.evidence["skill"]["mean"] == pytest.approx(decision.evidence["candidate"]["scores"]["rank_ic"])


@pytest.mark.parametrize(("lost", "verdict"), [(0.001, "promote"), (0.02, "keep")])
def test_a_refresh_may_lose_less_than_its_margin_of_rank_correlation(lost: float, verdict: str) -> None:
    champion = ranked(0.3, n_dates=600)
    # A forecast that is a share of the outcome and else noise has about that correlation with it.
    noise = np.random.default_rng(8).standard_normal(len(champion))
    refreshed = champion.assign(expected=champion["expected"] - lost * champion["value"] + 0.002 * noise)
    decision = gate(contender("a", refreshed, NEWER), contender("a", champion, OLDER), target=RANKS)
    assert (decision.door, decision.verdict) == ("refresh", verdict), decision.reason
    assert decision.evidence["margin"] == 0.003


def test_a_refresh_on_dates_of_which_none_can_be_ranked_proves_nothing() -> None:
    whole = panel(0.0)
    pairs = whole[whole["entity"] < "E02"].reset_index(drop=True)
    decision = gate(contender("a", pairs, NEWER), contender("a", pairs, OLDER), target=RANKS)
    assert (decision.door, decision.verdict, decision.has_skill) == ("refresh", "keep", False)
    assert "0 dates are too few" in decision.reason
