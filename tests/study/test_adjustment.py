from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.equity.panels import closes
from tests.study.adjustment import half_width, main, reasons, report, study


def source(
    close: list[float], dividend: dict[int, float] | None = None, split: dict[int, float] | None = None
) -> pd.DataFrame:
    """A source that adjusts as it should: four decimals, payments put into shares at the close."""
    count = len(close)
    paid = np.array([(dividend or {}).get(day, 0.0) for day in range(count)])
    ratio = np.array([(split or {}).get(day, 1.0) for day in range(count)])
    raw = np.array(close)
    step = ratio + paid / raw
    factor = np.append(1 / np.cumprod(step[::-1])[::-1][1:], 1.0)
    days = closes(count).tz_localize(None).normalize()
    prices = dict.fromkeys(("open", "high", "low", "close"), raw)
    more = {"adj_close": np.round(raw * factor, 4), "volume": 1000.0, "dividend": paid, "split": ratio}
    return pd.DataFrame({"symbol": "A", "date": days} | prices | more)


CLOSE = [30.0, 31.0, 15.2, 15.4137, 15.1, 15.9, 16.2, 16.0]


def test_a_source_that_adjusts_as_we_do_agrees_on_every_day() -> None:
    result = study(source(CLOSE, dividend={4: 0.31}, split={2: 2.0}))
    assert len(result.days) == 7
    assert result.exceptions.empty
    assert "agree: 7 of 7, with an action 2 of 2" in report(result)


def test_the_last_written_digit_is_all_that_is_tolerated() -> None:
    right = source(CLOSE, dividend={6: 0.31})
    result = study(right.assign(adj_close=right["adj_close"] + 0.0003 * (right.index == 3)))
    assert result.exceptions["date"].dt.day.tolist() == [6, 7]
    assert set(reasons(result)) == {"unexplained"}


def test_a_split_that_only_adj_close_counts_is_told() -> None:
    lost = source(CLOSE, split={2: 2.0}).assign(split=1.0)
    (reason,) = reasons(study(lost))
    assert "its split column lacks" in reason


def test_a_split_that_adj_close_counts_on_a_wrong_date_is_told() -> None:
    # adj_close doubles on day 1, a session before the raw price halves.
    right = source(CLOSE)
    early = right.assign(adj_close=right["adj_close"] / np.where(right.index == 0, 2, 1))
    (reason,) = reasons(study(early))
    assert "wrong date" in reason


def test_an_exception_without_a_reason_is_printed_and_fails_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    right = source(CLOSE, dividend={6: 0.31})
    explained = source(CLOSE, split={2: 2.0}).assign(split=1.0)
    wrong = right.assign(adj_close=right["adj_close"] + 0.0003 * (right.index == 3))
    for name, prices, status in (("right", right, 0), ("explained", explained, 0), ("wrong", wrong, 1)):
        prices.to_parquet(tmp_path / name)
        assert main([str(tmp_path / name)]) == status, name
    assert "exceptions: 2, of which unexplained: 2" in capsys.readouterr().out
    assert main([str(tmp_path / "nothing")]) == 2
    assert "make study-adjustment data=FILE" in capsys.readouterr().err


@pytest.mark.parametrize(("value", "slip"), [(0.9, False), (2.0, True)])
def test_a_payment_per_new_share_is_told(value: float, slip: bool) -> None:
    per_old = source(CLOSE, dividend={2: value * 2}, split={2: 2.0})
    (reason,) = reasons(study(per_old.assign(dividend=per_old["dividend"] / 2)))
    assert "per new share" in reason
    assert ("slip" in reason) is slip


def test_numbers_stand_for_all_that_are_written_like_them() -> None:
    assert half_width(np.array([1.5, 20.25, 2000.75001]) + 1e-5).tolist() == pytest.approx([5e-6] * 3)
    single = np.round(np.array([1177.44, 0.1, 1172.93]).astype("float32").astype("float64"), 4)
    assert single[0] == 1177.4399
    assert half_width(single).tolist() == pytest.approx((0.00005 + single * 2**-24).tolist())
