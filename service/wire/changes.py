"""The JSON of calls that change what is kept: events, users, items; see `requests`."""

from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias

from pydantic import ConfigDict, Field, RootModel

from indexer.request import MAX_K
from service.live import MAX_ITEMS
from service.store import MAX_EVENTS
from service.wire.requests import Wire
from service.wire.schemas import (
    CLEAN_ID_JSON,
    CLEAN_TEXT_JSON,
    CONTEXT_JSON,
    EVENT_NAME_JSON,
    OBJECT_JSON,
    TIME_JSON,
    or_null,
    shown_as,
)

_EVENT_PARTS: Mapping[str, Mapping[str, Any]] = {
    "event_id": CLEAN_ID_JSON,
    "user_id": CLEAN_ID_JSON,
    "session_id": CLEAN_ID_JSON,
    "item_id": CLEAN_ID_JSON,
    "value": {"type": "number"},
    "text": CLEAN_TEXT_JSON,
    "at": TIME_JSON,
    "context": CONTEXT_JSON,
    "recommendation_id": CLEAN_ID_JSON,
}
_EVENT = {
    "type": "object",
    "properties": {
        "event": EVENT_NAME_JSON,
        **{name: or_null(shape) for name, shape in _EVENT_PARTS.items()},
    },
    "required": ["event"],
    "additionalProperties": False,
}
CleanId: TypeAlias = Annotated[Any, shown_as(CLEAN_ID_JSON)]


class EventsIn(Wire):
    """One event, or a list of them in `events`."""

    event_id: Annotated[CleanId, Field(description="Counts once, however often it is sent.")] = None
    user_id: Annotated[
        CleanId, Field(description="An anonymous visitor has a session instead.")
    ] = None
    session_id: CleanId = None
    item_id: Annotated[CleanId, Field(description="Needed by all but a search.")] = None
    event: Annotated[
        Any,
        shown_as(EVENT_NAME_JSON),
        Field(
            description="view, click, search, like, dislike, skip, add_to_cart, purchase, rating, "
            "review, share, play, finish, impression, or a word of your own; one that is "
            "nearly one of these is refused as misspelt."
        ),
    ] = None
    value: Annotated[
        Any, shown_as({"type": "number"}), Field(description="Needed by a rating.")
    ] = None
    text: Annotated[
        Any, shown_as(CLEAN_TEXT_JSON), Field(description="Needed by a search and a review.")
    ] = None
    at: Annotated[
        Any, shown_as(TIME_JSON), Field(description="Default: now; any order is fine.")
    ] = None
    context: Annotated[Any, shown_as(CONTEXT_JSON)] = None
    recommendation_id: Annotated[CleanId, Field(description="Of the list it came from.")] = None
    events: Annotated[Any, shown_as({"type": "array", "maxItems": MAX_EVENTS, "items": _EVENT})] = (
        None
    )


class ItemBody(RootModel[dict[str, Any]]):
    """An item, or the fields of it that change; any field is allowed, see the catalogue's rows."""


class ItemsIn(Wire):
    """Many items at once."""

    items: Annotated[
        Any,
        shown_as({"type": "array", "maxItems": MAX_ITEMS, "items": OBJECT_JSON}),
        Field(description=f"At most {MAX_ITEMS} whole items; all are kept, or none."),
    ] = None


class UserIn(RootModel[dict[str, Any]]):
    """`interests` is a list of words; every other field is an attribute, kept as it is."""


class MergeIn(Wire):
    """Whose events become whose."""

    model_config = ConfigDict(json_schema_extra={"required": ["from", "into"]})

    from_: Annotated[CleanId, Field(alias="from", description="An anonymous visitor.")] = None
    into: Annotated[CleanId, Field(description="The user who has signed in.")] = None


class TrendingQuery(Wire):
    """Query parameters of GET /v1/trending."""

    scenario: str | None = None
    k: Annotated[int | None, Field(ge=1, le=MAX_K, description="How many; default 10.")] = None
    cursor: Annotated[str | None, Field(description="`next_cursor` of the page before.")] = None
