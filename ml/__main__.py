"""The steps of the night from a shell: `python -m ml <step>`, or `python -m ml night` for all of them in order.

Each step prints the keys that the next one needs, as JSON on one line.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

from ml.errors import AfterbellError, NoChampion, TrainingError
from ml.settings import HORIZONS, OTHER_NAMES, horizon_name, settings

EXIT_ERROR = 2
BACKFILL: list[tuple[str, dict[str, Any]]] = [
    ("--start", {"required": True, "help": "first day, e.g. 2012-01-03"}),
    ("--end", {"help": "last day; default: the last session that the source has"}),
    ("--symbols", {"default": "", "help": "separated by commas; default: AFTERBELL_SYMBOLS, or all of the source"}),
    ("--universe", {"action": "store_true", "help": "the members of AFTERBELL_UNIVERSE_PATH instead of symbols"}),
    ("--chunk", {"help": "month, quarter or year; default: a year of few named symbols, else a month"}),
    ("--attempt", {"help": "go on with the backfill that printed this name"}),
]
QUARANTINE: list[tuple[str, dict[str, Any]]] = [
    ("verdict", {"choices": ["release", "reject"]}),
    ("--why", {"required": True, "help": "what you know about these rows"}),
    ("--symbols", {"help": "only rows of these, separated by commas"}),
    ("--first-session", {"help": "only rows from this session on"}),
    ("--last-session", {"help": "only rows up to this session"}),
    ("--reason", {"help": "only rows refused for a reason with these words"}),
    ("--again", {"action": "store_true", "help": "also rows that were judged before"}),
]
MODELS: list[tuple[str, dict[str, Any]]] = [
    ("action", {"choices": ["promote", "roll_back", "freeze", "unfreeze"]}),
    ("--horizon", {"required": True, "type": horizon_name}),
    ("--version", {"type": int, "help": "which one is to serve; only to promote"}),
    ("--why", {"required": True, "help": "what you know, for whoever asks later"}),
]
APPROVE: list[tuple[str, dict[str, Any]]] = [
    ("decision_id", {}),
    ("answer", {"choices": ["promote", "keep"]}),
    ("--why", {"default": "", "help": "for whoever asks later"}),
]
EXPORT: list[tuple[str, dict[str, Any]]] = [
    ("--symbols", {"default": "", "help": "separated by commas; default: all"}),
    ("--start", {"help": "first session; default: the first of all"}),
    ("--end", {"help": "last session; default: the night's"}),
    ("--groups", {"default": "", "help": "categories of features, separated by commas; default: all"}),
    ("--custom", {"action": "append", "default": [], "help": "'name = formula'; may be given several times"}),
    ("--format", {"default": "csv", "help": "csv, json or parquet"}),
]
MAINTENANCE: list[tuple[str, dict[str, Any]]] = [
    ("--keep-sessions", {"type": int, "help": "default: AFTERBELL_KEEP_SESSIONS"}),
    ("--keep-backups", {"type": int, "help": "default: AFTERBELL_KEEP_BACKUPS"}),
]


def migrate(_: argparse.Namespace) -> Any:
    from ml.io.migrations import migrate

    return {"applied": migrate(settings().require_warehouse_dsn())}


def ingest(a: argparse.Namespace) -> Any:
    from ml.steps import ingest

    return ingest.run(a.as_of)


def validate(a: argparse.Namespace) -> Any:
    from ml.steps import validate

    return validate.run(a.ingest_id)


def features(a: argparse.Namespace) -> Any:
    from ml.steps import features

    return features.run(**_night(a))


def labels(a: argparse.Namespace) -> Any:
    from ml.steps import features, labels

    return labels.run(**features.run(**_night(a)))


def learn(a: argparse.Namespace) -> Any:
    from ml.steps import domains, features, labels, learn

    night = labels.run(**features.run(**_night(a)))
    asked = domains.horizons(a.domain, _listed(a.horizons))
    return learn.run(**night, estimator=a.estimator, horizons=asked, trials=a.trials, worker=a.worker)


def train(a: argparse.Namespace) -> Any:
    from ml.steps import features, labels, train

    night = labels.run(**features.run(**_night(a)))
    return train.run(**night, horizon=a.horizon, estimators=_listed(a.estimators), trials=a.trials)


def compare(a: argparse.Namespace) -> Any:
    from ml.steps import compare, features, labels

    return compare.run(**labels.run(**features.run(**_night(a))), horizon=a.horizon, version=a.version)


def approve(a: argparse.Namespace) -> Any:
    """Answer a decision that waits for a person (AFTERBELL_APPROVAL). Run `promote` afterwards."""
    from ml.steps import approve

    return approve.run(a.decision_id, a.answer == "promote", a.why)


def promote(a: argparse.Namespace) -> Any:
    from ml.steps import promote

    return promote.run(a.decision_id)


def refresh(a: argparse.Namespace) -> Any:
    """A newer fit of the champion's own recipe, when it is due. `compare` judges it, `promote` carries that out."""
    from ml.steps import features, labels, refresh

    return refresh.run(**labels.run(**features.run(**_night(a))), horizon=a.horizon)


