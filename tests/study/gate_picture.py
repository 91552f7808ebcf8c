"""The plot of `tests.study.gate`."""

from __future__ import annotations

from typing import TypeAlias

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ml.lifecycle.plots import FAINT, INK, STRONG
from tests.study.power import Champion

Found: TypeAlias = dict[tuple[str, int], tuple[int, float]]
"""By who decides and horizon: years with a promotion, share of nights with one."""
History: TypeAlias = dict[tuple[int, str, Champion], dict[int, float]]
"""By horizon, score and champion: the share promoted at one look by number of dates."""

_COLORS = {1: INK, 5: "#6f9bc8", 20: STRONG, 60: FAINT}
_LINES = {"log_loss": "--", "rank_ic": "-"}


def drawn(found: Found, years: int, grown: History) -> Figure:
    """Left: false promotions, right: what is found of the planted skill."""
    figure = Figure(figsize=(13, 5.5))
    false, true = figure.subplots(1, 2, width_ratios=(1.1, 1))
    _false_promotions(false, found, years)
    _history(true, grown)
    figure.tight_layout()
    return figure


def _false_promotions(axes: Axes, found: Found, years: int) -> None:
    names = list(dict.fromkeys(name for name, _ in found))
    horizons = list(dict.fromkeys(h for _, h in found))
    thick = 0.8 / len(horizons)
    for place, h in enumerate(horizons):
        shares = [100 * found[name, h][0] / years for name in names]
        at = [row + (place - (len(horizons) - 1) / 2) * thick for row in range(len(names))]
        axes.barh(at, shares, height=thick, color=_COLORS[h], label=f"{h}d")
    axes.axvline(5, color="black", linewidth=1, linestyle=":", label="the budget, 5 %")
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlabel("% of years in which a candidate without skill was promoted")
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.35, -0.12), ncols=4)


def _history(axes: Axes, grown: History) -> None:
    for (h, score, champion), by_dates in grown.items():
        if champion == "silent":
            told = [100 * share for share in by_dates.values()]
            axes.plot(list(by_dates), told, _LINES[score], color=_COLORS[h], label=f"{h}d, {score}")
    axes.axhline(80, color="black", linewidth=1, linestyle=":")
    axes.set_xlabel("outer dates of one look")
    axes.set_ylabel("% of candidates with an IC of 0.03 promoted at it")
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=4)
