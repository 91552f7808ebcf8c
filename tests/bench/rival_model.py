"""`python -m tests.bench.rival_model DATA FORECASTS`: qlib's Alpha158 with LightGBM beside our own forecasts.

DATA: what was evaluated; FORECASTS: the folder that `make evaluate ... options="--forecasts FOLDER"` left. On the same
bars, labels, outer folds and rows: Alpha158 (our engine's, whose values agree with qlib's, see docs/benchmarks.md) and
LightGBM with what qlib publishes for it (examples/benchmarks/LightGBM/workflow_config_lightgbm_Alpha158.yaml: squared
error of the label's z-score by date, at most 1000 rounds, stopped after 50 without gain on validation dates). Of each
fold's train dates the last 252 are that validation, purged. Its score is no probability: one is learned from it by
logistic regression on the validation dates.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import lightgbm as lgb
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from ml.domain import Target
from ml.equity.features.alpha158 import ALPHA158
from ml.estimators.panel import Flags, Sample, Vector
from ml.evaluation.__main__ import DOMAIN, labelled
from ml.evaluation.contest import BASELINES
from ml.lifecycle.dataset import Dataset
from ml.lifecycle.metrics import log_loss_rows, per_date_mean, rank_information_coefficient
from ml.lifecycle.significance import ewc_test, standard_error
from ml.lifecycle.splits import Fold
from ml.settings import settings
from ml.stack.throwaway import installation
from ml.steps import domains
from ml.steps.material import Material, Source

PUBLISHED: dict[str, float | int | str] = {
    "objective": "mse",
    "colsample_bytree": 0.8879,
    "learning_rate": 0.2,
    "subsample": 0.8789,
    "lambda_l1": 205.6999,
    "lambda_l2": 580.9768,
    "max_depth": 8,
    "num_leaves": 210,
    "num_threads": 2,
    "verbosity": -1,
}
ROUNDS, PATIENCE, VALIDATION_DATES = 1000, 50, 252
SET = "name: rival\nversion: 1\ngroups: [alpha158]\n"
NAME = "qlib: Alpha158, LightGBM"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.rival_model", description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("forecasts", type=Path)
    asked = parser.parse_args()
    files = {file.stem: file for file in asked.forecasts.glob("*.parquet")}
    print("| horizon | who | log-loss | ahead in log-loss | p | rank IC | ahead in rank IC | p |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    with _source(asked.data, tuple(files)) as source:
        features = source.rows()
        for target in source.parts.domain.targets:
            theirs = _forecast(source.labelled(features, target), target)
            for line in _lines(target, pd.read_parquet(files[target.name]), theirs):
                print(line, flush=True)


@contextmanager
def _source(data: Path, horizons: tuple[str, ...]) -> Iterator[Source]:
    """The bars with Alpha158 as their features."""
    with tempfile.TemporaryDirectory() as folder:
        chosen = Path(folder) / "alpha158.yaml"
        chosen.write_text(SET)
        bars = {"AFTERBELL_PROVIDER": "files", "AFTERBELL_FILES_PATH": str(data.absolute())}
        own = {**bars, "AFTERBELL_FEATURES_PATH": str(chosen), "AFTERBELL_HORIZONS": ",".join(horizons)}
        changes = {"features_path": str(chosen), "horizons": horizons}
        with installation(own) as fresh:
            config = settings().model_copy(update={**changes, "store": str(fresh.store)})
            snapshot = labelled(fresh, lambda _: None)["snapshot"]
            yield Source.of(config, domains.parts(DOMAIN, config), snapshot)


def _forecast(material: Material, target: Target) -> pd.DataFrame:
    """entity, ts, p_up and expected (a score) on all outer test rows."""
    dataset = material.dataset
    columns = [dataset.feature_names.index(name) for name in ALPHA158.names]
    return pd.concat([_of_fold(dataset, fold, columns, target) for fold in material.folds.outer], ignore_index=True)


def _of_fold(dataset: Dataset, fold: Fold, columns: list[int], target: Target) -> pd.DataFrame:
    valid_dates = fold.train[-VALIDATION_DATES:]
    matures_at = dataset.date_maturities[np.searchsorted(dataset.dates, fold.train)]
    known = (fold.train < valid_dates[0]) & (matures_at < valid_dates[0])
    train, valid, test = (dataset.sample(dates) for dates in (fold.train[known], valid_dates, fold.test))
    learned, watched = (lgb.Dataset(each.X[:, columns], _z_score(dataset, each)) for each in (train, valid))
    stop = lgb.early_stopping(PATIENCE, verbose=False)
    booster = lgb.train(PUBLISHED, learned, ROUNDS, valid_sets=[watched], callbacks=[stop])
    print(f"  {target.name}: {len(train):,} rows, {booster.best_iteration} rounds", file=sys.stderr, flush=True)
    seen, score = (np.asarray(booster.predict(each.X[:, columns])) for each in (valid, test))
    keys = {"entity": dataset.entity[test.at], "ts": pd.DatetimeIndex(dataset.ts[test.at]).tz_localize("UTC")}
    return pd.DataFrame({**keys, "p_up": _probability(seen, valid.up, score), "expected": score})


def _z_score(dataset: Dataset, sample: Sample) -> Vector:
    """The label in deviations from its date's mean, as qlib's CSZScoreNorm makes it."""
    by_date = pd.Series(sample.value).groupby(dataset.ts[sample.at])
    scores: Vector = ((sample.value - by_date.transform("mean")) / by_date.transform("std")).fillna(0).to_numpy()
    return scores


def _probability(seen: Vector, up: Flags, score: Vector) -> Vector:
    """Of a rise, learned from the scores seen on validation dates and what came of them."""
    spread = float(np.std(seen)) or 1.0
    line = LogisticRegression(C=np.inf).fit((seen / spread)[:, None], up)
    p_up: Vector = line.predict_proba((score / spread)[:, None])[:, 1]
    return p_up


def _lines(target: Target, ours: pd.DataFrame, theirs: pd.DataFrame) -> Iterator[str]:
    """A row of the table for the rival, then for each that is no baseline, by how much it is ahead of the rival."""
    own = {str(name): frame for name, frame in ours.groupby("entrant", sort=False) if name not in BASELINES}
    first = next(iter(own.values()))
    paired = first[["entity", "ts", "value"]].merge(theirs, on=["entity", "ts"], validate="one_to_one")
    if len(paired) != len(first):
        raise SystemExit(f"{len(first)} rows, and {len(paired)} of them forecast by the rival: other data or settings")
    loss, order = _by_date(paired)
    yield f"| {target.name} | {NAME} | {_told(loss, target)} | | | {_told(order, target)} | | |"
    for name, frame in own.items():
        own_loss, own_order = _by_date(frame)
        less, more = (ewc_test(d, target.horizon) for d in (loss - own_loss, own_order - order))
        yield (
            f"| {target.name} | {name} | {_told(own_loss, target)} | {less.mean:+.5f} | {less.p_value:.2f}"
            f" | {_told(own_order, target)} | {more.mean:+.4f} | {more.p_value:.2f} |"
        )


def _by_date(frame: pd.DataFrame) -> tuple[Vector, Vector]:
    """Log-loss and rank IC of each date; a date on which the same is expected of all has an IC of 0."""
    value, ts = frame["value"].to_numpy(), frame["ts"]
    loss = per_date_mean(log_loss_rows(value > 0, frame["p_up"].to_numpy()), ts)
    order = rank_information_coefficient(value, frame["expected"].to_numpy(), ts).fillna(0)
    return np.asarray(loss, dtype=np.float64), np.asarray(order, dtype=np.float64)


def _told(series: Vector, target: Target) -> str:
    return f"{series.mean():.4f} ± {standard_error(series, target.horizon):.4f}"


if __name__ == "__main__":
    main()
