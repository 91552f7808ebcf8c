"""Any formula of the feature language, for Hypothesis to draw."""

from __future__ import annotations

from hypothesis import strategies as st

from ml.equity.features.derived import DERIVED
from ml.equity.features.inputs import INPUTS
from ml.equity.features.operators import OPERATORS

LEAVES = (*INPUTS, *(word for word, one in DERIVED.items() if not one.args))
INFIX = ("+", "-", "*", "/", "<", "<=", ">", ">=", "==", "and", "or")
BY_KIND = {
    "series": tuple(OPERATORS),
    "flag": tuple(name for name, one in OPERATORS.items() if one.result == "flag"),
}
MOST = 12
"""The widest window that is drawn: short histories must fill some."""


@st.composite
def formulas(draw: st.DrawFn, depth: int = 3, kind: str = "series") -> str:
    """A formula of at most `depth` operators within each other; a flag may be one deeper."""
    if kind == "series" and (depth <= 0 or draw(st.integers(0, 5)) == 0):
        return draw(st.sampled_from(LEAVES))
    comparisons = ("<", "<=", ">", ">=", "==")
    name = draw(st.sampled_from(BY_KIND[kind] if depth > 0 else comparisons))
    operator = OPERATORS[name]
    args = [draw(formulas(depth - 1, arg)) for arg in operator.args]
    params = [
        str(draw(st.integers(int(one.least), min(MOST, int(one.most))) if one.whole else st.floats(0, 1)))
        for one in operator.params
    ]
    return _written(name, args, params)


def _written(name: str, args: list[str], params: list[str]) -> str:
    if name in INFIX:
        return f"({args[0]} {name} {args[1]})"
    unary = {"negative": "(-{})", "not": "(not {})", "power": "({}) ** {}"}
    return unary[name].format(*args, *params) if name in unary else f"{name}({', '.join([*args, *params])})"
