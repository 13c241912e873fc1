"""A user's events to the history, seen items and interests that a request gets. Pure.

The events are taken in order of (at, event_id), so the order of arrival does not matter, and
retracting, merging, erasing and replaying events give exact results.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
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
# Events with different items that are kept of a user, before ids that the catalogue lacks are left
# out: anybody can send events of items that do not exist.
MAX_UNCHECKED_ITEMS = 50_000
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
        is_of_catalogue: Whether ids that a catalogue lacked are left out, see `SeenItems`: it is of
            use with this catalogue alone.
        is_of_long_log: Whether there are more events than the latest, so that a complete log was
            read for `items_by_event`.
    """

    history: tuple[HistoryEntry, ...] = ()
    items_by_event: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    interests: tuple[str, ...] = ()
    is_known: bool = False
    is_of_catalogue: bool = False
    is_of_long_log: bool = field(default=False, compare=False)

    @cached_property
    def seen(self) -> tuple[str, ...]:
        """The ids of all items in `items_by_event`, sorted."""
        return tuple(sorted(set().union(*self.items_by_event.values())))


EMPTY_USER_STATE = UserState()


class SeenItems:
    """The ids of items by event, from pairs in any order; as many at a time as memory may hold.

    Args:
        keep_known: Returns those of some ids that the catalogue has.
        known: What was seen before.
    """

    def __init__(
        self,
        keep_known: Callable[[Set[str]], Iterable[str]],
        known: UserState = EMPTY_USER_STATE,
    ) -> None:
        self._keep_known = keep_known
        # What hides nothing is among them until the end: the loop is short that way.
        self._ids_by_event: defaultdict[str, set[str | None]] = defaultdict(set)
        for event, ids in known.items_by_event.items():
            self._ids_by_event[event].update(ids)
        self.is_checked = known.is_of_catalogue
        known_count = 2 * self._count() if self.is_checked else 0
        self._check_at = MAX_UNCHECKED_ITEMS + known_count

    def add(self, pairs: Iterable[tuple[str, str | None]]) -> None:
        """Add pairs of an event and the id of its item."""
        ids_by_event = self._ids_by_event
        for event, item_id in pairs:
            ids_by_event[event].add(item_id)
        if self._count() > self._check_at:
            self._forget_unknown()

    def list_by_event(self) -> dict[str, tuple[str, ...]]:
        """Return the sorted ids by event, without searches and impressions."""
        listed = {
            event: tuple(sorted(item_id for item_id in ids if item_id is not None))
            for event, ids in sorted(self._ids_by_event.items())
            if event not in NON_HIDING_EVENTS
        }
        return {event: ids for event, ids in listed.items() if ids}

    def _count(self) -> int:
        return sum(map(len, self._ids_by_event.values()))

    def _forget_unknown(self) -> None:
        all_ids = {i for ids in self._ids_by_event.values() for i in ids if i is not None}
        known = set(self._keep_known(all_ids))
        for ids in self._ids_by_event.values():
            ids &= known
        self.is_checked = True
        self._check_at = MAX_UNCHECKED_ITEMS + 2 * self._count()


def build_user_state(events: Iterable[Event], interests: Sequence[str] = ()) -> UserState:
    """Return the state that events, in any order, and stored interests amount to."""
    ordered = sorted(events, key=lambda event: (event.at, event.event_id))
    seen = SeenItems(keep_all)
    seen.add((event.event, event.item_id) for event in ordered)
    entries = [_to_history_entry(event) for event in ordered if event.event != IMPRESSION]
    return UserState(
        history=_keep_latest_texts(entries[-MAX_RECENT_EVENTS:]),
        items_by_event=seen.list_by_event(),
        interests=keep_first_interests(interests),
        is_known=bool(ordered or interests),
    )


def keep_all(item_ids: Set[str]) -> Set[str]:
    """Stand in for a catalogue that has all items."""
    return item_ids


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


def keep_first_interests(interests: Sequence[str]) -> tuple[str, ...]:
    """Return the interests that may be encoded for a list: merged users can have any number."""
    kept = interests[:MAX_REQUEST_TEXTS]
    totals = accumulate(map(estimate_tokens, kept))
    return tuple(
        text for text, total in zip(kept, totals, strict=True) if total <= MAX_REQUEST_TOKENS
    )


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
