"""`make evaluate data=FOLDER`: every estimator and ensemble over your own bars, walking forward, as one HTML page.

Uses a throwaway Postgres and store; nothing of the running stack is touched. Without DATA: the shipped sample.
"""

from __future__ import annotations

import argparse
import math
import platform
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from ml.domain import Target
from ml.errors import AfterbellError, SettingsError, TrainingError
from ml.estimators.registry import estimator_class
from ml.evaluation import contest, report
from ml.evaluation.contest import BASELINES, Contest, Said
from ml.evaluation.report import Evaluation
from ml.io.provenance import code_commit
from ml.lifecycle.dataset import Dataset
from ml.lifecycle.recipe import Member
from ml.settings import ESTIMATORS, Settings, horizon_name, settings
from ml.stack.throwaway import Installation, installation
from ml.steps import domains, learn
from ml.steps.domains import Parts
from ml.steps.material import Material, Source

DOMAIN = "equity"
STEPS = ("ingest", "validate", "features and labels")
EXIT_ERROR = 2
PACKAGES = ("lightgbm", "numpy", "pandas", "scikit-learn", "scipy", "tensorflow", "xgboost")


def main(arguments: Sequence[str] | None = None) -> int:
    """Evaluate, write the page and print the table; 2 with one clear line when it could not."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        asked = parser().parse_args(given)
        out, kept = _place(asked.out or settings().home / "evaluation.html"), 0
        if asked.forecasts:
            _folder(asked.forecasts)
        for evaluation in evaluated(asked, shlex.join(given)):
            found = report.judged(evaluation)
            out.write_text(report.page(evaluation, found), encoding="utf-8")
            if asked.forecasts:
                for held in evaluation.contests[kept:]:
                    _keep_forecasts(asked.forecasts, held)
            kept = len(evaluation.contests)
    except AfterbellError as error:
        print(f"evaluate: {error}", file=sys.stderr)
        return EXIT_ERROR
    print(f"\n{report.markdown(found)}\n\n{out}")
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    config = settings()
    top = argparse.ArgumentParser(prog="python -m ml.evaluation", description=__doc__)
    top.add_argument("data", nargs="?", help="file, folder or URL for the provider `files`; default: the sample")
    top.add_argument("--horizons", type=_horizons, default=config.horizons, help="e.g. 1d,5d,20d")
    top.add_argument("--estimators", type=_estimators, default=ESTIMATORS, help="e.g. xgboost,linear; default: all")
    top.add_argument("--trials", type=_positive, help="of a boosted model; default: AFTERBELL_TRIALS")
    top.add_argument("--seconds", type=_positive, default=config.search_seconds, help="of a search, at most")
    top.add_argument("--rows", type=_positive, default=config.fit_rows, help="of a fit, drawn from all train rows")
    top.add_argument("--costs-bps", type=_costs, default=config.costs_bps, help="basis points of everything traded")
    top.add_argument("--out", type=Path, help="the page; default: evaluation.html in AFTERBELL_HOME")
    top.add_argument("--forecasts", type=Path, help="folder for every forecast: a Parquet file a horizon")
    return top


def evaluated(asked: argparse.Namespace, command: str) -> Iterator[Evaluation]:
    """From bars to the forecasts of every entrant; horizons for which the history is too short are left out.

    One after each horizon, with all so far: an hour of work that is cut off has not been in vain.
    """
    data = asked.data if asked.data is None or "://" in asked.data else str(Path(asked.data).absolute())
    bars = {"AFTERBELL_PROVIDER": "files", "AFTERBELL_FILES_PATH": data} if data else {"AFTERBELL_PROVIDER": "sample"}
    config = settings().model_copy(
        update={
            "provider": bars["AFTERBELL_PROVIDER"],
            "horizons": asked.horizons,
            "estimators": asked.estimators,
            "trials": asked.trials or settings().trials,
            "search_seconds": asked.seconds,
            "search_rows": min(settings().search_rows, asked.rows),
            "fit_rows": asked.rows,
            "threads": settings().trainings * settings().threads,  # one estimator learns at a time here
        }
    )
    parts = domains.parts(DOMAIN, config)
    telling = _Telling(len(STEPS) + len(config.horizons) * contest.rounds(config))
    with installation({**bars, "AFTERBELL_HORIZONS": ",".join(config.horizons)}) as fresh:
        night = labelled(fresh, telling.begin)
        source = Source.of(config.model_copy(update={"store": str(fresh.store)}), parts, night["snapshot"])
        features = source.rows()
        facts = _facts(config, parts, features, night, data, command, asked.costs_bps)
        for contests, left_out in _contests(config, source, features, telling):
            yield Evaluation(facts, contests, left_out, asked.costs_bps)


def labelled(fresh: Installation, begin: Callable[[str], None]) -> dict[str, str]:
    """The bars of the source through the night's own steps, as far as labels; the keys of the night."""
    begin(STEPS[0])
    ingested = fresh.step("ingest")
    begin(STEPS[1])
    fresh.step("validate", ingested["ingest_id"])
    begin(STEPS[2])
    return fresh.step("labels")


