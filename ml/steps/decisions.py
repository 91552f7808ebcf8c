"""What a person needs to judge one decision of the gate, for the page and its plot."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import numpy as np

from ml.domain import Target
from ml.io import serving
from ml.lifecycle.running import COVERAGE, running_band, running_mean
from ml.settings import settings

Shown = dict[str, Any]


def shown(decision_id: int) -> Shown | None:
    """The row of `serving.promotions` with what is known of both versions, and its `course`; None without one.

    candidate, champion: their rows of `serving.models`, with the address of the version's page in MLflow as `mlflow`.
    course: `dates`, `d` (by date), `mean` (running) and the `band` about it (`place` of a date, `lower`, `upper`) at
    `coverage`; `margin` by which the candidate may be worse. Without differences by date it is None.
    """
    row = serving.decision(decision_id)
    if row is None:
        return None
    evidence = dict(row["evidence"])
    series = evidence.pop("series", None)
    models = {who: _with_address(row[who]) for who in ("candidate", "champion")}
    return {**row, **models, "evidence": evidence, "course": _course(series, evidence) if series else None}


def plot(decision_id: int) -> bytes | None:
    """The course as a PNG file; None where there is nothing to draw."""
    from ml.lifecycle import plots  # noqa: PLC0415 -- half a second that only a plot needs

    found = shown(decision_id)
    if found is None or found["course"] is None:
        return None
    return plots.png(plots.running_mean(found["course"], found["score"]))


def _with_address(model: Shown | None) -> Shown | None:
    """Without a place that a browser can go to, the address is None."""
    config = settings()
    place = config.mlflow_pages or config.mlflow_uri
    if model is None or place is None or not place.startswith("http"):
        return model and {**model, "mlflow": None}
    name = quote(Target(model["domain"], model["horizon"], 1).model_name)
    place = re.sub(r"//[^@/]*@", "//", place.rstrip("/"))  # credentials are for servers
    return {**model, "mlflow": f"{place}/#/models/{name}/versions/{model['model_version']}"}


def _course(series: list[Any], evidence: Shown) -> Shown:
    d = np.array([value for _, value in series], dtype=np.float64)
    band = running_band(d, Target(**evidence["target"]).horizon)
    return {
        "dates": [instant for instant, _ in series],
        "d": d.tolist(),
        "mean": running_mean(d).tolist(),
        "band": {"place": band.places.tolist(), "lower": band.lower.tolist(), "upper": band.upper.tolist()},
        "coverage": COVERAGE,
        "margin": evidence.get("margin"),
    }
