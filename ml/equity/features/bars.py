"""What a feature function sees: one symbol's history as plain arrays, oldest first."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Reals = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Bars:
    """Adjusted daily bars of one symbol, each array of shape (n,), float64, plus what its dates say.

    open, high, low, close: any unit, positive; volume: shares, from zero up
    weekday: 0 = Monday; month: 1 to 12; session_of_month: 1 = first; days_since: calendar days from
    the exchange's session before
    """

    open: Reals
    high: Reals
    low: Reals
    close: Reals
    volume: Reals
    weekday: Reals
    month: Reals
    session_of_month: Reals
    days_since: Reals

    @cached_property
    def log_return(self) -> Reals:
        """log(close / close of the bar before), shape (n,), the first NaN."""
        result = np.full(len(self.close), np.nan)
        result[1:] = np.log(self.close[1:] / self.close[:-1])
        return result
