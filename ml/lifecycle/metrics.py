"""Scores as plain functions, in four families with one signature each.

Of probabilities: y (n,) the event as bool or 0/1, p (n,) its probability. Of forecasts across the rows
of a date: value (n,) what came, expected (n,) what was said, ts (n,) when. Of the deciles that they
choose: weights by date. Of a series by date: returns, or information coefficients.

Names in `_rows` give one number per row, those of dates one per date; the others one number per call.
The unit of evidence is the date, so rows are averaged within a date first (`per_date_mean`), then dates
count alike. NaN policy: inputs hold none; a score that is not defined (one class, one row) is NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import rankdata

from ml.estimators.interface import Flags, Vector
from ml.lifecycle.dataset import Instants
from ml.lifecycle.ranks import ranks

Dates: TypeAlias = "Instants | pd.DatetimeIndex | pd.Series[pd.Timestamp]"

Entities: TypeAlias = "npt.NDArray[np.object_] | pd.Series[str]"
ByDate: TypeAlias = "pd.Series[float] | Vector"

EVEN_ODDS = 0.5
EPSILON = 1e-6
"""Probabilities are kept this far from 0 and 1, so one bold mistake costs at most 13.8 nats."""
FEWEST_RANKED = 3
"""Rows of a date from which on their order is taken for evidence: two can only agree or disagree wholly."""
BASIS_POINT = 1e-4


def log_loss_rows(y: Flags, p: Vector) -> Vector:
    """(n,) minus the log-probability of what happened, in nats."""
    clipped = np.clip(p, EPSILON, 1 - EPSILON)
    losses: Vector = -np.log(np.where(y, clipped, 1 - clipped))
    return losses


def brier_rows(y: Flags, p: Vector) -> Vector:
    """(n,) squared distance between probability and event (Brier 1950)."""
    squares: Vector = (p - np.asarray(y, dtype=np.float64)) ** 2
    return squares


def accuracy_rows(y: Flags, p: Vector) -> Vector:
    """(n,) 1 where the likelier side happened, else 0; p = 0.5 counts as a fall."""
    return np.asarray((p > EVEN_ODDS) == y, dtype=np.float64)


def precision(y: Flags, p: Vector) -> float:
    """Share of rises among the rows with p above even odds; NaN where there are none."""
    return _share(np.asarray(y, dtype=np.bool_)[p > EVEN_ODDS])


def recall(y: Flags, p: Vector) -> float:
    """Share of the rises that had p above even odds; NaN where nothing rose."""
    return _share((p > EVEN_ODDS)[np.asarray(y, dtype=np.bool_)])


def f1(y: Flags, p: Vector) -> float:
    """Harmonic mean of precision and recall; NaN where nothing rose and nothing was said to."""
    rises, said = np.asarray(y, dtype=np.bool_), p > EVEN_ODDS
    total = int(rises.sum()) + int(said.sum())
    return 2 * int((rises & said).sum()) / total if total else float("nan")


def _share(flags: Flags) -> float:
    return float(flags.mean()) if flags.size else float("nan")


def auc(y: Flags, p: Vector) -> float:
    """Probability that a random rise has a higher p than a random fall; ties count half."""
    rises = np.asarray(y, dtype=np.bool_)
    n_up, n_down = int(rises.sum()), int((~rises).sum())
    if n_up == 0 or n_down == 0:
        return float("nan")
    ranks = rankdata(p)
    return float((ranks[rises].sum() - n_up * (n_up + 1) / 2) / (n_up * n_down))


def expected_calibration_error(y: Flags, p: Vector, bins: int = 10) -> float:
    """Mean |share of rises - mean p| over bins of about equal count, weighted by count.

    Equal-count bins, because probabilities of weak signals crowd around one half; equal p share a bin.
    """
    if p.size == 0:
        return float("nan")
    gaps = np.bincount(calibration_bins(p, bins), weights=np.asarray(y, dtype=np.float64) - p)
    return float(np.abs(gaps).sum() / p.size)


def calibration_bins(p: Vector, bins: int = 10) -> npt.NDArray[np.int64]:
    """(n,) the bin of each probability, from 0 on; bins hold about equally many, and equal p share one."""
    edges = np.unique(np.quantile(p, np.linspace(0, 1, bins + 1)[1:-1]))
    return np.searchsorted(edges, p, side="left")


def per_date_mean(rows: Vector, ts: Dates) -> pd.Series[float]:
    """Mean of `rows` per instant, indexed by `ts` ascending; a NaN among a date's rows makes its mean NaN."""
    return pd.Series(rows, dtype="float64").groupby(pd.DatetimeIndex(ts, name="ts")).mean(skipna=False)


