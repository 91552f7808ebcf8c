"""Features and champions to a publication: forecast, finish, audit, and publish in one transaction."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import asdict
from datetime import UTC, datetime

import pandas as pd

from ml import frames
from ml.domain import Night, Target
from ml.errors import NoChampion
from ml.io.registry import Registry
from ml.io.warehouse import Warehouse, models, publications
from ml.lifecycle.audit import AuditFinding, audit, raise_if_failed
from ml.settings import settings
from ml.steps import aliases, canary, domains
from ml.steps.domains import Parts
from ml.steps.forecasts import Forecasts, Voice
from ml.steps.night import Keys, keys, parse

log = logging.getLogger(__name__)


def run(domain: str, as_of: str, known_at: str, snapshot: str) -> Keys:
    """Publish one night; returns its keys with the `publication_id` and whether it is `new`.

    NoChampion when nothing serves any target yet. AuditFailed leaves readers with what they had.
    """
    config = settings()
    parts = domains.parts(domain, config)
    night = parse(domain, as_of, known_at)
    warehouse = Warehouse(config.require_warehouse_dsn())
    registry = Registry(config.require_mlflow_uri())
    serving = _champions(registry, warehouse, parts, night)
    forecasts = Forecasts(config, parts, night, snapshot)
    predictions = forecasts.predictions(serving)
    expected = [(entity, champion.target.name) for entity in forecasts.entities for champion in serving]
    findings = audit(predictions, expected, publications.previous_predictions(warehouse, night))
    raise_if_failed(findings)
    arms = canary.arms(config, warehouse, parts, forecasts, serving, night)
    done = publications.publish(
        warehouse,
        night,
        snapshot,
        _content_key(parts, night, snapshot, serving, arms),
        predictions,
        [asdict(finding) for finding in findings],
        _expires_at(parts, night),
        arms,
    )
    _report(done, predictions, findings)
    return keys(night, publication_id=str(done.publication_id), new="yes" if done.new else "no")


def _champions(registry: Registry, warehouse: Warehouse, parts: Parts, night: Night) -> list[Voice]:
    found = [_champion(registry, warehouse, parts, target, night) for target in parts.domain.targets]
    serving = [champion for champion in found if champion is not None]
    if not serving:
        raise NoChampion(
            f"no champion of {parts.domain.name} that may answer the night of {frames.session_day(night.as_of)}",
            "a promoted model that has seen nothing later and uses the night's feature set",
            "After a retraining predictions follow by themselves. A night before the first champion has no answer: "
            "run nights in the order of time",
        )
    return serving


def _champion(registry: Registry, warehouse: Warehouse, parts: Parts, target: Target, night: Night) -> Voice | None:
    """The last champion that has seen nothing later than the night, if its features are still computed."""
    aliases.repair(warehouse, registry, target)
    recorded = models.champion(warehouse, target, night.as_of)
    if recorded is None:
        return None
    if recorded["feature_set_digest"] != parts.feature_set_digest:
        log.warning("%s: version %s needs another feature set", target.model_name, recorded["to_version"])
        return None
    return Voice(target, int(recorded["to_version"]), bool(recorded["has_skill"]))


def _content_key(parts: Parts, night: Night, snapshot: str, serving: list[Voice], arms: pd.DataFrame) -> str:
    made_from = [night.as_of.isoformat(), snapshot, parts.feature_set_digest]
    answer = [*made_from, *(f"{c.target.name}={c.version}" for c in serving)]
    for (target, version), arm in arms.groupby(["target", "model_version"]):
        answer.append(f"{target}={version} of {','.join(arm['entity'])}")
    return hashlib.sha256(json.dumps(answer).encode()).hexdigest()


def _expires_at(parts: Parts, night: Night) -> datetime | None:
    """When the next night's answers are due; None for a night replayed after that, which no clock can make stale."""
    due = parts.due(night.as_of)
    return due if due > datetime.now(UTC) else None


def _report(done: publications.Published, predictions: pd.DataFrame, findings: list[AuditFinding]) -> None:
    for finding in findings:
        if not finding.passed:
            log.warning("audit, %s: %s; expected %s", finding.name, finding.observed, finding.expected)
    if done.new:
        log.info("published %d predictions as publication %d", len(predictions), done.publication_id)
    else:
        log.info("publication %d already says this or knows more: nothing written", done.publication_id)
