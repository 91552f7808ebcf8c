"""The plots of model cards and studies, as figures of their own and as PNG.

Importing this takes half a second: whoever may not need a plot imports it where one is drawn.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

INK, FAINT, STRONG = "#1f4e79", "#b8c4d0", "#c0392b"
DPI = 110
LONGEST_LABEL = 60


def png(figure: Figure) -> bytes:
    """The figure as a PNG file. A Figure made without pyplot draws with Agg and asks for no display."""
    written = BytesIO()
    figure.savefig(written, format="png", dpi=DPI, bbox_inches="tight")
    return written.getvalue()


def calibration_curve(bins: Sequence[Mapping[str, Any]]) -> Figure:
    """Share of rises over what was said, and below how many rows are behind each point.

    bins: said, came (from 0 to 1) and rows of each.
    """
    said, came, rows = (np.array([each[name] for each in bins]) for name in ("said", "came", "rows"))
    figure = Figure(figsize=(6, 5.5))
    curve, counts = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    ends = [min(said.min(), came.min()), max(said.max(), came.max())]
    curve.plot(ends, ends, color=FAINT, label="what was said came")
    curve.plot(said, came, color=INK, marker="o", label="the model, out of fold")
    curve.set_ylabel("share of rises that came")
    curve.legend(frameon=False)
    counts.vlines(said, 0, rows, color=INK, linewidth=6)
    counts.set_ylim(bottom=0)
    counts.set_ylabel("rows")
    counts.set_xlabel("probability of a rise that was said (mean of a bin)")
    return figure


def bars(shares: Sequence[tuple[str, float]], unit: str) -> Figure:
    """One bar for each name, the first on top. Names are drawn as they are, long ones cut."""
    figure = Figure(figsize=(7, 0.8 + 0.28 * len(shares)))
    axes = figure.subplots()
    places = range(len(shares))
    axes.barh(places, [share for _, share in shares], color=INK)
    names = [textwrap.shorten(name, LONGEST_LABEL, placeholder=" ...") for name, _ in shares]
    # A $ in somebody's words is no formula.
    axes.set_yticks(places, names, parse_math=False)
    axes.invert_yaxis()
    axes.set_xlabel(unit)
    return figure


def search_history(trials: pd.DataFrame) -> Figure:
    """The score of each trial in their order, and the best complete one so far.

    trials: number, value and state of each, as a search returns them. Failed trials have no value, and no point.
    """
    figure = Figure(figsize=(7, 4))
    axes = figure.subplots()
    complete = (trials["state"] == "complete").to_numpy()
    _points(axes, trials[complete], INK, "complete")
    _points(axes, trials[~complete & trials["value"].notna()], FAINT, "pruned: mean of the folds it saw")
    best = trials["value"].where(complete).cummin().ffill()
    axes.step(trials["number"] + 1, best, where="post", color=STRONG, label="best so far")
    axes.set_xlabel("trial")
    axes.set_ylabel("log-loss on inner folds (nats)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False)
    return figure


def running_mean(course: Mapping[str, Any], score: str | None) -> Figure:
    """The differences by date as faint points, their running mean, and the band about it.

    course: dates, d, mean, and band (place, lower, upper), as `ml.steps.decisions` makes them.
    """
    figure = Figure(figsize=(8, 4))
    axes = figure.subplots()
    dates, mean, band = pd.to_datetime(course["dates"], utc=True), np.array(course["mean"]), course["band"]
    low, high = _seen(mean, band)
    axes.plot(dates, np.clip(course["d"], low, high), ".", color=FAINT, markersize=3, label="one date (or beyond)")
    if band["place"]:
        where = dates[band["place"]]
        axes.fill_between(where, band["lower"], band["upper"], color=INK, alpha=0.18, linewidth=0)
    axes.plot(dates, mean, color=INK, label=f"mean so far, with {course['coverage']:.0%} band")
    axes.axhline(0, color=STRONG, linewidth=1)
    if course["margin"]:
        axes.axhline(-course["margin"], color=STRONG, linewidth=1, linestyle=":", label="margin")
    axes.set_ylim(low, high)
    axes.set_ylabel(f"candidate better by ({score or 'score'})")
    axes.legend(frameon=False, loc="best")
    return figure


def _seen(mean: Any, band: Mapping[str, Any]) -> tuple[float, float]:
    """The heights to show: all of the band, and of the mean what belongs to it. Single dates lie far outside."""
    first = band["place"][0] if band["place"] else 0
    values = np.concatenate([[0.0], mean[first:], band["lower"], band["upper"]])
    room = 0.8 * (float(np.ptp(values)) or 1.0)
    return float(values.min()) - room, float(values.max()) + room


def _points(axes: Axes, trials: pd.DataFrame, color: str, label: str) -> None:
    if len(trials):
        axes.plot(trials["number"] + 1, trials["value"], "o", color=color, label=label)
