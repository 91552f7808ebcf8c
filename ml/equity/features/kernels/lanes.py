"""How kernels see symbols: LANES of them side by side, so that one vector instruction serves several at once.

Bar t of all lanes lies in row t of an array of shape (bars, LANES). Row 0 has the same index in the history of each,
its `age`; where a lane's symbol has no bar, before its first and after its last, the array holds NaN. No kernel lets
one lane see another.

For the compiler to use vectors, a loop over lanes ends at x.shape[1], which is LANES but unknown to it (loops of known
length are unrolled before vectors are thought of), and what a kernel keeps per lane lies in one flat array at constant
distances (so that it can see what does not overlap).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ml.equity.features.kernels.compiled import compiled

Reals = npt.NDArray[np.float64]
Column = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
Places = npt.NDArray[np.int32]

LANES = 32
"""Measured with an earlier form of the kernels: 16 and 64 were slower."""
NOWHERE = -1
LARGEST = 3.4e38


@compiled
def places(begin: Indices, starts: Indices, lengths: Indices, out: Places) -> None:
    """out[t, k]: the row of lane k's bar t in the panel, where it has one; shape (bars, LANES).

    begin, starts, lengths: of each lane the row of its first bar here, the row of that in the panel, and its number of
    bars
    """
    out[:] = NOWHERE
    for k in range(len(begin)):
        for t in range(lengths[k]):
            out[begin[k] + t, k] = starts[k] + t


@compiled
def gather(values: Reals | Column, place: Places, out: Reals) -> None:
    """out = values[place], NaN where there is no place."""
    for row in range(len(place)):
        for k in range(LANES):
            out[row, k] = values[place[row, k]] if place[row, k] >= 0 else np.nan


@compiled
def gather_of_session(facts: Reals, session: Indices, place: Places, out: Reals) -> None:
    """out = facts[session[place]], NaN where there is no place."""
    for row in range(len(place)):
        for k in range(LANES):
            out[row, k] = facts[session[place[row, k]]] if place[row, k] >= 0 else np.nan


@compiled
def in_line(place: Places, out: npt.NDArray[np.bool_]) -> None:
    """Per row, whether its lanes have consecutive places, as those of symbols with the same sessions do."""
    for row in range(len(out)):
        count = 0
        for k in range(LANES):
            count += 1 if place[row, 0] >= 0 and place[row, k] - place[row, 0] == k else 0
        out[row] = count == LANES


@compiled
def scatter(x: Reals, place: Places, together: npt.NDArray[np.bool_], column: Column) -> None:
    """column[place] = x as float32; what is too large for it, or infinite, becomes NaN. together: see `in_line`."""
    for row in range(len(x)):
        if together[row]:
            begin = np.int64(place[row, 0])
            own = column[begin : begin + x.shape[1]]
            for k in range(len(own)):
                own[k] = np.float32(x[row, k] if abs(x[row, k]) <= LARGEST else np.nan)
        else:
            for k in range(LANES):
                if place[row, k] >= 0:
                    column[place[row, k]] = np.float32(x[row, k] if abs(x[row, k]) <= LARGEST else np.nan)
