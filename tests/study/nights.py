"""A year of nights on which nobody knows anything: what the gate would have to tell apart from skill.

A trial is a signal of its own for every symbol, AR(1) from date to date, that has nothing to do with what follows. Its
forecast is p = 1 / (1 + exp(-SLOPE x signal)). Every night draws new trials, takes the one that did best on the inner
dates and compares it with the champion on the outer window, the latest dates whose labels are known; a night later all
dates have moved on by one. As in `ml.lifecycle.splits`, inner labels are known before the outer window begins, and h
more dates lie between. The champion was chosen in the same way before all of them. The candidates of nights with a look
go on predicting, and those of the looks of three quarters before the year have done so until then.

The trials that are not chosen are never seen on outer dates. So of each trial no more is drawn than how well it did on
the inner dates and where it stood at their end, from the joint normal distribution that these have once the outcomes
are given. "How well" is the mean of direction x signal: log-loss but for terms in SLOPE squared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ml.lifecycle.looks import SHARES
from tests.study.returns import Reals, forward, noise

Singles = npt.NDArray[np.float32]
"""What is simulated in bulk; half as long to draw."""

MEMORY = 0.95
"""Of a signal from one session to the next."""
IC = 0.03
SLOPE = float(np.sqrt(8 / np.pi)) * IC
"""Of the log-odds of a rise over the signal, for a signal of that IC when returns are normal: no bolder than that."""
SEED = 6


@dataclass(frozen=True)
class Year:
    """window: outer dates of a first look. inner: dates on which the best of `trials` is chosen. memory: of signals.
    looks: in a year, at even distances from the first night on."""

    symbols: int = 100
    nights: int = 252
    window: int = 504
    inner: int = 126
    trials: int = 30
    memory: float = MEMORY
    looks: int = 4

    @property
    def apart(self) -> int:
        """Nights from one look to the next."""
        return self.nights // self.looks

    @property
    def before(self) -> int:
        """How long before the first night the oldest candidate came that still gets a look on it."""
        return (len(SHARES) - 1) * self.apart

    @property
    def begin(self) -> npt.NDArray[np.int64]:
        """(early + nights,) the first outer date of each candidate: those of earlier looks, then one each night."""
        return np.concatenate([np.arange(0, self.before, self.apart), self.before + np.arange(self.nights)])

    @property
    def followed(self) -> npt.NDArray[np.int64]:
        """Which of them are candidates of a look, in order of time."""
        are = (self.begin % self.apart == 0) & (self.begin < self.before + self.looks * self.apart)
        return np.flatnonzero(are).astype(np.int64)


class Came(NamedTuple):
    """What came, (d, n) each. direction: 1 for a rise, else -1. rank: weights whose sum with a signal's ranks
    (0 to n - 1) is its rank correlation with the outcome."""

    direction: Singles
    rank: Singles

    def on(self, first: int, last: int) -> Came:
        """The dates from `first` to before `last`."""
        return Came(self.direction[first:last], self.rank[first:last])


class Scores(NamedTuple):
    """By date, higher is better: minus the log-loss, rank correlation, share of directions that were right."""

    log_loss: Singles | Reals
    rank_ic: Singles | Reals
    accuracy: Singles | Reals


@dataclass(frozen=True)
class Compared:
    """Candidate minus champion, (nights, window): row i is what a first look of night i sees.

    apart: the share of symbols for which the two name different directions. followed: (candidates of looks, window +
    before), NaN after the year's last night.
    """

    ahead: Scores
    apart: Reals
    followed: Scores


def came(value: Reals) -> Came:
    """value: (d, n) without ties within a date."""
    symbols = value.shape[1]
    ranks = np.argsort(np.argsort(value, axis=1), axis=1)
    weights = (ranks - (symbols - 1) / 2) / (symbols * (symbols**2 - 1) / 12)
    return Came(np.where(value > 0, 1, -1).astype(np.float32), weights.astype(np.float32))


def scores(signal: Singles, outcome: Came) -> Scores:
    """Of (d, n) signals; each (d,)."""
    agreement = signal * outcome.direction
    loss = _mean(np.log1p(np.exp(np.float32(-SLOPE) * agreement)))
    # np.take_along_axis, at half the price
    order = np.argsort(signal, axis=1) + np.arange(0, signal.size, signal.shape[1])[:, None]
    ranked = outcome.rank.ravel()[order] @ np.arange(signal.shape[1], dtype=np.float32)
    return Scores(-loss, ranked, _mean(agreement > 0))


def _mean(rows: npt.NDArray[np.float32 | np.bool_]) -> Singles:
    """Of each row, as a product of matrices: a fifth of the time of `mean(axis=1)`."""
    return np.asarray(rows.astype(np.float32, copy=False) @ np.full(rows.shape[1], 1 / rows.shape[1], dtype=np.float32))


def simulated(size: Year, seed: int, horizons: Sequence[int]) -> dict[int, Compared]:
    """One year at each horizon, all on the same market and with the same shocks to the signals."""
    rng = np.random.default_rng((SEED, seed))
    furthest = max(horizons)
    first = size.inner + 2 * furthest
    dates = int(size.begin[-1]) + size.window
    returns = noise(rng, first + dates + furthest, size.symbols).returns
    outcomes = {h: came(forward(returns, h)[: first + dates]) for h in horizons}
    start = {h: _start(rng, outcomes[h].direction, first, h, size) for h in horizons}
    path = list(_walk(rng, {h: start[h][:1] for h in horizons}, dates, size.memory))
    champion = {h: np.concatenate([signal[h] for signal in path]) for h in horizons}
    outer = {h: outcomes[h].on(first, first + dates) for h in horizons}
    theirs = {h: scores(champion[h], outer[h]) for h in horizons}
    ours = {h: start[h][1:] for h in horizons}
    found = {h: _nothing(size) for h in horizons}
    for t, ours in enumerate(_walk(rng, ours, size.window, size.memory)):  # noqa: B020 -- where they stand in the end
        for h, signal in ours.items():
            _compare(found[h], size, t, signal, champion[h], theirs[h], outer[h])
    left = {h: signal[size.followed] for h, signal in ours.items()}
    for t, signals in enumerate(_walk(rng, left, size.before, size.memory), start=size.window):
        for h, signal in signals.items():
            _follow(found[h], size, t, signal, theirs[h], outer[h])
    return found


def _nothing(size: Year) -> Compared:
    nightly = np.empty((3, size.nights, size.window))
    followed = np.full((3, size.followed.size, size.window + size.before), np.nan)
    return Compared(Scores(*nightly), np.empty((size.nights, size.window)), Scores(*followed))


def _compare(
    found: Compared, size: Year, t: int, signal: Singles, champion: Singles, theirs: Scores, outer: Came
) -> None:
    """All candidates on the outer date t of each."""
    dates = size.begin + t
    early = size.begin.size - size.nights
    ours = scores(signal, Came(outer.direction[dates], outer.rank[dates]))
    for ahead, followed, own, other in zip(found.ahead, found.followed, ours, theirs, strict=True):
        difference = own - other[dates]
        ahead[:, t] = difference[early:]
        followed[:, t] = difference[size.followed]
    found.apart[:, t] = _mean(signal * champion[dates] < 0)[early:]


def _follow(found: Compared, size: Year, t: int, signal: Singles, theirs: Scores, outer: Came) -> None:
    """Those of looks on a date after their window, as far as the year goes."""
    dates = size.begin[size.followed] + t
    known = np.flatnonzero(dates < len(outer.direction))
    if known.size == 0:
        return
    on = dates[known]
    ours = scores(signal[known], Came(outer.direction[on], outer.rank[on]))
    for followed, own, other in zip(found.followed, ours, theirs, strict=True):
        followed[known, t] = own - other[on]


def _start(rng: np.random.Generator, direction: Singles, first: int, horizon: int, size: Year) -> Singles:
    """(1 + candidates, n) where champion's and candidates' signals stand on the eve of their first outer dates."""
    gap = 2 * horizon
    chosen = best_of(rng, direction, first - gap - size.inner + np.r_[0, size.begin], size)
    kept = size.memory**gap
    on_the_eve = kept * chosen + np.sqrt(1 - kept**2) * rng.standard_normal(chosen.shape)
    return np.asarray(on_the_eve, dtype=np.float32)


def best_of(rng: np.random.Generator, direction: Singles, begin: npt.NDArray[np.int64], size: Year) -> Reals:
    """(k, n) the last values of the best of `trials` signals, by the sum of direction x signal over the inner dates.

    begin: (k,) the first inner date of each. Given the directions, a trial's sum and its last values are jointly
    normal: the sum of variance `spread`, with covariance `reach` to the last value of each symbol.
    """
    reach = np.zeros((begin.size, direction.shape[1]))
    spread = np.zeros(begin.size)
    for t in range(size.inner):
        today = direction[begin + t]
        reach = today + size.memory * reach
        spread += np.sum(today * (2 * reach - today), axis=1)
    best = np.sqrt(spread) * rng.standard_normal((begin.size, size.trials)).max(axis=1)
    # Any draw of both, moved to where the sum is the best one (Matheron's rule).
    last = rng.standard_normal(reach.shape)
    rest = np.sqrt(np.maximum(spread - np.sum(reach**2, axis=1), 0.0))
    drawn = np.sum(reach * last, axis=1) + rest * rng.standard_normal(begin.size)
    return np.asarray(last + reach * ((best - drawn) / spread)[:, None])


def _walk(
    rng: np.random.Generator, signal: dict[int, Singles], dates: int, memory: float
) -> Iterator[dict[int, Singles]]:
    """The signals (k, n) of each horizon, date after date."""
    some = next(iter(signal.values()))
    kept, fresh = np.float32(memory), np.float32(np.sqrt(1 - memory**2))
    for _ in range(dates):
        shock = fresh * rng.standard_normal(some.shape, dtype=np.float32)
        signal = {h: kept * each + shock for h, each in signal.items()}
        yield signal
