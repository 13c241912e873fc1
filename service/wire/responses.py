"""The JSON of every answer, as OpenAPI documents it. Answers are not validated against it."""

from typing import Annotated, Any

from pydantic import BaseModel, Field


class Reason(BaseModel, extra="allow"):
    """One input of the request; the rest of its fields depends on the kind."""

    kind: Annotated[
        str,
        Field(
            description="history, interest, query, context, ideal, popularity, item, text, words, "
            "exact or other."
        ),
    ]
    share: Annotated[float, Field(description="Its part of the score; shares sum to it.")]


class Explanation(BaseModel):
    """One sentence that restates exact reasons."""

    text: str
    by: Annotated[str, Field(description="model or template.")]


class HitOut(BaseModel):
    """One item of a list."""

    id: str
    rank: Annotated[int, Field(description="From 1; later pages continue.")]
    score: Annotated[float, Field(description="0 is unrelated, about 1 as close as a copy.")]
    item: dict[str, Any]
    propensity: float | None
    reasons: list[Reason]
    explanation: Annotated[
        Explanation | None, Field(description="Where `llm.explain` was asked.")
    ] = None


class Complete(BaseModel):
    """How complete a list is."""

    returned: int
    eligible: Annotated[int, Field(description="What remains for this and later pages.")]
    excluded: Annotated[
        dict[str, int], Field(description="Items left out, each counted at its first reason.")
    ]
    search: Annotated[str, Field(description="exact or ann.")]


class LlmOut(BaseModel):
    """What a language model did for an answer.

    Without it: `used` is false, and `why` says why.
    """

    used: bool
    why: str | None = None
    understood: Annotated[
        dict[str, Any] | None,
        Field(description="query, filter, context, scenario, and what was left out."),
    ] = None
    ideal: Annotated[str | None, Field(description="The item that was imagined.")] = None
    order_changed: Annotated[int | None, Field(description="Ranks with another item.")] = None
    sentences: Annotated[dict[str, int] | None, Field(description="By model, by template.")] = None
    tokens: Annotated[dict[str, int] | None, Field(description="in and out.")] = None
    calls: int | None = None
    cached: int | None = None
    ms: int | None = None
    failed: Annotated[dict[str, str] | None, Field(description="Part to why.")] = None


class UnderstoodOut(BaseModel):
    """What was read from `query` as a filter, without a language model."""

    filter: Annotated[
        dict[str, Any] | None,
        Field(description="Applied beside the `filter` of the request; absent if it is not."),
    ] = None
    from_: Annotated[
        list[str], Field(alias="from", description="The words of the query that say it.")
    ]
    query: Annotated[
        str | None, Field(description="What else is wanted; absent if the query stays as it is.")
    ] = None
    left_out: Annotated[
        list[str] | None, Field(description="Why nothing was applied, in a sentence.")
    ] = None


class AnswerOut(BaseModel):
    """A ranked list with its reasons."""

    recommendation_id: str
    snapshot: str
    live_seq: int
    user_id: str | None
    user_known: Annotated[
        bool | None,
        Field(
            description="Whether anything is kept of the user or session of the request; absent "
            "if it named neither."
        ),
    ] = None
    unknown_items: list[str]
    understood: Annotated[
        UnderstoodOut | None, Field(description="Absent if the query says no filter.")
    ] = None
    items: list[HitOut]
    complete: Complete
    llm: Annotated[LlmOut | None, Field(description="Where `llm` was asked.")] = None
    next_cursor: Annotated[
        str | None,
        Field(
            description="Send it as `cursor` for the next page (of a GET /similar to POST "
            "/v1/similar). Null if nothing is left, or if the request alone is too large to travel "
            "in a cursor of 100,000 characters."
        ),
    ]
    timing_ms: dict[str, float]


class BatchOut(BaseModel):
    """Answers in the order of the requests."""

    answers: list[AnswerOut]


class Listed(BaseModel):
    """How much of a listing is left."""

    returned: int
    eligible: Annotated[int, Field(description="What remains for this and later pages.")]


class ItemsOut(BaseModel):
    """Items in order of id."""

    snapshot: str
    items: list[dict[str, Any]]
    complete: Listed
    next_cursor: str | None


class FieldOut(BaseModel):
    """A field of the catalogue."""

    name: str
    type: str
    is_list: bool
    present: Annotated[int, Field(description="Number of items that have it.")]
    distinct: int
    top_values: Annotated[list[list[Any]], Field(description="[value, number of items].")]
    minimum: float | None
    maximum: float | None


class SchemaOut(BaseModel):
    """What can be filtered on."""

    snapshot: str
    items: Annotated[int, Field(description="Number of items.")]
    fields: list[FieldOut]


class SnapshotOut(BaseModel):
    """One snapshot of the index directory; `error` says why it cannot be used."""

    id: str
    live: bool
    created_at: str | None = None
    items: int | None = None
    index: str | None = None
    model: str | None = None
    parent: str | None = None
    error: str | None = None


class SnapshotsOut(BaseModel):
    """The newest first."""

    snapshots: list[SnapshotOut]


class Switched(BaseModel):
    """Which snapshot serves now."""

    snapshot: str
    changed: bool


class Health(BaseModel):
    """`detail` says why a newer snapshot is not served."""

    status: str
    snapshot: str | None = None
    detail: str | None = None


class EventsOut(BaseModel):
    """The events are on disk; the next answer of any worker uses them."""

    accepted: int
    duplicates: Annotated[int, Field(description="Sent before; they count once.")]
    refused: Annotated[
        int, Field(description="Retracted before, or older than the erasure of their user.")
    ]
    event_ids: list[str]
    unknown_items: Annotated[
        list[str] | None,
        Field(
            description="Ids of the events that are not in the catalogue, the first hundred; these "
            "events are kept too. Null while no snapshot is served."
        ),
    ] = None
    unknown_item_count: Annotated[int | None, Field(description="How many such ids.")] = None
    live_seq: int


class Retracted(BaseModel):
    """The event is deleted; from now on answers are as if it had never been sent."""

    event_id: str
    live_seq: int


class ItemKept(BaseModel):
    """The change is on disk; the next answer of any worker reflects it."""

    id: str
    live_seq: int
    notes: list[str] = Field(
        default=[], description="What was kept in another way than it came; absent if nothing."
    )


class ItemsKept(BaseModel):
    """All changes are on disk; if one item of a call is refused, none is stored."""

    accepted: int
    ids: list[str]
    live_seq: int
    notes: list[str] = Field(
        default=[], description="What was kept in another way than it came; absent if nothing."
    )


class TagOut(BaseModel):
    """A tag of the catalogue and how close the user is to it."""

    tag: str
    score: float


class UserOut(BaseModel):
    """What is known of a user, in words and events."""

    user_id: str
    summary: Annotated[str, Field(description="In one or two sentences.")]
    interests: list[str]
    attributes: dict[str, Any]
    tags: Annotated[list[TagOut], Field(description="The nearest first.")]
    events: Annotated[int, Field(description="How many are in the log.")]
    seen: Annotated[int, Field(description="How many different items they have met.")]
    recent: Annotated[list[dict[str, Any]], Field(description="The latest events first.")]
    live_seq: int


class UserKept(BaseModel):
    """The profile is on disk; the next answer of any worker uses it."""

    user_id: str
    live_seq: int


class Merged(BaseModel):
    """The events of one user now belong to another; `user_id` is the other."""

    user_id: str
    moved: Annotated[int, Field(description="Events.")]
    live_seq: int


class Erased(BaseModel):
    """Nothing of the user is left."""

    erased_events: int
    live_seq: int
