"""The night's feature set: the default one, or what a YAML file declares (docs/custom-features.md).

name: mine
version: 1
groups: [daily, alpha158]
features:
  - name: momentum_126
    formula: log(close / ref(close, 126))
"""

from __future__ import annotations

import difflib
import sys
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ml.equity.features.alpha158 import ALPHA158
from ml.equity.features.catalogue import DEFAULT_SET, SCALE_FEATURE
from ml.equity.features.custom import check_name, custom
from ml.equity.features.feature import Feature, FeatureSet
from ml.equity.features.groups import GROUPS, categories_of
from ml.errors import ExpressionError, SettingsError
from ml.settings import Settings

CATALOGUE = (*DEFAULT_SET.features, *ALPHA158.features)


@dataclass(frozen=True)
class _Kind:
    """What may stand behind a key."""

    what: str
    is_one: Callable[[Any], bool]


def _is_bound(value: Any) -> bool:
    return value is None or (type(value) in (int, float) and abs(value) <= sys.float_info.max)


def _is_range(value: Any) -> bool:
    if not isinstance(value, list) or len(value) != 2 or not all(_is_bound(bound) for bound in value):  # noqa: PLR2004
        return False
    return None in value or value[0] <= value[1]


_TEXT = _Kind("text; put it into quotes when it looks like something else", lambda value: isinstance(value, str))
_LIST = _Kind("a list", lambda value: isinstance(value, list))
_FILE: Mapping[str, _Kind] = {
    "name": _TEXT,
    "version": _Kind("a whole number from 1 on", lambda value: type(value) is int and value >= 1),
    "groups": _LIST,
    "features": _LIST,
}
_FEATURE: Mapping[str, _Kind] = {
    **dict.fromkeys(("name", "formula", "description", "unit", "category"), _TEXT),
    "valid_range": _Kind("two numbers [least, greatest], null for no bound", _is_range),
}


class _Loader(yaml.SafeLoader):
    """Plain YAML, no tag of Python's; a key that stands twice is an error, where YAML's rule is to forget the first."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        twice = _twice(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        if twice:
            raise yaml.MarkedYAMLError(problem=f"the key {twice!r} twice", problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)


def configured(config: Settings) -> FeatureSet:
    """The set that the night computes and its models use: of AFTERBELL_FEATURES_PATH, else the default one.

    Errors as of `load`.
    """
    return load(config.features_file) if config.features_file else DEFAULT_SET


def load(path: Path) -> FeatureSet:
    """The set that a file declares: its groups in the catalogue's order, then its own features.

    SCALE_FEATURE is always in it, because prediction intervals are scaled by it. SettingsError for what
    is no such file, ExpressionError for a formula that is none; both name the file and the feature.
    """
    try:
        return _declared(_document(path))
    except (SettingsError, ExpressionError) as error:
        raise type(error)(f"{error.found} in {path}", error.expected, error.todo) from error


def own(feature_set: FeatureSet) -> tuple[Feature, ...]:
    """The features of a set that stand in no catalogue."""
    return tuple(feature for feature in feature_set.features if feature not in CATALOGUE)


def _document(path: Path) -> Any:
    try:
        return _Loader(path.read_text(encoding="utf-8")).get_single_data()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise SettingsError(f"nothing to read ({reason})", "a YAML file of features", "Correct the path") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _error(_problem(error), "plain YAML in UTF-8") from error


def _problem(error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        mark = error.problem_mark
        context = f" ({error.context})" if error.context else ""
        return f"{error.problem}{context} at line {mark.line + 1}, column {mark.column + 1}"
    return "lists nested too deeply" if isinstance(error, RecursionError) else " ".join(str(error).split())


def _declared(document: Any) -> FeatureSet:
    told = _checked(document, _FILE, ("name", "version"), "the file")
    check_name(told["name"])
    if told["name"] in GROUPS:
        raise SettingsError(f"the set name {told['name']!r}, which is taken", "another name", "Rename the set")
    made = [_feature(one, number) for number, one in enumerate(told.get("features", ()), start=1)]
    twice = _twice(feature.name for feature in made)
    if twice:
        raise SettingsError(f"the feature {twice!r} twice", "every name once", "Rename or remove one of them")
    return FeatureSet(told["name"], told["version"], (*_taken_in(told.get("groups", [DEFAULT_SET.name])), *made))


def _feature(told: Any, number: int) -> Feature:
    name = told.get("name") if isinstance(told, dict) else None
    where = f"the feature {name!r}" if isinstance(name, str) else f"feature number {number}"
    values = _checked(told, _FEATURE, ("name", "formula"), where)
    low, high = values.pop("valid_range", (None, None))
    return custom(**values, valid_range=(low, high))


def _checked(told: Any, kinds: Mapping[str, _Kind], required: Sequence[str], where: str) -> dict[str, Any]:
    """The keys and values of a mapping in which all is as it should be."""
    if not isinstance(told, dict):
        raise _error(f"{_short(told)} as {where}", f"a mapping with the keys {', '.join(kinds)}")
    for key in told:
        if key not in kinds:
            raise _unknown(f"the unknown key {_short(key)} of {where}", key, tuple(kinds))
    for key in required:
        if key not in told:
            raise _error(f"no {key} of {where}", f"the keys {' and '.join(required)}")
    for key, value in told.items():
        if not kinds[key].is_one(value):
            raise _error(f"{_short(value)} as the {key} of {where}", kinds[key].what)
    return dict(told)


def _taken_in(groups: Sequence[Any]) -> list[Feature]:
    for group in groups:
        if group not in GROUPS:
            raise _unknown(f"the group {_short(group)}", group, GROUPS)
    wanted = categories_of(groups)
    return [feature for feature in CATALOGUE if feature.category in wanted or feature.name == SCALE_FEATURE]


def _twice(words: Iterable[Any]) -> Any:
    """The first of the words that stands there more than once, None when there is none."""
    return next((word for word, count in Counter(words).items() if count > 1), None)


def _unknown(found: str, word: Any, words: Sequence[str]) -> SettingsError:
    near = difflib.get_close_matches(str(word), words, n=1) if isinstance(word, str) else ()
    return SettingsError(found, f"one of {', '.join(words)}", f"Did you mean {near[0]}" if near else "Correct it")


def _short(value: Any) -> str:
    """A value as an error shows it; what holds others only by its kind, since that may be huge."""
    kinds = {list: "a list", dict: "a mapping", type(None): "nothing"}
    return kinds.get(type(value)) or repr(value)[:80]


def _error(found: str, expected: str) -> SettingsError:
    return SettingsError(found, expected, "Correct the file; docs/custom-features.md shows one")
