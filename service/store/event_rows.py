"""Events to rows of the log and back, and the queries by owner.

An owner is a pair `(user_id, session_id)`: a user, or an anonymous session if `user_id` is None.
"""

from collections.abc import Iterable, Iterator, Sequence, Set
from typing import Any, NamedTuple, TypeVar

import orjson
import sqlalchemy as sa

from service.store.events import IMPRESSION, Event
from service.store.hidden_events import is_visible, is_visible_of
from service.store.parameters import split_parameters
from service.store.schema import erasing, events
from service.store.sequence_reader import BoundQuery, Owner
from service.store.write_transaction import WriteTransaction

_T = TypeVar("_T")
_EVENT_COLUMNS = (
    "event_id", "user_id", "session_id", "item_id", "event", "value", "text", "at",
    "context", "recommendation_id",
)  # fmt: skip
# What `to_event` takes, in the order of the attributes of an event.
EVENT_COLUMNS = tuple(events.c[name] for name in _EVENT_COLUMNS)
_CONTEXT_POSITION = _EVENT_COLUMNS.index("context")


def to_row(event: Event) -> dict[str, Any]:
    """Return the columns of an event, without its sequence number."""
    row = {name: getattr(event, name) for name in _EVENT_COLUMNS}
    context = orjson.dumps(dict(event.context)).decode() if event.context else None
    return {**row, "context": context}


def to_event(row: Sequence[Any]) -> Event:
    """Return the event that a row of `EVENT_COLUMNS` holds."""
    values = list(row)
    context = values[_CONTEXT_POSITION]
    values[_CONTEXT_POSITION] = orjson.loads(context) if context else {}
    return Event(*values)


def list_owners(user_id: str | None, session_id: str | None) -> Iterator[Owner]:
    """Yield the owners whose events a request counts: the user, then the anonymous session."""
    if user_id is not None:
        yield user_id, None
    if session_id is not None:
        yield None, session_id


def match_owner(user_id: str | None, session_id: str | None) -> sa.ColumnElement[bool]:
    """Return the condition for the events of an owner that are not being erased."""
    if user_id is not None:
        return sa.and_(events.c.user_id == user_id, is_visible_of(user_id))
    is_of_session = sa.and_(events.c.user_id.is_(None), events.c.session_id == session_id)
    return sa.and_(is_of_session, is_visible_of(session_id))


def _select_recent(is_owner: sa.ColumnElement[bool]) -> sa.Select[Any]:
    return (
        sa.select(*EVENT_COLUMNS)
        .where(is_owner, events.c.event != sa.literal_column(f"'{IMPRESSION}'"))
        .order_by(events.c.at.desc(), events.c.event_id.desc())
        .limit(sa.bindparam("limit", type_=sa.Integer))
    )


def _select_any(is_owner: sa.ColumnElement[bool]) -> sa.Select[Any]:
    return sa.select(_ONE).select_from(events).where(is_owner).limit(_ONE)


def _select_pairs(is_owner: sa.ColumnElement[bool]) -> sa.Select[Any]:
    return sa.select(events.c.event, events.c.item_id).where(is_owner)


def _select_part(is_owner: sa.ColumnElement[bool]) -> sa.Select[Any]:
    place = sa.tuple_(events.c.at, events.c.event_id)
    after = sa.tuple_(
        sa.bindparam("after_at", type_=sa.Double), sa.bindparam("after_id", type_=sa.Text)
    )
    seq = events.c.seq + sa.literal_column("0")  # so that the index of the owner is read
    return (
        sa.select(events.c.event, events.c.item_id, events.c.at, events.c.event_id)
        .where(is_owner, place > after, seq <= _LAST)
        .order_by(events.c.at, events.c.event_id)
        .limit(sa.bindparam("limit", type_=sa.Integer))
    )


def _select_new(*, of_user: bool) -> sa.Select[Any]:
    # Expressions, so that the range of sequence numbers is read, and no index.
    owner = sa.func.coalesce(events.c.user_id, events.c.session_id)
    is_user = sa.case((events.c.user_id.is_(None), 0), else_=1)
    return sa.select(events.c.event, events.c.item_id).where(
        events.c.seq > sa.bindparam("after", type_=sa.BigInteger),
        events.c.seq <= _LAST,
        owner == _OWNER,
        is_user == sa.literal_column(str(int(of_user))),
    )


def _select_beyond(is_owner: sa.ColumnElement[bool]) -> sa.Select[Any]:
    count = sa.bindparam("count", type_=sa.Integer)
    return sa.select(_ONE).select_from(events).where(is_owner).limit(_ONE).offset(count)


_ONE: Any = sa.literal_column("1")
_ANY_ERASING = sa.select(_ONE).select_from(erasing).limit(_ONE)
_IS_LISTED = events.c.event_id.in_(
    sa.select(sa.column("value")).select_from(sa.func.json_each(sa.bindparam("event_ids")))
)
_KNOWN_IDS = sa.select(events.c.event_id).where(_IS_LISTED)
_MEANINGS = sa.select(
    events.c.event_id, events.c.seq, events.c.event, events.c.value, events.c.item_id, events.c.at
).where(is_visible())
_LISTED_MEANINGS = _MEANINGS.where(_IS_LISTED)
# Of an anonymous session and of a user.
_OWNER: Any = sa.bindparam("owner", type_=sa.Text)
_LAST: Any = sa.bindparam("last", type_=sa.BigInteger)
_IS_OWNER = match_owner(None, _OWNER), match_owner(_OWNER, None)
_RECENT = [_select_recent(condition) for condition in _IS_OWNER]
_PAIRS = [_select_pairs(condition) for condition in _IS_OWNER]
_PARTS = [_select_part(condition) for condition in _IS_OWNER]
_NEW_PAIRS = [_select_new(of_user=of_user) for of_user in (False, True)]
_ANY = [_select_any(condition) for condition in _IS_OWNER]
_BEYOND = [_select_beyond(condition) for condition in _IS_OWNER]


