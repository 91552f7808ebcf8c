"""One horizon: every estimator searched and refitted on outer folds, every ensemble of them, and the baselines.

All of it is the night's own: its search, its folds, its second level, which learns from earlier answers alone. Nothing
is registered, and no model is fitted that would serve.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pandas as pd

from ml.domain import Target
from ml.errors import TrainingError
from ml.estimators.baselines import Climatology, Momentum
from ml.estimators.interface import Params
from ml.estimators.registry import estimator_class
from ml.lifecycle.choice import Choice, choose, combiners
from ml.lifecycle.dataset import Dataset
from ml.lifecycle.recipe import Member, Recipe
from ml.lifecycle.search import search
from ml.lifecycle.splits import Nested
from ml.lifecycle.training import Answers, Block, Progress, ask, blocks, evidence, finished, out_of_fold, refitted
from ml.settings import Settings

BASELINES = (Climatology.name, Momentum.name)
CHOSEN = "chosen"
"""What the night would have taken: a combiner and a calibrator, chosen on inner test dates."""


@dataclass(frozen=True)
class Entrant:
    """One way to forecast a target. made: what it was made of, in words; oof: its OUT_OF_FOLD frame."""

    name: str
    made: str
    oof: pd.DataFrame


@dataclass(frozen=True)
class Searched:
    """What an estimator's search cost and found. best: its log-loss on inner test dates; fit_seconds: of all folds."""

    estimator: str
    trials: int
    best: float
    params: Params
    search_seconds: float
    fit_seconds: float


@dataclass(frozen=True)
class Contest:
    """A target's entrants on identical rows, baselines first. left_out: by name, why it is not among them."""

    target: Target
    folds: Nested
    rows: int
    entrants: tuple[Entrant, ...]
    searched: tuple[Searched, ...]
    left_out: dict[str, str]


def rounds(config: Settings) -> int:
    """How often `held` says `begin` for one target: the baselines, each estimator, the ensembles."""
    return len(config.estimators) + 2


@dataclass(frozen=True)
class Said:
    """What is told while a contest runs: `begin` what comes next, `line` how it goes."""

    begin: Progress
    line: Progress


def held(
    config: Settings, target: Target, draft: Recipe, momentum: str | None, dataset: Dataset, folds: Nested, said: Said
) -> Contest:
    """The contest of one target.

    draft: a recipe with the features, the seed and the rows of a fit, whoever its member. momentum: the feature whose
    sign that baseline goes by; without one it is left out.
    An estimator that fails is left out. TrainingError when all of them do.
    """
    said.begin(f"{target.name} baselines")
    left_out: dict[str, str] = {}
    entrants = list(_baselines(config, draft, momentum, dataset, folds, said.line, left_out))
    asked = blocks(draft, dataset, folds)
    members: list[Member] = []
    answers: dict[str, Answers] = {}
    searched: list[Searched] = []
    for name in config.estimators:
        said.begin(f"{target.name} {name}")
        try:
            member, answer, found = _learned(config, draft, dataset, folds, asked, name, said.line)
        except Exception as error:
            left_out[name] = f"{type(error).__name__}: {error}"
            said.line(f"left out, {left_out[name]}")
        else:
            members.append(member)
            answers[name] = answer
            searched.append(found)
    said.begin(f"{target.name} ensembles")
    if not members:
        raise TrainingError(
            f"none of {', '.join(config.estimators)} learning {target.name} ({'; '.join(left_out.values())})",
            "at least one",
            "Mend the cause",
        )
    entrants += learners(replace(draft, members=tuple(members)), dataset, asked, answers)
    return Contest(target, folds, dataset.known.size, tuple(entrants), tuple(searched), left_out)


def _baselines(
    config: Settings,
    draft: Recipe,
    momentum: str | None,
    dataset: Dataset,
    folds: Nested,
    tell: Progress,
    left_out: dict[str, str],
) -> Iterator[Entrant]:
    """Of all train rows, as the gate's climatology is."""
    params: dict[str, dict[str, int]] = {Climatology.name: {}}
    if momentum is None:
        left_out[Momentum.name] = "the feature set lacks the feature whose sign it goes by"
    else:
        params[Momentum.name] = {"feature": draft.feature_names.index(momentum)}
    for name, own in params.items():
        recipe = replace(draft, members=(Member(name, own),), most_rows=None)
        yield Entrant(name, "baseline", refitted(recipe, dataset, folds, config.threads, tell))


def _learned(
    config: Settings, draft: Recipe, dataset: Dataset, folds: Nested, asked: list[Block], name: str, tell: Progress
) -> tuple[Member, Answers, Searched]:
    began = time.monotonic()
    found = search(
        dataset,
        folds.inner,
        name,
        trials=estimator_class(name).own_trials(config.own_trials),
        timeout_s=config.search_seconds,
        seed=config.seed,
        threads=config.threads,
        progress=tell,
        most_rows=config.search_rows,
    )
    searched = time.monotonic()
    member = Member(name, found.params)
    answers = ask(draft, member, dataset, asked, config.threads, tell)
    seconds = searched - began, time.monotonic() - searched
    return member, answers, Searched(name, len(found.trials), found.best, found.params, *seconds)


def learners(draft: Recipe, dataset: Dataset, asked: list[Block], answers: dict[str, Answers]) -> Iterator[Entrant]:
    """From the answers of a recipe's members: each alone and as it is, each ensemble of all, and the night's choice."""
    seen = evidence(draft, dataset, asked, answers)
    chosen = choose(seen.inner.members)
    entered = {name: Choice((name,), "single", "none", name, []) for name in draft.estimators}
    for kind in combiners(seen.members):
        if kind != "single":
            entered[kind] = _together(draft, kind, chosen)
    entered[CHOSEN] = chosen
    for name, choice in entered.items():
        recipe, own = finished(draft, choice, seen)
        yield Entrant(name, choice.reason, out_of_fold(recipe, dataset, own))


def _together(draft: Recipe, kind: str, chosen: Choice) -> Choice:
    """An ensemble of all with the calibrator that was best for it on inner test dates, where that could be told."""
    losses = {row["calibrator"]: row["log_loss"] for row in chosen.evidence if row["combiner"] == kind}
    calibrator = min(losses, key=losses.__getitem__, default="none")
    return Choice(draft.estimators, kind, calibrator, f"{kind} of {', '.join(draft.estimators)}, {calibrator}", [])
