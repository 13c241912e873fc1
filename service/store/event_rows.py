"""Events to rows of the log and back, and the queries by owner.

An owner is a pair `(user_id, session_id)`: a user, or an anonymous session if `user_id` is None.
"""

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import orjson
import sqlalchemy as sa

from service.store.database import split_parameters
from service.store.events import IMPRESSION, Event
from service.store.schema import events
from service.store.sequence_reader import Owner
from service.store.write_transaction import WriteTransaction

_T = TypeVar("_T")
_EVENT_COLUMNS = (
    "event_id", "user_id", "session_id", "item_id", "event", "value", "text", "at",
    "recommendation_id",
)  # fmt: skip


def to_row(event: Event) -> dict[str, Any]:
    """Return the columns of an event, without its sequence number."""
    row = {name: getattr(event, name) for name in _EVENT_COLUMNS}
    context = orjson.dumps(dict(event.context)).decode() if event.context else None
    return {**row, "context": context}


def to_event(row: sa.RowMapping) -> Event:
    """Return the event that a row of the log holds."""
    columns = {name: row[name] for name in _EVENT_COLUMNS}
    return Event(**columns, context=orjson.loads(row["context"]) if row["context"] else {})


def list_owners(user_id: str | None, session_id: str | None) -> Iterator[Owner]:
    """Yield the owners whose events a request counts: the user, then the anonymous session."""
    if user_id is not None:
        yield user_id, None
    if session_id is not None:
        yield None, session_id


def match_owner(user_id: str | None, session_id: str | None) -> sa.ColumnElement[bool]:
    """Return the condition for the events of an owner."""
    if user_id is not None:
        return events.c.user_id == user_id
    return sa.and_(events.c.user_id.is_(None), events.c.session_id == session_id)


def load_recent_events(connection: sa.Connection, owner: Owner, limit: int | None) -> list[Event]:
    """Return the latest events of an owner, newest first, without impressions."""
    query = (
        sa.select(events)
        .where(match_owner(*owner), events.c.event != IMPRESSION)
        .order_by(events.c.at.desc(), events.c.event_id.desc())
        .limit(limit)
    )
    return [to_event(row) for row in connection.execute(query).mappings()]


def load_item_pairs(connection: sa.Connection, owner: Owner) -> list[tuple[str, str | None]]:
    """Return the distinct pairs (event, item id) in the complete log of an owner."""
    query = sa.select(events.c.event, events.c.item_id).where(match_owner(*owner)).distinct()
    return [(event, item_id) for event, item_id in connection.execute(query)]


def select_existing(
    connection: sa.Connection, column: sa.Column[_T], values: Iterable[_T]
) -> list[_T]:
    """Return those of some values that a column holds."""
    existing: list[_T] = []
    for chunk in split_parameters(values):
        existing += connection.execute(sa.select(column).where(column.in_(chunk))).scalars()
    return existing


def merge_events(transaction: WriteTransaction, source_id: str, target_id: str) -> int:
    """Give the events of a user, and of the anonymous session of that name, to another user.

    Returns:
        The number of events that were moved.
    """
    owned_rows = sa.or_(match_owner(source_id, None), match_owner(None, source_id))
    return transaction.connection.execute(
        events.update().where(owned_rows).values(user_id=target_id)
    ).rowcount
