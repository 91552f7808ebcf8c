"""What keeps a candidate out although it scores better: probabilities that cannot be believed, gains that costs or luck
explain, and a model too large or too slow for a night."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ml.domain import Target
from ml.estimators.interface import Vector
from ml.lifecycle.metrics import (
    decile_weights,
    expected_calibration_error,
    net_of_costs,
    portfolio_returns,
    portfolio_turnover,
)
from ml.lifecycle.overfitting import deflated_sharpe_ratio
from ml.lifecycle.significance import ewc_test, nominal_level

DEFLATED_ENOUGH = 0.95
MOST_OVERFITTING = 0.75
"""Half is what options give that do not differ; three quarters say that what did well is to be avoided."""
WORSE_ALPHA = 0.05


@dataclass(frozen=True)
class Limits:
    """What is asked of a candidate besides evidence.

    calibration_margin: how much larger than the champion's its calibration error may be; 0.02 is about its
    standard error over two years of real bars at 20 sessions, and more than that at one and five (docs/evaluation.md).
    """

    calibration_margin: float = 0.02
    cost_bps: float = 5.0
    most_bytes: float = 1e9
    most_seconds: float = 60.0


@dataclass(frozen=True)
class Facts:
    """What is known of a model besides its forecasts; None: nobody told.

    size_bytes, load_seconds, night_seconds: of its files, of loading them, of forecasting all entities once.
    overfitting: `overfitting.backtest_overfitting` of the options that it was chosen from.
    """

    size_bytes: float | None = None
    load_seconds: float | None = None
    night_seconds: float | None = None
    overfitting: float | None = None


@dataclass(frozen=True)
class Veto:
    """One question to a candidate. found, allowed: in words; `vetoed` says whether it stands in the way."""

    name: str
    found: str
    allowed: str
    vetoed: bool


def vetoes(
    target: Target,
    candidate: pd.DataFrame,
    champion: pd.DataFrame,
    facts: Facts,
    trials: int,
    limits: Limits,
) -> list[Veto]:
    """All questions to a candidate with their answers.

    candidate, champion: OUT_OF_FOLD frames of identical rows. trials: all that were ever made for this target.
    """
    ours, theirs = (_net_returns(oof, target, limits.cost_bps) for oof in (candidate, champion))
    return [
        _calibration(candidate, champion, limits),
        _net_of_costs(ours, theirs, target),
        _deflated(ours, theirs, target, trials),
        _overfitting(facts),
        _at_most("size in MB", facts.size_bytes, limits.most_bytes, 1e-6),
        _at_most("seconds for a night", _seconds(facts), limits.most_seconds),
    ]


def _net_returns(oof: pd.DataFrame, target: Target, cost_bps: float) -> Vector:
    """(T,) by date, of the tenth expected highest minus the lowest tenth, after costs."""
    ts = oof["ts"]
    weights = decile_weights(oof["expected"].to_numpy(), ts)
    gross = portfolio_returns(oof["value"].to_numpy(), weights, ts)
    return np.asarray(net_of_costs(gross, portfolio_turnover(oof["entity"], weights, ts, target.horizon), cost_bps))


def _calibration(candidate: pd.DataFrame, champion: pd.DataFrame, limits: Limits) -> Veto:
    ours, theirs = (
        expected_calibration_error((oof["value"] > 0).to_numpy(), oof["p_up"].to_numpy())
        for oof in (candidate, champion)
    )
    allowed = theirs + limits.calibration_margin
    return Veto(
        "calibration error", f"{ours:.4f}", f"at most {allowed:.4f}, the champion's and a margin", ours > allowed
    )


def _net_of_costs(ours: Vector, theirs: Vector, target: Target) -> Veto:
    """Not proven worse: that it is better, one would seldom be able to prove."""
    test = ewc_test(theirs - ours, target.horizon)
    worse = test.p_value <= nominal_level(WORSE_ALPHA, target.horizon)
    found = f"{-test.mean:+.2%} beside the champion's, p of worse = {test.p_value:.3g}"
    return Veto("net return of deciles", found, f"not worse at {WORSE_ALPHA:.0%}", worse)


def _deflated(ours: Vector, theirs: Vector, target: Target, trials: int) -> Veto:
    """A champion whose returns luck does not explain gives way to no candidate whose returns it does."""
    found, other = (deflated_sharpe_ratio(returns, target.horizon, trials) for returns in (ours, theirs))
    asked = DEFLATED_ENOUGH if other >= DEFLATED_ENOUGH else 0.0
    told = f"{found:.3f} after {trials} trials, the champion's {other:.3f}"
    return Veto("deflated Sharpe ratio", told, f"at least {asked:g}", asked > 0 and not found >= asked)


def _overfitting(facts: Facts) -> Veto:
    found = facts.overfitting
    told = "not told" if found is None else f"{found:.2f}"
    return Veto(
        "backtest overfitting", told, f"at most {MOST_OVERFITTING}", found is not None and found > MOST_OVERFITTING
    )


def _seconds(facts: Facts) -> float | None:
    known = [seconds for seconds in (facts.load_seconds, facts.night_seconds) if seconds is not None]
    return sum(known) if known else None


def _at_most(name: str, found: float | None, most: float, scale: float = 1.0) -> Veto:
    told = "not told" if found is None else f"{found * scale:.3g}"
    return Veto(name, told, f"at most {most * scale:.3g}", found is not None and found > most)
