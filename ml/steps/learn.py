"""Features and labels to what one estimator makes of them: its search, its answers on every fold, its serving fit.

Estimators learn in tasks of their own, so that one which fails or runs out of memory takes no other with it.
What each leaves behind is one MLflow run; `train` makes one model of them.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from ml.domain import SCHEDULED, Night, Target
from ml.errors import TrainingError
from ml.estimators.interface import Params
from ml.estimators.registry import estimator_class
from ml.frames import session_day
from ml.io import studies
from ml.io.registry import Registry, Study
from ml.io.scratch import scratch
from ml.io.warehouse import Warehouse, models
from ml.lifecycle import training
from ml.lifecycle.dataset import Dataset
from ml.lifecycle.recipe import Member, Recipe
from ml.lifecycle.search import FEWEST_COMPLETE, SearchResult, search
from ml.lifecycle.training import Answers, ask, blocks, fit_serving
from ml.settings import Settings, settings
from ml.steps import domains, retrain
from ml.steps.domains import Parts
from ml.steps.material import Source
from ml.steps.night import Keys, keys, parse

log = logging.getLogger(__name__)

ANSWERS_TABLE = "answers.parquet"
TRIALS_TABLE = "trials.csv"
HISTORY_PLOT, IMPORTANCE_PLOT = "history.png", "parameter_importance.png"
MEMBER = "member.json"
FITTED = "estimator"


def run(
    domain: str,
    as_of: str,
    known_at: str,
    snapshot: str,
    estimator: str,
    horizons: Sequence[str],
    trials: int | None = None,
    worker: int = 0,
    reason: str = SCHEDULED,
    requested_by: str | None = None,
) -> Keys:
    """Let one estimator learn every horizon; what it learned before from the same question is left as it is.

    A horizon that the data cannot carry is left out, and said so in the log; TrainingError when all are. What else goes
    wrong with one is raised when the others have had their turn. reason, requested_by: kept with what is learned now.
    """
    config = settings()
    why = retrain.tags(reason, requested_by)
    parts = domains.parts(domain, config)
    night = parse(domain, as_of, known_at)
    registry = Registry(config.require_mlflow_uri())
    targets = [domains.target(domain, horizon, config) for horizon in horizons]
    questions = [Asked(target, snapshot, estimator, trials or config.own_trials) for target in targets]
    new = [asked for asked in questions if registry.study(asked.target.model_name, asked.key(config, parts)) is None]
    if new:
        source = Source.of(config, parts, snapshot)
        features = source.rows()
        failed = _one_by_one(
            new, lambda asked: _learn(config, parts, night, asked, source, features, registry, worker, why)
        )
        # What trying again may help against is raised first.
        for error in sorted(failed, key=lambda error: isinstance(error, TrainingError)):
            if len(failed) == len(questions) or not isinstance(error, TrainingError):
                raise error
    return keys(night, snapshot=snapshot, estimator=estimator)


@dataclass(frozen=True)
class Asked:
    """What one estimator is asked to learn. trials: those of an estimator whose trials are cheap."""

    target: Target
    snapshot: str
    estimator: str
    trials: int

    @property
    def own_trials(self) -> int:
        """As many as this estimator's cost allows, at least one."""
        return estimator_class(self.estimator).own_trials(self.trials)

    def key(self, config: Settings, parts: Parts) -> str:
        """The question as a digest. The time budget belongs to it, the clock does not."""
        asked = {
            **asdict(self),
            "feature_set": parts.feature_set_digest,
            "search_seconds": config.search_seconds,
            "most_rows": [config.search_rows, config.fit_rows, config.panel_rows],
            "seed": config.seed,
            "revision": training.REVISION,
        }
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def recipe(config: Settings, parts: Parts, target: Target, members: tuple[Member, ...]) -> Recipe:
    """A recipe of members before anybody has chosen how to combine them."""
    return Recipe(
        members=members,
        feature_names=parts.feature_names,
        feature_set=parts.feature_set_digest,
        seed=config.seed,
        scale_feature=parts.scale_feature,
        label=target.label,
        regime_features=parts.regime_features,
        most_rows=config.fit_rows,
    )


def _one_by_one(questions: list[Asked], learn: Callable[[Asked], None]) -> list[Exception]:
    """Each gets its turn, whatever became of those before it; the errors of those that came to nothing."""
    failed: list[Exception] = []
    for asked in questions:
        try:
            learn(asked)
        except TrainingError as error:
            log.warning("%s %s has not learned: %s", asked.target.name, asked.estimator, error)
            failed.append(error)
        except Exception as error:
            log.exception("%s %s has not learned", asked.target.name, asked.estimator)
            failed.append(error)
    return failed


