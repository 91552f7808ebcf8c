"""Alpha158 by those who have it too: KunQuant's compiled C++, and qlib, whose set it is."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import qlib
from KunQuant.Driver import KunCompilerConfig
from KunQuant.jit import cfake
from KunQuant.Op import Builder, Input, Output
from KunQuant.predefined.Alpha158 import AllData
from KunQuant.runner import KunRunner
from KunQuant.Stage import Function
from qlib.contrib.data.loader import Alpha158DL
from qlib.data import D
from qlib.data.cache import H

from ml.equity.features.plan import THREADS

Floats = npt.NDArray[np.floating]

COMPILER: str = cfake.CppCompilerConfig().compiler
REGISTER = 32
"""Bytes that KunQuant computes at once, those of an AVX2 register."""
ALIGNED = 8
"""It is fastest with a multiple of so many symbols, a register of float32."""


@dataclass(frozen=True)
class Precision:
    """How exactly KunQuant computes.

    running: deviations and correlations from running sums, which KunQuant does of itself only in float64
    """

    what: str
    dtype: type[np.float32 | np.float64]
    running: bool


PRECISIONS = (
    Precision("float32", np.float32, running=False),
    Precision("float32, running sums", np.float32, running=True),
    Precision("float64", np.float64, running=True),
)


def has_compiler() -> bool:
    """Whether KunQuant can compile here."""
    return shutil.which(COMPILER) is not None


class KunQuant:
    """KunQuant's Alpha158, compiled, with inputs and outputs laid out as it is fastest.

    Its outputs are allocated once and filled anew by each run.
    """

    def __init__(self, bars: Mapping[str, npt.NDArray[np.float64]], precision: Precision) -> None:
        """`bars`: open, high, low, close and volume, each (symbols, bars), the symbols a multiple of ALIGNED."""
        # Its VWAP is amount / volume; ours is the typical price.
        amount = (bars["high"] + bars["low"] + bars["close"]) / 3 * bars["volume"]
        self._inputs = {name: _side_by_side(one, precision.dtype) for name, one in {**bars, "amount": amount}.items()}
        self._bars = bars["close"].shape[1]
        config = KunCompilerConfig(
            partition_factor=4,  # that of its own tests of Alpha158, and the fastest of the three that we tried
            dtype="float" if precision.dtype is np.float32 else "double",
            input_layout="STs",
            output_layout="STs",
            options={"no_fast_stat": "no_warn" if precision.running else True},
        )
        # The module lives in the library: both are kept.
        self._library = cfake.compileit([("alpha158", _formulas(), config)], "alpha158", cfake.CppCompilerConfig())
        self._module = self._library.getModule("alpha158")
        self._executor = KunRunner.createMultiThreadExecutor(THREADS)
        shape = self._inputs["close"].shape
        self._outputs = {name: np.empty(shape, precision.dtype) for name in self._module.getOutputNames()}

    def run(self) -> None:
        """All features of all bars."""
        KunRunner.runGraph(self._executor, self._module, self._inputs, 0, self._bars, self._outputs)

    def results(self) -> dict[str, Floats]:
        """What the last run computed, each (bars, symbols)."""
        return {name: out.transpose(1, 0, 2).reshape(self._bars, -1) for name, out in self._outputs.items()}


def _side_by_side(values: Floats, dtype: type[np.float32 | np.float64]) -> Floats:
    """From (symbols, bars) to KunQuant's layout STs, (symbols / n, bars, n), where n values fill a register."""
    lanes = REGISTER // np.dtype(dtype).itemsize
    return np.ascontiguousarray(values.reshape(-1, lanes, values.shape[1]).transpose(0, 2, 1), dtype=dtype)


def _formulas() -> Function:
    builder = Builder()
    with builder:
        data = AllData(**{name: Input(name) for name in ("open", "high", "low", "close", "volume", "amount")})
        prices = [("OPEN", data.open), ("HIGH", data.high), ("LOW", data.low), ("VWAP", data.vwap)]
        # qlib's default choice; KunQuant's own would take the prices of four more days.
        formulas, names = data.build({"kbar": {}, "price": {"windows": [0], "feature": prices}, "rolling": {}})
        for formula, name in zip(formulas, names, strict=True):
            Output(formula, name)
    return Function(builder.ops)


class Qlib:
    """qlib's Alpha158 over a folder in qlib's own format, its caches off."""

    def __init__(self, adjusted: pd.DataFrame, folder: Path) -> None:
        """`adjusted`: ADJUSTED bars, all symbols on the same sessions; `folder`: an empty one to write them to."""
        self._symbols = list(adjusted["symbol"].unique())
        _write(adjusted, folder)
        qlib.init(
            provider_uri=str(folder), kernels=THREADS, expression_cache=None, dataset_cache=None, logging_level="ERROR"
        )
        self._fields, self._names = Alpha158DL.get_feature_config()
        self._frame = pd.DataFrame()

    def forget(self) -> None:
        """Empty the cache in memory, which would answer a second run."""
        H.clear()

    def run(self) -> None:
        """All features of all bars."""
        self._frame = D.features(self._symbols, self._fields, disk_cache=0)

    def results(self) -> dict[str, Floats]:
        """What the last run computed, each (bars, symbols)."""
        by_name = self._frame.set_axis(self._names, axis=1).reorder_levels([1, 0]).sort_index()
        shape = (-1, len(self._symbols))
        return {name: by_name[name].to_numpy(np.float32).reshape(shape) for name in self._names}


def _write(adjusted: pd.DataFrame, folder: Path) -> None:
    """Per symbol and field a file of float32 that begins with the index of its first session."""
    days = adjusted["ts"].dt.strftime("%Y-%m-%d").unique()
    symbols = adjusted["symbol"].unique()
    for name, lines in {
        "calendars/day.txt": days,
        "instruments/all.txt": [f"{symbol}\t{days[0]}\t{days[-1]}" for symbol in symbols],
    }.items():
        (folder / name).parent.mkdir()
        (folder / name).write_text("\n".join(lines) + "\n")
    fields = adjusted[["symbol", "open", "high", "low", "close", "volume"]]
    fields = fields.assign(vwap=adjusted[["high", "low", "close"]].mean(axis=1))
    for symbol, own in fields.groupby("symbol"):
        place = folder / "features" / str(symbol).lower()
        place.mkdir(parents=True)
        for field in own.columns.drop("symbol"):
            np.concatenate([[0], own[field]]).astype("<f4").tofile(place / f"{field}.day.bin")
