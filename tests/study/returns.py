"""Daily returns of an invented market that nobody can foresee, and a drift planted in them with a stated strength.

Arrays are (t, n): a row is a session, a column a symbol. Returns are simple, from the close before.

The dial. The information coefficient (IC) of a date is Pearson's correlation, across symbols, of a signal that is known
at its close with the return over the next h sessions; the dial is its mean over dates. To the return of session t + 1
`plant` adds the drift

    strength x driver(t) x D(t + 1)

where the driver is known at close t and D is the deviation of a typical symbol's own part, known then as well and the
same for all symbols. With F, the sum of driver x D over the next h sessions, and R, the noise's return over them, the
strength is the number that makes the mean over dates of

    cov(signal, strength x F) / (sd(signal) x sqrt(var(R) + var(strength x F)))

the dial. No sign of the noise enters it, and the signs are fair coins whatever is known of signals and volatility. So
over seeds the mean of measured ICs is the dial, short of about 1 / n of it, the bias of a correlation among n symbols.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.signal import lfilter

from ml.equity import sessions as calendars
from ml.lifecycle.dataset import Instants

Reals = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Kind = Literal["row", "sequence", "regime_sign", "regime_carrier"]

CALENDAR = "XNYS"
SECTORS = 5
TAIL = 6.0
"""Degrees of freedom of Student's t, whose shocks drive everything."""

_FIRST, _LAST = date(1995, 1, 3), date(2024, 12, 31)
_SHOCK, _MEMORY = 0.06, 0.92  # of GARCH(1,1): the variance stays finite, and so does the fourth moment
_MARKET, _SECTOR, _OWN, _OWN_SPREAD, _BETA_SPREAD = 0.009, 0.006, 0.015, 0.3, 0.3
_CALM, _TURBULENT = 0.7, 1.6
_STAY = (40, 80)
_LIMIT = 0.5


@dataclass(frozen=True)
class Plant:
    """What is planted: `ic`, the mean IC of the signal over `horizon` sessions (0: nothing), and how it can be seen.

    row: in the features of one row. sequence: only in the order of the rows before. regime_sign: in one row, and in
    turbulence its sign turns. regime_carrier: in one row while the market is calm, in a sequence in turbulence.
    """

    ic: float = 0.0
    horizon: int = 1
    kind: Kind = "row"


@dataclass(frozen=True)
class Noise:
    """Returns (t, n) whose signs nobody can foresee, and their making.

    own: (t, n) the deviation of each symbol's own part, known the evening before. calm: (t,) the market's regime, which
    scales the market factor alone. sector: (n,) the number of each symbol's sector.
    """

    returns: Reals
    own: Reals
    calm: Flags
    sector: npt.NDArray[np.int64]


def noise(rng: np.random.Generator, sessions: int, symbols: int) -> Noise:
    """Market, sectors and own parts, each of GARCH(1,1) volatility and Student's t shocks."""
    shocks = rng.standard_t(TAIL, (sessions, symbols + SECTORS + 1)) * np.sqrt((TAIL - 2) / TAIL)
    deviation = garch(shocks)
    factors = (shocks * deviation)[:, symbols:]
    own = deviation[:, :symbols] * _OWN * np.exp(_OWN_SPREAD * rng.standard_normal(symbols))
    beta = 1 + _BETA_SPREAD * rng.standard_normal(symbols)
    sector, calm = rng.integers(SECTORS, size=symbols), _regimes(rng, sessions)
    market = _MARKET * np.where(calm, _CALM, _TURBULENT) * factors[:, -1]
    returns = own * shocks[:, :symbols] + _SECTOR * factors[:, sector] + market[:, None] * beta
    return Noise(np.clip(returns, -_LIMIT, _LIMIT), own, calm, sector)


def closes(sessions: int) -> Instants:
    """(t,) datetime64[us] in UTC: real closes, one after the other; ValueError when there are not so many."""
    found = calendars.closes(CALENDAR, _FIRST, _LAST).dt.tz_localize(None).to_numpy().astype("datetime64[us]")
    if sessions > len(found):
        raise ValueError(f"{sessions} sessions, expected at most {len(found)}: {CALENDAR} from {_FIRST} to {_LAST}")
    return np.asarray(found[:sessions])


def garch(shocks: Reals) -> Reals:
    """The deviation with which each shock counts: GARCH(1,1) (Bollerslev 1986) by column, 1 in the long run."""
    carried = _SHOCK * shocks**2 + _MEMORY
    variance = np.ones_like(shocks)
    for t in range(1, len(shocks)):
        variance[t] = 1 - _SHOCK - _MEMORY + carried[t - 1] * variance[t - 1]
    return np.sqrt(variance)


def _regimes(rng: np.random.Generator, sessions: int) -> Flags:
    """Calm and turbulence take turns, each for _STAY sessions, from least to most, all alike likely."""
    ends = np.cumsum(rng.integers(_STAY[0], _STAY[1] + 1, size=sessions // _STAY[0] + 1))
    turn = np.searchsorted(ends, np.arange(sessions) + rng.integers(_STAY[0]), side="right")
    return np.asarray((turn + rng.integers(2)) % 2 == 0)


def persistent(rng: np.random.Generator, shape: tuple[int, ...], memory: float) -> Reals:
    """AR(1) along the first axis, each value of standard normal distribution."""
    shocks = rng.standard_normal(shape)
    shocks[0] /= np.sqrt(1 - memory**2)
    return np.asarray(lfilter([np.sqrt(1 - memory**2)], [1.0, -memory], shocks, axis=0))


def forward(returns: Reals, horizon: int) -> Reals:
    """(t - horizon, n) the compounded return of the `horizon` sessions after each."""
    grown = np.cumsum(np.log1p(returns), axis=0)
    return np.asarray(np.expm1(grown[horizon:] - grown[:-horizon]))


def plant(what: Plant, signal: Reals, driver: Reals, market: Noise, first: int) -> Reals:
    """The market's returns with the drift that gives `signal` the mean IC `what.ic` over the dates from row `first` on.

    signal, driver: (t, n), known at each close. ValueError when no drift makes the IC so high.
    """
    if what.ic == 0:
        return market.returns
    unit = np.zeros_like(driver)
    unit[1:] = driver[:-1] * np.sqrt(np.mean(market.own[1:] ** 2, axis=1, keepdims=True))
    strength = _strength(what, signal[first : -what.horizon], unit[first:], market.returns[first:])
    return market.returns + strength * unit


def _strength(what: Plant, signal: Reals, unit: Reals, returns: Reals) -> float:
    total = np.cumsum(unit, axis=0)
    drift = total[what.horizon :] - total[: -what.horizon]
    seen = signal - signal.mean(axis=1, keepdims=True)
    share = np.mean(seen * drift, axis=1) / seen.std(axis=1)
    of_noise, of_drift = np.var(forward(returns, what.horizon), axis=1), np.var(drift, axis=1)

    def beyond(strength: float) -> float:
        return float(np.mean(strength * share / np.sqrt(of_noise + strength**2 * of_drift))) - what.ic

    return float(brentq(beyond, 0.0, 100.0))
