import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, logit

from ml.lifecycle.calibration import CALIBRATORS, Platt
from ml.lifecycle.choice import BLOCKS, choose
from ml.lifecycle.ensembles import COMBINERS, Members, Single
from ml.lifecycle.metrics import log_loss_rows
from tests.lifecycle.planted import DAY, planted

ALIKE = np.tile([0.5, 0.5], (300, 1))


def test_one_member_is_single_and_calibrated_only_where_that_helps() -> None:
    right = planted(np.ones((300, 1)), noise=0.0, market=0.0)
    choice = choose(right)
    assert (choice.members, choice.combiner, choice.calibrator) == (("a",), "single", "none")
    assert {row["combiner"] for row in choice.evidence} == {"single"}
    bold = replace(right, p_up=expit(3 * logit(right.p_up)))
    assert choose(bold).calibrator == "platt", "the simplest that repairs it"


def test_members_that_are_the_same_are_a_tie_and_the_simplest_wins() -> None:
    members = planted(np.ones((300, 1)), noise=0.0, market=0.0)
    twice = replace(members, names=("a", "b"), p_up=members.p_up[:, [0, 0]], expected=members.expected[:, [0, 0]])
    choice = choose(twice)
    assert (choice.members, choice.combiner, choice.calibrator) == (("a",), "single", "none")


def test_members_who_know_different_parts_are_combined() -> None:
    members = planted(ALIKE, noise=0.8, signal=1.0)
    choice = choose(members)
    assert choice.combiner != "single"
    assert choice.members == ("a", "b")


def test_members_who_are_right_in_their_own_regimes_are_weighed_by_it() -> None:
    regime = np.where(np.arange(400)[:, None] // 15 % 2 == 0, 1.0, -1.0)
    members = planted(np.where(regime > 0, [1.0, 0.0], [0.0, 1.0]), noise=0.6, signal=1.0, entities=15, regime=regime)
    choice = choose(members)
    assert choice.combiner == "meta"
    assert "log-loss" in choice.reason


def test_the_choice_is_the_simplest_within_a_standard_error_of_the_best() -> None:
    evidence = choose(planted(np.tile([0.6, 0.5, 0.2], (300, 1)))).evidence
    combiners = [kind for kind in COMBINERS if kind != "meta"]  # no regime feature, nothing to weigh by
    assert [(row["combiner"], row["calibrator"]) for row in evidence] == [
        (c, k) for c in combiners for k in CALIBRATORS
    ]
    assert min(row["worse_by"] for row in evidence) == 0
    best = min(row["log_loss"] for row in evidence)
    assert all(row["worse_by"] == pytest.approx(row["log_loss"] - best) for row in evidence)
    json.dumps(evidence, allow_nan=False)


@pytest.mark.parametrize("horizon", [1, 5])
def test_the_loss_is_that_of_fits_on_what_was_known_before_each_block(horizon: int) -> None:
    members = planted(np.tile([0.6, 0.2], (300, 1)), horizon=horizon)
    edges = range(300 // BLOCKS, 300, 300 // BLOCKS)
    losses = []
    for first in edges:
        known = members.where(members.date < first - horizon)  # the label of the date before that matures on the block
        asked = members.where((members.date >= first) & (members.date < first + 300 // BLOCKS))
        single = Single.fit(known)
        platt = Platt.fit(single.combine(known)[0], known.up, known.evidence)
        losses.append(asked.per_date(log_loss_rows(asked.up, platt.calibrate(single.combine(asked)[0]))))
    row = next(row for row in choose(members).evidence if (row["combiner"], row["calibrator"]) == ("single", "platt"))
    assert row["log_loss"] == pytest.approx(np.mean(np.concatenate(losses)), rel=1e-12)


def late(members: Members) -> Members:
    """Outcomes that nobody knows within the history."""
    return replace(members, matures_at=members.ts + 1000 * DAY)


@pytest.mark.parametrize(
    "members", [planted(ALIKE[:40]), late(planted(ALIKE))], ids=["few dates", "nothing known in time"]
)
def test_too_few_dates_to_tell_give_fixed_weights(members: Members) -> None:
    choice = choose(members)
    assert (choice.members, choice.combiner, choice.calibrator) == (("a", "b"), "weighted", "none")
    assert "too few" in choice.reason
    assert choice.evidence == []
    assert choose(members.only(("b",))).combiner == "single"