def date_weights(ts: Dates, weight: Vector | None = None) -> Vector:
    """(n,) weights of rows by which every date counts as one, however many rows it holds.

    Within a date rows share in proportion to `weight` (n,), positive (label uniqueness, say); None means alike.
    """
    date = pd.factorize(np.asarray(ts))[0]
    own = np.ones(date.size) if weight is None else weight
    shares: Vector = own / np.bincount(date, weights=own)[date]
    return shares


def information_coefficient(value: Vector, expected: Vector, ts: Dates) -> pd.Series[float]:
    """Pearson correlation of outcome and forecast across the rows of each date; NaN where either is constant."""
    frame = pd.DataFrame({"a": value, "b": expected})
    dates = pd.DatetimeIndex(ts, name="ts")
    centred = frame - frame.groupby(dates).transform("mean")
    # What is left of a constant after subtracting its mean is rounding, not signal.
    centred = centred.where(centred.abs() > 1e-12 * frame.abs(), 0.0)
    products = pd.DataFrame({"ab": centred["a"] * centred["b"], "aa": centred["a"] ** 2, "bb": centred["b"] ** 2})
    sums = products.groupby(dates).sum()
    norm = (sums["aa"] * sums["bb"]) ** 0.5
    return sums["ab"] / norm.where(norm > 0)


def rank_information_coefficient(value: Vector, expected: Vector, ts: Dates) -> pd.Series[float]:
    """Spearman's correlation per date: `information_coefficient` of ranks within the date."""
    return information_coefficient(ranks(value, ts).average, ranks(expected, ts).average, ts)


def has_ranks(value: Vector, ts: Dates) -> pd.Series[bool]:
    """By date, whether outcomes can be ranked: at least FEWEST_RANKED of them, not all the same."""
    by_date = pd.Series(value).groupby(pd.DatetimeIndex(ts, name="ts"))
    return (by_date.size() >= FEWEST_RANKED) & (by_date.max() > by_date.min())


def told_by_date(
    correlation: Callable[[Vector, Vector, Dates], pd.Series[float]], value: Vector, expected: Vector, ts: Dates
) -> pd.Series[float]:
    """A correlation by date: 0 where the same is expected of all rows, which tells nothing of their order, NaN where an
    expectation is missing. Dates that cannot be ranked (`has_ranks`) are left out."""
    known = per_date_mean(expected, ts).notna()
    return correlation(value, expected, ts).fillna(0.0).where(known)[has_ranks(value, ts)]


def icir(coefficients: ByDate) -> float:
    """Mean over dates of an information coefficient by its standard deviation (n - 1); not annualised.

    Dates without a coefficient (NaN) are left out. Over h > 1 periods neighbouring coefficients share
    outcomes: the ratio stays what it is, but T dates do not prove it as T independent ones would.
    """
    known = np.asarray(coefficients, dtype=np.float64)
    return _mean_to_deviation(known[~np.isnan(known)])


