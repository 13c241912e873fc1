"""Users in the live store: their profiles stored and read, users merged, users erased."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa

from indexer.errors import RequestError
from service.store.database import LiveDatabase
from service.store.event_rows import match_owner, merge_events
from service.store.file_cleaning import FileCleaner
from service.store.ownership import UserHasher
from service.store.schema import erasures, events, merges, users
from service.store.write_transaction import WriteTransaction


@dataclass(frozen=True, slots=True)
class UserProfile:
    """The stored interests and attributes of a user."""

    interests: tuple[str, ...] = ()
    attributes: Mapping[str, Any] | None = None


class UserStore:
    """The users of the live store.

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
        self._cleaner = FileCleaner(database)

    def put(self, user_id: str, profile: UserProfile) -> int:
        """Store a profile in place of an earlier one; return the sequence number afterwards."""
        with self._database.begin_write() as transaction:
            _write_profile(transaction, user_id, profile, self._clock())
            return transaction.reserve()

    def load_profile(self, connection: sa.Connection, user_id: str) -> UserProfile | None:
        """Return the profile of a user, or None if none is stored."""
        return _load_profile(connection, user_id)

    def merge(self, source_id: str, target_id: str) -> tuple[int, int]:
        """Give the events and the profile of one user to another.

        Events of `source_id` from before now that arrive later will belong to `target_id` too.

        Returns:
            The number of events that moved, and the sequence number afterwards.

        Raises:
            RequestError: If both ids are the same.
        """
        if source_id == target_id:
            raise RequestError(
                f"from and into are both {target_id[:60]!r}; a user cannot join themself"
            )
        now = self._clock()
        with self._database.begin_write() as transaction:
            moved = merge_events(transaction, source_id, target_id)
            update_targets = merges.update().where(merges.c.into_id == source_id)
            transaction.connection.execute(update_targets.values(into_id=target_id))
            row = {"from_id": source_id, "merged_at": now, "into_id": target_id}
            same = sa.and_(merges.c.from_id == source_id, merges.c.merged_at == now)
            transaction.connection.execute(merges.delete().where(same))
            transaction.connection.execute(merges.insert().values(row))
            # An earlier merge of target into source has now become one of target into itself.
            transaction.connection.execute(
                merges.delete().where(merges.c.from_id == merges.c.into_id)
            )
            _merge_profiles(transaction, (source_id, target_id), now)
            return moved, transaction.reserve()

    def erase(self, user_id: str) -> tuple[int, int]:
        """Remove everything of a user, or of an anonymous session; a keyed hash of the id stays.

        With SQLite nothing of the user is in any file of the store afterwards.

        Returns:
            The number of events that were removed, and the sequence number afterwards.

        Raises:
            Problem: 503 if a long read keeps old pages of the files alive. The user is erased by
                then, and repeating the call cleans the files.
        """
        erased_count, seq = self.erase_rows(user_id)
        self.clean_files(seq)
        return erased_count, seq

    def erase_rows(self, user_id: str) -> tuple[int, int]:
        """Remove the rows of a user, see `erase`; `clean_files` must follow."""
        with self._database.begin_write() as transaction:
            connection = transaction.connection
            owned_rows = sa.or_(match_owner(user_id, None), match_owner(None, user_id))
            seqs = connection.execute(sa.select(events.c.seq).where(owned_rows)).scalars().all()
            connection.execute(events.delete().where(owned_rows))
            connection.execute(users.delete().where(users.c.user_id == user_id))
            merged_ids = sa.select(merges.c.from_id).where(merges.c.into_id == user_id)
            all_ids = {user_id, *connection.execute(merged_ids).scalars()}
            merges_of_user = sa.or_(merges.c.from_id == user_id, merges.c.into_id == user_id)
            connection.execute(merges.delete().where(merges_of_user))
            self._record_erasure(connection, all_ids)
            seq = transaction.reserve()
            transaction.mark_events_removed(seqs)
        return len(seqs), seq

    def clean_files(self, seq: int) -> None:
        """Remove what was erased up to a sequence number from the bytes of the files.

        It takes longer than a write, and holds others up for some hundredths of a second at a
        time only.

        Raises:
            Problem: 503, see `erase`.
        """
        self._cleaner.clean(seq)

    def _record_erasure(self, connection: sa.Connection, user_ids: Iterable[str]) -> None:
        now = self._clock()
        for user_hash in map(self._user_hasher.hash_user_id, user_ids):
            connection.execute(erasures.delete().where(erasures.c.user_hash == user_hash))
            connection.execute(erasures.insert().values(user_hash=user_hash, erased_at=now))


def _write_profile(
    transaction: WriteTransaction, user_id: str, profile: UserProfile, now: float
) -> None:
    transaction.connection.execute(users.delete().where(users.c.user_id == user_id))
    transaction.connection.execute(
        users.insert().values(
            user_id=user_id,
            interests=orjson.dumps(profile.interests).decode(),
            attributes=orjson.dumps(profile.attributes or {}).decode(),
            updated_at=now,
        )
    )


def _load_profile(connection: sa.Connection, user_id: str) -> UserProfile | None:
    user_row = connection.execute(sa.select(users).where(users.c.user_id == user_id)).first()
    if user_row is None:
        return None
    return UserProfile(tuple(orjson.loads(user_row.interests)), orjson.loads(user_row.attributes))


def _merge_profiles(transaction: WriteTransaction, pair: tuple[str, str], now: float) -> None:
    """Give the profile of the first user to the second, who keeps attributes that both have."""
    source_id, target_id = pair
    source_profile = _load_profile(transaction.connection, source_id)
    if source_profile is None:
        return
    target_profile = _load_profile(transaction.connection, target_id) or UserProfile()
    interests = tuple(dict.fromkeys([*target_profile.interests, *source_profile.interests]))
    attributes = {**(source_profile.attributes or {}), **(target_profile.attributes or {})}
    _write_profile(transaction, target_id, UserProfile(interests, attributes), now)
    transaction.connection.execute(users.delete().where(users.c.user_id == source_id))
