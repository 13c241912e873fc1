"""The JSON bodies and query parameters of calls that read, as OpenAPI documents them.

These models check the names of fields only. Values pass through unchanged: they are checked by
`indexer.request.parse_request`, which HTTP, batch files and Python have in common.
"""

from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from indexer.request import MAX_K, format_value, suggest_name
from service.answering import MAX_BATCH_K
from service.wire.schemas import (
    BOOSTS_SCHEMA,
    CAPS_SCHEMA,
    CONTEXT_SCHEMA,
    EXAMPLES_SCHEMA,
    HISTORY_SCHEMA,
    ID_SCHEMA,
    IDS_SCHEMA,
    LLM_SCHEMA,
    OBJECT_SCHEMA,
    PINS_SCHEMA,
    SHARE_SCHEMA,
    TEXT_SCHEMA,
    TIME_SCHEMA,
    WEIGHTS_SCHEMA,
    document_as,
    require_any,
)

MAX_BATCH_REQUESTS = 1_000

Id: TypeAlias = Annotated[Any, document_as(ID_SCHEMA)]
Text: TypeAlias = Annotated[Any, document_as(TEXT_SCHEMA)]
K: TypeAlias = Annotated[
    Any,
    document_as({"type": "integer", "minimum": 1, "maximum": MAX_K, "default": 10}),
    Field(description="How many."),
]
FilterJson: TypeAlias = Annotated[
    Any,
    document_as(OBJECT_SCHEMA),
    Field(
        description="`{field: value}`, `{field: {any|all|none: […]}}`, "
        "`{field: {gte|gt|lte|lt: …}}`, `{field: {exists: bool}}`, "
        "`{field: {near: {lat, lon, km}}}`, joined by `and`, `or`, `not`.",
        examples=[{"rating": {"gte": 4}, "available": True}],
    ),
]
Exclude: TypeAlias = Annotated[
    Any, document_as(IDS_SCHEMA), Field(description="Ids not to return.")
]
MinScore: TypeAlias = Annotated[
    Any,
    document_as({"type": "number"}),
    Field(description="Lowest score to return; comparable within one snapshot and scenario."),
]
Fields: TypeAlias = Annotated[
    Any,
    document_as({"type": "array", "items": {"type": "string"}}),
    Field(description="Item fields to return beside `id`; null: all."),
]
Explain: TypeAlias = Annotated[
    Any,
    document_as({"type": "boolean", "default": True}),
    Field(description="Whether to give reasons."),
]
ReadWish: TypeAlias = Annotated[
    Any,
    document_as({"type": "boolean", "default": True}),
    Field(
        description="Whether `query` is read for filters that it plainly says, such as `before "
        "1970` or `under 20 €`; the answer's `understood` tells."
    ),
]
CursorToken: TypeAlias = Annotated[
    str | None,
    Field(
        strict=True,
        description="`next_cursor` of the page before. What was asked travels in it; `k`, `fields` "
        "and `explain` may be given anew, other fields only as they were. Pages have no repeats "
        "and no gaps, except items meanwhile gone, also across new snapshots and restarts; it "
        "expires after an hour, if the service is not set otherwise.",
    ),
]


