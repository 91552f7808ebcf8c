from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

from ml.domain import Target
from ml.equity import labels as equity_labels
from ml.equity.domain import equity
from ml.equity.features.catalogue import DEFAULT_SET, SCALE_FEATURE
from ml.equity.labels import labels
from ml.frames import LABELS
from tests.equity.panels import CALENDAR, bars_of, closes, random_bars, unadjusted

TARGETS = equity(("1d", "5d", "20d")).targets
BARRIER = Target("equity", "3d", 3, label="barrier")
# 20 returns of +-log(1.02): their standard deviation (n - 1) is log(1.02) sqrt(20 / 19) = 0.020317, so over three
# sessions 0.035190, and from a close of 100 the barriers lie at 103.58 and 96.54.
SAW = [100.0, 102.0] * 10 + [100.0]
START = len(SAW) - 1


def test_a_label_is_the_return_to_the_close_h_sessions_later() -> None:
    panel = unadjusted(bars_of(A=[10.0, 11.0, 12.0, 13.0, 14.0, 20.0, 5.0], B=[2.0, 1.0]))
    t = closes(7)
    got = LABELS.check(labels(panel, TARGETS, CALENDAR))
    expected = [
        ("A", t[0], "1d", t[1], 11 / 10 - 1),
        ("B", t[0], "1d", t[1], 1 / 2 - 1),
        ("A", t[1], "1d", t[2], 12 / 11 - 1),
        ("A", t[2], "1d", t[3], 13 / 12 - 1),
        ("A", t[3], "1d", t[4], 14 / 13 - 1),
        ("A", t[4], "1d", t[5], 20 / 14 - 1),
        ("A", t[5], "1d", t[6], 5 / 20 - 1),
        ("A", t[0], "5d", t[5], 20 / 10 - 1),
        ("A", t[1], "5d", t[6], 5 / 11 - 1),
    ]
    assert list(got.itertuples(index=False, name=None)) == expected


def test_a_symbol_without_a_bar_on_the_very_session_gets_no_label() -> None:
    panel = unadjusted(bars_of(A=[10.0, None, 12.0, 13.0]))
    got = labels(panel, equity(("1d",)).targets, CALENDAR)
    assert list(zip(got["ts"], got["value"], strict=True)) == [(closes(4)[2], pytest.approx(13 / 12 - 1))]


def test_labels_follow_adjusted_and_not_raw_closes() -> None:
    panel = unadjusted(bars_of(A=[10.0, 6.0])).assign(close=[10.0, 12.0])
    assert labels(panel, equity(("1d",)).targets, CALENDAR)["value"].tolist() == pytest.approx([0.2])


def test_labels_agree_with_a_shift_of_each_symbol() -> None:
    panel = unadjusted(random_bars(["A", "B", "C"], 90))
    got = labels(panel, TARGETS, CALENDAR)
    for target in TARGETS:
        later = panel.groupby("symbol")["close"].shift(-target.horizon)
        reference = panel.assign(value=later / panel["close"] - 1).dropna(subset="value").sort_values(["ts", "symbol"])
        own = got[got["target"] == target.name]
        assert own["value"].tolist() == reference["value"].tolist()
        assert own["entity"].tolist() == reference["symbol"].tolist()


def test_no_bars_give_no_labels() -> None:
    nothing = unadjusted(random_bars(["A"], 5)).iloc[:0].reset_index(drop=True)
    assert LABELS.check(labels(nothing, TARGETS, CALENDAR)).empty


def test_ten_bars_give_no_label_over_twenty_sessions() -> None:
    got = labels(unadjusted(random_bars(["A"], 10)), TARGETS, CALENDAR)
    assert got["target"].value_counts().to_dict() == {"1d": 9, "5d": 5}
    assert isinstance(got["matures_at"].max(), pd.Timestamp)


def test_scaled_labels_are_the_same_returns_because_training_scales_them() -> None:
    panel = unadjusted(random_bars(["A", "B"], 40))
    plain = labels(panel, (Target("equity", "5d", 5),), CALENDAR)
    pd.testing.assert_frame_equal(labels(panel, (Target("equity", "5d", 5, label="scaled"),), CALENDAR), plain)


def test_a_barrier_label_is_the_return_at_the_first_touch_or_at_the_end() -> None:
    panel = unadjusted(
        bars_of(
            DOWN=[*SAW, 96.0, 104.0, 104.0],
            END=[*SAW, 97.0, 98.0, 99.0],
            LAST=[*SAW, 103.0, 97.0, 104.0],
            UP=[*SAW, 103.0, 104.0, 90.0],
        )
    )
    t = closes(START + 4)
    got = LABELS.check(labels(panel, (BARRIER,), CALENDAR))
    # Before START there are not 20 returns yet; after it three sessions have not passed.
    assert list(got.itertuples(index=False, name=None)) == [
        ("DOWN", t[START], "3d", t[START + 1], 96 / 100 - 1),
        ("END", t[START], "3d", t[START + 3], 99 / 100 - 1),
        ("LAST", t[START], "3d", t[START + 3], 104 / 100 - 1),
        ("UP", t[START], "3d", t[START + 2], 104 / 100 - 1),
    ]