def select_recent_events(owner: Owner, limit: int | None) -> BoundQuery:
    """Return the query of the latest events of an owner, newest first, without impressions."""
    return _RECENT[owner[0] is not None], {**_to_parameters(owner), "limit": limit}


def load_recent_events(connection: sa.Connection, owner: Owner, limit: int | None) -> list[Event]:
    """Return the latest events of an owner, newest first, without impressions."""
    return [to_event(row) for row in connection.execute(*select_recent_events(owner, limit))]


def select_item_pairs(owner: Owner) -> BoundQuery:
    """Return the query of the pairs (event, item id) in the complete log of an owner.

    They come again and again: the database would take longer to find that out.
    """
    return _PAIRS[owner[0] is not None], _to_parameters(owner)


def select_pairs_until(owner: Owner, last: int) -> BoundQuery:
    """Return the query of those pairs up to a sequence number, for `SequenceReader.scan_until`."""
    return _PARTS[owner[0] is not None], {**_to_parameters(owner), "last": last}


def select_new_pairs(owner: Owner, after: int, last: int) -> BoundQuery:
    """Return the query of the pairs of an owner with sequence numbers in `(after, last]`.

    None of these events may have been hidden. It takes as long as there are numbers.
    """
    return _NEW_PAIRS[owner[0] is not None], {
        **_to_parameters(owner),
        "after": after,
        "last": last,
    }


def select_beyond(owner: Owner, count: int) -> BoundQuery:
    """Return the query that has a row if an owner has more than `count` events."""
    return _BEYOND[owner[0] is not None], {**_to_parameters(owner), "count": count}


def select_any_event(owner: Owner) -> BoundQuery:
    """Return the query that has a row if an owner has an event, impressions among them."""
    return _ANY[owner[0] is not None], _to_parameters(owner)


def _to_parameters(owner: Owner) -> dict[str, Any]:
    user_id, session_id = owner
    return {"owner": session_id if user_id is None else user_id}


def select_existing(
    connection: sa.Connection, column: sa.Column[_T], values: Iterable[_T]
) -> list[_T]:
    """Return those of some values that a column holds."""
    existing: list[_T] = []
    for chunk in split_parameters(values):
        existing += connection.execute(sa.select(column).where(column.in_(chunk))).scalars()
    return existing


def select_known_ids(connection: sa.Connection, event_ids: Sequence[str]) -> set[str]:
    """Return those of some event ids that the log holds."""
    if connection.dialect.name != "sqlite":
        return set(select_existing(connection, events.c.event_id, event_ids))
    # One statement with one parameter, however many ids.
    listed = {"event_ids": orjson.dumps(event_ids).decode()}
    return set(connection.execute(_KNOWN_IDS, listed).scalars())


def remove_hidden_events(connection: sa.Connection, event_ids: Set[str]) -> set[str]:
    """Remove those of some events that are being erased; return their ids, which are free now."""
    if not event_ids or connection.execute(_ANY_ERASING).first() is None:
        return set()
    hidden: set[str] = set()
    for chunk in split_parameters(event_ids):
        is_meant = sa.and_(events.c.event_id.in_(chunk), ~is_visible())
        hidden.update(connection.execute(sa.select(events.c.event_id).where(is_meant)).scalars())
    for chunk in split_parameters(hidden):
        connection.execute(events.delete().where(events.c.event_id.in_(chunk)))
    return hidden


class EventMeaning(NamedTuple):
    """What an event of the log says, which another reading of its source may change."""

    seq: int
    event: str
    value: float | None
    item_id: str | None
    at: float


def describe_meaning(event: Event, known: EventMeaning) -> EventMeaning:
    """Return what an event would say with the place of a known one, and its time if it has none."""
    at = known.at if event.is_undated else event.at
    return EventMeaning(known.seq, event.event, event.value, event.item_id, at)


def select_meanings(connection: sa.Connection, event_ids: Sequence[str]) -> dict[str, EventMeaning]:
    """Return what those of some ids say that the log holds."""
    if connection.dialect.name == "sqlite":
        listed = {"event_ids": orjson.dumps(event_ids).decode()}
        rows = list(connection.execute(_LISTED_MEANINGS, listed))
    else:
        rows = []
        for chunk in split_parameters(event_ids):
            rows += connection.execute(_MEANINGS.where(events.c.event_id.in_(chunk)))
    return {event_id: EventMeaning(*said) for event_id, *said in rows}


def merge_events(transaction: WriteTransaction, source_id: str, target_id: str) -> list[int]:
    """Give the events of a user, and of the anonymous session of that name, to another user.

    Returns:
        The sequence numbers of the events that were moved.
    """
    owned_rows = sa.or_(match_owner(source_id, None), match_owner(None, source_id))
    connection = transaction.connection
    seqs = list(connection.execute(sa.select(events.c.seq).where(owned_rows)).scalars())
    connection.execute(events.update().where(owned_rows).values(user_id=target_id))
    return seqs
