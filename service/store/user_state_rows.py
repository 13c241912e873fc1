"""Rows of the log and of profiles to the state of one user, read anew or brought up to date."""

from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, TypeAlias

import orjson
import sqlalchemy as sa

from service.store.database import LiveDatabase
from service.store.event_rows import (
    list_owners,
    select_new_pairs,
    select_recent_events,
    to_event,
)
from service.store.events import Event
from service.store.schema import users
from service.store.sequence_reader import BoundQuery, Owner
from service.store.user_state import (
    EMPTY_USER_STATE,
    MAX_RECENT_EVENTS,
    SeenItems,
    UserState,
    build_user_state,
    keep_first_interests,
)
from service.store.write_transaction import SequenceNumbers

KeepKnown: TypeAlias = Callable[[Set[str]], Iterable[str]]  # see `SeenItems`

_INTERESTS = sa.select(users.c.interests).where(
    users.c.user_id == sa.bindparam("user_id", type_=sa.Text)
)


class LongLogError(Exception):
    """A log has more events than the thread that needs them may read.

    Attributes:
        key: The user and the session whose log it is.
    """

    def __init__(self, message: str, key: Owner) -> None:
        super().__init__(message)
        self.key = key


@dataclass(frozen=True, slots=True)
class OutdatedState:
    """A state that was right at a sequence number; since then no event was removed.

    Attributes:
        state: Of somebody who is known.
        events_after: The sequence number after which events of theirs may have come; None: none
            has, and the profile alone may be another.
    """

    state: UserState
    events_after: int | None


def select_interests(user_id: str) -> BoundQuery:
    """Return the query of the interests in the profile of a user."""
    return _INTERESTS, {"user_id": user_id}


def renew_user_state(
    database: LiveDatabase,
    connect: Callable[[], sa.Connection],
    sequence: SequenceNumbers,
    key: Owner,
    outdated: OutdatedState,
    keep_known: KeepKnown,
) -> UserState:
    """Return what is known of a user and their session, from what was known before.

    Args:
        database: The live store.
        connect: Returns a connection that sees the store at `sequence`.
        sequence: Of the state that is wanted.
        key: The user and the session.
        outdated: What was known. If events came, it is of a complete log.
        keep_known: See `SeenItems`.

    Returns:
        The same object, if nothing has changed.
    """
    owners = list(list_owners(*key))
    queries = [] if key[0] is None else [select_interests(key[0])]
    if outdated.events_after is not None:
        queries += [select_recent_events(owner, MAX_RECENT_EVENTS) for owner in owners]
        queries += [
            select_new_pairs(owner, outdated.events_after, sequence.seq) for owner in owners
        ]
    found: Sequence[Sequence[Any]] | None = database.fetch_at(sequence, queries)
    if found is None:
        connection = connect()
        found = [list(map(tuple, connection.execute(*query))) for query in queries]
    profile, of_events = (found[0], found[1:]) if key[0] is not None else ((), found)
    if outdated.events_after is None:
        interests = keep_first_interests(_parse_interests(profile))
        is_same = interests == outdated.state.interests
        return outdated.state if is_same else replace(outdated.state, interests=interests)
    newest = list(map(to_event, chain(*of_events[: len(owners)])))
    seen = SeenItems(keep_known, outdated.state)
    seen.add(chain(*of_events[len(owners) :]))
    return build_state(newest, seen, profile)


def build_stranger(any_events: Sequence[Sequence[Any]]) -> UserState:
    """Return the state of somebody who has done nothing; they may have been shown items."""
    return replace(EMPTY_USER_STATE, is_known=True) if any(any_events) else EMPTY_USER_STATE


def build_state(
    newest: Sequence[Event], seen: SeenItems | None, profile: Sequence[Any]
) -> UserState:
    """Return the state of a user of whom something is known.

    Args:
        newest: The latest events of the user, and those of the session.
        seen: Of all events, where the log holds more than the latest; None: it does not.
        profile: The row of their interests; empty if none is stored.
    """
    state = replace(build_user_state(newest, _parse_interests(profile)), is_known=True)
    if seen is None:
        return state
    seen.add((event.event, event.item_id) for event in newest)
    return replace(
        state,
        items_by_event=seen.list_by_event(),
        is_of_catalogue=seen.is_checked,
        is_of_long_log=True,
    )


def _parse_interests(rows: Sequence[Any]) -> list[str]:
    """Return the interests in the one row of a user, if there is one."""
    return list(orjson.loads(rows[0][0])) if rows and rows[0][0] else []
