"""A TOML file to scenarios: each table changes a preset or adds a new scenario.

    [news]
    fresh_half_life_s = 7200

    [cinema]
    like = "video"
    filter = { kind = "film" }
    max_per = { director = 2 }
    event_weights = { trailer = 0.3 }

Keys are the attributes of `Scenario`; `like` names the scenario whose values a new one inherits.
"""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from indexer.errors import ScenarioError
from indexer.request.scenarios import SCENARIOS, Scenario
from indexer.request.values import suggest_name

SCENARIO_FILE = "scenarios.toml"  # in an index directory


def load_scenarios(path: Path) -> Mapping[str, Scenario]:
    """Return the presets with the tables of a file applied in order.

    Raises:
        ScenarioError: If the file cannot be read, or a key or value in it is wrong; the message
            names the file, the table and the key.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ScenarioError(f"{path} cannot be read ({error}); give a TOML file") from error
    known = dict(SCENARIOS)
    for name, table in raw.items():
        try:
            known[name] = _apply_table(name, table, known)
        except ScenarioError as error:
            raise ScenarioError(f"{path}: [{name}] {error}") from error
    return MappingProxyType(known)


def load_index_scenarios(root: Path) -> Mapping[str, Scenario]:
    """Return the scenarios of an index directory: the presets if it has no `SCENARIO_FILE`.

    Raises:
        ScenarioError: As `load_scenarios`.
    """
    path = root / SCENARIO_FILE
    return load_scenarios(path) if path.is_file() else SCENARIOS


def _apply_table(name: str, table: Any, known: Mapping[str, Scenario]) -> Scenario:
    if not isinstance(table, Mapping):
        raise ScenarioError("is no table; write [name] and its keys below")
    values = dict(table)
    base = values.pop("like", name if name in known else "default")
    if base not in known:
        raise ScenarioError(f"is like {base!r}, which is none of {', '.join(known)}")
    for key in values:
        if key not in _CHECKS:
            raise ScenarioError(f"has an unknown key {key!r}; {suggest_name(key, _CHECKS)}")
        if not _CHECKS[key](values[key]):
            raise ScenarioError(
                f"{key} cannot be {values[key]!r}; its default is {_get_default(key)}"
            )
    if "event_weights" in values:
        values["event_weights"] = {**known[base].event_weights, **values["event_weights"]}
    if "hidden_by" in values:
        values["hidden_by"] = tuple(values["hidden_by"])
    return replace(known[base], name=name, **values)


def _get_default(key: str) -> Any:
    return getattr(SCENARIOS["default"], key)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= 1e12


def _is_positive(value: Any) -> bool:
    return _is_number(value) and value > 0


def _is_weight(value: Any) -> bool:
    return _is_number(value) and abs(value) <= 10


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _build_table_check(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, Mapping) and all(map(check, value.values()))


_CHECKS: Mapping[str, Callable[[Any], bool]] = {
    **{item.name: _is_weight for item in fields(Scenario) if item.name.endswith("_weight")},
    "half_life_events": _is_positive,
    "half_life_s": _is_positive,
    "fresh_half_life_s": _is_positive,
    "near_half_km": _is_positive,
    "recent_vectors": lambda value: _is_count(value) and value <= 20,
    "cluster_vectors": lambda value: _is_count(value) and value <= 20,
    "include_seen": lambda value: isinstance(value, bool),
    "hidden_by": lambda value: isinstance(value, list) and all(isinstance(v, str) for v in value),
    "event_weights": _build_table_check(_is_weight),
    "max_per": _build_table_check(lambda value: _is_count(value) and value > 0),
    "filter": lambda value: isinstance(value, Mapping),
}
