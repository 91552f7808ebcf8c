"""The groups of features that an export offers. Nothing heavy is imported here: its DAG reads them for the form."""

from __future__ import annotations

from typing import Any

import yaml

from ml.equity.features.groups import CUSTOM, GROUPS
from ml.settings import Settings


def offered(config: Settings) -> list[str]:
    """Those of the catalogue, the categories that the file of AFTERBELL_FEATURES_PATH names itself, and `custom`."""
    return list(dict.fromkeys((*GROUPS, *_own(config), CUSTOM)))


def _own(config: Settings) -> list[str]:
    """The categories in the file as they stand there; what is wrong with a file is told when it is computed."""
    if not config.features_file:
        return []
    try:
        told = yaml.safe_load(config.features_file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return []
    return [category for category in map(_category, _listed(told, "features")) if category]


def _listed(told: Any, key: str) -> list[Any]:
    found = told.get(key) if isinstance(told, dict) else None
    return found if isinstance(found, list) else []


def _category(feature: Any) -> str:
    category = feature.get("category") if isinstance(feature, dict) else None
    return category if isinstance(category, str) else ""
