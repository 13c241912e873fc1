"""Arriving events to the users they belong to, after merges and erasures."""

import hmac
from collections.abc import Collection, Sequence

import sqlalchemy as sa

from service.store.events import Event
from service.store.parameters import may_hold_rows, split_parameters
from service.store.schema import erasures, merges

_USER_DOMAIN = b"zhiyin erased user 1\0"
_CHECK_DOMAIN = b"zhiyin live store 1\0"
_EVENT_DOMAIN = b"zhiyin retracted event 1\0"


class UserHasher:
    """Hashes ids of users and events with a key: only who has it can tell which id is meant."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    @property
    def check_value(self) -> bytes:
        """By which the same secret is known again: an HMAC-SHA256, 32 bytes."""
        return hmac.digest(self._secret, _CHECK_DOMAIN, "sha256")

    def hash_user_id(self, user_id: str) -> bytes:
        """Return the HMAC-SHA256 of an id, 32 bytes."""
        return hmac.digest(self._secret, _USER_DOMAIN + user_id.encode(), "sha256")

    def key_event_hash(self, event_hash: bytes) -> bytes:
        """Return the HMAC-SHA256 of the SHA-256 hash of an event id, 32 bytes."""
        return hmac.digest(self._secret, _EVENT_DOMAIN + event_hash, "sha256")


def find_new_owners(
    connection: sa.Connection, user_hasher: UserHasher, batch: Sequence[Event]
) -> dict[tuple[str, float], str | None]:
    """Return the events that do not belong to their sender any more.

    Returns:
        `(event.owner, event.happened_at)` to the user that the sender was merged into after that
        time, or to None if the sender was erased after that time. Other events are left out.
    """
    senders = {event.owner for event in batch}
    merge_targets, erasure_times = {}, {}
    if may_hold_rows(connection, merges, count=len(senders)):
        merge_targets = _load_merge_targets(connection, senders)
    if may_hold_rows(connection, erasures, count=len(senders)):
        erasure_times = _load_erasure_times(connection, user_hasher, senders)
    new_owners: dict[tuple[str, float], str | None] = {}
    for event in batch if merge_targets or erasure_times else ():
        erased_at = erasure_times.get(event.owner)
        if erased_at is not None and event.happened_at <= erased_at:
            new_owners[event.owner, event.happened_at] = None
            continue
        for merged_at, target in merge_targets.get(event.owner, ()):
            if event.happened_at <= merged_at:
                new_owners[event.owner, event.happened_at] = target
                break
    return new_owners


def _load_merge_targets(
    connection: sa.Connection, names: Collection[str]
) -> dict[str, list[tuple[float, str]]]:
    """Return `(merged_at, target)` of each merge by the id that was merged, the earliest first."""
    merge_targets: dict[str, list[tuple[float, str]]] = {}
    for chunk in split_parameters(names):
        query = sa.select(merges).where(merges.c.from_id.in_(chunk))
        for row in connection.execute(query.order_by(merges.c.merged_at)):
            merge_targets.setdefault(row.from_id, []).append((row.merged_at, row.into_id))
    return merge_targets


def _load_erasure_times(
    connection: sa.Connection, user_hasher: UserHasher, names: Collection[str]
) -> dict[str, float]:
    """Return when those of some users that were erased were erased, Unix seconds."""
    names_by_hash = {user_hasher.hash_user_id(name): name for name in names}
    erasure_times: dict[str, float] = {}
    for chunk in split_parameters(names_by_hash):
        query = sa.select(erasures).where(erasures.c.user_hash.in_(chunk))
        for row in connection.execute(query):
            erasure_times[names_by_hash[row.user_hash]] = row.erased_at
    return erasure_times
