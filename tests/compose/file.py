"""docker-compose.yaml as its tests read it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

from ml.settings import REPOSITORY

TEXT = (REPOSITORY / "docker-compose.yaml").read_text(encoding="utf-8")
PAGE = (REPOSITORY / "docs" / "operations-docker.md").read_text(encoding="utf-8")
VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(?::([-?])([^}]*))?\}")

Compose = dict[str, Any]


def filled(text: str) -> str:
    """The text as compose would fill it in: defaults where there are some, `given` elsewhere."""
    plain = VARIABLE.sub(lambda found: found[3] if found[2] == "-" else "given", text)
    return plain.replace("$$", "$")


def read() -> Compose:
    """The file as compose reads it; services share nothing, so that a test may spoil one of them."""
    loaded: Compose = json.loads(json.dumps(yaml.safe_load(filled(TEXT))))
    return loaded


def environment_of(service: dict[str, Any]) -> dict[str, str | None]:
    environment: dict[str, str | None] = service.get("environment", {})
    return environment


def strings(value: Any) -> Iterator[str]:
    """Every string inside, keys left out."""
    if isinstance(value, dict):
        for part in value.values():
            yield from strings(part)
    elif isinstance(value, list):
        for part in value:
            yield from strings(part)
    elif isinstance(value, str):
        yield value


def dockerfile(compose: Compose) -> list[str]:
    """The instructions of the one image that is built here, continued lines joined."""
    text: str = compose["services"]["init"]["build"]["dockerfile_inline"]
    return [line for line in re.sub(r"\s*\\\n\s*", " ", text).splitlines() if not line.startswith("#")]
