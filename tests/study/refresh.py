"""`make study-refresh`: how soon is a stale champion refreshed, and is a refresh that would harm refused?

Scores are simulated, no model is fitted; the verdicts are the gate's at the door `refresh`. Two fits of one recipe say
nearly the same of a symbol: what they share, AR(1) from session to session as in `tests.study.nights`, carries an IC of
`nights.IC` in either, and each has its own noise besides. `alike` is the correlation of the two. On one day the world
changes: what the old fits go by is worth nothing from then on, and something else is, which a fit goes by as soon as
one of its train dates lies behind the change.

On each outer fold the new side may train up to the fold, the old side as many dates less as the champion is older
(`ml.lifecycle.training.refitted`); both know of the change, or one, or none. Exit status 1 when the 95 % bound of the
share of harmful refreshes that are accepted is above the 5 % of the door.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ml.domain import Score
from ml.lifecycle.comparison import REFRESH_ALPHA, REFRESH_MARGINS, proven_worse
from ml.settings import settings
from ml.steps.freshness import PATIENCE
from tests.study import runs
from tests.study.nights import IC, MEMORY, SEED, Scores, came, scores
from tests.study.returns import Plant, Reals, forward, noise, persistent, plant
from tests.study.verdicts import gate

HORIZONS = (1, 5, 20)
JUDGED: tuple[Score, ...] = ("log_loss", "rank_ic")
FOLDS, FOLD = 4, 126
WINDOW = FOLDS * FOLD
NIGHTS = 504
"""For how long it is waited for a refresh."""
YEAR = 252
ALIKE = 0.9
OTHERS = (0.5, 0.8, 0.98)
NEVER = np.inf
HARMS = ("on all dates", "in the last fold alone")
TOLD = ("in time", "overdue")
DOOR = 6  # beside the seeds of other studies


@dataclass(frozen=True)
class Market:
    """What two fits score by date on one market, by whether they go by the old world or by the new one.

    change: the first date of the new world. The champion was trained on the first WINDOW dates, and before them.
    """

    horizon: int
    change: int
    fresh: dict[bool, Scores]
    stale: dict[bool, Scores]

    def ahead(self, score: Score, end: int, lag: int) -> Reals:
        """(WINDOW,) the new side's score minus the old side's, when `end` dates have labels."""
        parts = []
        for first in range(end - WINDOW, end, FOLD):
            trained = first - 2 * self.horizon  # purged, and an embargo
            ours, theirs = self.fresh[trained > self.change], self.stale[trained - lag > self.change]
            parts.append((getattr(ours, score) - getattr(theirs, score))[first : first + FOLD])
        return np.concatenate(parts)


def simulated(horizon: int, seed: int, symbols: int, alike: float, dates: int, every: int) -> Market:
    """The world changes within `every` dates after the champion's training, if `dates` reaches so far."""
    rng = np.random.default_rng((SEED, DOOR, horizon, seed))
    change = WINDOW + int(rng.integers(every))
    market = noise(rng, dates + horizon, symbols)
    old, new, *own = (persistent(rng, market.returns.shape, MEMORY) for _ in range(4))
    truth = np.where((np.arange(len(old)) < change)[:, None], old, new)
    shown = IC / np.sqrt(alike) if alike else 0.0
    driver = truth * (1 - MEMORY) / (1 - MEMORY**horizon)
    outcome = came(forward(plant(Plant(shown, horizon), truth, driver, market, 0), horizon))

    def scored(own: Reals) -> dict[bool, Scores]:
        said = {knows: np.sqrt(alike) * shared + np.sqrt(1 - alike) * own for knows, shared in enumerate((old, new))}
        return {bool(knows): scores(each[:dates].astype(np.float32), outcome) for knows, each in said.items()}

    return Market(horizon, change, *(scored(each) for each in own))


def accepted(d: Reals, horizon: int, score: Score, *, is_overdue: bool = False) -> bool:
    """The gate's verdict on a refresh; of a champion that is overdue it need only not be proven worse."""
    sound = bool(gate((d + REFRESH_MARGINS[score])[None, :], horizon, REFRESH_ALPHA)[0])
    return sound or (is_overdue and not proven_worse(d, horizon))


def waited(market: Market, score: Score, every: int) -> float:
    """Nights from the change until a champion serves that was trained on a date behind it; tried `every` nights."""
    trained = WINDOW
    for end in range(WINDOW + every, WINDOW + NIGHTS + 1, every):
        is_overdue = end - trained >= PATIENCE * every
        if accepted(market.ahead(score, end, end - trained), market.horizon, score, is_overdue=is_overdue):
            trained = end
            if end > market.change:
                return end + market.horizon - market.change
    return NEVER


