"""A user to nobody: gone for everybody at once, then removed from the log a slice at a time.

The first transaction records the erasure, removes the profile, and hides the events that are there,
see `service.store.hidden_events`. Others write between the slices that follow. What the user does
after the first transaction is of somebody new, and stays. A process that is killed half-way leaves
the user hidden, and the next service removes the rest. The transaction that removes the last row
notes that the files are to be cleaned.
"""

import logging
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import sqlalchemy as sa

from service.store.database import LiveDatabase
from service.store.decayed_sums import BLOCK_EVENTS
from service.store.event_rows import match_owner
from service.store.file_cleaning import note_uncleaned
from service.store.ownership import UserHasher
from service.store.schema import erasing, erasures, events, merges, users
from service.store.store_secret import claim_secret
from service.store.write_transaction import WriteTransaction

_SLICE_S = 0.02  # after which a transaction removes no more
_SLICE_ROWS = 64  # removed between two looks at the clock
_FEW_BLOCKS = 64  # in which a user has events who is removed by the first transaction
_PAUSE_S = 0.008  # between two transactions, in which others write

_BLOCK = events.c.seq // BLOCK_EVENTS
_OWNER: Any = sa.bindparam("owner", type_=sa.Text)
_LAST_SEQ: Any = sa.bindparam("last_seq", type_=sa.BigInteger)

_log = logging.getLogger(__name__)


class _Blocks(NamedTuple):
    """In which blocks a user has events, as of some sequence numbers of the store."""

    numbers: frozenset[int]
    seq: int
    removals: tuple[int, int]


class UserEraser:
    """Removes users from a live store.

    Args:
        database: The live store.
        user_hasher: Hashes the ids of erased users.
        clock: Returns the time, Unix seconds.
    """

    def __init__(
        self, database: LiveDatabase, user_hasher: UserHasher, clock: Callable[[], float]
    ) -> None:
        self._database = database
        self._user_hasher = user_hasher
        self._clock = clock

    def erase(self, user_id: str) -> tuple[int, int]:
        """Remove the rows of a user, or of an anonymous session.

        Returns:
            The number of events that were removed, and the sequence number afterwards.

        Raises:
            Problem: 409 if the store has hashes under another secret, then nothing was done; 503 if
                others write for too long, or the store is gone. If anything was done,
                the user is hidden, and repeating the call removes the rest.
        """
        blocks = self._load_blocks(user_id)
        with self._database.begin_write() as transaction:
            self._record_erasure(transaction, user_id)
            last_seq = transaction.reserve()
            marked = _complete_blocks(transaction, user_id, blocks)
            transaction.mark_blocks_changed(marked)
            removed, is_complete = 0, False
            if len(marked) <= _FEW_BLOCKS:  # else it has taken long enough already
                removed, is_complete = _remove_slice(transaction.connection, user_id, last_seq)
            transaction.connection.execute(erasing.delete().where(erasing.c.user_id == user_id))
            if is_complete:
                note_uncleaned(transaction)
            else:
                transaction.connection.execute(
                    erasing.insert().values(user_id=user_id, seq=last_seq)
                )
        if is_complete:
            return removed, last_seq
        more, seq = self._remove_hidden(user_id, last_seq)
        return removed + more, seq

    def finish(self) -> None:
        """Remove the rows that erasures which were interrupted have left."""
        with self._database.begin_read() as connection:
            left = connection.execute(sa.select(erasing.c.user_id, erasing.c.seq)).all()
        for user_id, last_seq in left:
            removed, _ = self._remove_hidden(user_id, last_seq)
            _log.warning("an erasure that was interrupted is complete: %d events", removed)

    def _remove_hidden(self, user_id: str, seq: int) -> tuple[int, int]:
        """Remove the hidden events of a user; return how many, and the sequence number then.

        Another process may remove them too, and end first: each transaction looks whether the
        erasure is still under way, and up to where, for what comes after it is of somebody new.

        Args:
            user_id: The user.
            seq: The sequence number that is returned if nothing is left to do.
        """
        under_way = sa.select(erasing.c.seq).where(erasing.c.user_id == user_id)
        count, is_complete = 0, False
        while not is_complete:
            time.sleep(_PAUSE_S)  # so that who waits for the write lock gets it
            with self._database.begin_write() as transaction:
                last_seq = transaction.connection.execute(under_way).scalar()
                if last_seq is None:
                    return count, max(seq, transaction.seq)
                removed, is_complete = _remove_slice(transaction.connection, user_id, last_seq)
                if is_complete:
                    transaction.connection.execute(
                        erasing.delete().where(erasing.c.user_id == user_id)
                    )
                    transaction.reserve()  # files are clean only if they were cleaned after this
                    note_uncleaned(transaction)
                seq = transaction.seq
            count += removed
        return count, seq

    def _load_blocks(self, user_id: str) -> _Blocks:
        """Return the blocks in which a user has events, without keeping anybody from writing."""
        with self._database.begin_read() as connection:
            numbers = _select_blocks(connection, user_id)
            reached = self._database.read_sequence(connection)
        return _Blocks(numbers, reached.seq, reached.removals)

    def _record_erasure(self, transaction: WriteTransaction, user_id: str) -> None:
        """Remove the profile and merges of a user, and note the erasure under hashes of all ids."""
        connection = transaction.connection
        claim_secret(connection, self._user_hasher)
        connection.execute(users.delete().where(users.c.user_id == user_id))
        merged_ids = sa.select(merges.c.from_id).where(merges.c.into_id == user_id)
        all_ids = {user_id, *connection.execute(merged_ids).scalars()}
        merges_of_user = sa.or_(merges.c.from_id == user_id, merges.c.into_id == user_id)
        connection.execute(merges.delete().where(merges_of_user))
        now = self._clock()
        for user_hash in map(self._user_hasher.hash_user_id, all_ids):
            connection.execute(erasures.delete().where(erasures.c.user_hash == user_hash))
            connection.execute(erasures.insert().values(user_hash=user_hash, erased_at=now))


