from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.equity.features.derived import DERIVED
from ml.equity.features.language import MAX_DEPTH, MAX_LENGTH, MAX_LOOKBACK, parse
from ml.equity.features.operators import MAX_SMOOTHING, MAX_WINDOW
from ml.errors import ExpressionError


@pytest.mark.parametrize(
    ("text", "lookback"),
    [
        ("close", 1),
        ("weekday", 1),
        ("ref(close, 5)", 6),
        ("ret", 2),
        ("mean(close, 20)", 20),
        ("std(ret, 20) / std(ret, 60)", 61),
        ("ref(mean(ret, 20), 5)", 26),
        ("rsi(close, 14)", 15),
        ("ema(macd(close, 12, 26), 9)", 34),
        ("ema(close, 2 * 6 + 1)", 13),
        ("adx(14)", 28),
        ("beta(ret, market, 60)", 61),
        ("where(close > open, mean(close, 3), ref(close, 9))", 10),
    ],
)
def test_the_lookback_is_inferred(text: str, lookback: int) -> None:
    assert parse(text).lookback == lookback


def test_equal_parts_are_equal_however_they_are_written() -> None:
    assert parse("ret") == parse(" log( close / ref(close, 2 - 1))")
    assert parse("close > open and high > low").kind == parse("ref(close > open, 1)").kind == "flag"
    assert len(list(parse("(close + open) * (close + open)").walk())) == 4


def test_stages_count_what_crosses_symbols() -> None:
    assert [parse(t).stage for t in ("ret", "cs_rank(ret)", "cs_z(beta(ret, cs_mean(ret), 60))")] == [0, 1, 2]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "invalid syntax"),
        ("close +", "invalid syntax at the end"),
        ("close; open", "invalid syntax at character 6 in"),
        ("(close\n/ / open)", "invalid syntax at character 3 of line 2 in the formula `(close / / open)`"),
        ("close # / open", "a `#` at character 7"),
        ("__import__('os')", "the call __import__()"),
        ("close.__class__", "`close.__class__`"),
        ("open('x')", "the call open()"),
        ("(lambda: close)()", "expected numbers, names"),
        ("[close for x in y]", "expected numbers, names"),
        ("close if open else high", "expected numbers, names"),
        ("close[0]", "expected numbers, names"),
        ("'close'", "expected numbers, names"),
        ("mean(close, n=5)", "expected numbers, names"),
        ("mean(*close)", "expected numbers, names"),
        ("low < close < high", "one comparison"),
        ("close % 2", "expected numbers, names"),
        ("close ** open", "the exponent of power"),
        ("close ** 9", "expected a whole number 2 to 4"),
        ("clsoe", "Did you mean close"),
        ("maen(close, 5)", "Did you mean mean"),
        ("mean(close)", "mean(series, window)"),
        ("rsi(close)", "rsi(x, n)"),
        ("ret(close)", "the call ret()"),
        ("rsi", "the name 'rsi'"),
        ("ref(close, -1)", "A formula sees the past only"),
        ("ref(close, 0)", "a whole number 1 to"),
        ("mean(close, 2.5)", "2.5 as the window of mean"),
        ("mean(close, volume)", "volume as the window of mean"),
        ("std(close, 1)", "a whole number 2 to"),
        (f"mean(close, {MAX_WINDOW + 1})", f"1 to {MAX_WINDOW}"),
        (f"ema(close, {MAX_SMOOTHING + 1})", f"1 to {MAX_SMOOTHING}"),
        ("quantile(close, 5, 1.5)", "a number 0 to 1"),
        ("where(close, open, high)", "a comparison such as close > open"),
        ("close and open", "a comparison such as close > open"),
        ("not close", "a comparison such as close > open"),
        ("1 + 1", "a formula over at least one input"),
        ("max(1, 2)", "at least one input"),
        ("close * (1 / 0)", "a finite number"),
        ("close * 1e999", "expected numbers, names"),
        ("close * (1e200 * 1e200)", "a finite number"),
        ("close * True", "expected numbers, names"),
        ("close + " * MAX_LENGTH + "close", f"at most {MAX_LENGTH}"),
        ("-" * (MAX_DEPTH + 1) + "close", f"at most {MAX_DEPTH}"),
        ("(" * 300 + "close" + ")" * 300, "Correct it"),
        ("mean(" * 5 + "close" + ", 1024)" * 5, f"at most {MAX_LOOKBACK}"),
        ("adx(14) + " * 20 + "adx(14)", "parts"),
    ],
)
def test_what_is_no_formula_is_refused_with_a_reason(text: str, told: str) -> None:
    with pytest.raises(ExpressionError) as refused:
        parse(text)
    assert told in str(refused.value)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_a_formula_or_refused(text: str) -> None:
    with suppress(ExpressionError):
        assert parse(text).kind in ("series", "flag")


@pytest.mark.parametrize("name", DERIVED)
def test_every_derived_word_can_be_read(name: str) -> None:
    args = DERIVED[name].args
    values = {"x": "close", "y": "volume", "p": "mean(ret > 0, 5)", "n": "5", "fast": "3", "slow": "7"}
    assert parse(f"{name}({', '.join(values[arg] for arg in args)})" if args else name).lookback >= 1