def reconcile(a: argparse.Namespace) -> Any:
    from ml.steps import reconcile

    return reconcile.run(a.domain)


def predict(a: argparse.Namespace) -> Any:
    from ml.steps import features, predict

    return predict.run(**features.run(**_night(a)))


def shadow(a: argparse.Namespace) -> Any:
    from ml.steps import features, shadow

    return shadow.run(**features.run(**_night(a)))


def shadow_scores(a: argparse.Namespace) -> Any:
    from ml.steps import features, labels, shadow_scores

    return shadow_scores.run(**labels.run(**features.run(**_night(a))))


def canary(a: argparse.Namespace) -> Any:
    """Test by date whether the challenger does better than the champion on the symbols that it serves."""
    from ml.steps import canary

    return canary.run(a.domain, a.horizon)


def night(a: argparse.Namespace) -> Any:
    """All steps in order, in this process: predictions with today's champions first, as in Airflow.

    What one horizon's data cannot carry stops no other; it is told when the predictions are out.
    """
    from ml.steps import domains, features, ingest, labels, learn, predict, shadow, shadow_scores, validate

    known = validate.run(ingest.run(a.as_of)["ingest_id"])
    seen = labels.run(**features.run(**known))
    try:
        predict.run(**seen)
    except NoChampion as nobody:
        logging.getLogger(__name__).info("%s", nobody)
    _beside(shadow.run, seen)
    horizons = domains.horizons(known["domain"], None)
    for estimator in domains.estimators(None):
        learn.run(**seen, estimator=estimator, horizons=horizons, trials=a.trials, worker=0)
    _beside(shadow_scores.run, seen)
    failed: list[TrainingError] = []
    for horizon in horizons:
        for improve in (_refreshed, _trained):
            try:
                improve(seen, horizon, a.trials)
            except TrainingError as error:
                failed.append(error)
    published = predict.run(**seen)
    _beside(shadow.run, seen)
    if failed:
        raise failed[0]
    return published


def _refreshed(seen: dict[str, str], horizon: str, _: int | None) -> None:
    from ml.steps import compare, freshness, promote, refresh

    try:
        newer = refresh.run(**seen, horizon=horizon)
        if "version" in newer:
            promote.run(compare.run(**newer)["decision_id"])
    finally:
        freshness.run(seen["domain"], horizon)


def _trained(seen: dict[str, str], horizon: str, trials: int | None) -> None:
    from ml.steps import compare, promote, train

    candidate = train.run(**seen, horizon=horizon, estimators=None, trials=trials)
    promote.run(compare.run(**candidate)["decision_id"])


def backfill(a: argparse.Namespace) -> Any:
    """Take in a span of history, chunk by chunk. Killed, it goes on where it was when given the same --attempt."""
    from ml.steps import backfill

    chunks = backfill.plan(a.start, a.end, a.symbols.split(","), a.chunk, universe=a.universe)
    attempt = a.attempt or f"shell/{uuid4().hex}"
    logging.getLogger(__name__).info("%d chunks, --attempt %s", len(chunks), attempt)
    done = [backfill.run(**chunk, attempt=attempt) for chunk in chunks]
    return {"attempt": attempt, "summary": backfill.summary(chunks, done)}


def maintenance(a: argparse.Namespace) -> Any:
    """Partitions ahead, old years to the archive, a verified backup whatever came of those, and old ones pruned."""
    from ml.steps import maintenance

    told: list[str] = []
    try:
        told += [maintenance.make_partitions(), maintenance.retain(a.keep_sessions)]
    finally:
        name = maintenance.back_up()
        told += [maintenance.verify(name), maintenance.prune(a.keep_backups)]
    return told


def quarantine(a: argparse.Namespace) -> Any:
    """Release or reject refused rows; released ones become bars at once. At least one option must choose rows."""
    from ml.steps import quarantine

    symbols = [symbol.strip() for symbol in a.symbols.split(",")] if a.symbols else None
    done = quarantine.review(a.verdict, a.why, symbols, a.first_session, a.last_session, a.reason, a.again)
    return done | (quarantine.take_in() or {})


