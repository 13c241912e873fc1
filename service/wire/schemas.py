"""JSON schemas of the values in a body, as OpenAPI documents them.

Values are checked elsewhere, see `requests`; a test sends what these schemas allow and forbid.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import WithJsonSchema

from indexer.field_names import MAX_ID_CHARS
from indexer.request import (
    MAX_BOOST,
    MAX_BOOSTS,
    MAX_EVENT_NAME,
    MAX_HISTORY,
    MAX_K,
    MAX_LIST,
    MAX_PINS,
    MAX_TEXT,
)
from service.llm import (
    DEFAULT_BUDGET_MS,
    DEFAULT_CANDIDATES,
    MAX_BUDGET_MS,
    MAX_CANDIDATES,
    PART_NAMES,
    RerankMode,
)


def document_as(schema: Mapping[str, Any]) -> WithJsonSchema:
    """Return the documentation of an optional field; null means the same as no field."""
    return WithJsonSchema(allow_null(schema))


def allow_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a value that may be null."""
    kept_keys = {key: schema[key] for key in ("default",) if key in schema}
    other_keys = {key: value for key, value in schema.items() if key not in kept_keys}
    return {"anyOf": [other_keys, {"type": "null"}], **kept_keys}


def require_any(*names: str) -> dict[str, Any]:
    """Return the schema of a body that must have at least one of some fields."""
    return {"anyOf": [{"required": [name]} for name in names]}


TEXT_SCHEMA = {"type": "string", "maxLength": MAX_TEXT}
ID_SCHEMA = {
    "anyOf": [
        {"type": "string", "minLength": 1, "maxLength": MAX_ID_CHARS, "pattern": r"\S"},
        {"type": "integer"},
    ]
}
_CLEAN_PATTERN = r"^[^\x00-\x1f\x7f-\x9f]*$"
CLEAN_ID_SCHEMA = {  # an id that any database can store
    "anyOf": [
        {"type": "string", "minLength": 1, "maxLength": MAX_ID_CHARS, "pattern": _CLEAN_PATTERN},
        {"type": "integer"},
    ]
}
CLEAN_TEXT_SCHEMA = {**TEXT_SCHEMA, "pattern": r"^[^\x00]*$"}
IDS_SCHEMA = {"type": "array", "items": ID_SCHEMA, "maxItems": MAX_LIST}
TIME_SCHEMA = {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "number"}]}
OBJECT_SCHEMA = {"type": "object", "additionalProperties": True}
LOCATION_SCHEMA = {
    "type": "object",
    "properties": {"lat": {"type": "number"}, "lon": {"type": "number"}},
    "required": ["lat", "lon"],
    "additionalProperties": False,
}
CONTEXT_SCHEMA = {
    "type": "object",
    "properties": {
        "time": allow_null(TIME_SCHEMA),
        **{
            name: {"anyOf": [{"type": ["string", "number", "boolean", "null"]}, LOCATION_SCHEMA]}
            for name in ("place", "location")
        },
    },
    "additionalProperties": {"type": ["string", "number", "boolean", "null"]},
}
EVENT_NAME_SCHEMA = {"type": "string", "minLength": 1, "maxLength": MAX_EVENT_NAME}
HISTORY_SCHEMA = {
    "type": "array",
    "maxItems": MAX_HISTORY,
    "items": {
        "anyOf": [
            ID_SCHEMA,
            {
                "type": "object",
                "properties": {
                    "item_id": allow_null(ID_SCHEMA),
                    "text": allow_null(TEXT_SCHEMA),
                    "event": allow_null({**EVENT_NAME_SCHEMA, "default": "click"}),
                    "value": allow_null({"type": "number"}),
                    "at": allow_null(TIME_SCHEMA),
                    "context": allow_null(CONTEXT_SCHEMA),
                },
                "additionalProperties": False,
            },
        ]
    },
}
WEIGHTS_SCHEMA = {
    "type": "object",
    "properties": {name: {"type": "number"} for name in ("meaning", "taste", "prior")},
    "additionalProperties": False,
}
BOOSTS_SCHEMA = {
    "type": "array",
    "maxItems": MAX_BOOSTS,
    "items": {
        "type": "object",
        "properties": {
            "filter": OBJECT_SCHEMA,
            "weight": {"type": "number", "minimum": -MAX_BOOST, "maximum": MAX_BOOST},
        },
        "required": ["filter", "weight"],
        "additionalProperties": False,
    },
}
PINS_SCHEMA = {
    "type": "array",
    "maxItems": MAX_PINS,
    "items": {
        "type": "object",
        "properties": {
            "item_id": ID_SCHEMA,
            "rank": {"type": "integer", "minimum": 1, "maximum": MAX_K},
        },
        "required": ["item_id", "rank"],
        "additionalProperties": False,
    },
}
_LLM_PROPERTIES: Mapping[str, Mapping[str, Any]] = {
    **{name: {"type": "boolean", "default": False} for name in PART_NAMES},
    "mode": {
        "type": "string", "enum": list(map(str, RerankMode)), "default": str(RerankMode.LISTWISE),
    },
    "candidates": {
        "type": "integer", "minimum": 1, "maximum": MAX_CANDIDATES, "default": DEFAULT_CANDIDATES,
    },
    "budget_ms": {
        "type": "integer", "minimum": 1, "maximum": MAX_BUDGET_MS, "default": DEFAULT_BUDGET_MS,
    },
}  # fmt: skip
LLM_SCHEMA = {
    "type": "object",
    "properties": {name: allow_null(shape) for name, shape in _LLM_PROPERTIES.items()},
    "additionalProperties": False,
}
SHARE_SCHEMA = {"type": "number", "minimum": 0, "maximum": 1, "default": 0}
CAPS_SCHEMA = {"type": "object", "additionalProperties": {"type": "integer", "minimum": 1}}
EXAMPLES_SCHEMA = {"type": "object", "additionalProperties": {"type": "number"}}