@pytest.mark.parametrize(
    ("after", "value"),
    [
        ([104.0, None, 104.0], 0.04),  # touched before the gap
        ([103.0, None, 104.0], None),  # the first touch may have been in the gap
        ([None, 104.0, 104.0], None),
        ([103.0, 103.0, None], None),  # nothing decided it, and there is no end
        ([103.0], None),  # delisted undecided
        ([104.0], 0.04),  # delisted after its touch
    ],
)
def test_a_bar_missing_before_the_touch_leaves_no_label(after: list[float | None], value: float | None) -> None:
    panel = unadjusted(bars_of(A=[*SAW, *after], OTHER=[50.0] * (START + 4)))
    got = labels(panel, (BARRIER,), CALENDAR)
    own = got[(got["entity"] == "A") & (got["ts"] == closes(START + 1)[START])]
    assert own["value"].tolist() == ([] if value is None else [pytest.approx(value)])


def test_while_the_last_sessions_run_those_that_touched_early_have_no_label_either() -> None:
    def known_after(sessions: int) -> pd.DataFrame:
        bars = bars_of(A=[*SAW, 104.0, 104.0, 104.0][:sessions], B=(SAW * 2)[:sessions])
        return labels(unadjusted(bars), (BARRIER,), CALENDAR)

    assert known_after(START + 3).empty
    got = known_after(START + 4)
    assert got["ts"].unique().tolist() == [closes(START + 1)[START]]
    assert got["entity"].tolist() == ["A", "B"]


def test_barriers_are_measured_in_what_intervals_are_scaled_by() -> None:
    (scale,) = (feature for feature in DEFAULT_SET.features if feature.name == SCALE_FEATURE)
    assert equity_labels.VOLATILITY.features[0].node.text == scale.node.text, "another formula is another REVISION"


def test_a_price_that_stood_still_has_no_barriers() -> None:
    assert labels(unadjusted(bars_of(A=[10.0] * 30)), (BARRIER,), CALENDAR).empty


def naive_barriers(panel: pd.DataFrame, horizon: int) -> Iterator[tuple[str, pd.Timestamp, pd.Timestamp, float]]:
    """One row and one session at a time, straight from the definition."""
    every = [ts for ts in closes(200) if ts <= panel["ts"].max()]
    for symbol, own in panel.groupby("symbol"):
        close = dict(zip(own["ts"], own["close"], strict=True))
        bars = list(own["close"])
        for i, ts in enumerate(own["ts"]):
            path = every[every.index(ts) + 1 : every.index(ts) + 1 + horizon]
            returns = [
                math.log(b / a) for a, b in zip(bars[max(i - 20, 0) : i], bars[max(i - 19, 1) : i + 1], strict=True)
            ]
            if len(path) < horizon or len(returns) < 20 or np.std(returns) == 0:
                continue
            width = np.std(returns, ddof=1) * math.sqrt(horizon)
            for then in path:
                if then not in close:
                    break
                if abs(math.log(close[then] / close[ts])) >= width or then == path[-1]:
                    yield str(symbol), ts, then, close[then] / close[ts] - 1
                    break


@pytest.mark.parametrize("horizon", [1, 3, 10])
def test_barrier_labels_agree_with_a_naive_loop(horizon: int) -> None:
    bars = random_bars(["A", "B", "C", "D"], 150, seed=horizon)
    kept = bars[np.random.default_rng(horizon).random(len(bars)) > 0.03].reset_index(drop=True)
    panel = unadjusted(kept)
    got = labels(panel, (Target("equity", "x", horizon, label="barrier"),), CALENDAR)
    expected = sorted(naive_barriers(panel, horizon), key=lambda row: (row[1], row[0]))
    assert list(got[["entity", "ts", "matures_at", "value"]].itertuples(index=False, name=None)) == expected
    early = (got["matures_at"] < got.groupby("ts")["matures_at"].transform("max")).mean()
    assert early > 0.2 if horizon > 1 else early == 0, "the comparison must have seen touches"


def test_barriers_out_of_reach_leave_the_return(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(equity_labels, "BARRIER_WIDTH", 50.0)
    panel = unadjusted(random_bars(["A", "B"], 90))
    plain = labels(panel, (Target("equity", "3d", 3),), CALENDAR)
    twentieth = panel.groupby("symbol")["ts"].transform(lambda own: own.iloc[20])
    known = plain["ts"] >= plain["entity"].map(dict(zip(panel["symbol"], twentieth, strict=True)))
    last = closes(90)[-4]
    expected = plain[known & (plain["ts"] <= last)].reset_index(drop=True)
    pd.testing.assert_frame_equal(labels(panel, (BARRIER,), CALENDAR), expected)


def test_returns_and_barriers_of_several_horizons_come_together_sorted() -> None:
    panel = unadjusted(random_bars(["A", "B"], 60))
    got = LABELS.check(labels(panel, (*TARGETS, BARRIER), CALENDAR))
    assert set(got["target"]) == {"1d", "3d", "5d", "20d"}


def test_no_bars_give_no_barrier_labels() -> None:
    nothing = unadjusted(random_bars(["A"], 5)).iloc[:0].reset_index(drop=True)
    assert LABELS.check(labels(nothing, (BARRIER,), CALENDAR)).empty
