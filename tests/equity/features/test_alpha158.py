"""Alpha158 against pandas: qlib's published definitions, written anew, where a window is full.

What qlib's operators mean: rolling windows of pandas, ranks as shares with ties sharing theirs, places of
extremes counted from 1 for the oldest, regressions on 1, 2 ... d by least squares.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

from ml.equity.features.alpha158 import ALPHA158, WINDOWS
from ml.equity.features.compute import compute
from tests.equity.panels import CALENDAR, random_bars, unadjusted

PANEL = unadjusted(random_bars(["AAA", "BBB"], 320, seed=4))
OWN = PANEL[PANEL["symbol"] == "BBB"].reset_index(drop=True)
OP, H, L, C, V = (OWN[column] for column in ("open", "high", "low", "close", "volume"))
TINY = 1e-12


def greater(x: pd.Series, y: pd.Series | float) -> pd.Series:
    return pd.Series(np.maximum(x, y))


def of_the_bar() -> Iterator[tuple[str, pd.Series]]:
    top, bottom, extent = greater(OP, C), -greater(-OP, -C), H - L + TINY
    yield from {"KMID": (C - OP) / OP, "KLEN": (H - L) / OP, "KMID2": (C - OP) / extent}.items()
    yield from {"KUP": (H - top) / OP, "KUP2": (H - top) / extent, "KLOW": (bottom - L) / OP}.items()
    yield from {"KLOW2": (bottom - L) / extent, "KSFT": (2 * C - H - L) / OP, "KSFT2": (2 * C - H - L) / extent}.items()
    yield from {"OPEN0": OP / C, "HIGH0": H / C, "LOW0": L / C, "VWAP0": (H + L + C) / 3 / C}.items()


def regression(d: int) -> tuple[pd.Series, pd.Series, pd.Series]:
    """Slope, R2 and last residual of the closes on 1, 2 ... d."""
    fits = np.full((3, len(C)), np.nan)
    x = np.arange(1, d + 1)
    for t in range(d - 1, len(C)):
        y = C.to_numpy()[t - d + 1 : t + 1]
        slope, intercept = np.polyfit(x, y, 1)
        fits[:, t] = slope, np.corrcoef(x, y)[0, 1] ** 2, y[-1] - intercept - slope * d
    return tuple(pd.Series(fit) for fit in fits)  # type: ignore[return-value]


def share(moves: pd.Series, of: pd.Series, d: int) -> pd.Series:
    return moves.rolling(d).sum() / (of.abs().rolling(d).sum() + TINY)


def of_windows(d: int) -> Iterator[tuple[str, pd.Series]]:
    slope, rsquare, residual = regression(d)
    high, low = H.rolling(d).max(), L.rolling(d).min()
    yield from {"ROC": C.shift(d) / C, "MA": C.rolling(d).mean() / C, "STD": C.rolling(d).std() / C}.items()
    yield from {"BETA": slope / C, "RSQR": rsquare, "RESI": residual / C, "MAX": high / C, "MIN": low / C}.items()
    yield from {"QTLU": C.rolling(d).quantile(0.8) / C, "QTLD": C.rolling(d).quantile(0.2) / C}.items()
    yield from {"RANK": C.rolling(d).rank(pct=True), "RSV": (C - low) / (high - low + TINY)}.items()
    at_high = H.rolling(d).apply(lambda x: x.argmax() + 1, raw=True)
    at_low = L.rolling(d).apply(lambda x: x.argmin() + 1, raw=True)
    yield from {"IMAX": at_high / d, "IMIN": at_low / d, "IMXD": (at_high - at_low) / d}.items()
    moves = np.log((V / V.shift()).where(V.shift() > 0) + 1)
    yield from {"CORR": C.rolling(d).corr(np.log(V + 1)), "CORD": (C / C.shift()).rolling(d).corr(moves)}.items()
    step, traded = C.diff(), V.diff()
    up, down = (step > 0).where(step.notna()).astype(float), (step < 0).where(step.notna()).astype(float)
    yield from {
        "CNTP": up.rolling(d).mean(),
        "CNTN": down.rolling(d).mean(),
        "CNTD": (up - down).rolling(d).mean(),
    }.items()
    gain, loss = share(greater(step, 0), step, d), share(greater(-step, 0), step, d)
    yield from {"SUMP": gain, "SUMN": loss, "SUMD": gain - loss}.items()
    weighted = (C / C.shift() - 1).abs() * V
    yield from {"VMA": V.rolling(d).mean() / (V + TINY), "VSTD": V.rolling(d).std() / (V + TINY)}.items()
    yield "WVMA", weighted.rolling(d).std() / (weighted.rolling(d).mean() + TINY)
    gain, loss = share(greater(traded, 0), traded, d), share(greater(-traded, 0), traded, d)
    yield from {"VSUMP": gain, "VSUMN": loss, "VSUMD": gain - loss}.items()


REFERENCES = dict(of_the_bar()) | {f"{name}{d}": values for d in WINDOWS for name, values in of_windows(d)}
COMPUTED = compute(PANEL, ALPHA158, CALENDAR)
GOT = COMPUTED[COMPUTED["entity"] == "BBB"].reset_index(drop=True)


def test_there_are_158_of_qlibs_names() -> None:
    assert len(ALPHA158.names) == 158
    assert set(REFERENCES) == set(ALPHA158.names)


@pytest.mark.parametrize("name", ALPHA158.names)
def test_a_feature_equals_its_published_definition(name: str) -> None:
    expected = REFERENCES[name].to_numpy(dtype=float)
    np.testing.assert_allclose(GOT[name].to_numpy(), expected, rtol=1e-5, atol=2e-6)
