from __future__ import annotations

from dataclasses import replace

import pytest

from ml.equity.features.catalogue import CATEGORIES, DEFAULT_SET, SCALE_FEATURE, Feature, FeatureSet
from ml.equity.features.page import render
from ml.settings import REPOSITORY


def test_every_category_has_features_and_every_feature_a_category() -> None:
    assert {feature.category for feature in DEFAULT_SET.features} == set(CATEGORIES)


def test_names_are_generated_unique_and_plain() -> None:
    assert len(set(DEFAULT_SET.names)) == len(DEFAULT_SET.names)
    assert {"log_return_5", "macd_histogram_12_26_9", "gap", SCALE_FEATURE} <= set(DEFAULT_SET.names)
    assert all(name.isidentifier() and name == name.lower() for name in DEFAULT_SET.names)


@pytest.mark.parametrize("feature", DEFAULT_SET.features, ids=lambda feature: feature.name)
def test_every_feature_is_documented(feature: Feature) -> None:
    assert feature.description
    assert feature.formula
    assert feature.unit
    assert feature.lookback >= 1


def test_the_digest_changes_with_what_decides_values_and_not_with_words() -> None:
    first = DEFAULT_SET.features[0]
    assert replace(DEFAULT_SET).digest == DEFAULT_SET.digest
    assert len(DEFAULT_SET.digest) == 64
    others = [
        replace(DEFAULT_SET, version=2),
        replace(DEFAULT_SET, features=DEFAULT_SET.features[::-1]),
        *(
            FeatureSet(DEFAULT_SET.name, DEFAULT_SET.version, (changed, *DEFAULT_SET.features[1:]))
            for changed in (replace(first, params=(2,)), replace(first, revision=2), replace(first, lookback=99))
        ),
    ]
    assert len({DEFAULT_SET.digest, *(other.digest for other in others)}) == 6
    reworded = replace(first, description="better said", formula="better written", unit="1")
    same = FeatureSet(DEFAULT_SET.name, DEFAULT_SET.version, (reworded, *DEFAULT_SET.features[1:]))
    assert same.digest == DEFAULT_SET.digest


def test_the_page_of_features_is_the_catalogue() -> None:
    # Made by: python -m ml.equity.features.page > docs/features.md
    assert (REPOSITORY / "docs" / "features.md").read_text() == render(DEFAULT_SET)
