"""The shapes of the values in a body, as OpenAPI documents them.

Values are checked elsewhere, see `requests`; a test sends what these shapes allow and forbid.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import WithJsonSchema

from indexer.request import (
    MAX_BOOST,
    MAX_BOOSTS,
    MAX_EVENT_NAME,
    MAX_HISTORY,
    MAX_K,
    MAX_PINS,
    MAX_TEXT,
)
from service.llm import (
    DEFAULT_BUDGET_MS,
    DEFAULT_CANDIDATES,
    MAX_BUDGET_MS,
    MAX_CANDIDATES,
    PARTS,
    Mode,
)


def shown_as(schema: Mapping[str, Any]) -> WithJsonSchema:
    """Document an optional field whose values are checked elsewhere; null is as good as absent."""
    return WithJsonSchema(or_null(schema))


def or_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the shape of a value that may be null."""
    described = {key: schema[key] for key in ("default",) if key in schema}
    rest = {key: value for key, value in schema.items() if key not in described}
    return {"anyOf": [rest, {"type": "null"}], **described}


def one_of(*names: str) -> dict[str, Any]:
    """Return what a body must hold besides: at least one of these fields."""
    return {"anyOf": [{"required": [name]} for name in names]}


TEXT_JSON = {"type": "string", "maxLength": MAX_TEXT}
ID_JSON = {
    "anyOf": [
        {"type": "string", "minLength": 1, "maxLength": 512, "pattern": r"\S"},
        {"type": "integer"},
    ]
}
_CLEAN = r"^[^\x00-\x1f\x7f-\x9f]*$"
CLEAN_ID_JSON = {  # as a database keeps it
    "anyOf": [
        {"type": "string", "minLength": 1, "maxLength": 512, "pattern": _CLEAN},
        {"type": "integer"},
    ]
}
CLEAN_TEXT_JSON = {**TEXT_JSON, "pattern": r"^[^\x00]*$"}
IDS_JSON = {"type": "array", "items": ID_JSON, "maxItems": 1_000}
TIME_JSON = {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "number"}]}
OBJECT_JSON = {"type": "object", "additionalProperties": True}
PLACE_JSON = {
    "type": "object",
    "properties": {"lat": {"type": "number"}, "lon": {"type": "number"}},
    "required": ["lat", "lon"],
    "additionalProperties": False,
}
CONTEXT_JSON = {
    "type": "object",
    "properties": {
        "time": or_null(TIME_JSON),
        **{
            name: {"anyOf": [{"type": ["string", "number", "boolean", "null"]}, PLACE_JSON]}
            for name in ("place", "location")
        },
    },
    "additionalProperties": {"type": ["string", "number", "boolean", "null"]},
}
EVENT_NAME_JSON = {"type": "string", "minLength": 1, "maxLength": MAX_EVENT_NAME}
HISTORY_JSON = {
    "type": "array",
    "maxItems": MAX_HISTORY,
    "items": {
        "anyOf": [
            ID_JSON,
            {
                "type": "object",
                "properties": {
                    "item_id": or_null(ID_JSON),
                    "text": or_null(TEXT_JSON),
                    "event": or_null({**EVENT_NAME_JSON, "default": "click"}),
                    "value": or_null({"type": "number"}),
                    "at": or_null(TIME_JSON),
                    "context": or_null(CONTEXT_JSON),
                },
                "additionalProperties": False,
            },
        ]
    },
}
WEIGHTS_JSON = {
    "type": "object",
    "properties": {name: {"type": "number"} for name in ("meaning", "taste", "prior")},
    "additionalProperties": False,
}
BOOSTS_JSON = {
    "type": "array",
    "maxItems": MAX_BOOSTS,
    "items": {
        "type": "object",
        "properties": {
            "filter": OBJECT_JSON,
            "weight": {"type": "number", "minimum": -MAX_BOOST, "maximum": MAX_BOOST},
        },
        "required": ["filter", "weight"],
        "additionalProperties": False,
    },
}
PINS_JSON = {
    "type": "array",
    "maxItems": MAX_PINS,
    "items": {
        "type": "object",
        "properties": {
            "item_id": ID_JSON,
            "rank": {"type": "integer", "minimum": 1, "maximum": MAX_K},
        },
        "required": ["item_id", "rank"],
        "additionalProperties": False,
    },
}
_LLM_PARTS: Mapping[str, Mapping[str, Any]] = {
    **{name: {"type": "boolean", "default": False} for name in PARTS},
    "mode": {"type": "string", "enum": list(map(str, Mode)), "default": str(Mode.LISTWISE)},
    "candidates": {
        "type": "integer", "minimum": 1, "maximum": MAX_CANDIDATES, "default": DEFAULT_CANDIDATES,
    },
    "budget_ms": {
        "type": "integer", "minimum": 1, "maximum": MAX_BUDGET_MS, "default": DEFAULT_BUDGET_MS,
    },
}  # fmt: skip
LLM_JSON = {
    "type": "object",
    "properties": {name: or_null(shape) for name, shape in _LLM_PARTS.items()},
    "additionalProperties": False,
}
SHARE_JSON = {"type": "number", "minimum": 0, "maximum": 1, "default": 0}
CAPS_JSON = {"type": "object", "additionalProperties": {"type": "integer", "minimum": 1}}
EXAMPLES_JSON = {"type": "object", "additionalProperties": {"type": "number"}}
