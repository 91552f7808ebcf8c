from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.equity.identity import label, label_actions, label_bars, sector_of, tickers_of
from ml.errors import FrameError
from ml.frames import BARS, REFERENCE, SECTORS, TICKERS
from tests.equity.panels import CALENDAR, actions_of, bars_of, closes

TODAY = pd.Timestamp("2024-01-02")


def tickers(*rows: tuple[str, int, str | None, str | None]) -> pd.DataFrame:
    return TICKERS.cast(pd.DataFrame(rows, columns=list(TICKERS.columns)))


def days(*rows: tuple[str, str]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["symbol", "date"])
    return frame.astype({"symbol": "str", "date": "datetime64[us]"}).assign(row=range(len(rows)))


def labelled(frame: pd.DataFrame, known: pd.DataFrame, as_of: pd.Timestamp = TODAY) -> list[tuple[str, int]]:
    got = label(frame, known, "date", as_of)
    return list(zip(got["symbol"], got["row"], strict=True))


RENAME = tickers(("FB", 1, None, "2022-06-09"), ("META", 1, "2022-06-09", None))


def test_a_rename_keeps_one_history_under_the_last_ticker() -> None:
    frame = days(("AAPL", "2022-06-09"), ("FB", "2022-06-07"), ("FB", "2022-06-08"), ("META", "2022-06-09"))
    assert labelled(frame, RENAME) == [("AAPL", 0), ("META", 1), ("META", 2), ("META", 3)]


def test_before_the_rename_was_made_the_old_ticker_is_the_label() -> None:
    frame = days(("FB", "2022-06-07"), ("FB", "2022-06-08"))
    assert labelled(frame, RENAME, pd.Timestamp("2022-06-08")) == [("FB", 0), ("FB", 1)]


def test_an_action_on_the_day_of_a_rename_counts_under_either_ticker_and_once() -> None:
    day = "2022-06-09"
    actions = actions_of(
        ("FB", day, "split", 2.0),
        ("FB", day, "dividend", 1.0),
        ("META", day, "dividend", 3.0),
        ("FB", "2022-06-10", "split", 5.0),
    )
    got = label_actions(actions, RENAME, TODAY)
    assert [tuple(row) for row in got[["symbol", "kind", "value"]].to_numpy()] == [
        ("FB-unowned", "split", 5.0),
        ("META", "dividend", 3.0),
        ("META", "split", 2.0),
    ]
    reused = tickers(("FB", 1, None, day), ("META", 1, day, None), ("FB", 2, day, None))
    assert set(label_actions(actions.iloc[:2], reused, TODAY)["symbol"]) == {"FB"}, "the ticker's new owner's"
    gone = tickers(("FB", 1, None, day))
    assert set(label_actions(actions.iloc[:2], gone, TODAY)["symbol"]) == {"FB-unowned"}


REUSED = tickers(("X", 1, None, "2010-02-01"), ("X", 2, "2012-01-03", None))


def test_a_ticker_that_is_used_again_holds_two_histories() -> None:
    frame = days(("X", "2010-01-29"), ("X", "2012-01-03"))
    assert labelled(frame, REUSED) == [("X", 1), ("X-201001", 0)]
    assert labelled(frame.iloc[:1], REUSED, pd.Timestamp("2011-06-01")) == [("X", 0)]


def test_what_nobody_owned_is_nobodys_history() -> None:
    frame = days(("X", "2010-01-29"), ("X", "2011-01-03"), ("X", "2012-01-03"))
    assert labelled(frame, REUSED) == [("X", 2), ("X-201001", 0), ("X-unowned", 1)]


def test_an_owner_who_moved_on_gives_its_ticker_free() -> None:
    known = tickers(("X", 1, None, "2010-02-01"), ("Y", 1, "2010-02-01", None), ("X", 2, "2010-02-01", None))
    frame = days(("X", "2010-01-29"), ("X", "2010-02-01"), ("Y", "2010-02-01"))
    assert labelled(frame, known) == [("X", 1), ("Y", 0), ("Y", 2)]


def test_owners_who_left_in_one_month_are_told_apart_by_the_day() -> None:
    known = tickers(("X", 1, None, "2010-02-10"), ("X", 2, "2010-02-10", "2010-02-20"), ("X", 3, "2010-02-20", None))
    frame = days(("X", "2010-02-09"), ("X", "2010-02-10"), ("X", "2010-02-22"))
    assert labelled(frame, known) == [("X", 2), ("X-20100209", 0), ("X-20100219", 1)]


