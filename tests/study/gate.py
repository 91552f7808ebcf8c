"""`make study-gate`: how often is a model replaced where nothing is known, and where a candidate knows something?

Scores are simulated, no model is fitted (`tests.study.nights`, `tests.study.power`); the verdicts are the gate's, and
on the same nights those of what is done elsewhere (`tests.study.verdicts`), where everybody looks every night. A year
counts as false as soon as one night promotes. That first promotion is decided while the same champion still serves, so
no year needs another.
Exit status 1 when the 95 % bound of a year's rate at the gate is above the budget of 5 %.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ml.lifecycle.looks import Budget, look
from ml.lifecycle.plots import png
from ml.settings import settings
from tests.study import gate_picture, gate_speed, nights, power, runs, verdicts
from tests.study.gate_picture import Found, History
from tests.study.nights import Compared, Year
from tests.study.power import CHAMPIONS, Champion, Duel
from tests.study.returns import Flags

BUDGET = 0.05
HORIZONS = (1, 5, 20)
GATE = {"log_loss": "the gate, log-loss", "rank_ic": "the gate, rank correlation"}
PICTURE = Path("docs/images/gate.png")
STEP = 252
WANTED = 0.8


@dataclass(frozen=True)
class Powered:
    """Markets of `dates` dates at a horizon; the first look is at `window` of them."""

    horizon: int
    window: int
    dates: int


POWERED = (Powered(1, 252, 1260), Powered(5, 504, 1260), Powered(20, 504, 2520), Powered(60, 504, 2520))


def promoters(size: Year, budget: Budget) -> dict[str, Callable[[Compared, int], Flags]]:
    """Everybody who decides, by name, from a year at a horizon to flags: of the gate's looks, of others' nights."""
    return {
        GATE["log_loss"]: lambda year, h: verdicts.looks(year.followed.log_loss, size, h, budget),
        GATE["rank_ic"]: lambda year, h: verdicts.looks(year.followed.rank_ic, size, h, budget),
        "the gate's test at 5 % each night": lambda year, h: verdicts.gate(year.ahead.log_loss, h, verdicts.LEVEL),
        "lower mean log-loss": lambda year, h: verdicts.higher_mean(year.ahead.log_loss),
        "accuracy 2 points higher": lambda year, h: verdicts.two_points(year.ahead.accuracy),
        "McNemar, rows pooled, 5 %": lambda year, h: verdicts.mcnemar(year.ahead.accuracy, year.apart, size.symbols),
        "t-test by date, 5 %": lambda year, h: verdicts.per_date_t(year.ahead.log_loss),
        "Diebold-Mariano, Newey-West, 5 %": lambda year, h: verdicts.diebold_mariano(year.ahead.log_loss, h),
    }


def on_noise(size: Year, years: int, budget: Budget) -> Found:
    """By who decides and horizon: in how many years anything was promoted, and at which share of looks."""
    judges = promoters(size, budget)
    flags: dict[tuple[str, int], list[Flags]] = {(name, h): [] for name in judges for h in HORIZONS}
    for seed in range(years):
        for h, year in nights.simulated(size, seed, HORIZONS).items():
            for name, judge in judges.items():
                flags[name, h].append(judge(year, h))
    return {key: (int(np.any(found, axis=1).sum()), float(np.mean(found))) for key, found in flags.items()}


def noise_table(found: Found, years: int) -> str:
    """A line for everybody who decides: share of years with its 95 % bound, and share of looks."""
    columns = [f"{h}d, {what}" for h in HORIZONS for what in ("any in a year", "a look")]
    lines = [runs.heading(f"{years} years without skill", *columns)]
    for name in dict.fromkeys(name for name, _ in found):
        cells = [cell for h in HORIZONS for cell in _shares(*found[name, h], years)]
        lines.append(runs.row(name, *cells))
    return "\n".join(lines)


def _shares(hits: int, nightly: float, years: int) -> tuple[str, str]:
    return f"{hits / years:.1%} (≤ {runs.upper_bound(hits, years):.1%})", f"{nightly:.2%}"


def too_many(found: Found, years: int) -> bool:
    """Whether the gate's rate, at any horizon and by either score, may be above the budget."""
    bounds = [runs.upper_bound(hits, years) for (name, _), (hits, _) in found.items() if name in GATE.values()]
    return max(bounds) > BUDGET


