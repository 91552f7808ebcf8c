"""What is expected of received bars and actions: row by row, beside each other, and of the night as a whole.

A row that breaks a rule of its own goes to the quarantine with all its reasons, and the rest goes on.
What looks odd only beside other bars is told as a warning. The night is judged by what is left.
"""

from ml.equity.checks.actions import check_actions
from ml.equity.checks.context import check_context
from ml.equity.checks.night import NightFacts, check_night
from ml.equity.checks.presence import check_coverage
from ml.equity.checks.report import CheckResult, combined
from ml.equity.checks.rows import RowReport, check_rows, never_bars, to_bars

__all__ = [
    "CheckResult",
    "NightFacts",
    "RowReport",
    "check_actions",
    "check_context",
    "check_coverage",
    "check_night",
    "check_rows",
    "combined",
    "never_bars",
    "to_bars",
]
