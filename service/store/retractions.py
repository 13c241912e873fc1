"""Ids of retracted events to keyed hashes that stay, and ids to whether they are among these."""

import hashlib
import logging
from collections.abc import Collection, Sequence

import sqlalchemy as sa

from service.edge import Problem
from service.store.database import LiveDatabase
from service.store.file_cleaning import FileCleaner, note_uncleaned
from service.store.ownership import UserHasher
from service.store.parameters import may_hold_rows, split_parameters
from service.store.schema import old_retractions, retractions
from service.store.store_secret import claim_secret

_log = logging.getLogger(__name__)


class RetractedIds:
    """The retracted ids of a store, as hashes; a hash of an earlier release has no key.

    Args:
        hashes: As they are stored.
        hasher: Has the key.
    """

    def __init__(self, hashes: Collection[bytes], hasher: UserHasher) -> None:
        self.hashes = frozenset(hashes)
        self._hasher = hasher

    def __contains__(self, event_id: object) -> bool:
        if not self.hashes or not isinstance(event_id, str):
            return False
        unkeyed = hash_without_key(event_id)
        return unkeyed in self.hashes or self._hasher.key_event_hash(unkeyed) in self.hashes


def load_retracted_ids(connection: sa.Connection, hasher: UserHasher) -> RetractedIds:
    """Return the ids of all retracted events."""
    hashes: set[bytes] = set()
    for table in (retractions, old_retractions):
        hashes.update(connection.execute(sa.select(table.c.event_hash)).scalars())
    return RetractedIds(hashes, hasher)


def find_retracted_ids(
    connection: sa.Connection, hasher: UserHasher, event_ids: Sequence[str]
) -> RetractedIds:
    """Return those of some event ids that were retracted."""
    tables = [
        table
        for table in (retractions, old_retractions)
        if may_hold_rows(connection, table, count=len(event_ids))
    ]
    hashes: set[bytes] = set()
    for chunk in split_parameters(map(hash_without_key, event_ids) if tables else ()):
        keyed = list(map(hasher.key_event_hash, chunk))
        queries = [
            sa.select(table.c.event_hash).where(
                table.c.event_hash.in_(keyed if table is retractions else chunk)
            )
            for table in tables
        ]
        hashes.update(connection.execute(sa.union_all(*queries)).scalars())
    return RetractedIds(hashes, hasher)


def refuse_event_id(
    connection: sa.Connection, hasher: UserHasher, event_id: str, *, seq: int
) -> None:
    """Let no event of this id come again.

    Raises:
        Problem: 409 if the store has hashes under another secret.
    """
    claim_secret(connection, hasher)
    event_hash = hasher.key_event_hash(hash_without_key(event_id))
    connection.execute(retractions.insert().values(event_hash=event_hash, seq=seq))


def key_old_retractions(database: LiveDatabase, hasher: UserHasher) -> None:
    """Put keyed hashes in place of those that earlier releases stored without a key.

    If the store is busy or of another secret, or its files cannot be cleaned, it is logged: they
    count as they are.
    """
    any_row = sa.select(sa.literal(1)).select_from(old_retractions).limit(1)
    try:
        with database.begin_read() as connection:
            if connection.execute(any_row).first() is None:
                return
        FileCleaner(database).clean(_move_old_retractions(database, hasher))
    except Problem as problem:
        _log.warning("hashes of retracted ids without a key are still there: %s", problem.detail)


def _move_old_retractions(database: LiveDatabase, hasher: UserHasher) -> int:
    """Key all hashes that have no key; return the sequence number afterwards."""
    with database.begin_write() as transaction:
        claim_secret(transaction.connection, hasher)
        found = transaction.connection.execute(
            sa.select(old_retractions.c.event_hash, old_retractions.c.seq)
        )
        rows = [{"event_hash": hasher.key_event_hash(old), "seq": seq} for old, seq in found]
        if rows:
            transaction.connection.execute(retractions.insert(), rows)
            transaction.connection.execute(old_retractions.delete())
        seq = transaction.reserve()
        note_uncleaned(transaction)
        return seq


def hash_without_key(event_id: str) -> bytes:
    """Return the SHA-256 hash of an id: what earlier releases stored, and what is hashed again."""
    return hashlib.sha256(event_id.encode()).digest()
