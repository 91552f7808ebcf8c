"""How often the gate finds a candidate that knows something: an IC of `nights.IC`, planted as in `tests.study.returns`.

The candidate is one recipe, looked at once and then, as it goes on predicting, once a quarter; it forecasts as in
`tests.study.nights`. Its champion knows nothing: it either says the same of every symbol (`silent`), or as much as the
candidate, at random (`noise`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from ml.lifecycle.looks import SHARES, Budget, look
from tests.study.nights import IC, MEMORY, SEED, Scores, came, scores
from tests.study.returns import Flags, Plant, Reals, forward, noise, persistent, plant
from tests.study.verdicts import gate

SYMBOLS = 500
Champion = Literal["silent", "noise"]
CHAMPIONS: tuple[Champion, ...] = get_args(Champion)
SILENT = Scores(*np.array([[-np.log(2)], [0.0], [0.5]]))
"""Of p = 0.5 for every symbol, on any date."""


@dataclass(frozen=True)
class Duel:
    """(dates,) by champion: the candidate's score minus the champion's on one market."""

    log_loss: dict[Champion, Reals]
    rank_ic: dict[Champion, Reals]


def fought(horizon: int, seed: int, dates: int, symbols: int = SYMBOLS, ic: float = IC) -> Duel:
    """One market of `dates` labelled dates."""
    rng = np.random.default_rng((SEED, horizon, seed))
    market = noise(rng, dates + horizon, symbols)
    signal, other = (persistent(rng, market.returns.shape, MEMORY) for _ in range(2))
    # what is known of the next h values of the driver is the signal
    driver = signal * (1 - MEMORY) / (1 - MEMORY**horizon)
    outcome = came(forward(plant(Plant(ic, horizon), signal, driver, market, 0), horizon))
    ours, theirs = (scores(each[:dates].astype(np.float32), outcome) for each in (signal, other))
    against: dict[Champion, Scores] = {"silent": SILENT, "noise": theirs}
    return Duel(
        {name: np.asarray(ours.log_loss - each.log_loss, dtype=np.float64) for name, each in against.items()},
        {name: np.asarray(ours.rank_ic - each.rank_ic, dtype=np.float64) for name, each in against.items()},
    )


def first_look(d: Reals, window: int, horizon: int, alpha: float) -> bool:
    """The verdict on the first `window` dates."""
    return bool(gate(d[None, :window], horizon, alpha)[0])


def looks(d: Reals, window: int, apart: int, horizon: int, budget: Budget) -> Flags:
    """The verdict of every look at one candidate: on `window` dates, then on so many more, and so on."""
    return np.array(
        [
            first_look(d, window + (number - 1) * apart, horizon, look(budget, number).alpha)
            for number, _ in enumerate(SHARES, start=1)
        ]
    )