class StrictModel(BaseModel):
    """A body whose unknown fields are refused with a hint, never ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_fields(cls, body: Any) -> Any:
        known_fields = {info.alias or name: info for name, info in cls.model_fields.items()}
        for name in body if isinstance(body, Mapping) else ():
            if name not in known_fields:
                raise PydanticCustomError(
                    "unknown_field", "{what}", {"what": _describe_unknown_field(name, known_fields)}
                )
        return body

    def dump_sent(self) -> dict[str, Any]:
        """Return the fields that were sent and are not null, unchanged."""
        return {
            name: value
            for name in type(self).model_fields
            if (value := getattr(self, name)) is not None
        }


class RecommendIn(StrictModel):
    """What to recommend, for whom, when and where. Every field is optional."""

    user_id: Id = None
    session_id: Id = None
    k: K = None
    scenario: Annotated[
        Any,
        document_as({"type": "string"}),
        Field(
            description="default, video, news, shop, music, or one of the service's own "
            "`scenarios.toml`."
        ),
    ] = None
    history: Annotated[
        Any,
        document_as(HISTORY_SCHEMA),
        Field(description="What the user did or said: ids, or entries with item_id or text."),
    ] = None
    interests: Annotated[
        Any,
        document_as({"type": "array", "items": TEXT_SCHEMA}),
        Field(description="What the user likes, in words."),
    ] = None
    query: Annotated[Text, Field(description="What is wanted now, in words.")] = None
    context: Annotated[
        Any,
        document_as(CONTEXT_SCHEMA),
        Field(description="time, place, weather, scene, device, or any other word or number."),
    ] = None
    at: Annotated[Any, document_as(TIME_SCHEMA), Field(description="Alias of context.time.")] = None
    filter: FilterJson = None
    exclude: Exclude = None
    include_seen: Annotated[
        Any,
        document_as({"type": "boolean"}),
        Field(description="Whether what is in the history may come again; null: the scenario."),
    ] = None
    min_score: MinScore = None
    seed: Annotated[Any, document_as({"type": "integer", "minimum": 0})] = None
    weights: Annotated[
        Any,
        document_as(WEIGHTS_SCHEMA),
        Field(description="How much each block counts; 1 is usual."),
    ] = None
    diversity: Annotated[
        Any,
        document_as(SHARE_SCHEMA),
        Field(description="0: by score alone; 1: as unlike each other as good items can be."),
    ] = None
    max_per: Annotated[
        Any,
        document_as(CAPS_SCHEMA),
        Field(
            description="Field to how many items of the whole list, over all pages, may share a "
            "value; null: the scenario.",
            examples=[{"brand": 2}],
        ),
    ] = None
    boost: Annotated[
        Any,
        document_as(BOOSTS_SCHEMA),
        Field(description="What items that pass a filter gain; a negative weight buries them."),
    ] = None
    pin: Annotated[
        Any,
        document_as(PINS_SCHEMA),
        Field(description="Items shown at a rank, if the request allows them at all."),
    ] = None
    explore: Annotated[
        Any,
        document_as(SHARE_SCHEMA),
        Field(
            description="Chance that a rank shows one of the next or newest items instead; "
            "`propensity` says how likely it was to show what it does."
        ),
    ] = None
    read_wish: ReadWish = None
    validate_only: Annotated[
        Any,
        document_as({"type": "boolean", "default": False}),
        Field(description="Answer with `reading`: how the request would be read."),
    ] = None
    fields: Fields = None
    explain: Explain = None
    cursor: CursorToken = None
    llm: Annotated[
        Any,
        document_as(LLM_SCHEMA),
        Field(
            description="What a language model may add within `budget_ms`; the answer's `llm` says "
            "what it did, or why it did nothing."
        ),
    ] = None


class BatchIn(StrictModel):
    """Many recommendations at once."""

    requests: Annotated[
        list[RecommendIn],
        Field(
            max_length=MAX_BATCH_REQUESTS,
            description=f"At most {MAX_BATCH_REQUESTS}; the sum of k at most {MAX_BATCH_K}.",
        ),
    ]


class SearchIn(StrictModel):
    """A text, and which items to look among."""

    model_config = ConfigDict(json_schema_extra=require_any("query", "cursor"))

    query: Annotated[Text, Field(description="Words, a title or an id.")] = None
    k: K = None
    filter: FilterJson = None
    exclude: Exclude = None
    min_score: MinScore = None
    fields: Fields = None
    explain: Explain = None
    read_wish: ReadWish = None
    cursor: CursorToken = None


class SimilarIn(StrictModel):
    """Weighted examples: more like the positive ones, less like the negative ones."""

    model_config = ConfigDict(json_schema_extra=require_any("items", "texts", "cursor"))

    items: Annotated[
        Any, document_as(EXAMPLES_SCHEMA), Field(examples=[{"m1": 1.0, "m7": -0.5}])
    ] = None  # fmt: skip
    texts: Annotated[Any, document_as(EXAMPLES_SCHEMA), Field(examples=[{"gore": -1}])] = None
    k: K = None
    filter: FilterJson = None
    exclude: Exclude = None
    min_score: MinScore = None
    fields: Fields = None
    explain: Explain = None
    cursor: CursorToken = None


class SimilarQuery(StrictModel):
    """Query parameters of GET /v1/items/{id}/similar."""

    k: Annotated[int, Field(ge=1, le=MAX_K)] = 10


class ItemsQuery(StrictModel):
    """Query parameters of GET /v1/items."""

    filter: Annotated[str | None, Field(description="A filter as JSON.")] = None
    limit: Annotated[int, Field(ge=1, le=MAX_K)] = 100
    cursor: str | None = None


def _describe_unknown_field(name: Any, known_fields: Mapping[str, Any]) -> str:
    return f"unknown field {format_value(name)}; {suggest_name(name, known_fields)}"
