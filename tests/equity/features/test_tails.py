"""Some sessions of a history, computed from tails, have the bits of the whole."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.equity import sessions
from ml.equity.features import tails
from ml.equity.features.alpha158 import ALPHA158
from ml.equity.features.catalogue import DEFAULT_SET, Feature, FeatureSet
from ml.equity.features.compute import compute
from ml.equity.features.tails import PlacedBars, compute_sessions
from ml.frames import check_features
from tests.equity.panels import CALENDAR, random_bars, sectors_of, unadjusted

NESTED = {
    "rank_of_beta": "cs_rank(beta(ret, market, 20))",
    "sum_of_ranks": "sum(cs_rank(ret), 7)",
    "sum_of_sums": "sum(cs_mean(sum(market, 9)), 5)",
    "average_of_market": "ema(market, 10)",
    "average_of_averages": "ema(ref(ema(mean(close, 3), 5), 7), 5) / close",
    "adapted_market": "adapt(log(close), cs_rank(ret) / 10)",
    "rank_before": "ref(cs_rank(close / ref(close, 30)), 11)",
    "rank_among_sectors": "cs_rank(sum(sector_mean(sum(sector_ret, 9)), 5))",
    "rank_in_sector_before": "ref(sector_rank(ret - market), 3)",
}
EVERYTHING = FeatureSet(
    "everything",
    1,
    (
        *DEFAULT_SET.features,
        *ALPHA158.features,
        *(Feature(name, formula, "price", "", "") for name, formula in NESTED.items()),
    ),
)


def market(count: int, seed: int, halts: float = 0.05) -> pd.DataFrame:
    """Five symbols: one listed late, one that left, one that hardly ever trades."""
    rng = np.random.default_rng(seed)
    panel = unadjusted(random_bars(["AAA", "BBB", "CCC", "DDD", "EEE"], count, seed))
    numbers, symbol = panel.groupby("symbol").cumcount(), panel["symbol"]
    gone = (symbol == "CCC") & (numbers < count // 2) | (symbol == "DDD") & (numbers > 2 * count // 3)
    traded = rng.random(len(panel)) > np.where(symbol == "EEE", 0.9, halts)
    return panel[traded & ~gone].reset_index(drop=True)


def same_bits(got: pd.DataFrame, expected: pd.DataFrame) -> list[str]:
    """The columns that differ in any bit; NaN is NaN."""
    pd.testing.assert_frame_equal(got[["entity", "ts"]], expected[["entity", "ts"]])
    return [
        name
        for name in expected.columns[2:]
        if not np.array_equal(_bits(got[name]), _bits(expected[name])) or list(got) != list(expected)
    ]


def _bits(values: pd.Series) -> np.ndarray:
    return np.where(values.isna(), np.float32(np.nan), values.to_numpy()).astype(np.float32).view(np.uint32)


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 10_000), back=st.integers(0, 700), span=st.sampled_from([1, 2, 22, 300]))
def test_sessions_from_tails_have_the_bits_of_the_whole(seed: int, back: int, span: int) -> None:
    panel = market(1900, seed)
    sector = sectors_of(panel, seed)
    whole = compute(panel, EVERYTHING, CALENDAR, sector=sector)
    bars = PlacedBars.of(panel, CALENDAR, sector)
    place = bars.sessions_of(slice(None))
    last = int(place.max()) - back
    got = compute_sessions(bars, EVERYTHING, last - span + 1, last)
    session = sessions.positions(CALENDAR, whole["ts"])
    assert same_bits(got, whole[(session > last - span) & (session <= last)].reset_index(drop=True)) == []


def cut_down(bars: PlacedBars, first: int, count: int) -> PlacedBars:
    """What is left when of each symbol's bars before the session no more than `count` are at hand."""
    since = bars.since(first)
    start = np.maximum(since - count, bars.edges[:-1])
    rows, counts = tails.ranges(start, bars.edges[1:]), bars.edges[1:] - start
    key = tails.keyed(counts, bars.sessions_of(rows))
    edges, skipped = np.append(0, np.cumsum(counts)), start - bars.edges[:-1]
    adjusted = bars.adjusted.take(rows).reset_index(drop=True)
    return PlacedBars(adjusted, bars.sector[rows], CALENDAR, edges, key, skipped)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.sampled_from([300, 700, 1100]), halts=st.sampled_from([0.0, 0.02]))
