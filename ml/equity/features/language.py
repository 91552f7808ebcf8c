"""The feature language: a formula over a symbol's bars, read and checked, never executed as Python.

    log(close / ref(close, 5))        std(ret, 20) / std(ret, 60)        cs_rank(mean(ret, 20))

Inputs are `open`, `high`, `low`, `close`, `volume` (adjusted), `raw_close` and what the session's date
says. There are + - * / and ** 2 to 4, comparisons, `and`, `or`, `not`, and the calls of `operators` and
`derived`. A window is a whole number that stands in the text; no operator takes a negative one, so no
formula can look ahead. NaN spreads through everything: NaN > 1 is NaN, not false.
"""

from __future__ import annotations

import ast
import difflib
import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache, reduce

from ml.equity.features.derived import DERIVED
from ml.equity.features.inputs import INPUTS
from ml.equity.features.nodes import NUMBER, Node, number, series
from ml.equity.features.operators import MAX_WINDOW, OPERATORS, Operator, Parameter
from ml.errors import ExpressionError

MAX_LENGTH = 1000
MAX_SIZE = 1000
MAX_DEPTH = 64
MAX_LOOKBACK = 4 * MAX_WINDOW

_OPERATIONS: Mapping[type[ast.AST], str] = {
    **{ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "power"},
    **{ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "=="},
    **{ast.USub: "negative", ast.Not: "not"},
}
_WRITTEN_OTHERWISE = ("negative", "power", "not")
_FOLDED: Mapping[str, Callable[..., float]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "negative": lambda a: -a,
    "sqrt": math.sqrt,
    "log": math.log,
}
"""What is worked out on reading when all arguments are numbers, so that windows can be computed: ema(x, 2 * n)."""


@cache
def parse(text: str) -> Node:
    """The formula as a node of kind series or flag; ExpressionError says what is wrong with it and where."""
    node = _read(_tree(text), {}, text)
    if node.kind == "number":
        raise _error(text, f"the number {node.text}", "a formula over at least one input", "Use an input such as close")
    return node


def _tree(text: str) -> ast.expr:
    if len(text) > MAX_LENGTH:
        raise _error(text[:60], f"{len(text)} characters", f"at most {MAX_LENGTH}", "Split the formula")
    if "#" in text:  # Python's parser would pass over the rest
        raise _error(text, f"a `#` at character {text.index('#') + 1}", "a formula without remarks", "Take it out")
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        message = f"{error.msg} {_place(error)}" if isinstance(error, SyntaxError) else "nested too deeply"
        raise _error(text, message, "a formula such as close / ref(close, 5)", "Correct it") from error


def _place(error: SyntaxError) -> str:
    """Where Python's parser stopped: character 0 when the text ended too early."""
    if not error.offset or error.offset < 0:
        return "at the end"
    line = f" of line {error.lineno}" if error.lineno and error.lineno > 1 else ""
    return f"at character {error.offset}{line}"


def _read(tree: ast.expr, names: Mapping[str, Node], text: str) -> Node:
    match tree:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool) and math.isfinite(value):
            return number(float(value))
        case ast.Name(id=name):
            return _named(name, names, text)
        case ast.BoolOp(op=op, values=values):
            word = "and" if isinstance(op, ast.And) else "or"
            return reduce(lambda one, other: _call(word, [one, other], text), [_read(v, names, text) for v in values])
    name, operands = _operation(tree)
    if not name:
        allowed = "numbers, names, + - * / **, one comparison, and, or, not, and calls"
        raise _error(text, f"`{ast.unparse(tree)[:60]}`", allowed, "Rewrite it")
    if isinstance(tree, ast.Call):
        _known_call(name, text)
    return _call(name, [_read(operand, names, text) for operand in operands], text)


def _operation(tree: ast.expr) -> tuple[str, Sequence[ast.expr]]:
    """An operator's name and what stands in its places; no name for what is not in the language."""
    match tree:
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
            return name, args
        case ast.UnaryOp(op=op, operand=operand):
            return _OPERATIONS.get(type(op), ""), [operand]
        case ast.BinOp(left=left, op=op, right=right):
            return _OPERATIONS.get(type(op), ""), [left, right]
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return _OPERATIONS.get(type(op), ""), [left, right]
    return "", ()


def _named(name: str, names: Mapping[str, Node], text: str) -> Node:
    if name in names:
        return names[name]
    if name in INPUTS:
        return series(name)
    if name in DERIVED and not DERIVED[name].args:
        return _derived(name, [], text)
    words = [*INPUTS, *(word for word, one in DERIVED.items() if not one.args)]
    raise _unknown(text, f"the name {name!r}", name, words)


