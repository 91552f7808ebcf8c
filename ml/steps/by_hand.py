"""What a person decides about champions: which version serves, and whether the gate may change it.

Every word is kept with who said it and why: moves in `serving.promotions`, freezes in `serving.freezes`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from ml.domain import Target
from ml.errors import SettingsError
from ml.io.registry import Registry
from ml.io.warehouse import Warehouse, freezes, models
from ml.io.warehouse.connection import Transaction
from ml.settings import Settings, settings
from ml.steps import aliases, domains, promote
from ml.steps.night import Keys

log = logging.getLogger(__name__)

SHELL = "shell"


@dataclass(frozen=True)
class Asked:
    """What a person wants of a target. version: which one is to serve, where that is the question."""

    action: str
    target: Target
    version: int | None
    why: str
    decided_by: str
    request: str | None


def run(
    action: str,
    horizon: str,
    why: str,
    version: int | None = None,
    decided_by: str = SHELL,
    request: str | None = None,
    domain: str = "equity",
) -> Keys:
    """Do one of ACTIONS; returns `horizon`, `action`, the `version` that serves then, and whether it was `promoted`.

    SettingsError for what cannot be done; then nothing has changed. The same `request` again, say of a run that was
    killed, changes nothing and returns the same. Another one to roll back leads back to where the first began.
    """
    if action not in ACTIONS:
        raise SettingsError(f"the action {action!r}", f"one of {', '.join(ACTIONS)}", "Choose one of them")
    if not why.strip():
        raise SettingsError("no word on why", "a reason that others understand later", "Fill in `why`")
    if (version is not None) != (action == "promote"):
        found = f"version {version}" if version is not None else "no version"
        raise SettingsError(f"{found} to {action}", "a version to promote, and none else", "Correct `version`")
    config = settings()
    asked = Asked(action, domains.target(domain, horizon, config), version, why.strip(), decided_by, request)
    warehouse = Warehouse(config.require_warehouse_dsn())
    with warehouse.transaction() as transaction:
        models.lock_champion(transaction, asked.target)
        done = models.decided_on_request(transaction, asked.target, request) if request else None
        serves = _serves(transaction, asked.target)
        now = int(done["candidate_version"]) if done else ACTIONS[action](config, transaction, asked, serves)
    log.info("%s: %s by %s: %s", asked.target.model_name, action, decided_by, asked.why)
    shown = {"version": str(now or ""), "promoted": "yes" if done or now != serves else "no"}
    return {"horizon": asked.target.name, "action": action, **shown}


Action = Callable[[Settings, Transaction, Asked, int | None], int | None]


def _serves(transaction: Transaction, target: Target) -> int | None:
    champion = models.champion_in(transaction, target)
    return int(champion["to_version"]) if champion else None


def _promote(config: Settings, transaction: Transaction, asked: Asked, serves: int | None) -> int | None:
    assert asked.version is not None
    if asked.version == serves:
        # An alias that another hand has moved comes back.
        aliases.put_right(transaction, Registry(config.require_mlflow_uri()), asked.target)
    else:
        _serve(config, transaction, asked, asked.version)
    return asked.version


def _roll_back(config: Settings, transaction: Transaction, asked: Asked, _: int | None) -> int | None:
    """To the version that served before the present one."""
    champion = models.champion_in(transaction, asked.target)
    if champion is None or champion["from_version"] is None:
        raise SettingsError(
            f"a roll back of {asked.target.model_name}, before whose champion nothing served",
            "a target whose champion has changed",
            "Promote a version by its number instead",
        )
    before = int(champion["from_version"])
    _serve(config, transaction, asked, before)
    return before


def _serve(config: Settings, transaction: Transaction, asked: Asked, version: int) -> None:
    _refuse_what_cannot_serve(config, transaction, asked.target, version)
    decided = models.record_by_hand(
        transaction,
        asked.target,
        version,
        action=asked.action,
        decided_by=asked.decided_by,
        why=asked.why,
        request=asked.request,
    )
    promote.take_effect(transaction, Registry(config.require_mlflow_uri()), asked.target, decided)


def _refuse_what_cannot_serve(config: Settings, transaction: Transaction, target: Target, version: int) -> None:
    found = models.version_in(transaction, target, version)
    parts = domains.parts(target.domain, config)
    if found["feature_set_digest"] != parts.feature_set_digest:
        raise SettingsError(
            f"version {version} of {target.model_name} with the feature set {found['feature_set_digest'][:12]}",
            f"{parts.feature_set_digest[:12]}, which is computed every night",
            "Promote a version that was trained on it: serving.models lists them",
        )
    learned = found["recipe"].get("label")
    if learned != target.label:
        raise SettingsError(
            f"version {version} of {target.model_name}, which has learned the label {learned}",
            f"{target.label}, as the target declares",
            "Promote a version that answers the same question, or declare its label",
        )


def _freeze(_: Settings, transaction: Transaction, asked: Asked, serves: int | None) -> int | None:
    return _set_frozen(transaction, asked, serves, is_frozen=True)


def _unfreeze(_: Settings, transaction: Transaction, asked: Asked, serves: int | None) -> int | None:
    return _set_frozen(transaction, asked, serves, is_frozen=False)


def _set_frozen(transaction: Transaction, asked: Asked, serves: int | None, *, is_frozen: bool) -> int | None:
    if (freezes.standing(transaction, asked.target) is not None) != is_frozen:
        freezes.freeze(transaction, asked.target, is_frozen=is_frozen, decided_by=asked.decided_by, why=asked.why)
    return serves


ACTIONS: dict[str, Action] = {
    "promote": _promote,
    "roll_back": _roll_back,
    "freeze": _freeze,
    "unfreeze": _unfreeze,
}
