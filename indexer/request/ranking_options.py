"""How a list shall be arranged: variety, caps, boosts, pins, exploration; from a body. Pure."""

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

# Sums stay below some hundreds, where a float32 score still equals its shares within 1e-4.
MAX_BOOST = 10
MAX_BOOSTS = 32
MAX_PINS = 100
MAX_CAPS = 8
MAX_CAP = 1_000_000


@dataclass(frozen=True, slots=True)
class Boost:
    """What items that pass a filter gain; negative: lose."""

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
        RequestError: If it is no object of whole numbers.
    """
    if not isinstance(value, Mapping):
        raise RequestError(
            f'max_per must be an object such as {{"brand": 2}}, got {format_value(value)}'
        )
    if len(value) > MAX_CAPS:
        raise RequestError(f"max_per has {len(value)} fields, at most {MAX_CAPS} are read")
    return {str(name): parse_count(n, f"max_per.{name}", MAX_CAP) for name, n in value.items()}


def parse_boosts(value: Any) -> tuple[Boost, ...]:
    """Return boosts; their filters are checked against the catalogue later.

    Raises:
        RequestError: If one is no object with filter and weight, or there are too many.
    """
    entries = parse_list(value, "boost")
    if len(entries) > MAX_BOOSTS:
        raise RequestError(f"boost has {len(entries)} entries, at most {MAX_BOOSTS} are read")
    return tuple(
        _parse_boost(entry, f"boost[{position}]") for position, entry in enumerate(entries)
    )


def parse_pins(value: Any) -> tuple[Pin, ...]:
    """Return pins in order of rank.

    Raises:
        RequestError: If one is no object with item_id and rank, or two want the same.
    """
    entries = parse_list(value, "pin")
    if len(entries) > MAX_PINS:
        raise RequestError(f"pin has {len(entries)} entries, at most {MAX_PINS} are read")
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
    if not isinstance(value, Mapping) or "filter" not in value or "weight" not in value:
        raise RequestError(
            f"{name} must be an object with filter and weight, got {format_value(value)}"
        )
    refuse_unknown(value, ("filter", "weight"), name)
    weight = parse_finite(value["weight"], f"{name}.weight")
    if abs(weight) > MAX_BOOST:
        raise RequestError(
            f"{name}.weight is {weight:g}; use a number from -{MAX_BOOST} to {MAX_BOOST}"
        )
    return Boost(value["filter"], weight)


def _parse_pin(value: Any, name: str) -> Pin:
    if isinstance(value, Pin):
        return value
    if not isinstance(value, Mapping) or "item_id" not in value or "rank" not in value:
        raise RequestError(
            f"{name} must be an object with item_id and rank, got {format_value(value)}"
        )
    refuse_unknown(value, ("item_id", "rank"), name)
    item_id = parse_id(value["item_id"], f"{name}.item_id")
    return Pin(item_id, parse_count(value["rank"], f"{name}.rank", MAX_K))
