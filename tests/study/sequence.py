"""`make study-sequence`: do the nets beat the trees where only the order of the rows before tells anything?

Each run is a dataset of its own seed and the night's own training. The table tells each entrant's IC and log-loss on
outer test dates, and how far each net is ahead of each tree. Exit status 1 when a net is not ahead of every tree in
both, by the gate's test per date.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial

from ml.lifecycle.comparison import SKILL_ALPHA
from tests.study import runs
from tests.study.datasets import simulate
from tests.study.returns import Plant
from tests.study.runs import Found, Size, Tests

IC, HORIZON = 0.2, 1
TREES = ("xgboost", "lightgbm")
NETS = ("cnn", "lstm")
NOISY = 3
SIZE = Size(60, 1000, outer=(1, 250), inner=(1, 120), trials=1, search_rows=120_000, fit_rows=120_000)


def learned(ic: float, nets: tuple[str, ...], size: Size, seed: int) -> Found:
    """What each estimator and ensemble makes of one market."""
    what = Plant(ic, HORIZON, "sequence")
    planted = simulate(what, seed, size.symbols, size.dates, NOISY)
    entrants = runs.held(planted, what, (*TREES, *nets), size, seed).entrants
    return {entrant.name: runs.scores(planted, entrant.oof) for entrant in entrants}


def duels(found: list[Found], nets: tuple[str, ...]) -> dict[tuple[str, str], Tests]:
    """By net and tree, how far the net is ahead."""
    return {(net, tree): runs.duel(found, net, tree, HORIZON) for net in nets for tree in TREES}


def beaten(tests: Tests) -> bool:
    """Whether a net is proven ahead in both."""
    return all(test.p_value <= SKILL_ALPHA for test in tests)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.study.sequence", description=__doc__)
    parser.add_argument("--nets", default=",".join(NETS), help="e.g. cnn,lstm,transformer")
    parser.add_argument("--ic", type=float, default=IC, help="what is planted")
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args(arguments)
    nets = tuple(asked.nets.split(","))
    found = runs.side_by_side(partial(learned, asked.ic, nets, SIZE), range(asked.seeds))
    tests = duels(found, nets)
    print(f"{runs.scores_table(found)}\n\n{runs.duels_table(tests)}", flush=True)
    return int(not all(beaten(each) for each in tests.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
