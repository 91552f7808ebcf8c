"""How much of a good score is the luck of having tried a lot."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
from scipy.stats import kurtosis, norm, rankdata, skew

from ml.estimators.interface import Vector

EULER = 0.5772156649015329
BLOCKS = 8
"""Of the dates, half of which choose and half of which judge: 70 ways to halve them."""
FEWEST_PER_BLOCK = 10


def deflated_sharpe_ratio(returns: Vector, horizon: int, trials: int) -> float:
    """The probability that a strategy's Sharpe ratio is above what the best of so many trials without skill would show.

    Bailey and López de Prado (2014), The Deflated Sharpe Ratio, JPM 40(5), with skewness and kurtosis of the returns.
    returns: (T,) over `horizon` periods, begun on each date: worth T / horizon independent ones. The variance of the
    trials' ratios, which nobody has recorded, is taken to be that of the estimate itself. NaN where returns do not vary
    or are worth fewer than three.
    """
    independent = returns.size / horizon
    deviation = float(returns.std(ddof=1)) if returns.size > 1 else 0.0
    if independent < 3 or deviation <= 1e-12 * max(1.0, float(np.abs(returns).max())):  # noqa: PLR2004
        return math.nan
    ratio = float(returns.mean()) / deviation
    spread = 1 / math.sqrt(independent - 1)
    variance = 1 - float(skew(returns)) * ratio + (float(kurtosis(returns, fisher=False)) - 1) / 4 * ratio**2
    return float(norm.cdf((ratio - spread * expected_best(trials)) / (spread * math.sqrt(max(variance, 1e-12)))))


def expected_best(trials: int) -> float:
    """The expected largest of so many independent standard normal numbers, nearly; 0 of a single one."""
    if trials < 2:  # noqa: PLR2004
        return 0.0
    return float((1 - EULER) * norm.isf(1 / trials) + EULER * norm.isf(1 / (trials * math.e)))


def backtest_overfitting(losses: Vector, blocks: int = BLOCKS) -> float | None:
    """The probability that the option which did best on some dates is among the worse half on the others.

    Combinatorially symmetric cross-validation: Bailey, Borwein, López de Prado and Zhu (2017), The Probability of
    Backtest Overfitting, JCF 20(4). losses: (options, dates) by date, in order of time, finite. A tie counts half.
    About a half where options do not differ; None for a single option or too few dates.
    """
    options, dates = losses.shape
    if options < 2 or dates < blocks * FEWEST_PER_BLOCK:  # noqa: PLR2004
        return None
    sums = np.column_stack([part.sum(axis=1) for part in np.array_split(losses, blocks, axis=1)])
    whole = sums.sum(axis=1)
    found = []
    for half in combinations(range(blocks), blocks // 2):
        seen = sums[:, half].sum(axis=1)
        best = int(np.argmin(seen))
        rank = rankdata(whole - seen)[best] / (options + 1)
        found.append(float(np.heaviside(rank - 0.5, 0.5)))
    return float(np.mean(found))
