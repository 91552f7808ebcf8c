import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ml.domain import Score, Target
from ml.errors import TrainingError
from ml.frames import OUT_OF_FOLD
from ml.lifecycle.comparison import (
    BASELINE,
    Contender,
    Decision,
    Rules,
    decide,
    decide_again,
    kept_out,
    only_the_best,
    score_difference,
    skill_test,
)
from ml.lifecycle.looks import Look
from ml.lifecycle.vetoes import Facts, Limits

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


STRICT = Look(1, 0.05 / 252)
CERTAIN = Rules(limits=Limits(calibration_margin=1.0))
"""The panel's outcomes are certain, once its signal is known: whatever is said near even odds is too timid."""


def gate(
    candidate: Contender,
    champion: Contender | None,
    target: Target = DAY,
    look: Look = STRICT,
    rules: Rules = CERTAIN,
) -> Decision:
    return decide(target, candidate, champion, look, rules)


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
    assert gate(contender("b", lucky), contender("a", a), look=Look(1, 0.05)).verdict == "promote"


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


def test_a_candidate_that_is_not_looked_at_spends_nothing_and_shows_its_skill() -> None:
    decision = kept_out(DAY, contender("b", panel(0.03)), "not tonight")
    assert (decision.door, decision.verdict, decision.reason) == ("replace", "keep", "not tonight")
    assert (decision.alpha_spent, decision.look, decision.has_skill) == (0.0, 0, True)
    assert "series" not in decision.evidence


def test_later_dates_join_the_outer_ones_and_older_than_those_are_left_out() -> None:
    first = gate(contender("b", panel(0.0, seed=1)), contender("a", panel(0.0)))
    assert (first.verdict, first.look) == ("keep", 1)
    dates = pd.date_range("2023-10-26", periods=70, tz="UTC").as_unit("us")  # the last outer date is the 27th
    since = pd.Series(np.random.default_rng(5).normal(0.02, 0.01, dates.size), index=dates)
    again = decide_again(DAY, first.evidence, True, since, Look(2, 0.05))
    assert again.evidence["series"] == first.evidence["series"] + [
        [ts.isoformat(), d] for ts, d in zip(dates[2:], since[2:], strict=True)
    ]
    assert again.evidence["dates_since"] == 68
    assert again.evidence["test"]["n_dates"] == 368
    assert (again.verdict, again.look, again.alpha_spent, again.has_skill) == ("promote", 2, 0.05, True)
    assert "68 of the dates" in again.reason
    assert decide_again(DAY, first.evidence, True, -since, Look(2, 0.05)).verdict == "keep"


def test_of_several_that_are_superior_the_surest_alone_is_promoted() -> None:
    champion = contender("a", panel(0.0))
    sure, less, no = (gate(contender("b", panel(skill, seed=1)), champion) for skill in (0.03, 0.01, 0.0))
    assert [d.verdict for d in (sure, less, no)] == ["promote", "promote", "keep"]
    chosen = only_the_best([less, no, sure])
    assert [d.verdict for d in chosen] == ["keep", "keep", "promote"]
    assert "another candidate of this look is more so" in chosen[0].reason
    assert chosen[0].evidence == less.evidence
    assert only_the_best([no, sure]) == [no, sure]


def test_a_veto_keeps_a_superior_candidate_out_and_says_so() -> None:
    better, champion = contender("b", panel(0.03, seed=1)), contender("a", panel(0.0))
    heavy = Contender("b", better.oof, better.trained_until, Facts(size_bytes=2e9))
    decision = gate(heavy, champion)
    assert (decision.verdict, decision.evidence["vetoed"]) == ("keep", True)
    assert decision.reason.startswith("superior: ")
    assert decision.reason.endswith("veto of size in MB: 2e+03, at most 1e+03")
    assert gate(better, champion).evidence["vetoed"] is False
    assert [veto["name"] for veto in gate(better, champion).evidence["vetoes"]] == [
        "calibration error", "net return of deciles", "deflated Sharpe ratio", "backtest overfitting", "size in MB",
        "seconds for a night",
    ]  # fmt: skip