def test_a_ticker_that_came_back_to_its_owner_is_one_history() -> None:
    known = tickers(("X", 1, None, "2010-02-01"), ("Y", 1, "2010-02-01", "2011-02-01"), ("X", 1, "2011-02-01", None))
    frame = days(("X", "2010-01-29"), ("X", "2011-02-01"), ("Y", "2010-02-01"))
    assert labelled(frame, known) == [("X", 0), ("X", 2), ("X", 1)]


def test_two_tickers_of_one_instrument_on_one_day_are_refused() -> None:
    known = tickers(("FB", 1, None, "2022-06-10"), ("META", 1, "2022-06-09", None))
    frame = days(("FB", "2022-06-09"), ("META", "2022-06-09"))
    with pytest.raises(FrameError, match="both FB and META on 2022-06-09, two tickers of META"):
        label(frame, known, "date", TODAY)


def test_two_owners_of_one_ticker_on_one_day_are_refused() -> None:
    known = tickers(("X", 1, None, "2012-01-04"), ("X", 2, "2012-01-03", None))
    with pytest.raises(FrameError, match=r"X of instrument 1 .* and X of instrument 2 from 2012-01-03 until still"):
        label(days(("X", "2012-01-03")), known, "date", TODAY)


def test_open_tickers_of_their_own_change_nothing_and_copy_nothing() -> None:
    frame = days(("A", "2012-01-03"), ("B", "2012-01-03"))
    assert label(frame, tickers(("A", 1, None, None), ("B", 2, None, None)), "date", TODAY) is frame
    assert label(frame, TICKERS.empty(), "date", TODAY) is frame
    assert label(frame, tickers(("A", 1, "2000-01-01", None), ("B", 2, None, None)), "date", TODAY) is frame


def test_bars_are_labelled_by_their_sessions() -> None:
    # The ticker changes hands on Wed 2011-01-05; the panel's sessions are the 3rd to the 6th.
    known = tickers(("OLD", 1, None, "2011-01-05"), ("NEW", 1, "2011-01-05", None))
    bars = bars_of(NEW=[None, None, 3.0, 4.0], OLD=[1.0, 2.0, None, None])
    got = label_bars(bars, known, CALENDAR, closes(4)[3])
    assert BARS.check(got)["symbol"].tolist() == ["NEW"] * 4
    assert got["close"].tolist() == [1.0, 2.0, 3.0, 4.0]
    assert label_bars(bars.iloc[:1], known, CALENDAR, closes(4)[3])["symbol"].tolist() == ["NEW"]


SPAN = st.tuples(st.sampled_from(["P", "Q", "R"]), st.integers(1, 3), st.integers(0, 30), st.integers(1, 12))


@settings(deadline=None)
@given(st.lists(SPAN, max_size=6), st.integers(0, 40))
def test_labels_agree_with_their_definition(drawn: list[tuple[str, int, int, int]], night: int) -> None:
    """Day by day and ticker by ticker: no two instruments share a label, no instrument has two."""
    first = pd.Timestamp("2010-01-20")
    free = dict.fromkeys("PQR", 0)
    busy: set[tuple[int, int]] = set()
    rows = []
    for ticker, instrument, start, length in sorted(drawn, key=lambda row: row[2]):
        span = [(instrument, day) for day in range(start, start + length)]
        if start >= free[ticker] and not busy & set(span):
            free[ticker] = start + length
            busy |= set(span)
            rows.append(
                (ticker, instrument, first + pd.Timedelta(days=start), first + pd.Timedelta(days=start + length))
            )
    known = TICKERS.cast(pd.DataFrame(rows, columns=list(TICKERS.columns)))
    every = [(ticker, str((first + pd.Timedelta(days=day)).date())) for ticker in "PQR" for day in range(night + 1)]
    frame = days(*every)
    got = label(frame, known, "date", first + pd.Timedelta(days=night)).sort_values("row")
    owners: dict[str, set[object]] = {}
    for (ticker, day), shown in zip(every, got["symbol"], strict=True):
        owner = [i for t, i, start, end in rows if t == ticker and start <= pd.Timestamp(day) < end]
        owners.setdefault(shown, set()).add(owner[0] if owner else f"nobody with {ticker}")
    assert all(len(own) == 1 for own in owners.values())
    seen = [next(iter(own)) for own in owners.values()]
    assert len([one for one in seen if isinstance(one, int)]) == len({one for one in seen if isinstance(one, int)})


