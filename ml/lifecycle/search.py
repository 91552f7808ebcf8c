"""The search for hyper-parameters, on inner folds only."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
import pandas as pd
from optuna.trial import FrozenTrial, Trial, TrialState

from ml.errors import TrainingError
from ml.estimators.interface import Estimator, Flags, Matrix, Params
from ml.estimators.registry import estimator_class
from ml.lifecycle.dataset import Dataset, Instants
from ml.lifecycle.metrics import log_loss_rows, per_date_mean
from ml.lifecycle.splits import Fold

Progress = Callable[[str], None]


@dataclass(frozen=True)
class SearchResult:
    """The best parameters, their score (mean per-date log-loss over inner folds, in nats), and every trial.

    trials: number, value (of a pruned trial: the folds it saw), params, seconds, state.
    """

    params: Params
    best: float
    trials: pd.DataFrame


@dataclass(frozen=True)
class _PreparedFold:
    data: Any
    X: Matrix
    up: Flags
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
) -> SearchResult:
    """Minimise the mean over inner folds of the per-date log-loss, by a seeded TPE sampler.

    The estimator's conservative parameters are tried first, `warm_start` (say, the champion's)
    second. A trial worse than the median at the same fold is pruned once five are complete. The
    time budget ends the search after the trial that crosses it, so at least one trial completes;
    while it does not bite, the same inputs give the same result.
    """
    if not inner_folds or trials < 1:
        raise TrainingError(f"{len(inner_folds)} folds and {trials} trials", "at least one of each", "Ask for more")
    kind = estimator_class(estimator)
    folds = [_prepare(kind, dataset, fold, threads) for fold in inner_folds]
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = _study(kind, seed, warm_start)
    report = _Reporter(progress, trials, timeout_s)
    objective = _objective(kind, folds, seed, threads)
    study.optimize(objective, n_trials=1, callbacks=[report])
    if trials > 1:
        study.optimize(objective, n_trials=trials - 1, timeout=report.seconds_left(), callbacks=[report])
    return SearchResult(dict(study.best_params), float(study.best_value), _trials_frame(study.trials))


def _prepare(kind: type[Estimator], dataset: Dataset, fold: Fold, threads: int) -> _PreparedFold:
    train, test = dataset.rows(fold.train), dataset.rows(fold.test)
    data = kind.prepare(dataset.X[train], dataset.up[train], dataset.value[train], threads)
    return _PreparedFold(data, dataset.X[test], dataset.up[test], dataset.ts[test])


def _study(kind: type[Estimator], seed: int, warm_start: Params | None) -> Any:
    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5),
        direction="minimize",
    )
    study.enqueue_trial(dict(kind.defaults))
    if warm_start is not None and dict(warm_start) != dict(kind.defaults):
        study.enqueue_trial(dict(warm_start))
    return study


def _objective(kind: type[Estimator], folds: list[_PreparedFold], seed: int, threads: int) -> Callable[[Trial], float]:
    def objective(trial: Trial) -> float:
        params = kind.space(trial)
        losses: list[float] = []
        for step, fold in enumerate(folds):
            p_up = kind.direction(fold.data, fold.X, params, seed, threads)
            losses.append(float(per_date_mean(log_loss_rows(fold.up, p_up), fold.ts).mean()))
            trial.report(float(np.mean(losses)), step)
            if step < len(folds) - 1 and trial.should_prune():
                raise optuna.TrialPruned
        return float(np.mean(losses))

    return objective


class _Reporter:
    """One line of progress after each trial."""

    def __init__(self, progress: Progress, trials: int, timeout_s: float) -> None:
        self._progress, self._trials, self._timeout_s = progress, trials, timeout_s
        self._began = time.monotonic()

    def seconds_left(self) -> float:
        """What remains of the time budget, never below zero."""
        return max(self._timeout_s - (time.monotonic() - self._began), 0.0)

    def __call__(self, study: Any, trial: FrozenTrial) -> None:
        done = trial.number + 1
        elapsed = time.monotonic() - self._began
        left = min(elapsed / done * (self._trials - done), self.seconds_left())
        pruned = " (pruned)" if trial.state == TrialState.PRUNED else ""
        self._progress(
            f"trial {done}/{self._trials}: log-loss {trial.value:.6f}{pruned}, best {study.best_value:.6f} "
            f"by trial {study.best_trial.number + 1}, {elapsed:.0f} s elapsed, at most {left:.0f} s left"
        )


def _trials_frame(trials: list[FrozenTrial]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "number": trial.number,
                "value": trial.value,
                "params": dict(trial.params),
                "seconds": trial.duration.total_seconds() if trial.duration else float("nan"),
                "state": trial.state.name.lower(),
            }
            for trial in trials
        ]
    )
