"""The file that declares the night's feature set: what it makes, and what is told of every mistake in it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ml.equity.features.alpha158 import ALPHA158
from ml.equity.features.catalogue import DEFAULT_SET, SCALE_FEATURE
from ml.equity.features.compute import compute
from ml.equity.features.feature import FeatureSet
from ml.equity.features.groups import GROUPS
from ml.equity.features.sets import configured, load, own
from ml.errors import ExpressionError, SettingsError
from ml.settings import REPOSITORY, settings
from tests.equity.panels import CALENDAR, random_bars, unadjusted

PAGE = (REPOSITORY / "docs" / "custom-features.md").read_text(encoding="utf-8")
(EXAMPLE,) = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(text: str) -> Path:
        path = tmp_path / "features.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return written


def mine(formula: str = "ret", **keys: Any) -> str:
    """A file with one feature of its own and no group; `keys` of the set."""
    features = [{"name": "first", "formula": formula}]
    return yaml.safe_dump({"name": "mine", "version": 1, "groups": [], "features": features} | keys)


def test_without_a_file_the_default_set_is_computed() -> None:
    assert configured(settings()) == DEFAULT_SET


def test_an_empty_setting_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFTERBELL_FEATURES_PATH", "")
    assert configured(settings()) == DEFAULT_SET


def test_a_relative_path_begins_in_the_repository(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AFTERBELL_FEATURES_PATH", "var/features.yaml")
    monkeypatch.chdir(tmp_path)
    assert settings().features_file == REPOSITORY / "var" / "features.yaml"


def test_the_example_of_the_page_is_a_set(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFTERBELL_FEATURES_PATH", str(write(EXAMPLE)))
    made = configured(settings())
    assert (made.name, made.version) == ("mine", 1)
    assert made.names == (*DEFAULT_SET.names, *ALPHA158.names, "momentum_126", "turnover_rank")
    momentum, turnover = own(made)
    assert (momentum.lookback, momentum.category, momentum.cross_sectional) == (127, "custom", False)
    assert (turnover.lookback, turnover.category, turnover.cross_sectional) == (20, "liquidity", True)
    assert (turnover.valid_range, turnover.unit) == ((0, 1), "share of the symbols")


def test_the_page_names_every_group() -> None:
    (row,) = re.findall(r"^\| `groups` \|.*$", PAGE, flags=re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", row)) == {"groups", *GROUPS}


def test_groups_come_in_the_catalogues_order_and_the_scale_with_them(write: Write) -> None:
    made = load(write(mine(groups=["alpha158", "time", "price"])))
    wanted = [f.name for f in DEFAULT_SET.features if f.category in {"price", "time"} or f.name == SCALE_FEATURE]
    assert made.names == (*wanted, *ALPHA158.names, "first")
    assert load(write(mine(groups=["price", "alpha158", "time", "time"]))).digest == made.digest
    assert load(write(mine())).names == (SCALE_FEATURE, "first")


def test_a_set_may_have_no_feature_of_its_own(write: Write) -> None:
    made = load(write("name: both\nversion: 3\ngroups: [daily, alpha158]\n"))
    assert made.names == (*DEFAULT_SET.names, *ALPHA158.names)
    assert own(made) == ()
    assert load(write("name: plain\nversion: 1\n")).names == DEFAULT_SET.names


def test_the_digest_follows_from_what_is_computed_and_not_from_words(write: Write) -> None:
    def digest(*features: dict[str, Any], **keys: Any) -> str:
        return load(write(mine(features=list(features), **keys))).digest

    one, other = {"name": "one", "formula": "mean(ret, 5)"}, {"name": "other", "formula": "ret"}
    plain = digest(one, other)
    for same in (
        digest(one | {"description": "words", "unit": "points", "category": "words", "valid_range": [0, None]}, other),
        digest(one | {"formula": " mean( log(close / ref(close, 1)),5 )"}, other),
    ):
        assert same == plain
    changed = [
        digest(other, one),
        digest(one),
        digest(one | {"formula": "mean(ret, 6)"}, other),
        digest(one | {"name": "once"}, other),
        digest(one, other, version=2),
        digest(one, other, name="hers"),
        digest(one, other, groups=["price"]),
    ]
    assert len({plain, DEFAULT_SET.digest, *changed}) == len(changed) + 2


def test_custom_features_are_what_pandas_says(write: Write) -> None:
    features = [
        {"name": "momentum", "formula": "log(close / ref(close, 12))"},
        {"name": "calm_rank", "formula": "cs_rank(-std(ret, 10))"},
        {"name": "rises_on_volume", "formula": "mean(close > open and volume > mean(volume, 5), 20)"},
    ]
    bars = unadjusted(random_bars(["AAA", "BBB", "CCC"], 80, seed=3))
    got = compute(bars, load(write(mine(features=features))), CALENDAR).set_index(["entity", "ts"])
    rows = bars.set_index(["symbol", "ts"]).rename_axis(["entity", "ts"])
    own_bars = rows.groupby("entity")
    ret = (rows["close"] / own_bars["close"].shift(1)).apply(np.log)
    calm = -ret.groupby("entity").rolling(10).std().droplevel(0)
    mean_volume = own_bars["volume"].rolling(5).mean().droplevel(0)
    event = ((rows["close"] > rows["open"]) & (rows["volume"] > mean_volume)).astype(float).where(mean_volume.notna())
    expected = {
        "momentum": (rows["close"] / own_bars["close"].shift(12)).apply(np.log),
        "calm_rank": calm.groupby("ts").rank(pct=True),
        "rises_on_volume": event.groupby("entity").rolling(20).mean().droplevel(0),
    }
    for name, values in expected.items():
        assert values.notna().sum() > 100
        pd.testing.assert_series_equal(
            got[name].astype(float), values.reindex(got.index), rtol=1e-4, atol=1e-6, check_names=False
        )


ALIASES = "&a [x, x, x, x, x, x, x, x, x]"
MISTAKES: list[tuple[str, str]] = [
    ("", "nothing as the file"),
    ("- name: mine", "a list as the file"),
    ("mine", "'mine' as the file"),
    ("name: mine", "no version of the file"),
    ("version: 1", "no name of the file"),
    ("name: [a\nversion: 1", "at line 2, column"),
    ("name: mine\nversion: 1\nversion: 2", "the key 'version' twice at line 1, column 1"),
    ("name: mine\nversion: 1\n---\nname: other", "expected a single document in the stream"),
    ("name: mine\nversion: 2020-13-45", "month must be in 1..12"),
    ("name: !!python/object/apply:os.getcwd []\nversion: 1", "python/object/apply:os.getcwd' at line 1, column 7"),
    ("name: !!python/name:os.system\nversion: 1", "python/name:os.system' at line 1, column 7"),
    ("name: mine\nversion: " + "[" * 5000, "lists nested too deeply"),
    (mine(verison=1), "the unknown key 'verison' of the file"),
    (mine(verison=1), "Did you mean version"),
    (mine(name=1), "1 as the name of the file"),
    (mine(name="My set"), "the name 'My set'"),
    (mine(name="daily"), "the set name 'daily', which is taken"),
    (mine(version="1"), "'1' as the version of the file"),
    (mine(version=True), "True as the version of the file"),
    (mine(version=0), "0 as the version of the file"),
    (mine(groups="daily"), "'daily' as the groups of the file"),
    (mine(groups=["prices"]), "Did you mean price"),
    (mine(groups=[7]), "the group 7"),
    (mine(groups=[["price"]]), "the group a list"),
    (mine(features=None), "nothing as the features of the file"),
    (mine(features={"first": "ret"}), "a mapping as the features of the file"),
    (mine(features=["first"]), "'first' as feature number 1"),
    (mine(features=[{"formula": "ret"}]), "no name of feature number 1"),
    (mine(features=[{"name": "first"}]), "no formula of the feature 'first'"),
    (mine(features=[{"name": "first", "formulla": "ret"}]), "the unknown key 'formulla' of the feature 'first'"),
    (mine(features=[{"name": True, "formula": "ret"}]), "True as the name of feature number 1"),
    (mine(features=[{"name": "first", "formula": 5}]), "5 as the formula of the feature 'first'"),
    (mine(features=[{"name": "first", "formula": "ret"}] * 2), "the feature 'first' twice"),
    (mine(features=[{"name": "vol_cc_20", "formula": "ret"}]), "the feature name 'vol_cc_20', which the catalogue"),
    (mine(features=[{"name": "kmid", "formula": "ret"}]), "the feature name 'kmid', which the catalogue or Alpha158"),
    (mine(features=[{"name": "close", "formula": "ret"}]), "the feature name 'close', which is a column"),
    (mine(features=[{"name": "a b", "formula": "ret"}]), "the name 'a b'"),
    *(
        (mine(features=[{"name": "first", "formula": "ret", "valid_range": bounds}]), "as the valid_range of the")
        for bounds in ([0], 1, [1, 0], ["0", 1], [0, math.inf], [math.nan, 1], [True, 1], [0, 10**400], [0, 1, 2])
    ),
    (mine("close / / open"), "invalid syntax at character 9 in the formula `close / / open` of the feature 'first'"),
    (mine("clsoe"), "Did you mean close"),
    (mine("mean(close, 9999)"), "9999 as the window of mean in the formula"),
    (mine("ref(close, -1)"), "A formula sees the past only"),
    (mine("adx(14) + " * 20 + "adx(14)"), "parts in the formula"),
    (mine("x" * 2000), "2000 characters in the formula"),
    (f"a: {ALIASES}\nb: &b [*a, *a]\nname: *b\nversion: 1", "the unknown key 'a' of the file"),
    (f"name: {ALIASES}\nversion: 1", "a list as the name of the file"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "told"), MISTAKES, ids=range(len(MISTAKES)))
def test_a_mistake_is_one_line_with_file_place_and_remedy(write: Write, text: str, told: str) -> None:
    path = write(text)
    with pytest.raises((SettingsError, ExpressionError)) as refused:
        load(path)
    message = str(refused.value)
    assert told in message
    assert f" in {path}; expected " in message
    assert "\n" not in message
    assert len(message) < 1500


def test_what_cannot_be_read_is_an_error_with_its_path(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere.yaml", tmp_path):
        with pytest.raises(SettingsError, match="nothing to read") as refused:
            load(path)
        assert str(path) in str(refused.value)
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("name: Stückzahl\nversion: 1\n".encode("latin-1"))
    with pytest.raises(SettingsError, match="utf-8"):
        load(latin)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.dates()
FORMULAS = st.sampled_from(["ret", "cs_rank(ret)", "mean(close, 5", "clsoe", "ref(close, -1)", "close > open"])
WORDS = st.sampled_from(["first", "second", "vol_cc_20", "Bad", ""])
FEATURES = st.fixed_dictionaries(
    {"name": WORDS | SCALARS, "formula": FORMULAS | SCALARS},
    optional={"unit": SCALARS, "valid_range": st.lists(SCALARS, max_size=3), "category": SCALARS},
)
DOCUMENTS = SCALARS | st.fixed_dictionaries(
    {"name": WORDS | SCALARS, "version": st.integers(0, 3) | SCALARS},
    optional={
        "groups": st.lists(st.sampled_from(GROUPS) | SCALARS, max_size=3) | SCALARS,
        "features": st.lists(FEATURES | SCALARS, max_size=3) | SCALARS,
        "other": SCALARS,
    },
)


@hypothesis_settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(DOCUMENTS.map(yaml.safe_dump) | st.text(max_size=80) | st.text("{}[]&*!:-,'\"#|> \nab", max_size=80))
@example("{a: 1, [b]: 2}")
@example("%YAML 9.9\n---\nname: mine")
@example("<<: 1")
@example("name: mine\n<<: {version: 1}")
def test_any_file_is_a_set_or_refused_with_its_path(write: Write, text: str) -> None:
    path = write(text.encode("utf-8", "surrogatepass").decode("utf-8", "replace"))
    made: FeatureSet | str
    try:
        made = load(path)
    except (SettingsError, ExpressionError) as error:
        made = str(error)
    if isinstance(made, str):
        assert f" in {path}; expected " in made
    else:
        assert SCALE_FEATURE in made.names
        assert len(set(made.names)) == len(made.names)
