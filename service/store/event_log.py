"""Events to durable rows, once each, and back to one user's: the truth behind every state."""

import hashlib
import hmac
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from itertools import islice
from typing import Any, TypeVar

import orjson
import sqlalchemy as sa

from service.edge import Problem
from service.store.database import LiveDatabase, WriteTransaction
from service.store.events import IMPRESSION, Event
from service.store.schema import erasures, events, merges, retractions, users
from service.store.user_state import (
    MAX_RECENT_EVENTS,
    UserState,
    build_user_state,
    group_items_by_event,
)

_MAX_SQL_PARAMETERS = 500
_HASH_DOMAIN = b"zhiyin erased user 1\0"
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class AppendResult:
    """What became of a batch.

    Attributes:
        duplicates: Events whose id was already there.
        refused: Events that were retracted, or that an erased user had sent before.
        event_ids: Of all of them, in order.
    """

    accepted: int
    duplicates: int
    refused: int
    event_ids: list[str]
    live_seq: int


class UserHasher:
    """Keyed hashes of user ids: they recognise an id and do not tell it."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def hash_user_id(self, user_id: str) -> bytes:
        """Return 32 bytes."""
        return hmac.digest(self._secret, _HASH_DOMAIN + user_id.encode(), "sha256")


class EventLog:
    """The log in the live store."""

    def __init__(self, database: LiveDatabase, user_hasher: UserHasher) -> None:
        self._database = database
        self._user_hasher = user_hasher

    def append(self, batch: Sequence[Event]) -> AppendResult:
        """Keep events; when this returns they are durable. An id counts once, for ever.

        Raises:
            Problem: 503 if the store is busy; then nothing of the batch was kept.
        """
        rows = [
            (event, _row_from_event(event)) for event in batch
        ]  # before anybody has to wait for us
        with self._database.begin_write() as transaction:
            connection = transaction.connection
            ids = [event.event_id for event in batch]
            known_ids = set(_select_existing(connection, events.c.event_id, ids))
            retracted_hashes = set(
                _select_existing(connection, retractions.c.event_hash, map(hash_event_id, ids))
            )
            owners = self._find_owners(connection, batch)
            accepted_rows: dict[str, dict[str, Any]] = {}
            refused = 0
            for event, row in rows:
                owner = owners.get((event.owner, event.at), event.owner)
                if owner is None or (
                    retracted_hashes and hash_event_id(event.event_id) in retracted_hashes
                ):
                    refused += 1
                elif event.event_id not in known_ids and event.event_id not in accepted_rows:
                    moved = {"user_id": owner} if owner != event.owner else {}
                    accepted_rows[event.event_id] = {**row, **moved}
            first = transaction.reserve(len(accepted_rows))
            for seq, row in enumerate(accepted_rows.values(), first):
                row["seq"] = seq
            if accepted_rows:
                connection.execute(events.insert(), list(accepted_rows.values()))
            live_seq = transaction.seq
        duplicates = len(batch) - len(accepted_rows) - refused
        return AppendResult(len(accepted_rows), duplicates, refused, ids, live_seq)

    def retract(self, event_id: str) -> int:
        """Forget an event as if it had never come; its id stays refused. Return the sequence.

        Raises:
            Problem: 404 if there is no event of that id; 503 if the store is busy.
        """
        name = hash_event_id(event_id)
        with self._database.begin_write() as transaction:
            retracted_hashes = _select_existing(
                transaction.connection, retractions.c.event_hash, [name]
            )
            if retracted_hashes:
                return transaction.seq
            removed = transaction.connection.execute(
                events.delete().where(events.c.event_id == event_id)
            ).rowcount
            if not removed:
                raise Problem(
                    HTTPStatus.NOT_FOUND, f"no event {event_id[:100]!r}; nothing was retracted"
                )
            seq = transaction.reserve()
            transaction.connection.execute(retractions.insert().values(event_hash=name, seq=seq))
            transaction.mark_events_removed()
            return seq

    def load_user_state(
        self, connection: sa.Connection, user_id: str | None, session_id: str | None
    ) -> UserState:
        """Return what is known of a user and of the anonymous session before they signed in."""
        newest: list[Event] = []
        pairs: list[tuple[str, str | None]] = []
        for owner in _list_owners(user_id, session_id):
            part = load_recent_events(connection, owner, MAX_RECENT_EVENTS)
            newest += part
            if len(part) >= MAX_RECENT_EVENTS:  # then there is more than what was read
                pairs += _load_item_pairs(connection, owner)
        state = build_user_state(newest, self._load_interests(connection, user_id))
        if not pairs:
            return state
        return replace(
            state,
            items_by_event=group_items_by_event([*pairs, *((e.event, e.item_id) for e in newest)]),
        )

    def _load_interests(self, connection: sa.Connection, user_id: str | None) -> list[str]:
        if user_id is None:
            return []
        results = connection.execute(
            sa.select(users.c.interests).where(users.c.user_id == user_id)
        ).scalar()
        return list(orjson.loads(results)) if results else []

    def _find_owners(
        self, connection: sa.Connection, batch: Sequence[Event]
    ) -> dict[tuple[str, float], str | None]:
        """Where events belong that do not belong to who sent them; None: to nobody any more."""
        names = {event.owner for event in batch}
        merge_targets: dict[str, list[tuple[float, str]]] = {}
        for chunk in _split_chunks(names):
            query = sa.select(merges).where(merges.c.from_id.in_(chunk))
            for results in connection.execute(query.order_by(merges.c.merged_at)):
                merge_targets.setdefault(results.from_id, []).append(
                    (results.merged_at, results.into_id)
                )
        erasure_times = self._load_erasure_times(connection, names)
        owners: dict[tuple[str, float], str | None] = {}
        for event in batch if merge_targets or erasure_times else ():
            if event.at <= erasure_times.get(event.owner, float("-inf")):
                owners[event.owner, event.at] = None
                continue
            for merged_at, owner in merge_targets.get(event.owner, ()):
                if event.at <= merged_at:
                    owners[event.owner, event.at] = owner
                    break
        return owners

    def _load_erasure_times(
        self, connection: sa.Connection, names: Iterable[str]
    ) -> dict[str, float]:
        hashes = {self._user_hasher.hash_user_id(name): name for name in names}
        results: dict[str, float] = {}
        for chunk in _split_chunks(hashes):
            query = sa.select(erasures).where(erasures.c.user_hash.in_(chunk))
            for row in connection.execute(query):
                results[hashes[row.user_hash]] = row.erased_at
        return results


def hash_event_id(event_id: str) -> bytes:
    """Return the hash under which a retracted id is remembered."""
    return hashlib.sha256(event_id.encode()).digest()


def match_owner(user_id: str | None, session_id: str | None) -> sa.ColumnElement[bool]:
    """Return the condition for a user's events, or for those of an anonymous session."""
    if user_id is not None:
        return events.c.user_id == user_id
    return sa.and_(events.c.user_id.is_(None), events.c.session_id == session_id)


