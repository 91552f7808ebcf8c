from __future__ import annotations

import pandas as pd
import pytest

from ml.equity.domain import equity
from ml.equity.labels import labels
from ml.frames import LABELS
from tests.equity.panels import CALENDAR, bars_of, closes, random_bars, unadjusted

TARGETS = equity(("1d", "5d", "20d")).targets


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
