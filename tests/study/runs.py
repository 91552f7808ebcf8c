"""What studies of planted truth share: contests on invented markets, seeds side by side, how numbers are told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeVar

import numpy as np
import pandas as pd
from scipy.stats import beta

from ml.domain import Target
from ml.evaluation import contest
from ml.evaluation.contest import Contest, Said
from ml.lifecycle import metrics
from ml.lifecycle.dataset import Dataset
from ml.lifecycle.recipe import Member, Recipe
from ml.lifecycle.significance import TestResult, ewc_test
from ml.lifecycle.splits import SplitPlan, nested
from ml.settings import settings
from tests.study.datasets import MARKET_VOL, Planted
from tests.study.returns import Plant, Reals

Job = TypeVar("Job")
WORKERS = 2
"""Processes, of one thread each."""
MINUTES = 60.0


@dataclass(frozen=True)
class Size:
    """How large a run is. search_rows, fit_rows: of a trial's and of any other fit, as the settings of those names."""

    symbols: int
    dates: int
    outer: tuple[int, int]
    inner: tuple[int, int]
    trials: int
    search_rows: int
    fit_rows: int

    def plan(self, horizon: int) -> SplitPlan:
        """outer, inner: how many folds of how many dates."""
        return SplitPlan(horizon, *self.outer, *self.inner)


def target(horizon: int) -> Target:
    """That of all studies: the return, judged by log-loss."""
    return Target("study", f"{horizon}d", horizon)


def held(planted: Planted, what: Plant, estimators: tuple[str, ...], size: Size, seed: int) -> Contest:
    """The contest of `make evaluate`, on a planted dataset: search, folds, second level and choice are the night's.

    An estimator that fails is an error here, and not left out. Weights may follow MARKET_VOL.
    """
    config = settings().model_copy(
        update={
            "estimators": estimators,
            "trials": size.trials,
            "search_seconds": 10 * MINUTES,
            "search_rows": size.search_rows,
            "fit_rows": size.fit_rows,
            "threads": 1,
            "seed": seed,
        }
    )
    dataset = planted.dataset
    folds = nested(dataset.dates, dataset.date_maturities, size.plan(what.horizon))
    silent = Said(lambda _: None, lambda _: None)
    found = contest.held(config, target(what.horizon), draft(dataset, size, seed), None, dataset, folds, silent)
    if failed := sorted(set(found.left_out) & set(estimators)):
        raise RuntimeError(f"{[found.left_out[name] for name in failed]} of {failed}, expected all to learn")
    return found


def draft(dataset: Dataset, size: Size, seed: int) -> Recipe:
    """A recipe before anybody has chosen its members."""
    return Recipe(
        members=(Member("climatology", {}),),
        feature_names=dataset.feature_names,
        feature_set="study",
        seed=seed,
        regime_features=(MARKET_VOL,),
        most_rows=size.fit_rows,
    )


def ic(oof: pd.DataFrame, seen: Reals | None = None) -> pd.Series[float]:
    """By date, the correlation of what was expected with what came, or with `seen` (n,); 0 where none is defined."""
    other = oof["value"].to_numpy() if seen is None else seen
    return metrics.information_coefficient(other, oof["expected"].to_numpy(), oof["ts"]).fillna(0.0)


def signal_on(planted: Planted, oof: pd.DataFrame) -> Reals:
    """(n,) the signal of a forecast's rows."""
    rows = planted.dataset.rows(oof["ts"].drop_duplicates().dt.tz_localize(None).to_numpy())
    return planted.signal[rows]


def side_by_side(job: Callable[[int], Job], seeds: Iterable[int]) -> list[Job]:
    """What a job finds for each seed, in their order. Whoever asks has not used TensorFlow, which survives no fork."""
    with ProcessPoolExecutor(WORKERS) as pool:
        return list(pool.map(job, seeds))


def standard_error(values: Sequence[float]) -> float:
    """Of the mean of independent numbers; 0 of a single one, which knows nothing of its error."""
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0


def told(values: Sequence[float], digits: int = 4, scale: float = 1.0) -> str:
    """Mean ± standard error."""
    return f"{scale * np.mean(values):.{digits}f} ± {scale * standard_error(values):.{digits}f}"


def upper_bound(hits: int, count: int) -> float:
    """The one-sided 95 % bound of a share, `hits` of `count` (Clopper and Pearson 1934)."""
    return 1.0 if hits == count else float(beta.ppf(0.95, hits + 1, count - hits))


def row(*cells: object) -> str:
    """A line of a Markdown table."""
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def heading(*names: str) -> str:
    """The first two lines of a Markdown table."""
    return f"{row(*names)}\n{row(*['---'] * len(names))}"


def over(seeds: int) -> str:
    """The seeds of a study in words."""
    return "0" if seeds == 1 else f"0 to {seeds - 1}"


class Scores(NamedTuple):
    """Of one entrant on one market. ic, score: (t,) by date, the score being minus the log-loss. follows: the mean
    correlation of what it expects with the signal."""

    ic: Reals
    score: Reals
    follows: float


Found = dict[str, Scores]
"""By entrant."""
Tests = tuple[TestResult, TestResult]
"""How far one entrant is ahead of another in IC and in log-loss."""


def scores(planted: Planted, oof: pd.DataFrame) -> Scores:
    """Those of an OUT_OF_FOLD frame."""
    loss = metrics.per_date_mean(
        metrics.log_loss_rows((oof["value"] > 0).to_numpy(), oof["p_up"].to_numpy()), oof["ts"]
    )
    return Scores(np.asarray(ic(oof)), -np.asarray(loss), float(ic(oof, signal_on(planted, oof)).mean()))


def duel(found: list[Found], one: str, other: str, horizon: int) -> Tests:
    """The gate's test by date that one entrant is ahead of another, over markets of several seeds.

    The markets are independent and share their dates, so what is tested is the mean over seeds of the differences,
    date by date.
    """

    def ahead(name: Literal["ic", "score"]) -> TestResult:
        return ewc_test(
            np.mean([getattr(each[one], name) - getattr(each[other], name) for each in found], axis=0), horizon
        )

    return ahead("ic"), ahead("score")


def scores_table(found: list[Found]) -> str:
    """A line per entrant: means over seeds, each with the standard error over them."""
    lines = [heading(f"seeds {over(len(found))}", "IC", "log-loss, nats", "correlation with the signal")]
    for name in found[0]:
        own = [each[name] for each in found]
        ics, losses = [float(each.ic.mean()) for each in own], [-float(each.score.mean()) for each in own]
        lines.append(row(name, told(ics), told(losses, 5), told([each.follows for each in own], 2)))
    return "\n".join(lines)


def duels_table(tests: Mapping[tuple[str, str], Tests]) -> str:
    """A line per pair: how far the first is ahead, with the error and the p-value of the test by date."""
    lines = [heading("", "against", "ahead in IC", "ahead in log-loss, nats")]
    lines += [row(one, other, gain(by_ic, 4), gain(by_loss, 5)) for (one, other), (by_ic, by_loss) in tests.items()]
    return "\n".join(lines)


def gain(test: TestResult, digits: int) -> str:
    """How far ahead, with its error and the p-value."""
    return f"{test.mean:+.{digits}f} ± {test.std_error:.{digits}f} (p {test.p_value:.2g})"
