"""Stored interests and attributes of users; one user merged into another; a user erased."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa

from indexer.errors import RequestError
from service.edge import unavailable
from service.store.database import LiveDatabase, WriteTransaction
from service.store.event_log import UserHasher, match_owner, merge_events
from service.store.schema import erasures, events, merges, users

_BLOCK_BYTES = 1 << 20
_CHECKPOINT_TIMEOUT_S = 5.0
_FILES_NOT_CLEAN = (
    "the user is erased, but somebody still reads the store as it was before; repeat the call to "
    "clean its files"
)


@dataclass(frozen=True, slots=True)
class UserProfile:
    """What somebody has said about a user."""

    interests: tuple[str, ...] = ()
    attributes: Mapping[str, Any] | None = None


class UserStore:
    """The users of the live store."""

    def __init__(
        self, database: LiveDatabase, user_hasher: UserHasher, clock: Callable[[], float]
    ) -> None:
        self._database = database
        self._user_hasher = user_hasher
        self._clock = clock

    def put(self, user_id: str, profile: UserProfile) -> int:
        """Store a profile in place of an earlier one; return the sequence."""
        with self._database.begin_write() as transaction:
            _write_profile(transaction, user_id, profile, self._clock())
            return transaction.reserve()

    def load_profile(self, connection: sa.Connection, user_id: str) -> UserProfile | None:
        """Return the stored profile, or None if there is none."""
        return _load_profile(connection, user_id)

    def merge(self, source_id: str, target_id: str) -> tuple[int, int]:
        """Give everything of one user to another; return how many events moved, and the sequence.

        What arrives later of what `source_id` did until now will belong to `target_id` as well.

        Raises:
            RequestError: If both are the same.
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
            # Had `new` once been merged into `old`, its own late events would go in a circle.
            transaction.connection.execute(
                merges.delete().where(merges.c.from_id == merges.c.into_id)
            )
            _merge_profiles(transaction, (source_id, target_id), now)
            return moved, transaction.reserve()

    def erase(self, user_id: str) -> tuple[int, int]:
        """Remove everything of a user; return how many events went, and the sequence.

        Only a keyed hash stays. With SQLite the id is in no file of the store afterwards.

        Raises:
            Problem: 503 if long readers keep old pages alive; what is live is erased already, and
                asking again cleans the files.
        """
        with self._database.begin_write() as transaction:
            connection = transaction.connection
            erased_count = connection.execute(
                events.delete().where(match_owner(user_id, None))
            ).rowcount
            connection.execute(users.delete().where(users.c.user_id == user_id))
            joined = sa.select(merges.c.from_id).where(merges.c.into_id == user_id)
            names = {user_id, *connection.execute(joined).scalars()}
            merges_of_user = sa.or_(merges.c.from_id == user_id, merges.c.into_id == user_id)
            connection.execute(merges.delete().where(merges_of_user))
            self._record_erasure(connection, names)
            seq = transaction.reserve()
            transaction.mark_events_removed()
        self._clean_files(user_id)
        return erased_count, seq

    def _record_erasure(self, connection: sa.Connection, names: Iterable[str]) -> None:
        now = self._clock()
        for name in map(self._user_hasher.hash_user_id, names):
            connection.execute(erasures.delete().where(erasures.c.user_hash == name))
            connection.execute(erasures.insert().values(user_hash=name, erased_at=now))

    def _clean_files(self, user_id: str) -> None:
        """Empty the write-ahead log; if a page still holds a stale copy, write the file anew."""
        file = self._database.file
        if file is None:
            return
        with self._database.open_exclusively() as connection:
            try:
                _checkpoint(connection)
                if _contains_bytes(file, user_id.encode()):
                    # A page that was once split may keep a copy where SQLite no longer looks.
                    connection.execute("VACUUM")
                    _checkpoint(connection)
            except connection.OperationalError as error:
                raise unavailable(_FILES_NOT_CLEAN) from error


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
    """Interests of both; where both have an attribute, that of the user who stays."""
    old, new = pair
    source_profile = _load_profile(transaction.connection, old)
    if source_profile is None:
        return
    target_profile = _load_profile(transaction.connection, new) or UserProfile()
    interests = tuple(dict.fromkeys([*target_profile.interests, *source_profile.interests]))
    attributes = {**(source_profile.attributes or {}), **(target_profile.attributes or {})}
    _write_profile(transaction, new, UserProfile(interests, attributes), now)
    transaction.connection.execute(users.delete().where(users.c.user_id == old))


def _checkpoint(connection: Any) -> None:
    deadline = time.monotonic() + _CHECKPOINT_TIMEOUT_S
    while connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
        if time.monotonic() > deadline:
            raise unavailable(_FILES_NOT_CLEAN)
        time.sleep(0.02)


def _contains_bytes(file: Path, needle: bytes) -> bool:
    """Whether the bytes of an id are anywhere in a file."""
    with file.open("rb") as stream:
        tail = b""
        while block := stream.read(_BLOCK_BYTES):
            if needle in tail + block:
                return True
            tail = block[-len(needle) :]
    return False
