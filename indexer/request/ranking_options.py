"""Ranking options of a body to checked values: caps per field value, boosts and pins. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from indexer.errors import RequestError
from indexer.request.values import (
    MAX_K,
    format_value,
    parse_count,
    parse_finite,
    parse_id,
    parse_list,
    refuse_unknown,
)

# 32 boosts of 10 sum to a few hundred, up to where a float32 score equals its shares within 1e-4.
MAX_BOOST = 10
MAX_BOOSTS = 32
MAX_PINS = 100
MAX_CAPS = 8
MAX_CAP = 1_000_000


@dataclass(frozen=True, slots=True)
class Boost:
    """A filter, and the weight added to the score of each item that passes it; may be negative."""

    filter: Any
    weight: float


@dataclass(frozen=True, slots=True)
class Pin:
    """An item and the rank it is shown at, from 1."""

    item_id: str
    rank: int


def parse_max_per(value: Any) -> dict[str, int]:
    """Return field to how many items of the list may share one of its values.

    Raises:
        RequestError: If it is not an object of whole numbers, or has over `MAX_CAPS` fields.
    """
    if not isinstance(value, Mapping):
        raise RequestError(
            f'max_per must be an object such as {{"brand": 2}}, got {format_value(value)}'
        )
    if len(value) > MAX_CAPS:
        raise RequestError(f"max_per has {len(value)} fields, at most {MAX_CAPS} are read")
    return {str(name): parse_count(n, f"max_per.{name}", MAX_CAP) for name, n in value.items()}


def parse_boosts(value: Any) -> tuple[Boost, ...]:
    """Return boosts; their filters are parsed in `query/score_terms.py`: that needs a catalogue.

    Raises:
        RequestError: If one is not an object with filter and weight, or there are too many.
    """
    return tuple(
        _parse_boost(entry, f"boost[{position}]")
        for position, entry in enumerate(parse_list(value, "boost", MAX_BOOSTS))
    )


def parse_pins(value: Any) -> tuple[Pin, ...]:
    """Return pins in order of rank.

    Raises:
        RequestError: If one is not an object with item_id and rank, two have the same item or rank,
            or there are too many.
    """
    entries = parse_list(value, "pin", MAX_PINS)
    pins = [_parse_pin(entry, f"pin[{position}]") for position, entry in enumerate(entries)]
    for name in ("item_id", "rank"):
        values = [getattr(pin, name) for pin in pins]
        duplicate = next((part for part in values if values.count(part) > 1), None)
        if duplicate is not None:
            raise RequestError(
                f"pin has the {name} {format_value(duplicate)} twice; give each once"
            )
    return tuple(sorted(pins, key=lambda pin: pin.rank))


def _parse_boost(value: Any, name: str) -> Boost:
    if isinstance(value, Boost):
        return value
    fields = _parse_object(value, ("filter", "weight"), name)
    weight = parse_finite(fields["weight"], f"{name}.weight")
    if abs(weight) > MAX_BOOST:
        raise RequestError(
            f"{name}.weight is {weight:g}; use a number from -{MAX_BOOST} to {MAX_BOOST}"
        )
    return Boost(fields["filter"], weight)


def _parse_pin(value: Any, name: str) -> Pin:
    if isinstance(value, Pin):
        return value
    fields = _parse_object(value, ("item_id", "rank"), name)
    item_id = parse_id(fields["item_id"], f"{name}.item_id")
    return Pin(item_id, parse_count(fields["rank"], f"{name}.rank", MAX_K))


def _parse_object(value: Any, keys: tuple[str, ...], name: str) -> Mapping[str, Any]:
    """Return an object that has the keys and no others."""
    if not isinstance(value, Mapping) or any(key not in value for key in keys):
        raise RequestError(
            f"{name} must be an object with {' and '.join(keys)}, got {format_value(value)}"
        )
    refuse_unknown(value, keys, name)
    return value
