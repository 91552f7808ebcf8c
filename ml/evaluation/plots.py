"""Pictures of a contest as images that stand in the page itself."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ml.evaluation.contest import BASELINES, CHOSEN
from ml.evaluation.measures import Sheet
from ml.lifecycle.comparison import BASELINE, score_difference
from ml.lifecycle.metrics import calibration_bins

SIZE = (7.4, 4.2)
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "afterbell",
    "font.size": 8,
    "font.family": "sans-serif",
}
PLAIN = {"Date": None, "Creator": None, "Format": None, "Type": None}


def pictures(sheets: Mapping[str, Sheet]) -> list[tuple[str, str]]:
    """Titles with images (addresses of the kind `data:`), for the entrants of one target."""
    gain = {name: score_difference(sheet.oof, BASELINE).cumsum() for name, sheet in sheets.items()}
    rank_ic = {name: sheet.rank_ic.cumsum() for name, sheet in sheets.items()}
    wealth = {name: (1 + sheet.net / sheet.horizon).cumprod() for name, sheet in sheets.items()}
    return [
        ("Rank IC, added up over dates", _over_time(rank_ic)),
        ("Log-loss gained on climatology, nats, added up", _over_time(gain)),
        ("Wealth in the tenths, net of costs", _over_time(wealth)),
        ("Share that rose by stated probability, ten bins", _calibration(sheets)),
    ]


def _over_time(lines: Mapping[str, pd.Series[float]]) -> str:
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=SIZE, layout="constrained")
        axes = figure.add_subplot()
        for number, (name, line) in enumerate(lines.items()):
            axes.plot(pd.DatetimeIndex(line.index).tz_localize(None), line.to_numpy(), **_look(name, number))
        return _finished(figure, axes)


def _calibration(sheets: Mapping[str, Sheet]) -> str:
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=SIZE, layout="constrained")
        axes = figure.add_subplot()
        for number, (name, sheet) in enumerate(sheets.items()):
            bins = calibration_bins(sheet.p)
            count = np.bincount(bins)
            said, rose = (np.bincount(bins, weights=rows)[count > 0] / count[count > 0] for rows in (sheet.p, sheet.up))
            axes.plot(said, rose, marker=".", **_look(name, number))
        axes.axline((0.5, 0.5), slope=1, color="#999", linewidth=0.6)
        axes.set(xlabel="stated", ylabel="rose")
        return _finished(figure, axes)


def _look(name: str, number: int) -> dict[str, Any]:
    """Baselines in broken grey, what the night would choose in black, the others in colours."""
    if name in BASELINES:
        return {"label": name, "color": "#777", "linestyle": ("--", ":")[BASELINES.index(name)], "linewidth": 1.2}
    if name == CHOSEN:
        return {"label": name, "color": "black", "linewidth": 1.6}
    return {"label": name, "color": mpl.colormaps["tab10"](number % 10), "linewidth": 1.0}


def _finished(figure: Figure, axes: Axes) -> str:
    axes.grid(linewidth=0.3)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    with io.StringIO() as file:
        figure.savefig(file, format="svg", metadata=PLAIN)
        # Before it stands the address of a document type, which a page that asks nobody need not name.
        image = file.getvalue().partition("<svg")
    return "data:image/svg+xml;base64," + base64.b64encode("".join(image[1:]).encode()).decode()
