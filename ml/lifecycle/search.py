"""The search for hyper-parameters, on inner folds only."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
import pandas as pd
from optuna.storages import BaseStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from ml.errors import TrainingError
from ml.estimators.interface import Estimator, Params, Sample
from ml.estimators.registry import estimator_class
from ml.lifecycle.dataset import Dataset, Instants
from ml.lifecycle.metrics import log_loss_rows, per_date_mean
from ml.lifecycle.splits import Fold

Progress = Callable[[str], None]
PARAMS, ERROR = "params", "error"
"""What a trial notes beside its score: the parameters with the rounds it settled on; why it failed."""
WORKERS_APART = 1_000_000
SCORED_ROWS = 15_000
"""Rows of a fold's test that a trial is scored on at most."""
FEWEST_COMPLETE = 10
"""Complete trials from which on it is told which parameters mattered."""
BEST_SHARE = 0.25
"""The trials that count as the best there: the tenth that Optuna takes is one or two of a night's."""


@dataclass(frozen=True)
class SearchResult:
    """The best parameters, their score (mean per-date log-loss over inner folds, in nats), and every trial.

    trials: number, value (of a pruned trial: the folds it saw), params, seconds, state, error.
    importance: by parameter, its share in what set the best trials apart, the largest first; of too few none.
    """

    params: Params
    best: float
    trials: pd.DataFrame
    importance: Mapping[str, float]


@dataclass(frozen=True)
class _PreparedFold:
    data: Any
    test: Sample
    ts: Instants


def search(
    dataset: Dataset,
    inner_folds: list[Fold],
    estimator: str,
    *,
    trials: int,
    timeout_s: float,
    seed: int,
    threads: int,
    progress: Progress,
    warm_start: Params | None = None,
    most_rows: int | None = None,
    storage: BaseStorage | None = None,
    study_name: str | None = None,
    worker: int = 0,
) -> SearchResult:
    """Minimise the mean over inner folds of the per-date log-loss, by a seeded TPE sampler.

    The estimator's conservative parameters are tried first, `warm_start` (say, the champion's)
    second. A trial worse than the median at the same fold is pruned once `Estimator.unpruned` are complete.
    Each fold is fitted on at most `most_rows` rows, or the estimator's share of them (`Estimator.own_rows`), and
    scored on SCORED_ROWS. The time budget ends the search after the trial that crosses it, so at least one
    trial completes; while it does not bite, the same inputs give the same result. In a `storage` the trials of
    `study_name` are kept: a search that was cut off goes on there, and ends as it would have; workers of
    different numbers can share it. A trial that fails is recorded and the next one tried; TrainingError when
    none succeeds.
    """
    if not inner_folds or trials < 1:
        raise TrainingError(f"{len(inner_folds)} folds and {trials} trials", "at least one of each", "Ask for more")
    kind = estimator_class(estimator)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = _study(storage, study_name, kind)
    report = _Reporter(progress, estimator, trials, timeout_s)
    objective = _objective(kind, _prepared(kind, dataset, inner_folds, most_rows, seed, threads), seed, threads)
    first = [kind.defaults, *([warm_start] if warm_start else [])] if worker == 0 else []
    while (done := _finished(study)) < trials and (report.seconds_left() > 0 or not _has_completed(study)):
        if done < len(first):
            study.enqueue_trial(dict(first[done]))
        # Seeded anew by what is behind it, a search that was cut off draws what it would have drawn.
        study.sampler = optuna.samplers.TPESampler(seed=seed + done + WORKERS_APART * worker)
        study.optimize(objective, n_trials=1, callbacks=[report], catch=(Exception,))
    return _result(study, estimator)


def _prepared(
    kind: type[Estimator], dataset: Dataset, folds: list[Fold], most_rows: int | None, seed: int, threads: int
) -> list[_PreparedFold]:
    prepared, own = [], kind.own_rows(most_rows)
    for fold in folds:
        test = dataset.sample(fold.test, SCORED_ROWS, seed)
        data = kind.prepare(dataset.sample(fold.train, own, seed), threads)
        prepared.append(_PreparedFold(data, test, dataset.ts[test.at]))
    return prepared


def _study(storage: BaseStorage | None, name: str | None, kind: type[Estimator]) -> Study:
    return optuna.create_study(
        storage=storage,
        study_name=name,
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=kind.unpruned),
        direction="minimize",
    )


def _objective(kind: type[Estimator], folds: list[_PreparedFold], seed: int, threads: int) -> Callable[[Trial], float]:
    def objective(trial: Trial) -> float:
        try:
            return _loss(trial, kind.space(trial), kind, folds, seed, threads)
        except optuna.TrialPruned:
            raise
        except Exception as error:
            trial.set_user_attr(ERROR, f"{type(error).__name__}: {str(error).partition(chr(10))[0]}")
            raise

    return objective


