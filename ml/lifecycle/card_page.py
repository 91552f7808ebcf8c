"""A model card's facts as one HTML file that needs nothing beside itself."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from ml.estimators.baselines import Momentum
from ml.lifecycle import plots
from ml.lifecycle.comparison import BASELINE, UNIT_OF

Facts = Mapping[str, Any]

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1c2733; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: 0; } h2 { font-size: 1.15rem; margin: 2rem 0 .4rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; display: block; overflow-x: auto; }
th, td { text-align: left; padding: .2rem .9rem .2rem 0; border-bottom: 1px solid #dde3e9; vertical-align: top; }
td { overflow-wrap: break-word; } th { font-weight: 600; } p { margin: .4rem 0; } .note { color: #5a6a7a; }
img { max-width: 100%; } code { font-size: .9em; }
"""

LABELS = {
    "return": "the value",
    "scaled": "the value in units of the row's dispersion",
    "barrier": "the value where it first left a band about its start, at the latest at the horizon",
}
SCORES = ("log_loss", "brier", "accuracy", "auc", "calibration_error", "ic", "rank_ic")
NAMES = {
    **{"log_loss": "log-loss", "brier": "Brier", "accuracy": "accuracy", "auc": "AUC"},
    **{"calibration_error": "calibration error", "ic": "IC", "rank_ic": "rank IC"},
    **{BASELINE: "climatology", Momentum.name: "momentum sign"},
}
UNDEFINED = "-"


def html(facts: Facts) -> str:
    """The page. Everything in it comes from `facts` (`ml.steps.card`), escaped."""
    target = facts["target"]
    title = f"{target['domain']}-{target['name']}: {facts['estimator']}"
    sections = (
        _origin,
        _signature,
        _members,
        _scores,
        _folds,
        _calibration,
        _intervals,
        _importance,
        _costs,
        _left_out,
    )
    body = "\n".join(section(facts) for section in sections)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>Model card {escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n<h1>{escape(title)}</h1>\n"
        f'<p class="note">Model card, made when the model was trained.</p>\n{body}\n</body>\n</html>\n'
    )


def _origin(facts: Facts) -> str:
    target, training = facts["target"], facts["training"]
    return _section(
        "What it is and what it was made from",
        _table(
            (),
            [
                ("Predicts", f"whether the value {target['horizon']} periods later is above 0, and the value"),
                ("Learns", f"{LABELS[target['label']]} (label: {target['label']})"),
                ("Judged by", NAMES[target["score"]]),
                ("Training window", f"{facts['train_start']} to {facts['train_end']}"),
                (
                    "Rows",
                    f"{training['known_rows']} with a known outcome on {training['dates']} dates, "
                    f"{training['entities']} entities; each member was fitted on {training['fitted_rows']} of them",
                ),
                ("Night", f"as of {facts['as_of']}, as known at {facts['known_at']}"),
                ("Data snapshot", facts["snapshot_digest"]),
                ("Feature set", f"{facts['feature_set_digest']} ({len(facts['recipe']['feature_names'])} features)"),
                ("Recipe", facts["recipe_digest"]),
                ("Training key", facts["training_key"]),
                ("Seed", facts["recipe"]["seed"]),
                ("Code", facts["code_commit"]),
                ("Packages", ", ".join(f"{name} {version}" for name, version in facts["packages"].items())),
            ],
        ),
    )


def _signature(facts: Facts) -> str:
    sides = [
        _table(("name", "type"), [(column["name"], column["type"]) for column in facts["signature"][side]])
        for side in ("inputs", "outputs")
    ]
    folded = [
        f"<details><summary>{len(facts['signature'][side])} {side}</summary>{table}</details>"
        for side, table in zip(("inputs", "outputs"), sides, strict=True)
    ]
    return _section("Signature", *folded)


def _members(facts: Facts) -> str:
    rows = [
        (each["estimator"], "yes" if each["serves"] else "no", each["trials"], json.dumps(each["params"]))
        for each in facts["members"]
    ]
    choice = facts["choice"]
    tried = [
        (each["combiner"], each["calibrator"], *(f"{each[name]:.6f}" for name in ("log_loss", "worse_by", "error")))
        for each in choice["evidence"]
    ]
    weighed = _table(("combiner", "calibrator", "log-loss", "worse than the best by", "standard error"), tried)
    return _section(
        "Members",
        _table(("estimator", "serves", "trials", "parameters"), rows),
        _text(f"Combiner: {choice['combiner']}. Calibrator: {choice['calibrator']}. Chosen by: {choice['reason']}."),
        f"<details><summary>{len(tried)} pairs were weighed</summary>{weighed}</details>" if tried else "",
    )


def _scores(facts: Facts) -> str:
    found = facts["outer"]
    baseline = {name: found["scores"].get(f"{BASELINE}_{name}") for name in SCORES}
    lines = {"this model": found["scores"], **found["beside"], BASELINE: baseline}
    return _section(
        "Scores on outer test dates",
        _text(
            f"{found['scores']['n_rows']:.0f} rows on {found['scores']['n_dates']:.0f} dates that no search, no choice "
            "and no fit behind these forecasts has seen; everyone on the same rows. Members by themselves, before "
            "any combining and calibrating."
        ),
        _table(
            ("", *(NAMES[name] for name in SCORES), _ahead_title(facts)),
            [
                (NAMES.get(name, name), *(_number(scores.get(each)) for each in SCORES), _ahead(found, name))
                for name, scores in lines.items()
            ],
        ),
        _text(
            "The mean difference over dates, ± its standard error, which knows that labels of neighbouring dates "
            "overlap. Climatology says what share of the training rows rose."
        ),
        _text(f"Momentum sign says what followed where this was above 0, and where not: {facts['momentum']}.")
        if facts["momentum"]
        else "",
    )


