"""Features and models: computed, trained and asked on the invented market."""

from __future__ import annotations

from ml.domain import Target
from ml.equity import adjustment, labels
from ml.equity.features.catalogue import DEFAULT_SET
from ml.equity.features.compute import compute
from ml.estimators.registry import estimator_class
from ml.estimators.xgboost_trees import XGBoost
from ml.frames import ACTIONS
from ml.io.warehouse import Warehouse
from ml.lifecycle.dataset import build
from ml.lifecycle.recipe import Member, Recipe
from ml.lifecycle.splits import SplitPlan, nested
from ml.lifecycle.training import fit_serving
from ml.settings import ESTIMATORS, HORIZONS
from tests.bench.features import walks
from tests.bench.market import CALENDAR, Market
from tests.bench.timing import Measured, measure
from tests.lifecycle.fits import fitted

WHOLE_MARKET = 8_000


def features(_: Warehouse, market: Market) -> list[Measured]:
    """The night's features, and adjustment alone."""
    adjusted = adjustment.adjust(market.bars, ACTIONS.empty(), CALENDAR)
    count = len(DEFAULT_SET.names)
    return [
        measure(
            "features",
            f"{count} features",
            len(adjusted),
            "bars",
            lambda: compute(adjusted, DEFAULT_SET, CALENDAR),
        ),
        measure(
            "features",
            "adjustment alone",
            len(adjusted),
            "bars",
            lambda: adjustment.adjust(market.bars, ACTIONS.empty(), CALENDAR),
        ),
    ]


def training(_: Warehouse, market: Market) -> list[Measured]:
    """One recipe trained on everything, and one night's forecast."""
    target = Target("equity", "1d", 1)
    adjusted = adjustment.adjust(market.bars, ACTIONS.empty(), CALENDAR)
    computed = compute(adjusted, DEFAULT_SET, CALENDAR)
    dataset = build(computed, labels.labels(adjusted, (target,), CALENDAR), target, DEFAULT_SET.names)
    member = Member("xgboost", XGBoost.defaults)
    recipe = Recipe((member,), DEFAULT_SET.names, DEFAULT_SET.digest, 1, scale_feature="vol_cc_20")
    model = fitted(recipe, dataset, nested(dataset.dates, dataset.date_maturities, SplitPlan(embargo=1)))
    tonight = computed[computed["ts"] == market.as_of].reset_index(drop=True)
    return [
        measure(
            "train",
            "one recipe on all rows, both boosters",
            dataset.known.size,
            "rows",
            lambda: fit_serving(recipe, member, dataset, 2),
        ),
        measure("predict", "one horizon of one night", len(tonight), "symbols", lambda: model.forecast(tonight)),
    ]


def whole_market(_: Warehouse, __: Market) -> list[Measured]:
    """One night's forecast, reasons included, by all estimators together: WHOLE_MARKET symbols, four horizons.

    The model is fitted on a small market, with each estimator's own defaults: what is timed is asking it.
    """
    small = walks(30, 1100)
    target = Target("equity", "5d", 5)
    learned = labels.labels(small, (target,), CALENDAR)
    dataset = build(compute(small, DEFAULT_SET, CALENDAR), learned, target, DEFAULT_SET.names)
    members = tuple(Member(name, estimator_class(name).defaults) for name in ESTIMATORS)
    recipe = Recipe(members, DEFAULT_SET.names, DEFAULT_SET.digest, 1, "stack", scale_feature="vol_cc_20")
    model = fitted(recipe, dataset, nested(dataset.dates, dataset.date_maturities, SplitPlan(embargo=5)))
    recent = compute(walks(WHOLE_MARKET, 300), DEFAULT_SET, CALENDAR)
    recent = recent[recent["ts"].isin(recent["ts"].unique()[-model.lookback - 1 :])].reset_index(drop=True)
    what = f"{WHOLE_MARKET:,} symbols x {len(HORIZONS)} horizons, all {len(ESTIMATORS)} estimators"

    def asked() -> None:
        for _ in HORIZONS:
            model.forecast(recent)

    return [measure("predict all", what, WHOLE_MARKET * len(HORIZONS), "predictions", asked, repeats=3)]