def harms(market: Market, score: Score) -> dict[str, Reals]:
    """By name, d of refreshes that have lost all that the champion knows, on WINDOW dates before any change."""
    lost = (getattr(market.fresh[True], score) - getattr(market.stale[False], score))[:WINDOW]
    alike = same(market, score)
    return dict(zip(HARMS, (lost, np.r_[alike[:-FOLD], lost[-FOLD:]]), strict=True))


def same(market: Market, score: Score) -> Reals:
    """d of a refresh that knows what the champion knows, on the same dates."""
    return np.asarray((getattr(market.fresh[False], score) - getattr(market.stale[False], score))[:WINDOW])


def stale_table(markets: dict[int, list[Market]], every: int) -> str:
    """A line per horizon and score: how many nights a champion goes on that knows nothing any more."""
    lines = [runs.heading("horizon", "score", "median", "90 %", "95 %", "longest", f"not within {YEAR} nights")]
    for horizon, some in markets.items():
        for score in JUDGED:
            nights = np.array([waited(market, score, every) for market in some])
            told = [_nights(x) for x in np.quantile(nights, (0.5, 0.9, 0.95, 1.0), method="higher")]
            lines.append(runs.row(f"{horizon}d", score, *told, share(int((nights > YEAR).sum()), len(some))))
    return "\n".join(lines)


def _nights(count: float) -> str:
    return f"{count:.0f}" if np.isfinite(count) else f"more than {NIGHTS}"


def share(hits: int, count: int) -> str:
    """With its one-sided 95 % bounds, from below and from above."""
    return (
        f"{hits / count:.1%} ({1 - runs.upper_bound(count - hits, count):.1%} to {runs.upper_bound(hits, count):.1%})"
    )


def harm_table(markets: dict[int, list[Market]]) -> tuple[str, bool]:
    """A line per horizon and score: the share of harmful refreshes that are refused; and whether too few are."""
    lines, bad = (
        [runs.heading("horizon", "score", *(f"harms {name}, {when}: refused" for when in TOLD for name in HARMS))],
        False,
    )
    for horizon, some in markets.items():
        for score in JUDGED:
            refused = _refused(some, score, is_overdue=False)
            bad |= runs.upper_bound(len(some) - refused["on all dates"], len(some)) > REFRESH_ALPHA
            both = [*refused.values(), *_refused(some, score, is_overdue=True).values()]
            lines.append(runs.row(f"{horizon}d", score, *(share(hits, len(some)) for hits in both)))
    return "\n".join(lines), bad


def _refused(some: Sequence[Market], score: Score, *, is_overdue: bool) -> dict[str, int]:
    found = [harms(market, score) for market in some]
    return {
        name: sum(
            not accepted(each[name], market.horizon, score, is_overdue=is_overdue)
            for market, each in zip(some, found, strict=True)
        )
        for name in HARMS
    }


def same_lines(horizon: int, some: Sequence[Market], alike: float) -> Iterator[str]:
    """A line per score: the share of refreshes accepted that know as much as the champion, and how d spreads."""
    for score in JUDGED:
        d = [same(market, score) for market in some]
        hits = sum(accepted(each, horizon, score) for each in d)
        spread = float(np.mean([each.std() for each in d]))
        yield runs.row(f"{horizon}d", score, f"{alike:.2f}", f"{spread:.2g}", share(hits, len(some)))


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.study.refresh", description=__doc__)
    parser.add_argument("--markets", type=int, default=500, help="for each horizon")
    parser.add_argument("--symbols", type=int, default=100)
    parser.add_argument("--every", type=int, default=settings().refresh_sessions, help="nights between two tries")
    asked = parser.parse_args(arguments)
    long, short = WINDOW + NIGHTS, WINDOW
    markets = {
        h: [simulated(h, seed, asked.symbols, ALIKE, long, asked.every) for seed in range(asked.markets)]
        for h in HORIZONS
    }
    print(stale_table(markets, asked.every), flush=True)
    table, bad = harm_table(markets)
    print(f"\n{table}\n", flush=True)
    print(runs.heading("horizon", "score", "alike", "deviation of d", "as good as the champion: accepted"))
    for h, some in markets.items():
        print(*same_lines(h, some, ALIKE), sep="\n", flush=True)
    for alike in OTHERS:
        for h in HORIZONS:
            others = [simulated(h, seed, asked.symbols, alike, short, asked.every) for seed in range(asked.markets)]
            print(*same_lines(h, others, alike), sep="\n", flush=True)
    return int(bad)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
