"""A share of the symbols, served by the newest challenger for a while: its rows, and how they do beside the champion's.

Readers of champions see no difference. Which symbols, is a matter of their names and the target: the arm is the same
every night, and moves only with the share.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ml import frames
from ml.domain import Night, Target
from ml.errors import NotRecorded
from ml.io.warehouse import Warehouse, models, shadows
from ml.lifecycle.audit import audit, raise_if_failed
from ml.lifecycle.significance import ewc_test
from ml.settings import Settings, settings
from ml.steps import domains
from ml.steps.domains import Parts
from ml.steps.forecasts import Forecasts, Voice, in_shadow
from ml.steps.place import place

log = logging.getLogger(__name__)

Verdict = dict[str, Any]


def run(domain: str, horizon: str) -> Verdict:
    """How the last canary of a target does: a test by date of the challenger against the champion, on the arm alone.

    NotRecorded before the first night of one whose outcomes are known.
    """
    config = settings()
    target = domains.target(domain, horizon, config)
    found = test(Warehouse(config.require_warehouse_dsn()), target)
    if found is None:
        raise NotRecorded(
            f"no canary of {target.model_name} with known outcomes",
            "nights with a challenger and a share of symbols that it serves",
            "Set AFTERBELL_CANARY_SHARE and wait until outcomes are known",
        )
    log.info("%s", line(found))
    return found


def test(warehouse: Warehouse, target: Target) -> Verdict | None:
    """The equal-weighted cosine test of challenger minus champion by date; None without a scored night.

    Only nights whose champion had the recipe of the last one. mean, error: in the target's score, above 0 where the
    challenger is better; p: one-sided. note: why there is nothing to weigh yet, or nothing.
    """
    last = shadows.last_canary(warehouse, target)
    if last is None:
        return None
    version = int(last["model_version"])
    d = shadows.series(warehouse, target, version, last["recipe_digest"], None, in_canary=True)
    result = ewc_test(np.asarray(d), target.horizon)
    return {
        "horizon": target.name,
        "version": version,
        "champion": int(last["champion_version"]),
        "score": target.score,
        "dates": result.n_dates,
        "mean": result.mean,
        "error": result.std_error,
        "t": result.statistic,
        "p": result.p_value,
        "note": result.note,
    }


def line(found: Verdict) -> str:
    """The same as one line of a table."""
    told = "{horizon} | {version} beside {champion} | {dates} dates | {score} {mean:+.3g} | error {error:.3g}"
    tested = " | t {t:.2f} | p {p:.3g}" if not found["note"] else " | {note}"
    return (told + tested).format(**found)


def arm(target: Target, entities: Sequence[str], share: float) -> list[str]:
    """Which of the entities a challenger of the target serves: others for every target."""
    return [entity for entity in entities if place(f"canary:{target.name}:{entity}") < share]


def arms(
    config: Settings,
    warehouse: Warehouse,
    parts: Parts,
    forecasts: Forecasts,
    serving: Sequence[Voice],
    night: Night,
) -> pd.DataFrame:
    """The rows that challengers serve tonight: PREDICTIONS, none unless the share and a challenger are there.

    A challenger that cannot answer, or whose rows fail their audit, serves nobody; the night goes on without it.
    """
    rows = []
    for champion in serving if config.canary_share else ():
        served = arm(champion.target, forecasts.entities, config.canary_share)
        challenger = _newest(warehouse, parts, champion, night)
        if not served or challenger is None:
            continue
        try:
            rows.append(_rows(forecasts, challenger, served))
        except Exception as error:  # whatever is wrong with it, it is not the champion's
            log.warning(
                "%s: challenger version %d serves nobody tonight: %s",
                champion.target.model_name, challenger.version, error,
            )  # fmt: skip
    return pd.concat(rows, ignore_index=True) if rows else frames.PREDICTIONS.empty()


def _newest(warehouse: Warehouse, parts: Parts, champion: Voice, night: Night) -> Voice | None:
    target = champion.target
    serves = models.champion(warehouse, target, night.as_of)
    if serves is None or serves["to_version"] != champion.version:
        return None  # somebody was promoted just now: the next publication has its own challenger
    found = [v for v, role in in_shadow(warehouse, parts, target, serves, night) if role == "challenger"]
    return Voice(target, found[-1], models.skill_told(warehouse, target, found[-1])) if found else None


def _rows(forecasts: Forecasts, challenger: Voice, served: list[str]) -> pd.DataFrame:
    """AuditFailed when they may not be published."""
    said = forecasts.predictions([challenger])
    rows = said[said["entity"].isin(served)].reset_index(drop=True)
    findings = audit(rows, [(entity, challenger.target.name) for entity in served], None)
    raise_if_failed(findings)
    log.info("%s: version %d serves %d symbols", challenger.target.model_name, challenger.version, len(rows))
    return rows
