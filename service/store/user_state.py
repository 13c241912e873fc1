"""A user's events to the history, seen items and interests that a request gets. Pure.

The events are taken in order of (at, event_id), so the order of arrival does not matter, and
retracting, merging, erasing and replaying events give exact results.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import accumulate

from indexer.language import estimate_tokens
from indexer.request import (
    MAX_REQUEST_TEXTS,
    MAX_REQUEST_TOKENS,
    NON_HIDING_EVENTS,
    HistoryEntry,
    Request,
)
from service.store.events import IMPRESSION, REVIEW, SEARCH, Event

# The weight of a history entry halves every few entries, so older ones would vanish in rounding.
MAX_RECENT_EVENTS = 200
# Of the texts of the history, the latest first: a user's log must not make their lists too slow.
MAX_STORED_TOKENS = 2_048


@dataclass(frozen=True)
class UserState:
    """What is known of a user, or of an anonymous session.

    Attributes:
        history: The latest entries, oldest first, with texts of `MAX_STORED_TOKENS` at most.
        items_by_event: Name of an event to the ids of its items, sorted; without searches and
            impressions.
        interests: The stored interests, the first as many as one request may bring.
        is_known: Whether the store holds anything of them, be it an impression alone.
    """

    history: tuple[HistoryEntry, ...] = ()
    items_by_event: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    interests: tuple[str, ...] = ()
    is_known: bool = False

    @cached_property
    def seen(self) -> tuple[str, ...]:
        """The ids of all items in `items_by_event`, sorted."""
        return tuple(sorted(set().union(*self.items_by_event.values())))


EMPTY_USER_STATE = UserState()


def build_user_state(events: Iterable[Event], interests: Sequence[str] = ()) -> UserState:
    """Return the state that events, in any order, and stored interests amount to."""
    ordered = sorted(events, key=lambda event: (event.at, event.event_id))
    entries = [_to_history_entry(event) for event in ordered if event.event != IMPRESSION]
    return UserState(
        history=_keep_latest_texts(entries[-MAX_RECENT_EVENTS:]),
        items_by_event=group_items_by_event((event.event, event.item_id) for event in ordered),
        interests=_keep_first_interests(interests),
        is_known=bool(ordered or interests),
    )


def _keep_latest_texts(entries: Sequence[HistoryEntry]) -> tuple[HistoryEntry, ...]:
    """Return the entries, oldest first, without the texts that are too many to be encoded."""
    kept: list[HistoryEntry] = []
    tokens = 0
    for entry in reversed(entries):
        if entry.text is not None:
            tokens += estimate_tokens(entry.text)
        if entry.text is None or tokens <= MAX_STORED_TOKENS:
            kept.append(entry)
        elif entry.item_id is not None:
            kept.append(entry._replace(text=None))
    return tuple(reversed(kept))


def _keep_first_interests(interests: Sequence[str]) -> tuple[str, ...]:
    """Return the interests that may be encoded for a list: merged users can have any number."""
    kept = interests[:MAX_REQUEST_TEXTS]
    totals = accumulate(map(estimate_tokens, kept))
    return tuple(
        text for text, total in zip(kept, totals, strict=True) if total <= MAX_REQUEST_TOKENS
    )


def group_items_by_event(pairs: Iterable[tuple[str, str | None]]) -> dict[str, tuple[str, ...]]:
    """Return the item ids of (event, item id) pairs by event, without searches and impressions."""
    items_by_event: dict[str, set[str]] = {}
    for event, item_id in pairs:
        if item_id is not None and event not in NON_HIDING_EVENTS:
            items_by_event.setdefault(event, set()).add(item_id)
    return {event: tuple(sorted(items_by_event[event])) for event in sorted(items_by_event)}


def add_user_state(request: Request, state: UserState, *, now: float) -> Request:
    """Return the request with the stored history, interests and seen items added.

    History entries of the request that have no time are dated `now`, so that they come after the
    stored ones.
    """
    if state == EMPTY_USER_STATE:
        return request
    request_history = request.history
    if state.history:
        request_history = tuple(
            entry if entry.at is not None else entry._replace(at=now) for entry in request_history
        )
    return replace(
        request,
        history=(*state.history, *request_history),
        interests=tuple(dict.fromkeys([*state.interests, *request.interests])),
        seen=state.seen,
        seen_by_event=state.items_by_event,
    )


def _to_history_entry(event: Event) -> HistoryEntry:
    """A search counts by its text alone, even if it names an item; a review by both."""
    is_search = event.event == SEARCH
    return HistoryEntry(
        item_id=None if is_search else event.item_id,
        text=event.text if is_search or event.event == REVIEW else None,
        event=event.event,
        value=event.value,
        at=event.at,
        context=event.context,
    )