def power_table(what: Powered, duels: Sequence[Duel], apart: int, budget: Budget) -> list[str]:
    """A line per score and champion: found at the first look, at one of all, and at a look that has 5 % to itself."""
    lines = []
    for score in GATE:
        for champion in CHAMPIONS:
            series = [getattr(duel, score)[champion] for duel in duels]
            looks = [power.looks(d, what.window, apart, what.horizon, budget) for d in series]
            alone = [power.first_look(d, what.window, what.horizon, verdicts.LEVEL) for d in series]
            found = (np.mean([each[0] for each in looks]), np.mean(np.any(looks, axis=1)), np.mean(alone))
            shares = [f"{share:.0%}" for share in found]
            lines.append(runs.row(f"{what.horizon}d", what.window, score, champion, *shares))
    return lines


def history(what: Powered, duels: Sequence[Duel], alpha: float) -> dict[tuple[str, Champion], dict[int, float]]:
    """By score and champion: the share promoted at a first look, for each number of dates."""
    return {
        (score, champion): {
            dates: float(
                np.mean([power.first_look(getattr(d, score)[champion], dates, what.horizon, alpha) for d in duels])
            )
            for dates in range(STEP, what.dates + 1, STEP)
        }
        for score in GATE
        for champion in CHAMPIONS
    }


def history_table(grown: History) -> str:
    """A line per horizon, score and champion: the share found with so many dates, and how many find 80 %."""
    columns = sorted({dates for by_dates in grown.values() for dates in by_dates})
    lines = [runs.heading("horizon", "score", "champion", *map(str, columns), f"dates for {WANTED:.0%}")]
    for (horizon, score, champion), by_dates in grown.items():
        shares = [f"{by_dates[dates]:.0%}" if dates in by_dates else "" for dates in columns]
        enough = [dates for dates, share in by_dates.items() if share >= WANTED]
        needed = str(min(enough)) if enough else f"more than {max(by_dates)}"
        lines.append(runs.row(f"{horizon}d", score, champion, *shares, needed))
    return "\n".join(lines)


def with_skill(markets: int, apart: int, budget: Budget) -> tuple[str, History]:
    """The table of power, and how it grows with history."""
    columns = "horizon", "dates", "score", "champion", "first look", "one of four", "a single look at 5 %"
    lines, grown = [runs.heading(*columns)], {}
    for what in POWERED:
        duels = [power.fought(what.horizon, seed, what.dates) for seed in range(markets)]
        lines += power_table(what, duels, apart, budget)
        for (score, champion), by_dates in history(what, duels, look(budget, 1).alpha).items():
            grown[what.horizon, score, champion] = by_dates
    return "\n".join(lines), grown


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.study.gate", description=__doc__)
    parser.add_argument("--years", type=int, default=1000, help="without skill, for each horizon")
    parser.add_argument("--memory", type=float, default=nights.MEMORY, help="of a signal without skill, by session")
    parser.add_argument(
        "--markets", type=int, default=200, help=f"with an IC of {nights.IC}, for each horizon; 0: noise alone"
    )
    parser.add_argument("--picture", type=Path, default=PICTURE, help="where the plot goes")
    asked = parser.parse_args(arguments)
    config = settings()
    budget = Budget(config.alpha_per_year, config.looks_per_year)
    size = Year(memory=asked.memory, looks=config.looks_per_year)
    found = on_noise(size, asked.years, budget)
    print(noise_table(found, asked.years), flush=True)
    if asked.markets:
        table, grown = with_skill(asked.markets, size.apart, budget)
        print(f"\n{table}\n\n{history_table(grown)}\n\n{gate_speed.table()}", flush=True)
        asked.picture.write_bytes(png(gate_picture.drawn(found, asked.years, grown)))
    return int(too_many(found, asked.years))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