def models(a: argparse.Namespace) -> Any:
    """Promote a version, roll back, freeze a target or let it go again. Run `predict` after a move."""
    from ml.steps import by_hand

    return by_hand.run(a.action, a.horizon, a.why, a.version)


def export(a: argparse.Namespace) -> Any:
    """Write features of a night to one file."""
    from ml.steps import export

    groups = [group for group in a.groups.split(",") if group]
    own = "\n".join(a.custom)
    return export.run(a.symbols.split(","), a.start, a.end, groups, own, a.format, a.as_of, a.known_at)


def _beside(step: Callable[..., Any], keys: dict[str, str]) -> None:
    """What a night can do without: an error in it is told, and the night goes on."""
    try:
        step(**keys)
    except AfterbellError as error:
        logging.getLogger(__name__).warning("the night goes on without %s: %s", step.__module__, error)


def _night(a: argparse.Namespace) -> dict[str, str]:
    from ml.steps import night

    return night.asked_for(a.domain, a.as_of, a.known_at)


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="python -m ml", description=__doc__.split("\n\n")[0])
    steps = top.add_subparsers(dest="step", required=True, metavar="step")
    as_of = ("--as-of", {"help": "session, e.g. 2013-03-01; default: the last one"})
    one_night = [
        as_of,
        ("--known-at", {"help": "replay with what was known at this instant (ISO 8601)"}),
        ("--domain", {"default": "equity"}),
    ]
    names = ", ".join([*HORIZONS, *(f"{other} ({name})" for other, name in OTHER_NAMES.items())])
    horizon = ("--horizon", {"required": True, "type": horizon_name, "help": f"one of AFTERBELL_HORIZONS: {names}"})
    horizons = ("--horizons", {"default": "", "help": "separated by commas; default: AFTERBELL_HORIZONS"})
    worker = ("--worker", {"type": int, "default": 0, "help": "another number for each process that shares a search"})
    estimator = ("--estimator", {"required": True, "help": "e.g. xgboost"})
    estimators = ("--estimators", {"default": "", "help": "separated by commas; default: AFTERBELL_ESTIMATORS"})
    trials = ("--trials", {"type": int, "help": "default: AFTERBELL_TRIALS"})
    commands: list[tuple[Callable[[argparse.Namespace], Any], str, Sequence[tuple[str, dict[str, Any]]]]] = [
        (migrate, "bring the warehouse up to date", []),
        (ingest, "ask the provider for the night's bars", [as_of]),
        (validate, "check a delivery and take it in", [("ingest_id", {})]),
        (features, "bars to the feature store", one_night),
        (labels, "what came of every past row", one_night),
        (learn, "let one estimator search and fit", [*one_night, estimator, horizons, trials, worker]),
        (train, "one candidate of what was learned", [*one_night, horizon, estimators, trials]),
        (compare, "judge a candidate against the champion", [*one_night, horizon, ("--version", {"required": True})]),
        (approve, "answer a decision that waits for a person", APPROVE),
        (promote, "carry a decision out", [("decision_id", {})]),
        (refresh, "fit the champion's recipe anew when it is due", [*one_night, horizon]),
        (predict, "publish the night's predictions", one_night),
        (shadow, "what versions that do not serve say of the night", one_night),
        (shadow_scores, "how they did, once outcomes are known", one_night),
        (canary, "how a challenger does on the symbols that it serves", [horizon, one_night[2]]),
        (night, "the whole night", [as_of, trials]),
        (backfill, "take in a span of history", BACKFILL),
        (export, "features of a night to a file", [*EXPORT, *one_night[:2]]),
        (quarantine, "release or reject refused rows", QUARANTINE),
        (models, "decide on champions by hand", MODELS),
        (reconcile, "put the registry's aliases right", [one_night[2]]),
        (maintenance, "partitions, retention, and a backup that was seen to restore", MAINTENANCE),
    ]
    for command, purpose, arguments in commands:
        step = steps.add_parser(command.__name__, help=purpose, description=command.__doc__ or purpose)
        for name, options in arguments:
            step.add_argument(name, **options)
        step.set_defaults(command=command)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one step; 0 when it succeeded, 2 with one clear line when it could not."""
    asked = parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        print(json.dumps(asked.command(asked)))
    except AfterbellError as error:
        print(f"{asked.step}: {error}", file=sys.stderr)
        return EXIT_ERROR
    return 0


if __name__ == "__main__":
    sys.exit(main())
