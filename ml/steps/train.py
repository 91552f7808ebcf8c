"""Features and labels to a candidate: search on inner folds, score on outer ones, fit on all, register."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from ml.domain import Night, Target
from ml.errors import NotRecorded
from ml.frames import session_day
from ml.io.provenance import code_commit
from ml.io.registry import RECORD, Registered, Registry, Training
from ml.io.store import Store
from ml.io.warehouse import Warehouse, models
from ml.lifecycle import training
from ml.lifecycle.metrics import scores
from ml.lifecycle.model import Model
from ml.lifecycle.recipe import Recipe
from ml.lifecycle.search import SearchResult, search
from ml.lifecycle.training import fit, out_of_fold
from ml.settings import Settings, settings
from ml.steps import domains, material
from ml.steps.domains import Parts
from ml.steps.night import Keys, keys, parse

log = logging.getLogger(__name__)

ESTIMATOR = "xgboost"
OUT_OF_FOLD_TABLE = "out_of_fold.parquet"
TRIALS_TABLE = "trials.parquet"


def run(domain: str, as_of: str, known_at: str, snapshot: str, horizon: str, trials: int | None = None) -> Keys:
    """Train one candidate; returns the night's keys with `horizon` and the registered `version`.

    Asking the same question again (data, target, features, search) finds the version it gave before.
    """
    config = settings()
    asked = config if trials is None else config.model_copy(update={"trials": trials})
    parts = domains.parts(domain, config)
    target = domains.target(domain, horizon, config)
    night = parse(domain, as_of, known_at)
    warehouse = Warehouse(config.require_warehouse_dsn())
    question = _question(asked, parts, target, snapshot)
    known = models.version_trained_for(warehouse, question)
    if known is None:
        registered, record = _found_or_made(asked, parts, target, night, snapshot, question)
        models.record_version(warehouse, models.ModelVersion(**{**record, "version": registered.version}))
        known = models.version_trained_for(warehouse, question)
    if known is None:
        raise NotRecorded(f"no version for training {question[:16]}", "the one just recorded", "Run train again")
    log.info("%s: version %s of snapshot %s", target.model_name, known["version"], snapshot[:16])
    return keys(night, snapshot=snapshot, horizon=horizon, version=str(known["version"]))


def _question(config: Settings, parts: Parts, target: Target, snapshot: str) -> str:
    """What was asked, as a digest. The time budget belongs to it, the clock does not."""
    asked = {
        "target": asdict(target),
        "snapshot": snapshot,
        "feature_set": parts.feature_set_digest,
        "estimator": ESTIMATOR,
        "trials": config.trials,
        "search_seconds": config.search_seconds,
        "seed": config.seed,
        "revision": training.REVISION,
    }
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def _found_or_made(
    config: Settings, parts: Parts, target: Target, night: Night, snapshot: str, question: str
) -> tuple[Registered, dict[str, Any]]:
    registry = Registry(config.require_mlflow_uri())
    registered = registry.find(question, target.model_name)
    if registered is None:
        with TemporaryDirectory() as folder:
            registered = registry.register(_train(config, parts, target, night, snapshot, question, Path(folder)))
    record = registry.record(registered.run_id)
    instants = {
        name: datetime.fromisoformat(record[name]) for name in ("as_of", "known_at", "train_start", "train_end")
    }
    return registered, {**record, **instants, "run_id": registered.run_id}


def _train(
    config: Settings, parts: Parts, target: Target, night: Night, snapshot: str, question: str, folder: Path
) -> Training:
    seconds: dict[str, float] = {}
    began = time.monotonic()
    rows = material.gather(Store(config.store_root), parts, target, snapshot)
    seconds["gather"] = time.monotonic() - began
    found = search(
        rows.dataset,
        rows.folds.inner,
        ESTIMATOR,
        trials=config.trials,
        timeout_s=config.search_seconds,
        seed=config.seed,
        threads=config.threads,
        progress=log.info,
        warm_start=_champions_params(config, target, night),
    )
    seconds["search"] = time.monotonic() - began - seconds["gather"]
    recipe = Recipe(
        ESTIMATOR, found.params, parts.feature_names, parts.feature_set_digest, config.seed, parts.scale_feature
    )
    oof = out_of_fold(recipe, rows.dataset, rows.folds.outer, config.threads)
    model = fit(recipe, rows.dataset, oof, config.threads)
    seconds["fit"] = time.monotonic() - began - seconds["gather"] - seconds["search"]
    record = _record(target, night, snapshot, question, model, found, oof)
    files, artifacts = folder / "model", folder / "evidence"
    artifacts.mkdir()
    model.save(files)
    oof.to_parquet(artifacts / OUT_OF_FOLD_TABLE)
    found.trials.to_parquet(artifacts / TRIALS_TABLE)
    (artifacts / RECORD).write_text(json.dumps(record, indent=1), encoding="utf-8")
    return Training(
        model_name=target.model_name,
        training_key=question,
        run_name=f"{target.model_name} {session_day(night.as_of)}",
        model_files=files,
        artifacts=artifacts,
        feature_names=parts.feature_names,
        params={**found.params, "estimator": ESTIMATOR, "trials": len(found.trials), "seed": config.seed},
        metrics={
            **record["scores"],
            "inner_log_loss": found.best,
            "interval_coverage": model.interval.measured_coverage,
            **{f"seconds_{name}": value for name, value in seconds.items()},
        },
        tags={name: str(record[name]) for name in ("snapshot_digest", "feature_set_digest", "code_commit", "as_of")},
    )


def _champions_params(config: Settings, target: Target, night: Night) -> dict[str, Any] | None:
    """Of a champion that has seen nothing later: parameters found on later dates would be a look at the test dates."""
    champion = models.champion(Warehouse(config.require_warehouse_dsn()), target, night.as_of)
    if champion is None or champion["recipe"]["estimator"] != ESTIMATOR:
        return None
    return dict(champion["recipe"]["params"])


def _record(
    target: Target, night: Night, snapshot: str, question: str, model: Model, found: SearchResult, oof: pd.DataFrame
) -> dict[str, Any]:
    """The version's row in the warehouse, but for its number and run, as JSON."""
    return {
        "domain": target.domain,
        "target": target.name,
        "training_key": question,
        "estimator": model.recipe.estimator,
        "recipe": json.loads(model.recipe.to_json()),
        "recipe_digest": model.recipe.digest,
        "feature_set_digest": model.recipe.feature_set,
        "snapshot_digest": snapshot,
        "as_of": night.as_of.isoformat(),
        "known_at": night.known_at.isoformat(),
        "train_start": _iso(model.trained_from),
        "train_end": _iso(model.trained_until),
        "train_rows": model.n_rows,
        "trials": len(found.trials),
        "scores": scores(oof),
        "code_commit": code_commit(),
    }


def _iso(instant: Any) -> str:
    return pd.Timestamp(instant).tz_localize(UTC).isoformat()
