"""A person's word on a decision to promote, where AFTERBELL_APPROVAL asks for one.

The word is kept beside the decision, and `promote` reads it there: what has not been approved is not carried out,
whoever runs the step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ml.io.warehouse import Warehouse, models, people
from ml.io.warehouse.connection import Row
from ml.settings import Settings, settings
from ml.steps.night import Keys

DOOR = "replace"
"""A new recipe is what a person is asked about. A first champion and the same recipe on newer rows need nobody."""
SHELL = "shell"


@dataclass(frozen=True)
class Question:
    """What the person is shown, in Markdown."""

    subject: str
    body: str


def question(decision_id: str, page: str, plot: str) -> Question | None:
    """What to ask about a decision; None when nobody need be asked, or somebody has answered.

    page, plot: addresses of the page that shows the decision, and of its plot.
    """
    config = settings()
    warehouse = Warehouse(config.require_warehouse_dsn())
    decided = models.decision(warehouse, int(decision_id))
    if not _needs_a_word(config, decided) or people.approval(warehouse, int(decision_id)) is not None:
        return None
    versions = f"version {decided['champion_version']} by version {decided['candidate_version']}"
    subject = f"{decided['domain']}-{decided['target']}: replace champion {versions}?"
    return Question(subject, _body(decided, page, plot))


def run(
    decision_id: str, approved: bool, note: str = "", decided_by: str | None = SHELL, decided_at: datetime | None = None
) -> Keys:
    """Keep the word on a decision; the first one stands, and is returned as `approved`, "yes" or "no".

    decided_by: None when nobody answered in time.
    """
    warehouse = Warehouse(settings().require_warehouse_dsn())
    number = int(models.decision(warehouse, int(decision_id))["decision_id"])
    people.record_approval(
        warehouse, number, approved=approved, decided_by=decided_by, decided_at=decided_at, note=note.strip()
    )
    word = people.approval(warehouse, number)
    return {"decision_id": decision_id, "approved": "yes" if word and word["approved"] else "no"}


def ruling(config: Settings, warehouse: Warehouse, decided: Row) -> tuple[str, str]:
    """The verdict and its reason, once people have had their say: the gate's, or `keep` without their approval."""
    word = people.approval(warehouse, decided["decision_id"])
    if word is not None and not word["approved"]:
        return "keep", f"{_refusal(word)}; {decided['reason']}"
    if word is None and _needs_a_word(config, decided):
        return "keep", f"no person has approved it; {decided['reason']}"
    return decided["verdict"], decided["reason"]


def _needs_a_word(config: Settings, decided: Row) -> bool:
    return bool(config.approval and decided["verdict"] == "promote" and decided["door"] == DOOR)


def _refusal(word: Row) -> str:
    if word["decided_by"] is None:
        return "nobody answered in time"
    return f"refused by {word['decided_by']}" + (f" ({word['note']})" if word["note"] else "")


def _body(decided: Row, page: str, plot: str) -> str:
    evidence = decided["evidence"]
    return "\n\n".join(
        [
            f"The gate says **{decided['verdict']}**: {decided['reason']}.",
            _test(evidence.get("test") or {}),
            _side_by_side(evidence),
            _vetoes(evidence.get("vetoes") or []),
            f"![Running mean of the difference by date with its 95 % band]({plot})",
            f"[All about decision {decided['decision_id']}, with the plot]({page})",
            "Without an answer the champion stays.",
        ]
    )


def _test(test: Mapping[str, Any]) -> str:
    if not test:
        return "No test was made."
    said = ("mean", "std_error", "statistic", "critical", "p_value", "level", "dof", "n_dates")
    names = [name for name in said if test.get(name) is not None]
    return _table([name.replace("_", " ") for name in names], [[_number(test[name]) for name in names]])


def _side_by_side(evidence: Mapping[str, Any]) -> str:
    candidate, champion = ((evidence.get(who) or {}).get("scores") or {} for who in ("candidate", "champion"))
    names = list(dict.fromkeys([*candidate, *champion]))
    rows = [[name.replace("_", " "), _number(candidate.get(name)), _number(champion.get(name))] for name in names]
    return _table(["score on the same rows", "candidate", "champion"], rows)


def _vetoes(vetoes: list[Mapping[str, Any]]) -> str:
    if not vetoes:
        return "No veto was asked for."
    return _table(["veto", "found", "allowed", ""], [_veto(each) for each in vetoes])


def _veto(veto: Mapping[str, Any]) -> list[str]:
    word = "**vetoed**" if veto["vetoed"] else "passed"
    return [str(veto["name"]), str(veto["found"]), str(veto["allowed"]), word]


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def _number(value: Any) -> str:
    if value is None:
        return "\N{EN DASH}"
    return f"{value:.5g}" if isinstance(value, float) else str(value)
