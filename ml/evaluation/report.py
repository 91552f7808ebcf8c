"""The report: one page of HTML that needs nothing else, and a table in Markdown of what matters most."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from html import escape

import pandas as pd

from ml.evaluation import plots
from ml.evaluation.contest import BASELINES, Contest
from ml.evaluation.measures import FORECAST, MEASURES, PORTFOLIO, RANKING, Cell, Measure, Sheet, table
from ml.lifecycle.comparison import SKILL_ALPHA
from ml.lifecycle.significance import nominal_level
from ml.lifecycle.splits import Fold

NONE = "n/a"
Table = Mapping[str, Mapping[str, Cell]]

STYLE = """
body { font: 14px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 1340px; padding: 0 1em; color: #222 }
h2 { border-top: 2px solid #222; margin-top: 2.5em; padding-top: .4em }
table { border-collapse: collapse; margin: .6em 0 1.6em; display: block; overflow-x: auto }
th, td { border-bottom: 1px solid #ddd; padding: .25em .55em; text-align: right; vertical-align: top }
th, td { white-space: nowrap }
th:first-child, .words td:last-child, .words th:last-child { text-align: left }
.words td:last-child { white-space: normal } thead th { border-bottom: 1px solid #222 } tr.baseline { color: #666 }
small { display: block; color: #777 } .better { color: #06712f } .worse { color: #b3261e }
figure { margin: 0 } figcaption { font-weight: 600 } .plots { display: flex; flex-wrap: wrap; gap: 1.2em }
img { max-width: 560px; width: 100% }
"""

LEGEND = """
<p>Everything below is said about dates that the one who said it never saw: the outer test dates of a walk forward.
Each number stands with its standard error; below it, how much better (+) or worse (-) it is than
<b>C</b>limatology and <b>M</b>omentum, in the same unit and whichever way the number runs, and the p-value of the
one-sided test that it is better. Errors and p-values count dates, not rows, and know that labels over several sessions
overlap. <span class="better">Green</span> is proven better and <span class="worse">red</span> proven worse, each by
itself: of a hundred comparisons without a difference, about five of either colour are luck.</p>
"""


SECTIONS = (
    (
        "Probabilities",
        "Log-loss, Brier and accuracy are means over dates; the others describe all rows. A rise is said above 1/2.",
        FORECAST,
    ),
    (
        "Order",
        "Correlation, across symbols, of what was expected with what came, by date; the ratio is not annualised.",
        RANKING,
    ),
    (
        "Tenths",
        "One unit long in the tenth of a date's symbols that is expected highest, one short in the lowest. Returns are "
        "those of the whole horizon, begun on every date with 1 / h of the money. Turnover is what is traded on a date "
        "for that part of the money, as a multiple of one side. The Sharpe ratio is that of one portfolio after the "
        "other, annualised by the root of dates per year / h; that portfolios overlap widens its error.",
        PORTFOLIO,
    ),
)


@dataclass(frozen=True)
class Evaluation:
    """What was asked and what came of it. facts: titles with words; left_out: horizons with the reason."""

    facts: Mapping[str, str]
    contests: tuple[Contest, ...]
    left_out: Mapping[str, str]
    cost_bps: float


@dataclass(frozen=True)
class Judged:
    """A contest with its measures."""

    contest: Contest
    sheets: Mapping[str, Sheet]
    table: Table


def judged(evaluation: Evaluation) -> list[Judged]:
    """The measures of every contest."""
    found = []
    for contest in evaluation.contests:
        horizon = contest.target.horizon
        sheets = {each.name: Sheet(each.oof, horizon, evaluation.cost_bps) for each in contest.entrants}
        found.append(Judged(contest, sheets, table(sheets, BASELINES)))
    return found


def page(evaluation: Evaluation, found: list[Judged]) -> str:
    """The whole page."""
    body = [
        "<h1>Evaluation</h1>",
        _facts(evaluation.facts),
        LEGEND,
        *(f"<p>{escape(name)} is left out: {escape(why)}</p>" for name, why in evaluation.left_out.items()),
        *(_contest(each) for each in found),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>Evaluation</title>'
        f"<style>{STYLE}</style></head>\n<body>\n{''.join(body)}\n</body></html>\n"
    )


def markdown(found: list[Judged]) -> str:
    """One row per target and entrant: what docs/evaluation.md shows."""
    chosen = [measure for measure in MEASURES if measure.name in _IN_MARKDOWN]
    titles = ["horizon", "entrant", *(measure.title for measure in chosen), "log-loss gained on climatology, p"]
    rows = [
        [each.contest.target.name, name, *(_short(measure, cells[measure.name]) for measure in chosen), _gained(cells)]
        for each in found
        for name, cells in each.table.items()
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in [titles, ["---"] * len(titles), *rows])


_IN_MARKDOWN = ("log_loss", "auc", "calibration_error", "rank_ic", "net", "turnover", "net_sharpe", "net_drawdown")


def _short(measure: Measure, cell: Cell) -> str:
    error = "" if cell.error is None else f" ± {_number(measure, cell.error)}"
    return _number(measure, cell.value) + error


def _gained(cells: Mapping[str, Cell]) -> str:
    versus = cells["log_loss"].versus.get(BASELINES[0])
    return NONE if versus is None else f"{versus.gain:+.5f}, {versus.p_value:.3f}"


def _number(measure: Measure, value: float, sign: str = "") -> str:
    if math.isnan(value):
        return NONE
    return f"{value * measure.scale:{sign}.{measure.digits}f}"


def _contest(each: Judged) -> str:
    contest = each.contest
    target, level = contest.target, nominal_level(SKILL_ALPHA, contest.target.horizon)
    dates = next(iter(each.sheets.values())).dates
    parts = [
        f'<h2 id="{target.name}">{target.name}</h2>',
        f"<p>{len(contest.entrants[0].oof):,} rows of {dates.size} outer test dates, {_span(dates)}; "
        f"{contest.rows:,} rows with a known outcome in all. Learned: {target.label}. Proven means p ≤ {level:g}.</p>",
        *(f"<p>{escape(name)} is left out: {escape(why)}</p>" for name, why in contest.left_out.items()),
    ]
    for title, note, measures in SECTIONS:
        parts += [f"<h3>{title}</h3>", f"<p>{note}</p>", _measures(each, measures)]
    parts.append('<div class="plots">')
    for title, image in plots.pictures(each.sheets):
        parts.append(
            f'<figure><figcaption>{title}</figcaption><img alt="{title}, {target.name}" src="{image}"></figure>'
        )
    parts += ["</div>", "<h3>How it was made</h3>", _made(contest), _searched(contest), _folds(contest)]
    return "\n".join(parts)


def _measures(each: Judged, measures: tuple[Measure, ...]) -> str:
    rows = []
    for name, cells in each.table.items():
        kind = ' class="baseline"' if name in BASELINES else ""
        own = "".join(_cell(each.contest.target.name, name, measure, cells[measure.name]) for measure in measures)
        rows.append(f"<tr{kind}><th>{escape(name)}</th>{own}</tr>")
    return _table(["", *(measure.title for measure in measures)], rows)


def _cell(target: str, name: str, measure: Measure, cell: Cell) -> str:
    error = "" if cell.error is None else f" ± {_number(measure, cell.error)}"
    beside = "".join(
        f'<small class="{versus.verdict}">{baseline[0].upper()} {_number(measure, versus.gain, "+")}, '
        f"p {versus.p_value:.3f}</small>"
        for baseline, versus in cell.versus.items()
    )
    return (
        f'<td data-cell="{target} {escape(name)} {measure.name}"><span>{_number(measure, cell.value)}</span>'
        f"{error}{beside}</td>"
    )


def _made(contest: Contest) -> str:
    rows = [_row([entrant.name], entrant.made) for entrant in contest.entrants]
    return _table(["entrant", "made of"], rows, "words")


def _searched(contest: Contest) -> str:
    rows = [
        _row(
            [
                found.estimator,
                str(found.trials),
                f"{found.best:.6f}",
                f"{found.search_seconds:.0f}",
                f"{found.fit_seconds:.0f}",
            ],
            ", ".join(f"{name} {value:.4g}" for name, value in found.params.items()),
        )
        for found in contest.searched
    ]
    titles = ["estimator", "trials", "log-loss on inner dates", "search s", "folds s", "parameters"]
    return _table(titles, rows, "words")


def _folds(contest: Contest) -> str:
    rows = [
        f"<tr><th>{kind} {number}</th>{''.join(f'<td>{text}</td>' for text in _fold(fold))}</tr>"
        for kind, folds in (("inner", contest.folds.inner), ("outer", contest.folds.outer))
        for number, fold in enumerate(folds, 1)
    ]
    return _table(["fold", "train dates", "from, to", "test dates", "from, to"], rows)


def _fold(fold: Fold) -> Iterator[str]:
    for dates in (fold.train, fold.test):
        yield str(dates.size)
        yield _span(pd.DatetimeIndex(dates))


def _facts(facts: Mapping[str, str]) -> str:
    return _table(["", ""], [_row([name], words) for name, words in facts.items()], "words")


def _row(numbers: Iterable[str], words: str) -> str:
    first, *others = numbers
    cells = "".join(f"<td>{escape(text)}</td>" for text in others)
    return f"<tr><th>{escape(first)}</th>{cells}<td>{escape(words)}</td></tr>"


def _table(titles: list[str], rows: list[str], kind: str = "numbers") -> str:
    head = "".join(f"<th>{escape(title)}</th>" for title in titles)
    return f'<table class="{kind}"><thead><tr>{head}</tr></thead><tbody>\n{chr(10).join(rows)}\n</tbody></table>'


def _span(dates: pd.DatetimeIndex) -> str:
    return f"{dates[0]:%Y-%m-%d} to {dates[-1]:%Y-%m-%d}"
