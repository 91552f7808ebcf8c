"""What is told of each entrant: numbers with their errors, and how far they are from the baselines'.

A number with one part per date is the mean of these parts (`linearised` makes them where it is no mean by itself). Its
error, and whether a difference is more than luck, come from the gate's own test of a series by date.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd

from ml.estimators.interface import Flags, Vector
from ml.evaluation import linearised
from ml.lifecycle import metrics
from ml.lifecycle.comparison import SKILL_ALPHA
from ml.lifecycle.significance import ewc_test, nominal_level

DAYS_PER_YEAR = 365.25

Verdict = Literal["better", "worse", ""]
Parts = pd.Series | float
"""A number by date, or as a whole where it has no parts."""


class Sheet:
    """An OUT_OF_FOLD frame, and by date what several measures need of it. returns: of h periods, per unit on a side."""

    def __init__(self, oof: pd.DataFrame, horizon: int, cost_bps: float) -> None:
        self.oof, self.horizon, self.cost_bps = oof, horizon, cost_bps
        self.ts = oof["ts"]
        self.p: Vector = oof["p_up"].to_numpy()
        self.up: Flags = (oof["value"] > 0).to_numpy()

    @cached_property
    def dates(self) -> pd.DatetimeIndex:
        """The distinct ts, ascending."""
        return pd.DatetimeIndex(self.ts.unique())

    @cached_property
    def periods_per_year(self) -> float:
        """How many of these dates a year has; NaN of a single one."""
        days = (self.dates[-1] - self.dates[0]).days
        return (self.dates.size - 1) / days * DAYS_PER_YEAR if days else float("nan")

    def per_date(self, rows: Callable[[Flags, Vector], Vector]) -> pd.Series[float]:
        """The mean over each date's rows of a score of rows."""
        return metrics.per_date_mean(rows(self.up, self.p), self.ts)

    def of_events(self, score: Callable[..., pd.Series[float]]) -> pd.Series[float]:
        """A score of events and probabilities, by date."""
        return score(self.up, self.p, self.ts)

    @cached_property
    def ic(self) -> pd.Series[float]:
        """The information coefficient of each date."""
        return self._correlation(metrics.information_coefficient)

    @cached_property
    def rank_ic(self) -> pd.Series[float]:
        """The rank correlation of each date."""
        return self._correlation(metrics.rank_information_coefficient)

    def _correlation(self, coefficient: Callable[..., pd.Series[float]]) -> pd.Series[float]:
        value, expected = self.oof["value"].to_numpy(), self.oof["expected"].to_numpy()
        return metrics.told_by_date(coefficient, value, expected, self.ts)

    @cached_property
    def weights(self) -> Vector:
        """(n,) of the deciles."""
        return metrics.decile_weights(self.oof["expected"].to_numpy(), self.ts)

    @cached_property
    def gross(self) -> pd.Series[float]:
        """The highest tenth's mean return minus the lowest's."""
        return metrics.portfolio_returns(self.oof["value"].to_numpy(), self.weights, self.ts)

    @cached_property
    def turnover(self) -> pd.Series[float]:
        """What is traded for it, as a multiple of what is on one side."""
        return metrics.portfolio_turnover(self.oof["entity"], self.weights, self.ts, self.horizon)

    @cached_property
    def net(self) -> pd.Series[float]:
        """`gross` after costs."""
        return metrics.net_of_costs(self.gross, self.turnover, self.cost_bps)

    def sharpe(self, returns: pd.Series[float]) -> pd.Series[float]:
        """The Sharpe ratio of a year, as `metrics.sharpe_ratio` has it."""
        return linearised.mean_to_deviation(returns) * float(np.sqrt(self.periods_per_year / self.horizon))


@dataclass(frozen=True)
class Measure:
    """A column. of: its parts by date, or the number where it has none. better: 1 when more is, -1 when less is, 0 when
    it is not for comparison. scale: what a number is multiplied by to be shown, in `digits` after the point."""

    name: str
    title: str
    of: Callable[[Sheet], pd.Series[float] | float]
    better: int
    digits: int
    scale: float = 1.0


