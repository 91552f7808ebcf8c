"""`python -m tests.bench.trials FOLDER`: what one trial of each net costs over your own bars, on one thread.

The night's own labels, inner folds, rows of a trial and seed; the parameters are the estimator's defaults, with what
`--params` says instead. Processor seconds, because a trial's wall time is that of whoever else runs.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ml.estimators import keras_model
from ml.estimators.interface import Params
from ml.estimators.registry import estimator_class
from ml.evaluation.__main__ import DOMAIN, labelled
from ml.lifecycle.search import search
from ml.settings import settings
from ml.stack.throwaway import installation
from ml.steps import domains
from ml.steps.material import Material, Source

NETS = "cnn,lstm,transformer"
NO_LIMIT = 1e9


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.trials", description=__doc__)
    parser.add_argument("data", type=Path, help="folder or file for the provider `files`")
    parser.add_argument("--nets", default=NETS)
    parser.add_argument("--horizon", default="5d")
    parser.add_argument("--params", type=json.loads, default={}, help='e.g. {"window": 30, "width": 32, "depth": 2}')
    asked = parser.parse_args()
    keras_model.start(threads=1)
    with _material(asked.data, asked.horizon) as material:
        print(
            "| net | steps kept | inner log-loss | processor s | wall s |\n| --- | --- | --- | --- | --- |", flush=True
        )
        for name in asked.nets.split(","):
            print(_trial(material, name, asked.params), flush=True)


@contextmanager
def _material(data: Path, horizon: str) -> Iterator[Material]:
    """The rows and folds that a night of these bars learns a horizon from."""
    config = settings().model_copy(update={"provider": "files", "horizons": (horizon,)})
    bars = {"AFTERBELL_PROVIDER": "files", "AFTERBELL_FILES_PATH": str(data.absolute()), "AFTERBELL_HORIZONS": horizon}
    parts = domains.parts(DOMAIN, config)
    with installation(bars) as fresh:
        night = labelled(fresh, lambda _: None)
        source = Source.of(config.model_copy(update={"store": str(fresh.store)}), parts, night["snapshot"])
        yield source.gather(domains.target(DOMAIN, horizon, config))


def _trial(material: Material, name: str, params: Params) -> str:
    """A row of the table."""
    kind = estimator_class(name)
    kind.defaults = {own: params.get(own, value) for own, value in kind.defaults.items()}
    wall, processor = time.perf_counter(), time.process_time()
    found = search(
        material.dataset,
        material.folds.inner,
        name,
        trials=1,
        timeout_s=NO_LIMIT,
        seed=settings().seed,
        threads=1,
        progress=lambda _: None,
        most_rows=settings().search_rows,
    )
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    return f"| {name} | {found.params['steps']} | {found.best:.6f} | {processor:.1f} | {wall:.1f} |"


if __name__ == "__main__":
    main()