def _loss(
    trial: Trial, params: Params, kind: type[Estimator], folds: list[_PreparedFold], seed: int, threads: int
) -> float:
    losses: list[float] = []
    settled: list[Params] = []
    for step, fold in enumerate(folds):
        p_up, used = kind.tried(fold.data, fold.test, params, seed, threads)
        losses.append(float(per_date_mean(log_loss_rows(fold.test.up, p_up), fold.ts).mean()))
        settled.append(used)
        trial.set_user_attr(PARAMS, _typical(settled))
        trial.report(float(np.mean(losses)), step)
        if step < len(folds) - 1 and trial.should_prune():
            raise optuna.TrialPruned
    return float(np.mean(losses))


def _typical(settled: list[Params]) -> dict[str, float | int]:
    """The parameters of a trial; where the folds stopped at different rounds, the median of these."""
    first = settled[0]
    return {
        name: value
        if all(used[name] == value for used in settled)
        else int(np.median([used[name] for used in settled]))
        for name, value in first.items()
    }


def _finished(study: Study) -> int:
    """Trials that came to an end by themselves, well or not; those that were cut off do not count."""
    return sum(_came_to_an_end(trial) for trial in study.get_trials(deepcopy=False))


def _came_to_an_end(trial: FrozenTrial) -> bool:
    return trial.state in (TrialState.COMPLETE, TrialState.PRUNED) or ERROR in trial.user_attrs


def _has_completed(study: Study) -> bool:
    return bool(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))


def _result(study: Study, estimator: str) -> SearchResult:
    ended = [trial for trial in study.get_trials(deepcopy=False) if _came_to_an_end(trial)]
    if not _has_completed(study):
        raise TrainingError(
            f"{len(ended)} trials of {estimator}, none of which came to a score; the first: {_error(ended[0])}",
            "at least one",
            "Look at the data and the memory that the machine has left; the night goes on with other estimators",
        )
    return SearchResult(
        dict(study.best_trial.user_attrs[PARAMS]), float(study.best_value), _trials_frame(ended), _importance(study)
    )


def _importance(study: Study) -> dict[str, float]:
    """By PED-ANOVA (Watanabe, Bansal and Hutter 2023), which needs no model of the scores."""
    if len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))) < FEWEST_COMPLETE:
        return {}
    found = optuna.importance.get_param_importances(
        study, evaluator=optuna.importance.PedAnovaImportanceEvaluator(target_quantile=BEST_SHARE)
    )
    return {name: float(share) for name, share in found.items()}


def _error(trial: FrozenTrial) -> str:
    return str(trial.user_attrs.get(ERROR, ""))


class _Reporter:
    """One line of progress after each trial."""

    def __init__(self, progress: Progress, estimator: str, trials: int, timeout_s: float) -> None:
        self._progress, self._estimator, self._trials, self._timeout_s = progress, estimator, trials, timeout_s
        self._began = time.monotonic()
        self._done = 0

    def seconds_left(self) -> float:
        """What remains of the time budget, never below zero."""
        return max(self._timeout_s - (time.monotonic() - self._began), 0.0)

    def __call__(self, study: Study, trial: FrozenTrial) -> None:
        self._done += 1
        finished = _finished(study)
        elapsed = time.monotonic() - self._began
        left = min(elapsed / self._done * max(self._trials - finished, 0), self.seconds_left())
        self._progress(
            f"{self._estimator}: trial {finished}/{self._trials}: {_outcome(trial)}, {_best(study)}, "
            f"{elapsed:.0f} s elapsed, at most {left:.0f} s left"
        )


def _outcome(trial: FrozenTrial) -> str:
    if ERROR in trial.user_attrs:
        return f"failed, {_error(trial)}"
    return f"log-loss {trial.value:.6f}{' (pruned)' if trial.state == TrialState.PRUNED else ''}"


def _best(study: Study) -> str:
    if not _has_completed(study):
        return "none complete yet"
    return f"best {study.best_value:.6f} by trial {study.best_trial.number + 1}"


def _trials_frame(trials: list[FrozenTrial]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "number": trial.number,
                "value": trial.value,
                "params": trial.user_attrs.get(PARAMS, dict(trial.params)),
                "seconds": trial.duration.total_seconds() if trial.duration else float("nan"),
                "state": trial.state.name.lower(),
                "error": _error(trial),
            }
            for trial in trials
        ]
    )
