"""The JSON of the calls that change what is kept: events, users, items; see `service.wire`."""

from typing import Annotated, Any

from pydantic import Field, RootModel

from indexer.event_names import MAX_EVENT_NAME
from indexer.request import MAX_K
from service.events import MAX_EVENTS
from service.live_items import MAX_ITEMS
from service.wire import (
    CONTEXT_JSON,
    ID_JSON,
    OBJECT_JSON,
    TEXT_JSON,
    TIME_JSON,
    Id,
    Text,
    Wire,
    shown_as,
)

_EVENT_NAME = {"type": "string", "minLength": 1, "maxLength": MAX_EVENT_NAME}
_EVENT = {
    "type": "object",
    "properties": {
        "event_id": ID_JSON,
        "user_id": ID_JSON,
        "session_id": ID_JSON,
        "item_id": ID_JSON,
        "event": _EVENT_NAME,
        "value": {"type": "number"},
        "text": TEXT_JSON,
        "at": TIME_JSON,
        "context": CONTEXT_JSON,
        "recommendation_id": ID_JSON,
    },
    "required": ["event"],
    "additionalProperties": False,
}


class EventsIn(Wire):
    """One event, or a list of them in `events`."""

    event_id: Annotated[Id, Field(description="Counts once, however often it is sent.")] = None
    user_id: Annotated[Id, Field(description="An anonymous visitor has a session instead.")] = None
    session_id: Id = None
    item_id: Annotated[Id, Field(description="Needed by all but a search.")] = None
    event: Annotated[
        Any,
        shown_as(_EVENT_NAME),
        Field(
            description="view, click, search, like, dislike, skip, add_to_cart, purchase, rating, "
            "review, share, play, finish, impression, or a word of your own; one that is "
            "nearly one of these is refused as misspelt."
        ),
    ] = None
    value: Annotated[
        Any, shown_as({"type": "number"}), Field(description="Needed by a rating.")
    ] = None
    text: Annotated[Text, Field(description="Needed by a search and a review.")] = None
    at: Annotated[
        Any, shown_as(TIME_JSON), Field(description="Default: now; any order is fine.")
    ] = None
    context: Annotated[Any, shown_as(CONTEXT_JSON)] = None
    recommendation_id: Annotated[Id, Field(description="Of the list it came from.")] = None
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

    from_: Annotated[Id, Field(alias="from", description="An anonymous visitor.")] = None
    into: Annotated[Id, Field(description="The user who has signed in.")] = None


class TrendingQuery(Wire):
    """Query parameters of GET /v1/trending."""

    scenario: str | None = None
    k: Annotated[int | None, Field(ge=1, le=MAX_K, description="How many; default 10.")] = None
    cursor: Annotated[str | None, Field(description="`next_cursor` of the page before.")] = None
