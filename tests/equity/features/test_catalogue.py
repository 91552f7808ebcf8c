from __future__ import annotations

from dataclasses import replace

import pytest

from ml.equity.features.alpha158 import ALPHA158
from ml.equity.features.catalogue import CATEGORIES, DEFAULT_SET, SCALE_FEATURE, Feature, FeatureSet
from ml.equity.features.page import render
from ml.settings import REPOSITORY


def test_every_category_has_features_and_every_feature_a_category() -> None:
    assert {feature.category for feature in DEFAULT_SET.features} == set(CATEGORIES)
    assert len(DEFAULT_SET.features) >= 150
    assert len(ALPHA158.features) == 158


@pytest.mark.parametrize("feature_set", [DEFAULT_SET, ALPHA158], ids=lambda one: one.name)
def test_names_are_unique_and_plain_and_no_formula_comes_twice(feature_set: FeatureSet) -> None:
    assert len(set(feature_set.names)) == len(feature_set.names)
    assert all(name.isidentifier() for name in feature_set.names)
    assert len({feature.node for feature in feature_set.features}) == len(feature_set.features)


def test_names_are_generated_from_the_definition() -> None:
    expected = {"log_return_5", "macd_histogram_12_26_9", "gap", "beta_mkt_60", "cs_rank_rsi_14", SCALE_FEATURE}
    assert expected <= set(DEFAULT_SET.names)
    assert all(name == name.lower() for name in DEFAULT_SET.names)


@pytest.mark.parametrize("feature", DEFAULT_SET.features, ids=lambda feature: feature.name)
def test_every_feature_is_documented(feature: Feature) -> None:
    assert feature.description
    assert feature.unit
    assert feature.inputs
    assert feature.lookback >= 1
    assert feature.cross_sectional == (feature.category in ("market", "sector", "cross_sectional"))


def test_the_digest_changes_with_what_decides_values_and_not_with_words() -> None:
    first = DEFAULT_SET.features[0]
    assert replace(DEFAULT_SET).digest == DEFAULT_SET.digest
    assert len(DEFAULT_SET.digest) == 64
    others = [
        replace(DEFAULT_SET, version=99),
        replace(DEFAULT_SET, features=DEFAULT_SET.features[::-1]),
        *(
            FeatureSet(DEFAULT_SET.name, DEFAULT_SET.version, (changed, *DEFAULT_SET.features[1:]))
            for changed in (replace(first, expression="ref(ret, 1)"), replace(first, name="other"))
        ),
    ]
    assert len({DEFAULT_SET.digest, *(other.digest for other in others)}) == 5
    reworded = replace(first, description="better said", expression="log(close) - ref(log(close), 1)", unit="1")
    same = FeatureSet(DEFAULT_SET.name, DEFAULT_SET.version, (reworded, *DEFAULT_SET.features[1:]))
    assert same.digest == DEFAULT_SET.digest


def test_the_page_of_features_is_the_catalogue() -> None:
    # Made by: python -m ml.equity.features.page > docs/features.md
    assert (REPOSITORY / "docs" / "features.md").read_text() == render(DEFAULT_SET, ALPHA158)