def decile_weights(expected: Vector, ts: Dates) -> Vector:
    """(n,) one unit long in the tenth of each date's rows with the highest forecasts, one short in the lowest.

    Within a tenth all weigh the same. It has a tenth of the date's rows, rounded down, at least one;
    rows that tie for its last places share them. So on a date with one row, or with the same forecast
    for all, every weight is 0.
    """
    ranked = ranks(expected, ts)
    count = ranked.of
    places = np.maximum(count // 10, 1)
    tied = ranked.highest - ranked.lowest + 1
    long = np.clip((places - (count - ranked.highest)) / tied, 0, 1)
    short = np.clip((places - (ranked.lowest - 1)) / tied, 0, 1)
    weights: Vector = (long - short) / places
    return weights


def portfolio_returns(value: Vector, weights: Vector, ts: Dates) -> pd.Series[float]:
    """By date, what weights earn before costs: of `decile_weights`, the long tenth's mean minus the short one's."""
    return pd.Series(weights * value).groupby(pd.DatetimeIndex(ts, name="ts")).sum()


def portfolio_turnover(entity: Entities, weights: Vector, ts: Dates, horizon: int) -> pd.Series[float]:
    """By date, what is traded to hold its weights: the sum of |change of weight|, of deciles from 0 to 4.

    With outcomes over h periods, 1 / h of the money is put into the weights of each date and stays
    there for h dates. So a date's weights replace those of h dates before; the first h dates buy all
    (2). That weights drift with prices is left out.
    """
    date, dates = pd.factorize(pd.DatetimeIndex(ts, name="ts"), sort=True)
    owner, owners = pd.factorize(pd.Index(entity))
    held = np.zeros((dates.size, owners.size))
    np.add.at(held, (date, owner), weights)
    before = np.vstack([np.zeros((min(horizon, dates.size), owners.size)), held[:-horizon]])
    return pd.Series(np.abs(held - before).sum(axis=1), index=dates)


def net_of_costs(returns: pd.Series[float], turnover: pd.Series[float], cost_bps: float) -> pd.Series[float]:
    """Returns by date after paying `cost_bps` basis points of everything traded (`portfolio_turnover`)."""
    return returns - turnover * (cost_bps * BASIS_POINT)


def sharpe_ratio(returns: ByDate, horizon: int, periods_per_year: float) -> float:
    """Mean by standard deviation (n - 1) of returns over h periods begun on each date, x sqrt(periods per year / h).

    So it is that of holding one portfolio for h periods, then the next, averaged over the h days on
    which one may begin. The overlap leaves the ratio as it is; its uncertainty is that of T / h returns.
    """
    return _mean_to_deviation(np.asarray(returns, dtype=np.float64)) * float(np.sqrt(periods_per_year / horizon))


def maximum_drawdown(returns: ByDate, horizon: int) -> float:
    """The largest fall from a peak, as a share of it, of wealth that begins at 1 and earns return / h on each date.

    1 / h of it is in each of the h portfolios that are held at once; each date's outcome is booked on
    that date. 0 where it never falls.
    """
    earned = np.asarray(returns, dtype=np.float64) / horizon
    wealth = np.cumprod(np.append(1.0, 1.0 + earned))
    return float(np.max(1.0 - wealth / np.maximum.accumulate(wealth))) if earned.size else float("nan")


def _mean_to_deviation(series: Vector) -> float:
    """NaN below two numbers, and where they do not vary beyond rounding."""
    if series.size < 2 or np.ptp(series) <= 1e-12 * np.abs(series).max():  # noqa: PLR2004
        return float("nan")
    return float(series.mean() / series.std(ddof=1))


def scores(oof: pd.DataFrame) -> dict[str, float]:
    """The scores of an OUT_OF_FOLD frame, the baseline's beside them (`baseline_...`).

    Losses, accuracy and information coefficients are means over dates; auc and calibration error
    describe all rows. A score that is not defined is left out, so every number is finite.
    """
    size = {"n_rows": float(len(oof)), "n_dates": float(oof["ts"].nunique())}
    baseline = _finite(_of_probabilities(oof, "baseline_p_up"))
    return {**size, **own_scores(oof), **{f"baseline_{name}": score for name, score in baseline.items()}}


def own_scores(oof: pd.DataFrame) -> dict[str, float]:
    """The scores of an OUT_OF_FOLD frame's own forecasts alone, without the baseline's."""
    value, expected, ts = oof["value"].to_numpy(), oof["expected"].to_numpy(), oof["ts"]
    ic, rank_ic = (
        float(told_by_date(correlation, value, expected, ts).mean())
        for correlation in (information_coefficient, rank_information_coefficient)
    )
    return _finite({**_of_probabilities(oof, "p_up"), "ic": ic, "rank_ic": rank_ic})


def _of_probabilities(oof: pd.DataFrame, column: str) -> dict[str, float]:
    y, p, ts = (oof["value"] > 0).to_numpy(), oof[column].to_numpy(), oof["ts"]
    return {
        "log_loss": float(per_date_mean(log_loss_rows(y, p), ts).mean()),
        "brier": float(per_date_mean(brier_rows(y, p), ts).mean()),
        "accuracy": float(per_date_mean(accuracy_rows(y, p), ts).mean()),
        "auc": auc(y, p),
        "calibration_error": expected_calibration_error(y, p),
    }


def _finite(found: dict[str, float]) -> dict[str, float]:
    return {name: score for name, score in found.items() if np.isfinite(score)}
