"""Users in the live store: their profiles stored and read, users merged, users erased."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa

from indexer.errors import RequestError
from service.edge import unavailable
from service.store.database import LiveDatabase
from service.store.event_rows import merge_events
from service.store.file_cleaning import FileCleaner
from service.store.ownership import UserHasher
from service.store.schema import erasing, merges, users
from service.store.text_vectors import TextVectorFile
from service.store.user_erasure import UserEraser
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
        text_vectors: Of the texts of users, which go with any user that is erased.
    """

    def __init__(
        self,
        database: LiveDatabase,
        user_hasher: UserHasher,
        clock: Callable[[], float],
        text_vectors: TextVectorFile | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._text_vectors = text_vectors
        self._cleaner = FileCleaner(database)
        self._eraser = UserEraser(database, user_hasher, clock)

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
            Problem: 503 while one of them is being erased.
        """
        if source_id == target_id:
            raise RequestError(
                f"from and into are both {target_id[:60]!r}; a user cannot join themself"
            )
        now = self._clock()
        with self._database.begin_write() as transaction:
            _refuse_erasing(transaction.connection, (source_id, target_id))
            moved_seqs = merge_events(transaction, source_id, target_id)
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
            seq = transaction.reserve()
            transaction.mark_events_changed(moved_seqs)
        return len(moved_seqs), seq

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
        """Remove the rows of a user, see `UserEraser.erase`; `clean_files` must follow."""
        return self._eraser.erase(user_id)

    def finish_erasures(self) -> None:
        """Remove, from rows and files, what erasures that were interrupted have left.

        Those whose rows are gone, while the files were not cleaned yet, are among them.

        Raises:
            Problem: 503 if it cannot be done now.
        """
        self._eraser.finish()
        seq = self._cleaner.find_uncleaned()
        if seq is not None:
            self.clean_files(seq)

    def clean_files(self, seq: int) -> None:
        """Remove what was erased up to a sequence number from the bytes of the files.

        It takes longer than a write, and holds others up for some hundredths of a second at a
        time only.

        Raises:
            Problem: 503, see `erase`.
        """
        if self._text_vectors is not None:
            self._text_vectors.clear()
        self._cleaner.clean(seq)


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


def _refuse_erasing(connection: sa.Connection, user_ids: Sequence[str]) -> None:
    """Raise if a user is being erased: of a merge it could not be told whose events are removed."""
    query = sa.select(erasing.c.user_id).where(erasing.c.user_id.in_(user_ids))
    user_id = connection.execute(query).scalar()
    if user_id is not None:
        raise unavailable(f"user {user_id[:60]!r} is being erased; merge again in a moment")


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
