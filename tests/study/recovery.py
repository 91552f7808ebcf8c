"""`make study-recovery`: how much of a planted signal do the estimators and their ensembles find?

Each run is a dataset of its own seed, large enough to find something in, and the night's own training. The table tells
each entrant's IC on outer test dates, its share of the dial, and how closely its forecasts follow the signal, which
leaves out the luck of the test dates. Exit status 1 when what the night would choose is not proven to find more than
half.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial

import numpy as np

from ml.evaluation.contest import CHOSEN, Entrant
from tests.study import runs
from tests.study.datasets import simulate
from tests.study.returns import Plant
from tests.study.runs import Size

DIALS = (0.03, 0.1)
MEMBERS = ("xgboost", "lightgbm", "linear")
SIGNAL = "the signal itself"
MOST = 0.5
ERRORS = 2.0
"""Standard errors by which the share must exceed MOST."""
SIZE = Size(150, 2000, outer=(4, 126), inner=(3, 126), trials=3, search_rows=60_000, fit_rows=200_000)

Found = dict[str, tuple[float, float]]
"""By entrant: the mean IC, and the mean correlation with the signal."""


def recovered(what: Plant, size: Size, seed: int, members: tuple[str, ...] = MEMBERS) -> Found:
    """One market, one night's training, what each entrant found of it."""
    planted = simulate(what, seed, size.symbols, size.dates)
    entrants = runs.held(planted, what, members, size, seed).entrants
    signal = runs.signal_on(planted, entrants[0].oof)
    oracle = Entrant(SIGNAL, "", entrants[0].oof.assign(expected=signal))
    learned = [entrant for entrant in entrants if entrant.made != "baseline"]
    return {
        each.name: (float(runs.ic(each.oof).mean()), float(runs.ic(each.oof, signal).mean()))
        for each in (*learned, oracle)
    }


def shares(what: Plant, found: list[Found], name: str) -> list[float]:
    """Of the dial, by seed."""
    return [each[name][0] / what.ic for each in found]


def lines(what: Plant, found: list[Found]) -> list[str]:
    """The rows of the table, one per entrant."""
    return [
        runs.row(
            f"{what.ic:g}",
            what.horizon,
            name,
            runs.told([each[name][0] for each in found]),
            f"{runs.told(shares(what, found, name), 0, 100)} %",
            runs.told([each[name][1] for each in found], 2),
        )
        for name in found[0]
    ]


def too_little(what: Plant, found: list[Found]) -> bool:
    """Whether what the night would choose is not proven to find more than MOST of the dial."""
    share = shares(what, found, CHOSEN)
    return bool(np.mean(share) - ERRORS * runs.standard_error(share) <= MOST)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.study.recovery", description=__doc__)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--horizon", type=int, default=1)
    parser.add_argument("--search-rows", type=int, default=SIZE.search_rows, help="of a trial's fit")
    parser.add_argument("--fit-rows", type=int, default=SIZE.fit_rows, help="of any other fit")
    asked = parser.parse_args(arguments)
    size = Size(**{**vars(SIZE), "search_rows": asked.search_rows, "fit_rows": asked.fit_rows})
    columns = (
        "planted IC",
        "sessions",
        f"seeds {runs.over(asked.seeds)}",
        "IC",
        "of the dial",
        "correlation with the signal",
    )
    print(runs.heading(*columns), flush=True)
    failed = False
    for dial in DIALS:
        what = Plant(dial, asked.horizon)
        found = runs.side_by_side(partial(recovered, what, size), range(asked.seeds))
        print("\n".join(lines(what, found)), flush=True)
        failed |= too_little(what, found)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