def _learn(
    config: Settings,
    parts: Parts,
    night: Night,
    asked: Asked,
    source: Source,
    features: Dataset,
    registry: Registry,
    worker: int,
    why: Mapping[str, str],
) -> None:
    target, estimator = asked.target, asked.estimator
    seconds, clock = {}, _Clock()
    rows = source.labelled(features, target)
    seconds["label"] = clock.lap()
    key = asked.key(config, parts)
    with studies.storage(config.require_warehouse_dsn()) as storage:
        found = search(
            rows.dataset,
            rows.folds.inner,
            estimator,
            trials=asked.own_trials,
            timeout_s=config.search_seconds,
            seed=config.seed,
            threads=config.threads,
            progress=_progress(target),
            warm_start=_champions_params(config, parts, target, night, estimator),
            most_rows=config.search_rows,
            storage=storage,
            study_name=f"{target.model_name}/{estimator}/{key[:16]}",
            worker=worker,
        )
    seconds["search"] = clock.lap()
    member = Member(estimator, found.params)
    alone = recipe(config, parts, target, (member,))
    answers = ask(alone, member, rows.dataset, blocks(alone, rows.dataset, rows.folds), config.threads, log.info)
    seconds["folds"] = clock.lap()
    fitted = fit_serving(alone, member, rows.dataset, config.threads)
    seconds["fit"] = clock.lap()
    with scratch() as folder:
        _write(folder, member, answers, found)
        (folder / FITTED).mkdir()
        fitted.save(folder / FITTED)
        registry.keep_study(_study(folder, key, night, asked, found, seconds, why))


class _Clock:
    """Seconds since the last lap."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def lap(self) -> float:
        began, self._began = self._began, time.monotonic()
        return self._began - began


def _progress(target: Target) -> training.Progress:
    return lambda line: log.info("%s %s", target.name, line)


def _write(folder: Path, member: Member, answers: Answers, found: SearchResult) -> None:
    pd.DataFrame({"p_up": answers.p_up, "expected": answers.expected}).to_parquet(folder / ANSWERS_TABLE)
    _show(folder, found)
    (folder / MEMBER).write_text(json.dumps({**asdict(member), "trials": len(found.trials), "best": found.best}))


def _show(folder: Path, found: SearchResult) -> None:
    """What MLflow can show of a search: every trial as CSV, and plots."""
    from ml.lifecycle import plots  # noqa: PLC0415 -- half a second that only a new study needs

    tried = pd.json_normalize(found.trials["params"].tolist()).add_prefix("params.")
    pd.concat([found.trials.drop(columns="params"), tried], axis=1).to_csv(folder / TRIALS_TABLE, index=False)
    (folder / HISTORY_PLOT).write_bytes(plots.png(plots.search_history(found.trials)))
    if found.importance:
        unit = "share in what set the best quarter of the trials apart"
        (folder / IMPORTANCE_PLOT).write_bytes(plots.png(plots.bars(list(found.importance.items()), unit)))


def _told(found: SearchResult) -> str:
    """Where the importance of the parameters is shown, or why it is not."""
    complete = int((found.trials["state"] == "complete").sum())
    if found.importance:
        return IMPORTANCE_PLOT
    return f"not told by {complete} complete trials, at least {FEWEST_COMPLETE} and a parameter to search are needed"


def _study(
    folder: Path,
    key: str,
    night: Night,
    asked: Asked,
    found: SearchResult,
    seconds: dict[str, float],
    why: Mapping[str, str],
) -> Study:
    return Study(
        model_name=asked.target.model_name,
        key=key,
        run_name=f"{asked.estimator} {asked.target.name} {session_day(night.as_of)}",
        files=folder,
        params={**found.params, "estimator": asked.estimator, "trials": len(found.trials)},
        metrics={"inner_log_loss": found.best, **{f"seconds_{name}": value for name, value in seconds.items()}},
        tags={
            **why,
            "snapshot_digest": asked.snapshot,
            "as_of": night.as_of.isoformat(),
            "parameter_importance": _told(found),
        },
    )


def _champions_params(config: Settings, parts: Parts, target: Target, night: Night, estimator: str) -> Params | None:
    """Of a champion that has seen nothing later: parameters found on later dates would be a look at the test dates."""
    champion = models.champion(Warehouse(config.require_warehouse_dsn()), target, night.as_of)
    if champion is None or champion["feature_set_digest"] != parts.feature_set_digest:
        return None
    members = Recipe.from_json(models.recipe_json(champion)).members
    return next((member.params for member in members if member.estimator == estimator), None)