FORECAST = (
    Measure("log_loss", "log-loss, nats", lambda s: s.per_date(metrics.log_loss_rows), -1, 5),
    Measure("brier", "Brier", lambda s: s.per_date(metrics.brier_rows), -1, 5),
    Measure("auc", "AUC", lambda s: s.of_events(linearised.auc), 1, 4),
    Measure("accuracy", "accuracy", lambda s: s.per_date(metrics.accuracy_rows), 1, 4),
    Measure("precision", "precision", lambda s: s.of_events(linearised.precision), 1, 4),
    Measure("recall", "recall", lambda s: s.of_events(linearised.recall), 1, 4),
    Measure("f1", "F1", lambda s: s.of_events(linearised.f1), 1, 4),
    Measure(
        "calibration_error", "calibration error", lambda s: s.of_events(linearised.expected_calibration_error), -1, 4
    ),
)
"""Of probabilities."""

RANKING = (
    Measure("ic", "IC", lambda s: s.ic, 1, 4),
    Measure("icir", "IC, mean / deviation", lambda s: linearised.mean_to_deviation(s.ic), 1, 3),
    Measure("rank_ic", "rank IC", lambda s: s.rank_ic, 1, 4),
    Measure("rank_icir", "rank IC, mean / deviation", lambda s: linearised.mean_to_deviation(s.rank_ic), 1, 3),
)
"""Of expected returns, by which a date's symbols are ordered."""

PORTFOLIO = (
    Measure("gross", "top minus bottom tenth, %", lambda s: s.gross, 1, 3, 100),
    Measure("net", "net of costs, %", lambda s: s.net, 1, 3, 100),
    Measure("turnover", "turnover", lambda s: s.turnover, 0, 3),
    Measure("sharpe", "Sharpe", lambda s: s.sharpe(s.gross), 1, 2),
    Measure("net_sharpe", "Sharpe, net", lambda s: s.sharpe(s.net), 1, 2),
    Measure("drawdown", "drawdown, %", lambda s: metrics.maximum_drawdown(s.gross, s.horizon), 0, 1, 100),
    Measure("net_drawdown", "drawdown, net, %", lambda s: metrics.maximum_drawdown(s.net, s.horizon), 0, 1, 100),
)
"""Of the deciles that the order chooses."""

MEASURES = (*FORECAST, *RANKING, *PORTFOLIO)


@dataclass(frozen=True)
class Versus:
    """How much better than a baseline, in the measure's unit, above 0 for better whichever way it runs; p_value of the
    one-sided test that it is. verdict: what is proven at the gate's level for skill."""

    gain: float
    error: float | None
    p_value: float
    verdict: Verdict


@dataclass(frozen=True)
class Cell:
    """A number (NaN: not defined), its standard error where one can be given, and the baselines by name."""

    value: float
    error: float | None
    versus: Mapping[str, Versus]


def table(sheets: Mapping[str, Sheet], baselines: tuple[str, ...]) -> dict[str, dict[str, Cell]]:
    """By sheet and measure, each beside those of the sheets that are baselines; all are of identical rows.

    A baseline stands beside the others, not beside itself.
    """
    parts = {name: {measure.name: measure.of(sheet) for measure in MEASURES} for name, sheet in sheets.items()}
    found: dict[str, dict[str, Cell]] = {}
    for name, sheet in sheets.items():
        beside = {other: parts[other] for other in baselines if other in parts and other != name}
        found[name] = {
            measure.name: _cell(
                measure,
                parts[name][measure.name],
                {other: own[measure.name] for other, own in beside.items()},
                sheet.horizon,
            )
            for measure in MEASURES
        }
    return found


def _cell(measure: Measure, own: Parts, baselines: Mapping[str, Parts], horizon: int) -> Cell:
    if not isinstance(own, pd.Series):
        return Cell(own, None, {})
    if own.empty or own.isna().any():
        return Cell(float("nan"), None, {})
    test = ewc_test(np.asarray(own), horizon)
    versus = {
        name: _versus(np.asarray(measure.better * (own - other)), horizon)
        for name, other in baselines.items()
        if measure.better and isinstance(other, pd.Series) and not other.isna().any()
    }
    return Cell(float(own.mean()), None if test.note else test.std_error, versus)


def _versus(d: Vector, horizon: int) -> Versus:
    test, level = ewc_test(d, horizon), nominal_level(SKILL_ALPHA, horizon)
    verdict: Verdict = "better" if test.p_value <= level else ""
    if ewc_test(-d, horizon).p_value <= level:
        verdict = "worse"
    return Versus(test.mean, None if test.note else test.std_error, test.p_value, verdict)