def load_recent_events(
    connection: sa.Connection, owner: tuple[str | None, str | None], limit: int | None
) -> list[Event]:
    """Return the latest events of a user, or an anonymous session, newest first; no impressions."""
    query = (
        sa.select(events)
        .where(match_owner(*owner), events.c.event != IMPRESSION)
        .order_by(events.c.at.desc(), events.c.event_id.desc())
        .limit(limit)
    )
    return [event_from_row(row) for row in connection.execute(query).mappings()]


def event_from_row(row: sa.RowMapping) -> Event:
    """Return the event that a row of the log holds."""
    columns = {name: row[name] for name in _EVENT_COLUMNS}
    return Event(**columns, context=orjson.loads(row["context"]) if row["context"] else {})


_EVENT_COLUMNS = (
    "event_id", "user_id", "session_id", "item_id", "event", "value", "text", "at",
    "recommendation_id",
)  # fmt: skip


def _row_from_event(event: Event) -> dict[str, Any]:
    row = {name: getattr(event, name) for name in _EVENT_COLUMNS}
    context = orjson.dumps(dict(event.context)).decode() if event.context else None
    return {**row, "context": context}


def _list_owners(
    user_id: str | None, session_id: str | None
) -> Iterator[tuple[str | None, str | None]]:
    if user_id is not None:
        yield user_id, None
    if session_id is not None:
        yield None, session_id


def _load_item_pairs(
    connection: sa.Connection, owner: tuple[str | None, str | None]
) -> list[tuple[str, str | None]]:
    """What happened to which item, in the complete log."""
    query = sa.select(events.c.event, events.c.item_id).where(match_owner(*owner)).distinct()
    return [(event, item_id) for event, item_id in connection.execute(query)]


def _select_existing(
    connection: sa.Connection, column: sa.Column[_T], values: Iterable[_T]
) -> list[_T]:
    """Those of some values that a column holds."""
    results: list[_T] = []
    for chunk in _split_chunks(values):
        results += connection.execute(sa.select(column).where(column.in_(chunk))).scalars()
    return results


def _split_chunks(values: Iterable[_T]) -> Iterator[Collection[_T]]:
    remaining = iter(values)
    while chunk := list(islice(remaining, _MAX_SQL_PARAMETERS)):
        yield chunk


def merge_events(transaction: WriteTransaction, source_id: str, target_id: str) -> int:
    """Give a visitor's events, and those of an anonymous session of that name, to a user."""
    owned_rows = sa.or_(match_owner(source_id, None), match_owner(None, source_id))
    return transaction.connection.execute(
        events.update().where(owned_rows).values(user_id=target_id)
    ).rowcount