def _contests(
    config: Settings, source: Source, features: Dataset, telling: _Telling
) -> Iterator[tuple[tuple[Contest, ...], dict[str, str]]]:
    """Those so far that the history carries, and why not the others; TrainingError when it carries none."""
    found: list[Contest] = []
    left_out: dict[str, str] = {}
    for target in source.parts.domain.targets:
        try:
            found.append(_held(config, source.parts, target, source.labelled(features, target), telling))
        except TrainingError as error:
            telling.line(f"{target.name} is left out: {error}")
            left_out[target.name] = str(error)
        if found:
            yield tuple(found), dict(left_out)
    if not found:
        raise TrainingError(
            "; ".join(f"{name} left out: {why}" for name, why in left_out.items()),
            "a history that carries at least one horizon",
            "Give a longer history or shorter horizons",
        )


def _held(config: Settings, parts: Parts, target: Target, rows: Material, telling: _Telling) -> Contest:
    draft = learn.recipe(config, parts, target, (Member(BASELINES[0], {}),))
    told = Said(telling.begin, telling.line)
    return contest.held(config, target, draft, parts.momentum_feature, rows.dataset, rows.folds, told)


def _facts(
    config: Settings,
    parts: Parts,
    features: Dataset,
    night: dict[str, str],
    data: str | None,
    command: str,
    costs_bps: float,
) -> dict[str, str]:
    days = features.ts.astype("datetime64[D]")
    versions = (f"{name} {version(name)}" for name in PACKAGES)
    return {
        "data": data or "the shipped sample",
        "rows": f"{len(features):,} of {len(set(features.entity)):,} symbols, {days[0]} to {days[-1]}",
        "snapshot": night["snapshot"],
        "features": f"{len(parts.feature_names)}, set {parts.feature_set_digest[:16]}",
        "search": f"{config.own_trials} trials of a boosted model, at most {config.search_seconds} s each search, "
        f"{config.search_rows:,} rows a trial",
        "fits": f"{config.fit_rows:,} rows, seed {config.seed}, {config.threads} threads",
        "costs": f"{costs_bps:g} basis points of everything traded",
        "command": f"python -m ml.evaluation {command}",
        "code": code_commit(),
        "versions": ", ".join([f"Python {platform.python_version()}", *versions]),
    }


class _Telling:
    """Lines on standard output: what, the how-manieth of how many, and the seconds since the beginning."""

    def __init__(self, total: int) -> None:
        self._total, self._done, self._what = total, 0, ""
        self._began = time.monotonic()

    def begin(self, what: str) -> None:
        """The next one begins."""
        self._done, self._what = self._done + 1, what
        self.line("begins")

    def line(self, told: str) -> None:
        """How it goes."""
        seconds = time.monotonic() - self._began
        print(f"[{self._done}/{self._total}, {seconds:.0f} s] {self._what}: {told}", flush=True)


def _keep_forecasts(folder: Path, held: Contest) -> None:
    """Every entrant's answers on outer test rows, in `<horizon>.parquet`."""
    entrants = [each.oof.assign(entrant=each.name) for each in held.entrants]
    pd.concat(entrants, ignore_index=True).to_parquet(folder / f"{held.target.name}.parquet", index=False)


def _folder(place: Path) -> None:
    """Make the folder of the forecasts before an hour of work."""
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"{place}, which cannot be made ({error.strerror})", "a folder", "Give another --forecasts"
        ) from error


def _place(out: Path) -> Path:
    """Where the page will lie; tried before an hour of work."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with out.open("a"):  # which a folder refuses, unlike touch
            pass
    except OSError as error:
        raise SettingsError(
            f"{out}, which cannot be written ({error.strerror})", "a file", "Give another --out"
        ) from error
    return out.absolute()


def _listed(text: str) -> list[str]:
    return list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def _horizons(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(horizon_name(typed) for typed in _listed(text)))


def _estimators(text: str) -> tuple[str, ...]:
    return tuple(estimator_class(name).name for name in _listed(text) if name not in BASELINES)


def _costs(text: str) -> float:
    costs = float(text)
    if not 0 <= costs < math.inf:
        raise ValueError(text)
    return costs


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


if __name__ == "__main__":
    # So that whoever ends it, ends its Postgres as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    sys.exit(main())
