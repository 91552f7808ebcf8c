"""Horizons as they are typed and as targets: by what name, with what label."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml.__main__ import parser
from ml.domain import Target
from ml.errors import SettingsError
from ml.io.store import Store
from ml.settings import settings
from ml.steps import domains, features, ingest, keep, labels, validate
from ml.steps.material import Source
from tests.steps.market import SYMBOLS


def test_a_form_may_name_horizons_as_people_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFTERBELL_HORIZONS", "1d,5d,60d")
    settings.cache_clear()
    assert domains.horizons("equity", ["1w", "3m", "5d"]) == ["5d", "60d"]
    assert domains.horizons("equity", None) == domains.horizons("equity", []) == ["1d", "5d", "60d"]


def test_a_horizon_that_is_off_is_refused_by_its_own_name() -> None:
    with pytest.raises(SettingsError, match="horizon '60d'; expected one of 1d, 5d, 20d"):
        domains.horizons("equity", ["3m"])


@pytest.mark.parametrize(("typed", "name"), [("1w", "5d"), ("1m", "20d"), ("3m", "60d"), ("5d", "5d"), ("9d", "9d")])
def test_the_command_line_passes_the_horizons_own_name_on(typed: str, name: str) -> None:
    train = parser().parse_args(["train", "--horizon", typed])
    compare = parser().parse_args(["compare", "--horizon", typed, "--version", "1"])
    assert (train.horizon, compare.horizon) == (name, name)


def test_labels_of_two_kinds_are_kept_apart_and_training_reads_those_of_its_target(
    market: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = features.run(**validate.run(ingest.run(None)["ingest_id"]))
    labels.run(**seen)
    monkeypatch.setenv("AFTERBELL_LABELS", "1d=barrier")
    settings.cache_clear()
    labels.run(**seen)
    config, snapshot = settings(), seen["snapshot"]
    store, (target,) = Store(config.store_root), domains.parts("equity", config).domain.targets
    returns, barriers = (store.get(keep.labels(each, snapshot)) for each in (Target("equity", "1d", 1), target))
    # Over one session the only close that can touch is the last: the same values, where the volatility is known.
    assert len(returns) - len(barriers) == 20 * len(SYMBOLS)
    both = barriers.merge(returns, on=["entity", "ts", "target", "matures_at", "value"])
    assert len(both) == len(barriers) > 0
    assert store.manifest(keep.labels(target, snapshot))["label"] == "barrier"
    dataset = Source.of(config, domains.parts("equity", config), snapshot).gather(target).dataset
    assert dataset.dates.min() == barriers["ts"].min().tz_localize(None)
