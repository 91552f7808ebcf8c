"""Great Expectations behind one function: rules in, what each found out.

Everything runs in memory on pandas: an ephemeral context, no store, no data docs, no progress bars,
analytics off. Nothing is sent anywhere.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.errors import SuiteFailed

# Its INFO lines, from the import on, are about its own plumbing and would bury the night's log.
logging.getLogger("great_expectations").setLevel(logging.WARNING)

import great_expectations as gx  # noqa: E402
from great_expectations import expectations  # noqa: E402
from great_expectations.data_context.types.base import ProgressBarsConfig  # noqa: E402

__all__ = ["Outcome", "Rule", "expectations", "run"]

_RESULT_FORMAT = {"result_format": "COMPLETE", "return_unexpected_index_query": False}


@dataclass(frozen=True)
class Rule:
    """One expectation. `fault` is the noun phrase that a broken row carries and the log repeats."""

    fault: str
    column: str | None
    expectation: type[Any]
    arguments: dict[str, Any]
    expected: str


@dataclass(frozen=True)
class Outcome:
    """What one rule found: the positions of the rows that break it, ascending."""

    rule: Rule
    passed: bool
    rows: npt.NDArray[np.int64]


def run(suite: str, frame: pd.DataFrame, rules: Sequence[Rule]) -> list[Outcome]:
    """Each rule's outcome on `frame` (a RangeIndex), in the order of the rules.

    SuiteFailed when a rule could not be evaluated at all.
    """
    context = _context()
    batch = (
        context.data_sources.add_pandas("memory")
        .add_dataframe_asset(suite)
        .add_batch_definition_whole_dataframe("whole")
        .get_batch({"dataframe": frame})
    )
    expectations = [rule.expectation(**rule.arguments, meta={"rule": i}) for i, rule in enumerate(rules)]
    validated = batch.validate(gx.ExpectationSuite(suite, expectations=expectations), result_format=_RESULT_FORMAT)
    by_rule = {result.expectation_config.meta["rule"]: result for result in validated.results}
    return [_outcome(rule, by_rule[i]) for i, rule in enumerate(rules)]


def _context() -> Any:
    context = gx.get_context(mode="ephemeral")
    context.enable_analytics(False)
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    return context


def _outcome(rule: Rule, result: Any) -> Outcome:
    if "unexpected_index_list" not in result.result:
        raise SuiteFailed(
            f"a check for {rule.fault} that could not run ({result.exception_info})",
            rule.expected,
            "Report it with the message above",
        )
    rows = np.sort(np.asarray(result.result["unexpected_index_list"] or [], dtype=np.int64))
    return Outcome(rule, bool(result.success), rows)