def reference(*rows: tuple[str, str, str | None, str | None]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["symbol", "instrument", "valid_from", "valid_to"])
    return REFERENCE.cast(frame.reindex(columns=list(REFERENCE.columns)))


def spans(found: pd.DataFrame) -> list[tuple[str, ...]]:
    texts = found.drop(columns="sector").assign(
        **{c: found[c].dt.strftime("%Y-%m-%d").fillna("") for c in ("valid_from", "valid_to")}
    )
    return [tuple(row) for row in texts.to_numpy()]


def test_open_ends_are_closed_by_what_follows() -> None:
    renamed = reference(("META", "i1", "2022-06-09", None), ("FB", "i1", None, None), ("FB", "i1", None, None))
    assert spans(tickers_of(renamed)) == [("FB", "i1", "", "2022-06-09"), ("META", "i1", "2022-06-09", "")]
    reused = reference(("X", "i2", "2012-01-03", None), ("X", "i1", None, None))
    assert spans(tickers_of(reused)) == [("X", "i1", "", "2012-01-03"), ("X", "i2", "2012-01-03", "")]
    ended = reference(("X", "i2", None, None), ("X", "i1", None, "2010-02-01"))
    assert spans(tickers_of(ended)) == [("X", "i1", "", "2010-02-01"), ("X", "i2", "2010-02-01", "")]


def test_a_reference_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(FrameError, match="X of instrument i1 from 2012-01-03 until 2011-01-03 that ends before"):
        tickers_of(reference(("X", "i1", "2012-01-03", "2011-01-03")))
    with pytest.raises(FrameError, match=r"X of instrument i1 .* and X of instrument i2 .* two owners"):
        tickers_of(reference(("X", "i1", None, "2012-01-04"), ("X", "i2", "2012-01-03", None)))
    with pytest.raises(FrameError, match="two owners"):
        tickers_of(reference(("X", "i1", None, None), ("X", "i2", None, None)))


def test_rows_without_an_instrument_or_a_ticker_say_nothing() -> None:
    rows = reference(("X", "i1", None, None), ("Y", "i2", None, None))
    rows.loc[1, "instrument"] = np.nan
    assert spans(tickers_of(rows)) == [("X", "i1", "", "")]


def test_each_interval_keeps_the_sector_of_its_row() -> None:
    rows = reference(("FB", "i1", None, None), ("FB", "i1", "2018-09-24", None), ("META", "i1", "2022-06-09", None))
    rows = rows.assign(sector=pd.Series(["Technology", "Communication", None], dtype="str"))
    told = tickers_of(rows)
    assert spans(told) == [
        ("FB", "i1", "", "2018-09-24"),
        ("FB", "i1", "2018-09-24", "2022-06-09"),
        ("META", "i1", "2022-06-09", ""),
    ]
    assert told["sector"].fillna("").tolist() == ["Technology", "Communication", ""]
    again = pd.concat([rows, rows.tail(1).assign(sector="Media")], ignore_index=True)
    assert tickers_of(again)["sector"].tolist() == ["Technology", "Communication", "Media"]


def sectors(*rows: tuple[str, str, str | None, str | None]) -> pd.DataFrame:
    return SECTORS.cast(pd.DataFrame(rows, columns=list(SECTORS.columns)))


def test_a_bar_has_the_sector_of_its_tickers_owner_on_its_session() -> None:
    day = [str(close.date()) for close in closes(4)]
    bars = bars_of(A=[1.0] * 4, B=[1.0, None, 1.0, 1.0], C=[1.0] * 4)
    known = sectors(
        ("A", "steel", None, day[2]),
        ("A", "rail", day[2], None),
        ("B", "rail", day[1], day[3]),
        ("Z", "air", None, None),
    )
    told = pd.Series(sector_of(bars, known, CALENDAR)).astype("str").fillna("")
    assert told.tolist() == ["steel", "steel", "rail", "rail", *("", "rail", ""), *[""] * 4]
    nobody = sector_of(bars, SECTORS.empty(), CALENDAR)
    assert len(nobody) == len(bars)
    assert nobody.isna().all()
    assert len(sector_of(bars.iloc[:0], known, CALENDAR)) == 0