def test_cut_down_to_tails_they_give_the_same_bits_or_say_that_bars_are_lacking(
    seed: int, count: int, halts: float
) -> None:
    panel = market(1500, seed, halts)
    some = FeatureSet("some", 1, tuple(one for one in EVERYTHING.features if sum(one.reach) < count - 50))
    bars = PlacedBars.of(panel, CALENDAR, sectors_of(panel, seed))
    last = int(bars.sessions_of(slice(None)).max())
    short = cut_down(bars, last - 20, count)
    assert short.skipped is not None
    assert short.skipped.any()
    # EEE hardly ever trades: what looks across symbols on its behalf may need all that there is.
    if tails.reaches_back(short, some, last - 20, last):
        got, expected = (compute_sessions(each, some, last - 20, last) for each in (short, bars))
        assert same_bits(got, expected) == []


def test_tails_are_enough_where_everybody_trades_and_not_where_one_trades_again() -> None:
    panel = unadjusted(random_bars(["AAA", "BBB", "CCC"], 900, 3))
    some = FeatureSet("some", 1, tuple(one for one in DEFAULT_SET.features if sum(one.reach) <= 511))
    whole = PlacedBars.of(panel, CALENDAR)
    last = int(whole.sessions_of(slice(None)).max())
    assert tails.reaches_back(cut_down(whole, last, 511), some, last, last)
    assert not tails.reaches_back(cut_down(whole, last, 510), some, last, last)
    # What CCC looks back on across symbols lies before the others' tails.
    halted = panel[(panel["symbol"] != "CCC") | (panel.index % 4 == 0)].reset_index(drop=True)
    across = FeatureSet("across", 1, tuple(one for one in some.features if len(one.reach) > 1))
    bars = PlacedBars.of(halted, CALENDAR)
    assert tails.reaches_back(cut_down(bars, last, 400), across, last, last)
    assert not tails.reaches_back(cut_down(bars, last, 200), across, last, last)


def test_the_beginning_of_a_history_and_all_of_it() -> None:
    panel = market(300, 4)
    whole = compute(panel, EVERYTHING, CALENDAR, sector=sectors_of(panel))
    bars = PlacedBars.of(panel, CALENDAR, sectors_of(panel))
    place = bars.sessions_of(slice(None))
    first, last = int(place.min()), int(place.max())
    assert same_bits(check_features(compute_sessions(bars, EVERYTHING, first, last), EVERYTHING.names), whole) == []
    got = compute_sessions(bars, EVERYTHING, first - 5, first + 2)
    assert same_bits(got, whole.iloc[: len(got)]) == []
    assert check_features(compute_sessions(bars, EVERYTHING, last + 1, last + 9), EVERYTHING.names).empty


@pytest.mark.parametrize(
    ("formula", "reach"),
    [
        ("weekday", (0,)),
        ("close / ref(close, 5)", (5,)),
        ("mean(std(ret, 20), 60)", (79,)),
        ("ema(close, 10)", (511,)),
        ("ema(mean(close, 3), 10)", (513,)),
        ("ref(ema(ema(close, 10), 10), 1)", (768,)),
        ("cs_rank(ret)", (0, 1)),
        ("beta(ret, market, 60)", (60, 1)),
        ("beta(ret, sector_ret, 60)", (60, 1)),
        ("sector_rank(std(ret, 20))", (0, 20)),
        ("sum(cs_mean(sum(market, 9)), 5) - ref(close, 200)", (200, 8, 1)),
    ],
)
def test_how_far_back_a_formula_reaches(formula: str, reach: tuple[int, ...]) -> None:
    assert Feature("one", formula, "price", "", "").reach == reach


@pytest.mark.parametrize("wanted", [1, 21, 250, 2500])
@pytest.mark.parametrize("before", [0, 100, 3000])
def test_no_other_cuts_cost_less(wanted: int, before: int) -> None:
    features = [one for one in DEFAULT_SET.features if len(one.reach) == 1][::9]
    order = sorted(features, key=lambda one: one.reach)

    def cost(group: Sequence[Feature]) -> int:
        parts = {node.text for feature in group for node in feature.node.walk()}
        return (len(parts) + len(group)) * (tails.STEP + wanted + min(max(one.reach[0] for one in group), before))

    def least(rest: Sequence[Feature]) -> int:
        return min((cost(rest[:cut]) + least(rest[cut:]) for cut in range(1, len(rest) + 1)), default=0)

    groups = tails._cheapest(features, wanted, before)
    assert sorted(place for group in groups for place in group) == list(range(len(features)))
    assert sum(cost([features[place] for place in group]) for group in groups) == least(order)
