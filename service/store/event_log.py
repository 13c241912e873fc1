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
from service.store.database import LiveDatabase, Write
from service.store.events import IMPRESSION, Event
from service.store.schema import erased, events, merges, retracted, users
from service.store.user_state import MAX_RECENT, UserState, fold, met_by

_MAX_PARAMETERS = 500
_CONTEXT = b"zhiyin erased user 1\0"
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Appended:
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


class UserHash:
    """Keyed hashes of user ids: they recognise an id and do not tell it."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def of(self, user_id: str) -> bytes:
        """Return 32 bytes."""
        return hmac.digest(self._secret, _CONTEXT + user_id.encode(), "sha256")


class EventLog:
    """The log in the live store."""

    def __init__(self, database: LiveDatabase, hashes: UserHash) -> None:
        self._database = database
        self._hashes = hashes

    def append(self, batch: Sequence[Event]) -> Appended:
        """Keep events; when this returns they are durable. An id counts once, for ever.

        Raises:
            Problem: 503 if the store is busy; then nothing of the batch was kept.
        """
        rows = [(event, _row(event)) for event in batch]  # before anybody has to wait for us
        with self._database.writing() as write:
            connection = write.connection
            ids = [event.event_id for event in batch]
            known = set(_found(connection, events.c.event_id, ids))
            gone = set(_found(connection, retracted.c.event_hash, map(event_hash, ids)))
            owners = self._owners(connection, batch)
            kept: dict[str, dict[str, Any]] = {}
            refused = 0
            for event, row in rows:
                owner = owners.get((event.owner, event.at), event.owner)
                if owner is None or (gone and event_hash(event.event_id) in gone):
                    refused += 1
                elif event.event_id not in known and event.event_id not in kept:
                    moved = {"user_id": owner} if owner != event.owner else {}
                    kept[event.event_id] = {**row, **moved}
            first = write.take(len(kept))
            for seq, row in enumerate(kept.values(), first):
                row["seq"] = seq
            if kept:
                connection.execute(events.insert(), list(kept.values()))
            live_seq = write.seq
        duplicates = len(batch) - len(kept) - refused
        return Appended(len(kept), duplicates, refused, ids, live_seq)

    def retract(self, event_id: str) -> int:
        """Forget an event as if it had never come; its id stays refused. Return the sequence.

        Raises:
            Problem: 404 if there is no event of that id; 503 if the store is busy.
        """
        name = event_hash(event_id)
        with self._database.writing() as write:
            gone = _found(write.connection, retracted.c.event_hash, [name])
            if gone:
                return write.seq
            removed = write.connection.execute(
                events.delete().where(events.c.event_id == event_id)
            ).rowcount
            if not removed:
                raise Problem(
                    HTTPStatus.NOT_FOUND, f"no event {event_id[:100]!r}; nothing was retracted"
                )
            seq = write.take()
            write.connection.execute(retracted.insert().values(event_hash=name, seq=seq))
            write.events_removed()
            return seq

    def state(
        self, connection: sa.Connection, user_id: str | None, session_id: str | None
    ) -> UserState:
        """Return what is known of a user and of the anonymous session before they signed in."""
        newest: list[Event] = []
        pairs: list[tuple[str, str | None]] = []
        for owner in _owned(user_id, session_id):
            part = recent(connection, owner, MAX_RECENT)
            newest += part
            if len(part) >= MAX_RECENT:  # then there is more than what was read
                pairs += _met(connection, owner)
        state = fold(newest, self._interests(connection, user_id))
        if not pairs:
            return state
        return replace(state, met=met_by([*pairs, *((e.event, e.item_id) for e in newest)]))

    def _interests(self, connection: sa.Connection, user_id: str | None) -> list[str]:
        if user_id is None:
            return []
        found = connection.execute(
            sa.select(users.c.interests).where(users.c.user_id == user_id)
        ).scalar()
        return list(orjson.loads(found)) if found else []

    def _owners(
        self, connection: sa.Connection, batch: Sequence[Event]
    ) -> dict[tuple[str, float], str | None]:
        """Where events belong that do not belong to who sent them; None: to nobody any more."""
        names = {event.owner for event in batch}
        into: dict[str, list[tuple[float, str]]] = {}
        for chunk in _chunks(names):
            query = sa.select(merges).where(merges.c.from_id.in_(chunk))
            for found in connection.execute(query.order_by(merges.c.merged_at)):
                into.setdefault(found.from_id, []).append((found.merged_at, found.into_id))
        until = self._erased_at(connection, names)
        owners: dict[tuple[str, float], str | None] = {}
        for event in batch if into or until else ():
            if event.at <= until.get(event.owner, float("-inf")):
                owners[event.owner, event.at] = None
                continue
            for merged_at, owner in into.get(event.owner, ()):
                if event.at <= merged_at:
                    owners[event.owner, event.at] = owner
                    break
        return owners

    def _erased_at(self, connection: sa.Connection, names: Iterable[str]) -> dict[str, float]:
        hashes = {self._hashes.of(name): name for name in names}
        found: dict[str, float] = {}
        for chunk in _chunks(hashes):
            query = sa.select(erased).where(erased.c.user_hash.in_(chunk))
            for row in connection.execute(query):
                found[hashes[row.user_hash]] = row.erased_at
        return found


def event_hash(event_id: str) -> bytes:
    """Return the hash under which a retracted id is remembered."""
    return hashlib.sha256(event_id.encode()).digest()


def of_owner(user_id: str | None, session_id: str | None) -> sa.ColumnElement[bool]:
    """Return the condition for a user's events, or for those of an anonymous session."""
    if user_id is not None:
        return events.c.user_id == user_id
    return sa.and_(events.c.user_id.is_(None), events.c.session_id == session_id)


