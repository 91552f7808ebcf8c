"""Features and champions to a publication: forecast, finish, audit, and publish in one transaction."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial

import pandas as pd

from ml import frames
from ml.domain import Night, Target
from ml.errors import NoChampion
from ml.io.registry import Registry
from ml.io.store import Store
from ml.io.warehouse import Warehouse, models, publications
from ml.lifecycle.audit import AuditFinding, audit, raise_if_failed
from ml.lifecycle.prediction import finish
from ml.settings import Settings, settings
from ml.steps import aliases, domains, keep, months
from ml.steps.domains import Parts
from ml.steps.night import Keys, keys, parse

log = logging.getLogger(__name__)


RETURNS = {
    "expected": "expected_return",
    **{name: f"return_{name}" for name in ("lower", "upper", "lower_95", "upper_95", "stop")},
}
"""What a forecast's values are called where they are returns."""


@dataclass(frozen=True)
class Champion:
    """The version that serves a target, and whether its skill was proven when it was promoted."""

    target: Target
    version: int
    has_skill: bool


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
    recent = _Recent(Store(config.store_root), parts, night, snapshot)
    predictions = _predictions(registry, config, parts, serving, recent, night, snapshot)
    expected = [(entity, champion.target.name) for entity in recent.entities for champion in serving]
    findings = audit(predictions, expected, publications.previous_predictions(warehouse, night))
    raise_if_failed(findings)
    done = publications.publish(
        warehouse,
        night,
        snapshot,
        _content_key(parts, night, snapshot, serving),
        predictions,
        [asdict(finding) for finding in findings],
        _expires_at(parts, night),
    )
    _report(done, predictions, findings)
    return keys(night, publication_id=str(done.publication_id), new="yes" if done.new else "no")


def _champions(registry: Registry, warehouse: Warehouse, parts: Parts, night: Night) -> list[Champion]:
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


def _champion(registry: Registry, warehouse: Warehouse, parts: Parts, target: Target, night: Night) -> Champion | None:
    """The last champion that has seen nothing later than the night, if its features are still computed."""
    aliases.repair(warehouse, registry, target)
    recorded = models.champion(warehouse, target, night.as_of)
    if recorded is None:
        return None
    if recorded["feature_set_digest"] != parts.feature_set_digest:
        log.warning("%s: version %s needs another feature set", target.model_name, recorded["to_version"])
        return None
    return Champion(target, int(recorded["to_version"]), bool(recorded["has_skill"]))


class _Recent:
    """The night's features and those of the sessions before it, of entities whose history is long enough to know
    their dispersion tonight."""

    def __init__(self, store: Store, parts: Parts, night: Night, snapshot: str) -> None:
        self._store, self._snapshot = store, snapshot
        self._folder = keep.features(night.domain, parts.feature_set_digest)
        tonight = store.get(keep.tonight(night.domain, parts.feature_set_digest, snapshot))
        usable = tonight[parts.scale_feature].notna()
        if not usable.all():
            log.warning("too short a history to predict: %s", ", ".join(tonight.loc[~usable, "entity"]))
        self.entities: list[str] = tonight.loc[usable, "entity"].tolist()
        self._read: dict[int, pd.DataFrame] = {}

    def __call__(self, sessions: int) -> pd.DataFrame:
        """The features of so many sessions, tonight's included."""
        if sessions not in self._read:
            rows = months.last_sessions(self._store, self._folder, self._snapshot, sessions)
            self._read[sessions] = rows[rows["entity"].isin(self.entities)].reset_index(drop=True)
        return self._read[sessions]


def _predictions(
    registry: Registry,
    config: Settings,
    parts: Parts,
    serving: list[Champion],
    recent: _Recent,
    night: Night,
    snapshot: str,
) -> pd.DataFrame:
    price = Store(config.store_root).get(keep.reference(night.domain, snapshot)).set_index("entity")["price"]
    finished = [_finished(registry, parts, champion, recent, night) for champion in serving]
    priced = parts.finish(pd.concat(finished, ignore_index=True), price)
    ordered = priced.sort_values(list(frames.PREDICTIONS.key), ignore_index=True)
    return frames.PREDICTIONS.check(frames.PREDICTIONS.cast(ordered))


def _finished(registry: Registry, parts: Parts, champion: Champion, recent: _Recent, night: Night) -> pd.DataFrame:
    forecast = registry.forecast(champion.target.model_name, champion.version, recent)
    reasons = forecast["reasons"].map(partial(_worded, parts))
    return (
        finish(forecast)
        .assign(reasons=reasons.astype("str"))
        .rename(columns=RETURNS)
        .assign(
            target=champion.target.name,
            matures_at=parts.matures_at(night.as_of, champion.target),
            model_version=champion.version,
            has_skill=champion.has_skill,
        )
    )


def _worded(parts: Parts, reasons: str) -> str:
    """The same reasons, each with a sentence that a person understands."""
    return json.dumps([{**reason, "words": parts.words(**reason)} for reason in json.loads(reasons)])


def _content_key(parts: Parts, night: Night, snapshot: str, serving: list[Champion]) -> str:
    made_from = [night.as_of.isoformat(), snapshot, parts.feature_set_digest]
    answer = [*made_from, *(f"{c.target.name}={c.version}" for c in serving)]
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
