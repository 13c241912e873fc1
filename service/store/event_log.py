"""Events to durable rows, each id once, and rows back to the state of one user."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from itertools import chain
from typing import Any

import sqlalchemy as sa

from indexer.cancellation import raise_if_given_up
from service.edge import Problem
from service.store.database import LiveDatabase
from service.store.engine import make_room_for_many
from service.store.event_rows import (
    describe_meaning,
    list_owners,
    load_recent_events,
    remove_hidden_events,
    select_any_event,
    select_beyond,
    select_item_pairs,
    select_known_ids,
    select_meanings,
    select_pairs_until,
    select_recent_events,
    to_event,
    to_row,
)
from service.store.events import MAX_EVENTS_PER_CALL, Event
from service.store.hidden_events import is_visible
from service.store.ownership import UserHasher, find_new_owners
from service.store.retractions import find_retracted_ids, refuse_event_id
from service.store.schema import events
from service.store.sequence_reader import ROWS_AT_ONCE, Owner
from service.store.user_state import MAX_RECENT_EVENTS, SeenItems, UserState, keep_all
from service.store.user_state_rows import (
    KeepKnown,
    LongLogError,
    build_state,
    build_stranger,
    select_interests,
)
from service.store.write_transaction import SequenceNumbers

MAX_SHORT_LOG = 3_000  # events that a call reads while others wait: some 10 ms
_IN_PARTS = {"yield_per": ROWS_AT_ONCE}
_UPDATE_MEANING = (
    events.update()
    .where(events.c.event_id == sa.bindparam("id"))
    .values(
        seq=sa.bindparam("seq_"),
        event=sa.bindparam("event_"),
        value=sa.bindparam("value_"),
        item_id=sa.bindparam("item_id_"),
        at=sa.bindparam("at_"),
    )
)


@dataclass(frozen=True, slots=True)
class AppendResult:
    """What became of the events of one call. The names are the keys of the JSON answer.

    Attributes:
        duplicates: Number of events whose id was in the log already.
        refused: Number of events that were retracted, or that an erased user sent before.
        event_ids: The ids of all events, in order.
        live_seq: Sequence number of the store afterwards.
    """

    accepted: int
    duplicates: int
    refused: int
    event_ids: list[str]
    live_seq: int


class EventLog:
    """The event log in the live store."""

    def __init__(self, database: LiveDatabase, user_hasher: UserHasher) -> None:
        self._database = database
        self._user_hasher = user_hasher

    def append(self, batch: Sequence[Event]) -> AppendResult:
        """Store events; they are durable when this returns. An event id counts once, for ever.

        Raises:
            Problem: 503 if the store is busy; then no event of the batch was stored.
        """
        # Rows are built before the transaction begins, so that no other writer waits for it.
        rows = [(event, to_row(event)) for event in batch]
        with self._database.begin_write() as transaction:
            if len(batch) > MAX_EVENTS_PER_CALL:
                make_room_for_many(transaction.connection)
            new_rows, refused = self._select_new_rows(transaction.connection, rows)
            first = transaction.reserve(len(new_rows))
            for seq, row in enumerate(new_rows, first):
                row["seq"] = seq
            if new_rows:
                transaction.connection.execute(events.insert(), new_rows)
            live_seq = transaction.seq
        duplicates = len(batch) - len(new_rows) - refused
        ids = [event.event_id for event in batch]
        return AppendResult(len(new_rows), duplicates, refused, ids, live_seq)

    def update_meanings(self, batch: Sequence[Event]) -> int:
        """Give events that are in the log what the same ids have in a batch.

        That is their event, value, item and, unless it is unknown, time. A changed event gets a new
        sequence number: whoever counted it subtracts the old one and adds the new.

        Returns:
            How many events were another.

        Raises:
            Problem: 503 if the store is busy; then nothing was changed.
        """
        with self._database.begin_write() as transaction:
            known = select_meanings(transaction.connection, [event.event_id for event in batch])
            changed = {
                event.event_id: meaning
                for event in batch
                if event.event_id in known
                and (meaning := describe_meaning(event, known[event.event_id]))
                != known[event.event_id]
            }
            if changed:
                first = transaction.reserve(len(changed))
                rows = [
                    {
                        "id": event_id,
                        "seq_": seq,
                        "event_": meaning.event,
                        "value_": meaning.value,
                        "item_id_": meaning.item_id,
                        "at_": meaning.at,
                    }
                    for seq, (event_id, meaning) in enumerate(changed.items(), first)
                ]
                transaction.connection.execute(_UPDATE_MEANING, rows)
                transaction.mark_events_changed(known[event_id].seq for event_id in changed)
        return len(changed)

    def _select_new_rows(
        self, connection: sa.Connection, rows: Sequence[tuple[Event, dict[str, Any]]]
    ) -> tuple[list[dict[str, Any]], int]:
        """Return the rows to insert, with their present owners, and how many events are refused."""
        ids = [event.event_id for event, _ in rows]
        known_ids = select_known_ids(connection, ids)
        known_ids -= remove_hidden_events(connection, known_ids)
        retracted = find_retracted_ids(connection, self._user_hasher, ids)
        new_owners = find_new_owners(connection, self._user_hasher, [event for event, _ in rows])
        new_rows: dict[str, dict[str, Any]] = {}
        refused = 0
        for event, row in rows:
            owner = new_owners.get((event.owner, event.happened_at), event.owner)
            if owner is None or event.event_id in retracted:
                refused += 1
            elif event.event_id not in known_ids and event.event_id not in new_rows:
                changes = {"user_id": owner} if owner != event.owner else {}
                new_rows[event.event_id] = {**row, **changes}
        return list(new_rows.values()), refused

    def retract(self, event_id: str) -> int:
        """Remove an event as if it had never come; its id stays refused.

        Returns:
            The sequence number of the store afterwards.

        Raises:
            Problem: 404 if there is no event of that id; 409 if the store has hashes under another
                secret; 503 if it is busy.
        """
        with self._database.begin_write() as transaction:
            connection = transaction.connection
            if event_id in find_retracted_ids(connection, self._user_hasher, [event_id]):
                return transaction.seq
            is_meant = sa.and_(events.c.event_id == event_id, is_visible())
            removed_seqs = (
                connection.execute(sa.select(events.c.seq).where(is_meant)).scalars().all()
            )
            if not removed_seqs:
                raise Problem(
                    HTTPStatus.NOT_FOUND, f"no event {event_id[:100]!r}; nothing was retracted"
                )
            connection.execute(events.delete().where(is_meant))
            seq = transaction.reserve()
            refuse_event_id(connection, self._user_hasher, event_id, seq=seq)
            transaction.mark_events_changed(removed_seqs)
            return seq

    def read_user_state(
        self,
        sequence: SequenceNumbers,
        user_id: str | None,
        session_id: str | None,
        keep_known: KeepKnown = keep_all,
        *,
        is_patient: bool = True,
    ) -> UserState | None:
        """Return what was known of a user and their session at some sequence numbers.

        Args:
            sequence: At which the store must be.
            user_id: None: no user.
            session_id: None: no session.
            keep_known: See `SeenItems`.
            is_patient: Whether a log of more than `MAX_SHORT_LOG` events may be read.

        Raises:
            GivenUpError: If nobody waits for it any more.
            LongLogError: If one would have to be read, and may not.

        Returns:
            None if it must be read in a transaction, see `LiveDatabase.fetch_at`.
        """
        owners = list(list_owners(user_id, session_id))
        queries = [select_recent_events(owner, MAX_RECENT_EVENTS) for owner in owners]
        if user_id is not None:
            queries.append(select_interests(user_id))
        found = self._database.fetch_at(sequence, queries)
        if found is None:
            return None
        profile = found.pop() if user_id is not None else []
        if not profile and not any(found):
            return self._read_stranger(sequence, owners)
        long_owners = [
            owner
            for owner, rows in zip(owners, found, strict=True)
            if len(rows) >= MAX_RECENT_EVENTS
        ]
        newest = list(map(to_event, chain(*found)))
        if not long_owners:
            return build_state(newest, None, profile)
        if not is_patient:
            beyond = [select_beyond(owner, MAX_SHORT_LOG) for owner in long_owners]
            counted = self._database.fetch_at(sequence, beyond)
            if counted is None:
                return None
            _require_short(counted, (user_id, session_id))
        seen = SeenItems(keep_known)
        logs = [select_pairs_until(owner, sequence.seq) for owner in long_owners]
        is_complete = self._database.scan_until(sequence, logs, partial(_take_part, seen))
        return build_state(newest, seen, profile) if is_complete else None

    def _read_stranger(
        self, sequence: SequenceNumbers, owners: Sequence[Owner]
    ) -> UserState | None:
        """Return the state of owners who have done nothing; they may have been shown items."""
        found = self._database.fetch_at(sequence, list(map(select_any_event, owners)))
        return None if found is None else build_stranger(found)

    def load_user_state(
        self,
        connection: sa.Connection,
        user_id: str | None,
        session_id: str | None,
        keep_known: KeepKnown = keep_all,
        *,
        is_patient: bool = True,
    ) -> UserState:
        """Return what is known of a user and of the anonymous session before they signed in.

        Raises:
            GivenUpError: If nobody waits for it any more.
            LongLogError: See `read_user_state`.
        """
        newest: list[Event] = []
        seen: SeenItems | None = None
        for owner in list_owners(user_id, session_id):
            recent = load_recent_events(connection, owner, MAX_RECENT_EVENTS)
            newest += recent
            if len(recent) >= MAX_RECENT_EVENTS:
                if not is_patient:
                    beyond = select_beyond(owner, MAX_SHORT_LOG)
                    _require_short([connection.execute(*beyond).all()], (user_id, session_id))
                seen = seen or SeenItems(keep_known)
                pairs = connection.execute(*select_item_pairs(owner), execution_options=_IN_PARTS)
                for part in pairs.partitions():
                    _take_part(seen, map(tuple, part))
        profile: Sequence[Any] = []
        if user_id is not None:
            profile = connection.execute(*select_interests(user_id)).all()
        if not profile and not newest:
            any_event = map(select_any_event, list_owners(user_id, session_id))
            return build_stranger([connection.execute(*query).all() for query in any_event])
        return build_state(newest, seen, profile)


def _take_part(seen: SeenItems, pairs: Iterable[tuple[str, str | None]]) -> None:
    raise_if_given_up()
    seen.add(pairs)


def _require_short(beyond: Iterable[Sequence[Any]], key: Owner) -> None:
    """Raise if a log has more events than `MAX_SHORT_LOG`."""
    if any(beyond):
        raise LongLogError(f"more than {MAX_SHORT_LOG} events must be read", key)
