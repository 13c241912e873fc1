"""Erasures under way to the conditions that hide the events which are still to be removed.

Every query of the log has one of them: a user who is erased is gone for everybody at once, however
long it takes to remove their rows.
"""

from typing import Any

import sqlalchemy as sa

from service.store.schema import erasing, events


def is_visible() -> sa.ColumnElement[bool]:
    """Return the condition for events, of whomever, that are not being erased."""
    owner = sa.func.coalesce(events.c.user_id, events.c.session_id)
    is_hidden = sa.and_(erasing.c.user_id == owner, events.c.seq <= erasing.c.seq)
    return ~sa.select(sa.literal_column("1")).where(is_hidden).exists()


def is_visible_of(owner: Any) -> sa.ColumnElement[bool]:
    """Return the same for the events of one user, or anonymous session; asked once for all."""
    last_hidden = sa.select(erasing.c.seq).where(erasing.c.user_id == owner).scalar_subquery()
    # The sum keeps SQLite from choosing the order of sequence numbers over an index of owners.
    return events.c.seq + sa.literal_column("0") > sa.func.coalesce(
        last_hidden, sa.literal_column("0")
    )
