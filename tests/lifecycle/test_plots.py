"""Plots show the numbers that they were given, and are PNG files."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from ml.lifecycle import plots

PNG = b"\x89PNG\r\n\x1a\n"
BINS = [{"said": 0.4, "came": 0.35, "rows": 120}, {"said": 0.6, "came": 0.7, "rows": 80}]
TRIALS = pd.DataFrame(
    {
        "number": [0, 1, 2, 3],
        "value": [0.70, 0.71, np.nan, 0.69],
        "state": ["complete", "pruned", "fail", "complete"],
    }
)


def lines(figure: Figure) -> dict[str, list[list[float]]]:
    """The points of the first axes' lines by their labels."""
    return {str(line.get_label()): np.asarray(line.get_xydata()).tolist() for line in figure.axes[0].lines}


def test_the_curve_is_drawn_with_the_rows_behind_each_point() -> None:
    figure = plots.calibration_curve(BINS)
    assert lines(figure)["the model, out of fold"] == [[0.4, 0.35], [0.6, 0.7]]
    counts = [segment.tolist() for segment in figure.axes[1].collections[0].get_segments()]  # type: ignore[attr-defined]
    assert counts == [[[0.4, 0], [0.4, 120]], [[0.6, 0], [0.6, 80]]]
    assert plots.png(figure).startswith(PNG)


def test_a_curve_of_one_bin_is_drawn() -> None:
    assert plots.png(plots.calibration_curve(BINS[:1])).startswith(PNG)


@pytest.mark.filterwarnings("error")
def test_bars_carry_any_words_and_the_first_is_on_top() -> None:
    words = ["Return in $ per $ (x_1^2)", "<b>&", "long " * 40]
    figure = plots.bars([(word, float(3 - i)) for i, word in enumerate(words)], "share")
    axes = figure.axes[0]
    assert [bar.get_width() for bar in axes.patches] == [3, 2, 1]  # type: ignore[attr-defined]
    assert [label.get_text() for label in axes.get_yticklabels()][:2] == words[:2]
    assert len(axes.get_yticklabels()[2].get_text()) <= plots.LONGEST_LABEL
    assert axes.yaxis_inverted()
    assert plots.png(figure).startswith(PNG)


def test_a_search_is_drawn_without_its_failed_trials_and_pruned_ones_are_never_the_best() -> None:
    figure = plots.search_history(TRIALS)
    drawn = lines(figure)
    assert drawn["complete"] == [[1, 0.70], [4, 0.69]]
    assert drawn["pruned: mean of the folds it saw"] == [[2, 0.71]]
    assert drawn["best so far"] == [[1, 0.70], [2, 0.70], [3, 0.70], [4, 0.69]]
    assert plots.png(figure).startswith(PNG)


def test_a_search_of_one_trial_is_drawn() -> None:
    assert list(lines(plots.search_history(TRIALS[:1]))) == ["complete", "best so far"]