def test_less_than_the_asked_improvement_is_not_enough_at_any_look() -> None:
    better, champion = contender("b", panel(0.03, seed=1)), contender("a", panel(0.0))
    found = gate(better, champion).evidence["test"]["mean"]
    asked = replace(CERTAIN, min_improvement=found + 1e-6)
    decision = gate(better, champion, rules=asked)
    assert (decision.verdict, decision.evidence["vetoed"]) == ("keep", False)
    assert "less than the improvement of" in decision.reason
    none = score_difference(better.oof, champion.oof).iloc[:0]
    assert decide_again(DAY, decision.evidence, True, none, Look(2, 0.05), asked).verdict == "keep"
    assert decide_again(DAY, decision.evidence, True, none, Look(2, 0.05)).verdict == "promote"
    assert gate(better, champion, rules=replace(CERTAIN, min_improvement=found - 1e-6)).verdict == "promote"


def test_the_champions_recipe_on_newer_rows_refreshes_without_spending_alpha() -> None:
    oof = panel(0.0)
    decision = gate(contender("a", oof, NEWER), contender("a", oof, OLDER))
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
    """One is better at probabilities, the other at ranks; what else speaks against either is another question."""
    probable = panel(0.03, seed=1).assign(expected=ranked(0.0, seed=2)["expected"])
    orderly = panel(0.0, seed=3).assign(expected=ranked(0.1)["expected"])

    def superior(score: Score) -> tuple[bool, bool]:
        target = Target("toy", "1d", 1, score=score)
        one, other = contender("p", probable), contender("o", orderly)
        said = gate(one, other, target=target), gate(other, one, target=target)
        return said[0].reason.startswith("superior: "), said[1].reason.startswith("superior: ")

    assert superior("log_loss") == superior("brier") == (True, False)
    assert superior("rank_ic") == (False, True)


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


@pytest.mark.parametrize(
    ("loss", "in_time", "overdue"), [(0.0, "promote", "promote"), (1e-5, "keep", "promote"), (0.01, "keep", "keep")]
)
def test_beside_a_champion_that_is_overdue_a_newer_fit_need_only_not_be_proven_worse(
    loss: float, in_time: str, overdue: str
) -> None:
    champion = panel(0.02, noise=0.0)
    jitter = np.random.default_rng(5).uniform(-0.01, 0.01, len(champion)) if loss else 0.0
    refreshed = champion.assign(p_up=champion["p_up"] + jitter - loss * np.sign(champion["value"]))
    contenders = contender("a", refreshed, NEWER), contender("a", champion, OLDER)
    assert gate(*contenders).verdict == in_time
    decision = gate(*contenders, rules=replace(CERTAIN, is_overdue=True))
    assert (decision.door, decision.verdict) == ("refresh", overdue), decision.reason
    assert ("the champion is overdue" in decision.reason) is (loss > 0)


def test_too_few_dates_refresh_not_even_an_overdue_champion() -> None:
    champion = panel(0.02, n_dates=59)
    newer = champion.assign(p_up=champion["p_up"] + 0.001)
    decision = gate(
        contender("a", newer, NEWER), contender("a", champion, OLDER), rules=replace(CERTAIN, is_overdue=True)
    )
    assert decision.verdict == "keep"
    assert "59 dates are too few" in decision.reason


def test_a_refresh_on_dates_of_which_none_can_be_ranked_proves_nothing() -> None:
    whole = panel(0.0)
    pairs = whole[whole["entity"] < "E02"].reset_index(drop=True)
    decision = gate(contender("a", pairs, NEWER), contender("a", pairs, OLDER), target=RANKS)
    assert (decision.door, decision.verdict, decision.has_skill) == ("refresh", "keep", False)
    assert "0 dates are too few" in decision.reason
