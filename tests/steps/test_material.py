"""What is drawn of a market that is larger than memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from ml.settings import settings
from ml.steps import domains, features, ingest, labels, validate
from ml.steps.material import Source


def test_whole_entities_are_drawn_always_the_same(market: Path) -> None:
    seen = labels.run(**features.run(**validate.run(ingest.run(None)["ingest_id"])))
    config = settings()
    (target,) = domains.parts("equity", config).domain.targets
    source = Source.of(config, domains.parts("equity", config), seen["snapshot"])
    whole = source.gather(target).dataset
    assert source.share == 1
    half = Source.of(config.model_copy(update={"panel_rows": len(whole) // 2}), source.parts, seen["snapshot"])
    assert half.share == len(whole) // 2 / len(whole)
    some = half.gather(target).dataset
    drawn = set(some.entity)
    assert set() < drawn < set(whole.entity)
    kept = np.isin(whole.entity, list(drawn))
    np.testing.assert_array_equal(some.X, whole.X[kept])
    np.testing.assert_array_equal(some.value, whole.value[kept])
    assert some.dates.tolist() == whole.dates.tolist()
    less = replace(half, share=half.share * 0.7).rows()
    assert set(less.entity) <= drawn