def _ahead_title(facts: Facts) -> str:
    return f"this model is ahead by ({UNIT_OF[facts['target']['score']]})"


def _ahead(found: Facts, name: str) -> str:
    ahead = found["ahead_of"].get(name)
    if ahead is None or ahead["mean"] is None:
        return UNDEFINED
    return f"{ahead['mean']:+.6f} ± {ahead['standard_error']:.6f}"


def _folds(facts: Facts) -> str:
    shown = ("log_loss", "brier", "rank_ic")
    rivals = [name for name in (BASELINE, Momentum.name) if name in facts["outer"]["ahead_of"]]
    head = (
        *("fold", "trained until", "tested", "dates", "rows"),
        *(NAMES[name] for name in shown),
        *(f"{NAMES[name]}: log-loss" for name in rivals),
        *(f"ahead of {NAMES[name]} ({UNIT_OF[facts['target']['score']]})" for name in rivals),
    )
    rows = [
        (
            each["fold"],
            each["trained_until"][:10],
            f"{each['tested_from'][:10]} to {each['tested_until'][:10]}",
            f"{each['scores']['n_dates']:.0f}",
            f"{each['scores']['n_rows']:.0f}",
            *(_number(each["scores"].get(name)) for name in shown),
            *(_number(_log_loss_of(each, name)) for name in rivals),
            *(_ahead(each, name) for name in rivals),
        )
        for each in facts["folds"]
    ]
    return _section("Scores by outer fold", _table(head, rows))


def _log_loss_of(found: Facts, rival: str) -> Any:
    if rival == BASELINE:
        return found["scores"].get(f"{BASELINE}_log_loss")
    return found["beside"][rival].get("log_loss")


def _calibration(facts: Facts) -> str:
    bins = facts["calibration"]
    rows = [(_number(each["said"]), _number(each["came"]), each["rows"], each["dates"]) for each in bins]
    return _section(
        "Calibration",
        _image(plots.png(plots.calibration_curve(bins)), "Share of rises that came over the probability that was said"),
        _table(("said", "came", "rows", "dates"), rows),
    )


def _intervals(facts: Facts) -> str:
    rows = [(f"{100 * each['stated']:.0f} %", f"{100 * each['measured']:.1f} %") for each in facts["intervals"]]
    return _section(
        "Coverage of the intervals",
        _table(("stated", "measured on later dates"), rows),
    )


def _importance(facts: Facts) -> str:
    found = facts["importance"]
    unit = "mean |contribution| to the log-odds"
    if not found:
        return _section("Importance", _text("No feature moves this model's answers."))
    drawn = plots.png(plots.bars([(each["words"], each["importance"]) for each in found], unit))
    return _section(
        f"The {len(found)} features that move its answers most",
        _image(drawn, f"The strongest features by {unit}"),
        _table(("feature", unit), [(each["words"], _number(each["importance"])) for each in found]),
    )


def _costs(facts: Facts) -> str:
    found = facts["costs"]
    timed = [
        (f"{each['rows']}", each["forecasts"], f"{1000 * each['p50_seconds']:.1f}", f"{1000 * each['p95_seconds']:.1f}")
        for each in (found["one_row"], found["night"])
    ]
    return _section(
        "Size and latency",
        _text(f"{found['size_bytes'] / 1e6:.2f} MB of model files, loaded in {1000 * found['load_seconds']:.0f} ms."),
        _table(("rows at once", "forecasts timed", "p50 (ms)", "p95 (ms)"), timed),
        _text("Measured where it was trained, beside whatever else ran there, on rows of the last date."),
    )


def _left_out(facts: Facts) -> str:
    rows = [(each["what"], each["why"]) for each in facts["left_out"]]
    return _section("Left out", _table(("what", "why"), rows) if rows else _text("Nothing that was asked for."))


def _section(title: str, *parts: str) -> str:
    return f"<section>\n<h2>{escape(title)}</h2>\n" + "\n".join(filter(None, parts)) + "\n</section>"


def _text(words: str) -> str:
    return f'<p class="note">{escape(words)}</p>'


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Texts and numbers as they are, escaped; the first of a row is its head."""
    top = f"<thead><tr>{''.join(f'<th>{escape(name)}</th>' for name in head)}</tr></thead>" if head else ""
    return f"<table>{top}<tbody>{''.join(map(_row, rows))}</tbody></table>"


def _row(cells: Sequence[Any]) -> str:
    first, *others = (escape(str(cell)) for cell in cells)
    return f"<tr><th>{first}</th>{''.join(f'<td>{cell}</td>' for cell in others)}</tr>"


def _image(drawn: bytes, what: str) -> str:
    return f'<img alt="{escape(what)}" src="data:image/png;base64,{b64encode(drawn).decode()}">'


def _number(number: float | None) -> str:
    return UNDEFINED if number is None else f"{number:.6f}"
