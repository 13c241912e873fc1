"""The tables of the live store, and the numbered steps that bring an older store up to them.

The SQL is portable: SQLite and PostgreSQL. Times are Unix seconds; JSON is kept as text.
"""

from collections.abc import Callable

import sqlalchemy as sa

tables = sa.MetaData()
_SEQUENCE_TYPE = sa.BigInteger().with_variant(
    sa.Integer, "sqlite"
)  # only so is it SQLite's row number

# In order of code points, as Python sorts: PostgreSQL's default depends on the country.
_ID_TYPE = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

# One row. `seq` counts every change ever answered; the others say when that kind came last.
counter = sa.Table(
    "live_counter",
    tables,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("items_seq", sa.BigInteger, nullable=False),
    sa.Column("removals_seq", sa.BigInteger, nullable=False),
)

# The log. An anonymous visitor has a session and no user.
events = sa.Table(
    "live_events",
    tables,
    sa.Column("seq", _SEQUENCE_TYPE, primary_key=True, autoincrement=False),
    sa.Column("event_id", _ID_TYPE, nullable=False, unique=True),
    sa.Column("user_id", _ID_TYPE),
    sa.Column("session_id", _ID_TYPE),
    sa.Column("item_id", _ID_TYPE),
    sa.Column("event", sa.Text, nullable=False),
    sa.Column("value", sa.Double),
    sa.Column("text", sa.Text),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("context", sa.Text),
    sa.Column("recommendation_id", sa.Text),
)
sa.Index("live_events_user", events.c.user_id, events.c.at, events.c.event_id)
sa.Index(
    "live_events_session",
    events.c.session_id,
    events.c.at,
    events.c.event_id,
    sqlite_where=events.c.user_id.is_(None),
    postgresql_where=events.c.user_id.is_(None),
)

# Ids of retracted events stay refused; hashed, since an id may hold somebody's name.
retractions = sa.Table(
    "live_retracted",
    tables,
    sa.Column("event_hash", sa.LargeBinary, primary_key=True),
    sa.Column("seq", sa.BigInteger, nullable=False),
)

users = sa.Table(
    "live_users",
    tables,
    sa.Column("user_id", _ID_TYPE, primary_key=True),
    sa.Column("interests", sa.Text, nullable=False),
    sa.Column("attributes", sa.Text, nullable=False),
    sa.Column("updated_at", sa.Double, nullable=False),
)

# Who signed in: what `from_id` did up to `merged_at` belongs to `into_id`, however late it arrives.
merges = sa.Table(
    "live_merges",
    tables,
    sa.Column("from_id", _ID_TYPE, primary_key=True),
    sa.Column("merged_at", sa.Double, primary_key=True),
    sa.Column("into_id", _ID_TYPE, nullable=False, index=True),
)

# Who was erased: a keyed hash, so that rebuilds and late events honour it.
erasures = sa.Table(
    "live_erased",
    tables,
    sa.Column("user_hash", sa.LargeBinary, primary_key=True),
    sa.Column("erased_at", sa.Double, nullable=False),
)

# The last change of each item. `fields` is null where it was deleted. `vector` is float16 as the
# encoder gave it (`encoder` is its fingerprint) or as the caller did (then `encoder` is empty).
# Once a build has dropped a change, later builds leave it out; older snapshots still need it.
items = sa.Table(
    "live_items",
    tables,
    sa.Column("item_id", _ID_TYPE, primary_key=True),
    sa.Column("seq", sa.BigInteger, nullable=False, unique=True),
    sa.Column("fields", sa.Text),
    sa.Column("vector", sa.LargeBinary),
    sa.Column("encoder", sa.Text),
    sa.Column("changed_at", sa.Double, nullable=False),
    sa.Column("dropped", sa.Boolean, nullable=False),
)

version = sa.Table("live_version", sa.MetaData(), sa.Column("version", sa.Integer, nullable=False))


def _create_tables(connection: sa.Connection) -> None:
    tables.create_all(connection)
    connection.execute(counter.insert().values(id=1, seq=0, items_seq=0, removals_seq=0))


# Step n brings a store of version n to version n + 1. A released step is never edited: a table
# that changes later gets a step with its own SQL.
MIGRATIONS: tuple[Callable[[sa.Connection], None], ...] = (_create_tables,)