def _call(name: str, args: Sequence[Node], text: str) -> Node:
    if name in _FOLDED and all(arg.kind == "number" for arg in args):
        return _folded(name, [arg.value for arg in args], text)
    if name in OPERATORS:
        return _applied(name, OPERATORS[name], args, text)
    return _derived(name, args, text)


def _known_call(name: str, text: str) -> None:
    words = [word for word in OPERATORS if word.isidentifier() and word not in _WRITTEN_OTHERWISE]
    words += [word for word, one in DERIVED.items() if one.args]
    if name not in words:
        raise _unknown(text, f"the call {name}()", name, words)


def _folded(name: str, values: Sequence[float], text: str) -> Node:
    try:
        value = _FOLDED[name](*values)
    except (ArithmeticError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise _error(text, f"{name} of {', '.join(map(str, values))}", "a finite number", "Correct it")
    return number(value)


def _derived(name: str, args: Sequence[Node], text: str) -> Node:
    one = DERIVED[name]
    if len(args) != len(one.args):
        raise _error(text, f"{name} with {len(args)} arguments", f"{name}({', '.join(one.args)})", "Correct the call")
    return _read(_definition(name), dict(zip(one.args, args, strict=True)), text)


@cache
def _definition(name: str) -> ast.expr:
    return ast.parse(DERIVED[name].body, mode="eval").body


def _applied(name: str, operator: Operator, args: Sequence[Node], text: str) -> Node:
    taken = len(operator.args)
    if len(args) != taken + len(operator.params):
        words = [*operator.args, *(param.name for param in operator.params)]
        raise _error(text, f"{name} with {len(args)} arguments", f"{name}({', '.join(words)})", "Correct the call")
    for kind, arg in zip(operator.args, args[:taken], strict=True):
        if kind == "flag" and arg.kind != "flag":
            raise _error(text, f"`{arg.text}` in {name}", "a comparison such as close > open", "Compare it first")
    params = [_param(name, p, arg, text) for p, arg in zip(operator.params, args[taken:], strict=True)]
    return _bounded(_node(name, operator, tuple(args[:taken]), tuple(params)), text)


def _param(name: str, param: Parameter, arg: Node, text: str) -> float:
    known = arg.kind == "number" and param.least <= arg.value <= param.most
    if known and (arg.value.is_integer() or not param.whole):
        return arg.value
    ahead = name == "ref" and arg.kind == "number" and arg.value < 0
    what = "whole number" if param.whole else "number"
    todo = "A formula sees the past only: look back with ref(x, 1)" if ahead else f"Correct the {param.name}"
    raise _error(text, f"{arg.text} as the {param.name} of {name}", f"a {what} {param.least} to {param.most}", todo)


def _node(name: str, operator: Operator, args: tuple[Node, ...], params: tuple[float, ...]) -> Node:
    return Node(
        name,
        args,
        params,
        operator.result or args[0].kind,
        f"{name}({', '.join([*(arg.text for arg in args), *(f'{param:.17g}' for param in params)])})",
        max(arg.lookback for arg in args) + operator.reach(params),
        max(arg.stage for arg in args) + operator.across,
        1 + sum(arg.size for arg in args),
        1 + max(arg.depth for arg in args),
    )


def _bounded(node: Node, text: str) -> Node:
    for what, found, most in (
        ("parts", node.size, MAX_SIZE),
        ("levels", node.depth, MAX_DEPTH),
        ("bars of lookback", node.lookback, MAX_LOOKBACK),
    ):
        if found > most:
            raise _error(text, f"{found} {what}", f"at most {most}", "Make the formula smaller")
    if all(arg.operator == NUMBER for arg in node.args):
        raise _error(
            text, f"`{node.text}`, which holds numbers only", "at least one input in it", "Work it out by hand"
        )
    return node


def _unknown(text: str, found: str, name: str, words: Sequence[str]) -> ExpressionError:
    near = difflib.get_close_matches(name, words, n=1)
    todo = f"Did you mean {near[0]}" if near else "Choose one of them"
    return _error(text, found, f"one of {', '.join(sorted(words))}", todo)


def _error(text: str, found: str, expected: str, todo: str) -> ExpressionError:
    return ExpressionError(f"{found} in the formula `{' '.join(text.split())}`", expected, todo)
