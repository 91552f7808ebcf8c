"""Words of the feature language that are formulas themselves, written in the language.

Wilder, New Concepts in Technical Trading Systems (1978): true_range, rsi, directional movement.
Kaufman, Smarter Trading (1995): efficiency, kama. Elsewhere the catalogue names the source.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Derived:
    """A formula over its arguments (none: a series of its own)."""

    args: tuple[str, ...]
    body: str


def _of(body: str, *args: str) -> Derived:
    return Derived(args, body)


DERIVED: Mapping[str, Derived] = {
    # series
    "ret": _of("log(close / ref(close, 1))"),
    "typical": _of("(high + low + close) / 3"),
    "middle": _of("(high + low) / 2"),
    "dollars": _of("close * volume"),
    "true_range": _of("max(high, ref(close, 1)) - min(low, ref(close, 1))"),
    "money": _of("typical * volume"),
    "market": _of("cs_mean(ret)"),
    "sector_ret": _of("sector_mean(ret)"),
    "top": _of("max(open, close)"),
    "bottom": _of("min(open, close)"),
    "body": _of("abs(close - open)"),
    # of a series
    "change": _of("x - ref(x, n)", "x", "n"),
    "gain": _of("max(change(x, 1), 0)", "x"),
    "loss": _of("max(-change(x, 1), 0)", "x"),
    "z": _of("(x - mean(x, n)) / std(x, n)", "x", "n"),
    "share": _of("sum(x, n) / sum(y, n)", "x", "y", "n"),
    "place": _of("(x - lowest(low, n)) / (highest(high, n) - lowest(low, n))", "x", "n"),
    "centre": _of("(highest(high, n) + lowest(low, n)) / 2", "n"),
    "rsi": _of("100 * wilder(gain(x), n) / (wilder(gain(x), n) + wilder(loss(x), n))", "x", "n"),
    "thrice": _of("ema(ema(ema(x, n), n), n)", "x", "n"),
    "atr": _of("wilder(true_range, n)", "n"),
    "macd": _of("ema(x, fast) - ema(x, slow)", "x", "fast", "slow"),
    "rises": _of("high - ref(high, 1)"),
    "falls": _of("ref(low, 1) - low"),
    "plus_dm": _of("where(rises > falls and rises > 0, rises, 0)"),
    "minus_dm": _of("where(falls > rises and falls > 0, falls, 0)"),
    "plus_di": _of("100 * wilder(plus_dm, n) / atr(n)", "n"),
    "minus_di": _of("100 * wilder(minus_dm, n) / atr(n)", "n"),
    "adx": _of("wilder(100 * abs(plus_di(n) - minus_di(n)) / (plus_di(n) + minus_di(n)), n)", "n"),
    "efficiency": _of("abs(change(x, n)) / sum(abs(change(x, 1)), n)", "x", "n"),
    "kama": _of("adapt(x, (efficiency(x, n) * (2 / 3 - 2 / 31) + 2 / 31) ** 2)", "x", "n"),
    "money_up": _of("sum(where(typical > ref(typical, 1), money, 0), n)", "n"),
    "money_down": _of("sum(where(typical < ref(typical, 1), money, 0), n)", "n"),
    "accumulation": _of("where(high > low, (2 * close - high - low) / (high - low), 0) * volume"),
    "pressure": _of("close - min(low, ref(close, 1))"),
    "garman_klass": _of("0.5 * log(high / low) ** 2 - (2 * log(2) - 1) * log(close / open) ** 2"),
    "rogers_satchell": _of("log(high / close) * log(high / open) + log(low / close) * log(low / open)"),
    "night": _of("log(open / ref(close, 1))"),
    "day": _of("log(close / open)"),
    "entropy_of": _of("-where(p > 0 and p < 1, p * log(p) + (1 - p) * log(1 - p), 0) / log(2)", "p"),
}
