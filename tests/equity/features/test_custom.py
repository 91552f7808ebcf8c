"""Features of a user's own are read like those of the catalogue, and refused with their name."""

from __future__ import annotations

import pytest

from ml.equity.features.custom import custom
from ml.errors import ExpressionError, SettingsError


def test_a_custom_feature_is_a_formula_with_what_follows_from_it() -> None:
    feature = custom("ratio_126", "log(close / ref(close, 126))")
    assert (feature.lookback, feature.inputs, feature.cross_sectional) == (127, ("close",), False)
    assert (feature.category, feature.unit, feature.valid_range) == ("custom", "none", (None, None))
    assert custom("moves", "cs_rank(ret)").cross_sectional


@pytest.mark.parametrize("name", ["", "A", "1st", "two words", "a-b", "é", "_a", "a" * 61, "a\n"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match="lower-case letters"):
        custom(name, "ret")


@pytest.mark.parametrize("name", ["vol_cc_20", "kmid", "ma5", "close", "weekday", "entity", "ts", "symbol"])
def test_a_name_that_is_taken_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match=f"the feature name '{name}', which"):
        custom(name, "ret")


@pytest.mark.parametrize(
    ("formula", "told"),
    [
        ("close / / open", "invalid syntax at character 9 in the formula `close / / open` of the feature 'mine'"),
        ("clsoe / open", "the name 'clsoe' in the formula `clsoe / open` of the feature 'mine'"),
        ("mean(close, 9999)", "9999 as the window of mean in the formula `mean(close, 9999)` of the feature 'mine'"),
        ("ref(close, -1)", "A formula sees the past only"),
        ("adx(14) + " * 20 + "adx(14)", "parts in the formula"),
    ],
)
def test_what_is_no_formula_is_refused_with_the_features_name(formula: str, told: str) -> None:
    with pytest.raises(ExpressionError) as refused:
        custom("mine", formula)
    assert told in str(refused.value)