def recent(
    connection: sa.Connection, owner: tuple[str | None, str | None], limit: int | None
) -> list[Event]:
    """Return the latest events of a user, or an anonymous session, newest first; no impressions."""
    query = (
        sa.select(events)
        .where(of_owner(*owner), events.c.event != IMPRESSION)
        .order_by(events.c.at.desc(), events.c.event_id.desc())
        .limit(limit)
    )
    return [event_of(row) for row in connection.execute(query).mappings()]


def event_of(row: sa.RowMapping) -> Event:
    """Return the event that a row of the log holds."""
    told = {name: row[name] for name in _STORED}
    return Event(**told, context=orjson.loads(row["context"]) if row["context"] else {})


_STORED = (
    "event_id", "user_id", "session_id", "item_id", "event", "value", "text", "at",
    "recommendation_id",
)  # fmt: skip


def _row(event: Event) -> dict[str, Any]:
    row = {name: getattr(event, name) for name in _STORED}
    context = orjson.dumps(dict(event.context)).decode() if event.context else None
    return {**row, "context": context}


def _owned(user_id: str | None, session_id: str | None) -> Iterator[tuple[str | None, str | None]]:
    if user_id is not None:
        yield user_id, None
    if session_id is not None:
        yield None, session_id


def _met(
    connection: sa.Connection, owner: tuple[str | None, str | None]
) -> list[tuple[str, str | None]]:
    """What happened to which item, in the complete log."""
    query = sa.select(events.c.event, events.c.item_id).where(of_owner(*owner)).distinct()
    return [(event, item_id) for event, item_id in connection.execute(query)]


def _found(connection: sa.Connection, column: sa.Column[_T], values: Iterable[_T]) -> list[_T]:
    """Those of some values that a column holds."""
    found: list[_T] = []
    for chunk in _chunks(values):
        found += connection.execute(sa.select(column).where(column.in_(chunk))).scalars()
    return found


def _chunks(values: Iterable[_T]) -> Iterator[Collection[_T]]:
    left = iter(values)
    while chunk := list(islice(left, _MAX_PARAMETERS)):
        yield chunk


def merge_events(write: Write, old: str, new: str) -> int:
    """Give a visitor's events, and those of an anonymous session of that name, to a user."""
    mine = sa.or_(of_owner(old, None), of_owner(None, old))
    return write.connection.execute(events.update().where(mine).values(user_id=new)).rowcount