def _select_blocks(connection: sa.Connection, user_id: str) -> frozenset[int]:
    """Return the blocks of the events of a user, and of the anonymous session of that name."""
    conditions = match_owner(user_id, None), match_owner(None, user_id)
    queries = [sa.select(_BLOCK).where(condition).distinct() for condition in conditions]
    return frozenset().union(*(connection.execute(query).scalars() for query in queries))


def _complete_blocks(transaction: WriteTransaction, user_id: str, known: _Blocks) -> frozenset[int]:
    """Return the blocks of a user as they are now; few events came since they were loaded."""
    if transaction.before.removals != known.removals:  # a merge may have brought old events
        return _select_blocks(transaction.connection, user_id)
    owner = sa.func.coalesce(
        events.c.user_id, events.c.session_id
    )  # so that no index of it is read
    query = sa.select(_BLOCK).where(events.c.seq > known.seq, owner == user_id).distinct()
    return known.numbers.union(transaction.connection.execute(query).scalars())


def _build_removal(*, of_session: bool) -> sa.Delete:
    """Return the statement that removes the next few events up to `_LAST_SEQ` of an owner."""
    rows = events.alias()
    is_owned = rows.c.user_id == _OWNER
    if of_session:
        is_owned = sa.and_(rows.c.user_id.is_(None), rows.c.session_id == _OWNER)
    seq = rows.c.seq + sa.literal_column("0")  # see `is_visible_of`
    chosen = sa.select(rows.c.seq).where(is_owned, seq <= _LAST_SEQ)
    chosen = chosen.order_by(rows.c.at, rows.c.event_id).limit(_SLICE_ROWS)
    return events.delete().where(events.c.seq.in_(chosen))


_REMOVALS = _build_removal(of_session=False), _build_removal(of_session=True)


def _remove_slice(connection: sa.Connection, user_id: str, last_seq: int) -> tuple[int, bool]:
    """Remove events of a user for a while; return how many, and whether none is left."""
    parameters = {"owner": user_id, "last_seq": last_seq}
    count, give_way_at = 0, time.monotonic() + _SLICE_S
    for statement in _REMOVALS:
        removed = _SLICE_ROWS
        while removed == _SLICE_ROWS:
            if count and time.monotonic() > give_way_at:
                return count, False
            removed = connection.execute(statement, parameters).rowcount
            count += removed
    return count, True
