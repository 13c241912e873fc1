"""The JSON bodies of calls that change stored data: events, users, items; see `requests`."""

from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias

from pydantic import ConfigDict, Field, RootModel

from indexer.request import MAX_K
from service.live import MAX_ITEMS_PER_CALL
from service.store import MAX_EVENTS_PER_CALL
from service.wire.requests import StrictModel
from service.wire.schemas import (
    CLEAN_ID_SCHEMA,
    CLEAN_TEXT_SCHEMA,
    CONTEXT_SCHEMA,
    EVENT_NAME_SCHEMA,
    OBJECT_SCHEMA,
    TIME_SCHEMA,
    allow_null,
    document_as,
)

_EVENT_PROPERTIES: Mapping[str, Mapping[str, Any]] = {
    "event_id": CLEAN_ID_SCHEMA,
    "user_id": CLEAN_ID_SCHEMA,
    "session_id": CLEAN_ID_SCHEMA,
    "item_id": CLEAN_ID_SCHEMA,
    "value": {"type": "number"},
    "text": CLEAN_TEXT_SCHEMA,
    "at": TIME_SCHEMA,
    "context": CONTEXT_SCHEMA,
    "recommendation_id": CLEAN_ID_SCHEMA,
}
_EVENT_SCHEMA = {
    "type": "object",
    "properties": {
        "event": EVENT_NAME_SCHEMA,
        **{name: allow_null(shape) for name, shape in _EVENT_PROPERTIES.items()},
    },
    "required": ["event"],
    "additionalProperties": False,
}
CleanId: TypeAlias = Annotated[Any, document_as(CLEAN_ID_SCHEMA)]


class EventsIn(StrictModel):
    """One event, or a list of them in `events`."""

    event_id: Annotated[CleanId, Field(description="Counts once, however often it is sent.")] = None
    user_id: Annotated[
        CleanId, Field(description="An anonymous visitor has a session instead.")
    ] = None
    session_id: CleanId = None
    item_id: Annotated[CleanId, Field(description="Needed by all but a search.")] = None
    event: Annotated[
        Any,
        document_as(EVENT_NAME_SCHEMA),
        Field(
            description="view, click, search, like, dislike, skip, add_to_cart, purchase, rating, "
            "review, share, play, finish, impression; refund, return, cancel, remove_from_cart, "
            "unlike, unsubscribe take back; hide, not_interested, block, report push away. Usual "
            "words in English and Chinese mean one of these; another needs a weight in "
            "scenarios.toml."
        ),
    ] = None
    value: Annotated[
        Any,
        document_as({"type": "number"}),
        Field(
            description="Needed by a rating; else how often or how many. Minus one bought is a "
            "return."
        ),
    ] = None
    text: Annotated[
        Any, document_as(CLEAN_TEXT_SCHEMA), Field(description="Needed by a search and a review.")
    ] = None
    at: Annotated[
        Any, document_as(TIME_SCHEMA), Field(description="Default: now; any order is fine.")
    ] = None
    context: Annotated[Any, document_as(CONTEXT_SCHEMA)] = None
    recommendation_id: Annotated[CleanId, Field(description="Of the list it came from.")] = None
    events: Annotated[
        Any, document_as({"type": "array", "maxItems": MAX_EVENTS_PER_CALL, "items": _EVENT_SCHEMA})
    ] = None


class ItemBody(RootModel[dict[str, Any]]):
    """An item, or the fields of it that change; any field is allowed, see the catalogue's rows."""


class ItemsIn(StrictModel):
    """Many items at once."""

    items: Annotated[
        Any,
        document_as({"type": "array", "maxItems": MAX_ITEMS_PER_CALL, "items": OBJECT_SCHEMA}),
        Field(description=f"At most {MAX_ITEMS_PER_CALL} whole items; all are kept, or none."),
    ] = None


class UserIn(RootModel[dict[str, Any]]):
    """`interests` is a list of words; every other field is an attribute, kept as it is."""


class MergeIn(StrictModel):
    """Two users: the events of the first are given to the second."""

    model_config = ConfigDict(json_schema_extra={"required": ["from", "into"]})

    from_: Annotated[CleanId, Field(alias="from", description="An anonymous visitor.")] = None
    into: Annotated[CleanId, Field(description="The user who has signed in.")] = None


class TrendingQuery(StrictModel):
    """Query parameters of GET /v1/trending."""

    scenario: str | None = None
    k: Annotated[int | None, Field(ge=1, le=MAX_K, description="How many; default 10.")] = None
    cursor: Annotated[str | None, Field(description="`next_cursor` of the page before.")] = None
