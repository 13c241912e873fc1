"""The tables of the live store, and the numbered migrations that lead to them.

The SQL works on SQLite and PostgreSQL. Times are Unix seconds; JSON is stored as text.
"""

from collections.abc import Callable

import sqlalchemy as sa

from service.settings import SettingsError

_MIGRATION_LOCK_ID = 0x5A486979  # PostgreSQL's advisory lock of the process that migrates

tables = sa.MetaData()
# With this type alone SQLite uses the column as its row id.
_SEQUENCE_TYPE = sa.BigInteger().with_variant(sa.Integer, "sqlite")

# Sorted by code points, as Python does; PostgreSQL's default order depends on the locale.
_ID_TYPE = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

# One row. `seq` counts all changes ever stored; `items_seq` and `removals_seq` are the numbers of
# the last change of an item and of the last change that removed events.
counter = sa.Table(
    "live_counter",
    tables,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("items_seq", sa.BigInteger, nullable=False),
    sa.Column("removals_seq", sa.BigInteger, nullable=False),
)

# The event log. An anonymous visitor has a session and no user.
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

# Ids of retracted events stay refused. An id may contain a person's name: it is kept as a keyed
# hash.
retractions = sa.Table(
    "live_refused",
    tables,
    sa.Column("event_hash", sa.LargeBinary, primary_key=True),
    sa.Column("seq", sa.BigInteger, nullable=False),
)

# The same from releases that used no key, SHA-256: whoever guessed an id could find it here. They
# are moved when a service starts with the store, and count until then; so do those of a backup that
# is put in its place while a service runs.
old_retractions = sa.Table(
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

# Merged users: events of `from_id` up to `merged_at` belong to `into_id`, however late they arrive.
merges = sa.Table(
    "live_merges",
    tables,
    sa.Column("from_id", _ID_TYPE, primary_key=True),
    sa.Column("merged_at", sa.Double, primary_key=True),
    sa.Column("into_id", _ID_TYPE, nullable=False, index=True),
)

# Erased users, as keyed hashes: rebuilds and late events leave out what these users did before.
erasures = sa.Table(
    "live_erased",
    tables,
    sa.Column("user_hash", sa.LargeBinary, primary_key=True),
    sa.Column("erased_at", sa.Double, nullable=False),
)

# Users whose erasure is under way: nobody sees their events up to `seq`, which are being removed.
erasing = sa.Table(
    "live_erasing",
    tables,
    sa.Column("user_id", _ID_TYPE, primary_key=True),
    sa.Column("seq", sa.BigInteger, nullable=False),
)

# At most one row: by which the secret is known that the hashes above are keyed with.
secret_check = sa.Table(
    "live_secret", tables, sa.Column("check_value", sa.LargeBinary, primary_key=True)
)

# Up to which sequence numbers rows were deleted whose bytes may still be in the files: from the
# transaction that deletes until the files were cleaned, whoever is killed between.
uncleaned = sa.Table(
    "live_uncleaned",
    tables,
    sa.Column("seq", _SEQUENCE_TYPE, primary_key=True, autoincrement=False),
)

# The last change of each item. `fields` is null if the item was deleted. `vector` is little-endian
# float16, from the encoder whose key is in `encoder`, or from the caller (then `encoder` is empty).
# Later builds leave out a change that is `dropped`; older snapshots still need it.
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

# Of which parts of the log events were removed, or given to another user by a merge, as blocks of
# `BLOCK_EVENTS` sequence numbers: sums over the log look there for what has changed.
# Nothing says whose events these were.
removals = sa.Table(
    "live_removals",
    tables,
    sa.Column("block", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("seq", sa.BigInteger, nullable=False, index=True),
)

version = sa.Table("live_version", sa.MetaData(), sa.Column("version", sa.Integer, nullable=False))


_LATER_TABLES = (removals, retractions, erasing, uncleaned, secret_check)


def _create_tables(connection: sa.Connection) -> None:
    first = [table for table in tables.sorted_tables if table not in _LATER_TABLES]
    tables.create_all(connection, tables=first)
    connection.execute(counter.insert().values(id=1, seq=0, items_seq=0, removals_seq=0))


def _create_removals(connection: sa.Connection) -> None:
    removals.create(connection)


def _create_keyed_retractions_and_erasing(connection: sa.Connection) -> None:
    retractions.create(connection)
    erasing.create(connection)


def _create_uncleaned_and_secret(connection: sa.Connection) -> None:
    secret_check.create(connection)
    uncleaned.create(connection)


# Migration n brings a store of version n to version n + 1. A released migration is never edited: a
# table that changes later gets a migration with its own SQL.
MIGRATIONS: tuple[Callable[[sa.Connection], None], ...] = (
    _create_tables,
    _create_removals,
    _create_keyed_retractions_and_erasing,
    _create_uncleaned_and_secret,
)


def migrate(connection: sa.Connection, safe_url: str) -> None:
    """Run the migrations that a store has not had yet.

    Args:
        connection: Writes.
        safe_url: How messages name the store.

    Raises:
        SettingsError: If the store is of a newer release.
    """
    if connection.dialect.name == "postgresql":  # else two processes create one table; one fails
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK_ID)))
    version.create(connection, checkfirst=True)
    row = connection.execute(sa.select(version.c.version)).scalar()
    before = row or 0
    if before > len(MIGRATIONS):
        raise SettingsError(
            f"the live store {safe_url} has version {before}, this release knows up to "
            f"{len(MIGRATIONS)}; install a newer release"
        )
    for step in MIGRATIONS[before:]:
        step(connection)
    if before < len(MIGRATIONS):
        change = version.insert() if row is None else version.update()
        connection.execute(change.values(version=len(MIGRATIONS)))
