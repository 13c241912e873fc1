"""Users to what is known of them, kept in memory until an event of theirs comes."""

import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import sqlalchemy as sa

from indexer.live import LiveCatalogue
from service.live.known_ids import KnownIds
from service.store import (
    EventLog,
    LiveDatabase,
    Owner,
    SequenceNumbers,
    UserState,
    list_owners,
)

_MAX_ENTRIES = 1_000_000  # history entries and seen items of all users that are kept
_MAX_NEW_EVENTS = 2_000  # looked through; after more everything is read anew

StateKey: TypeAlias = tuple[str | None, str | None]  # user_id and session_id of a request


@dataclass(frozen=True, slots=True)
class _KeptState:
    """A state, the sequence number it was read at, and how many entries it has.

    Attributes:
        only_with: Id of the snapshot, and the number of the last item change, of the only catalogue
            that it is of use with; None: it is with any.
    """

    state: UserState
    read_seq: int
    size: int
    only_with: tuple[str, int] | None


class UserStates:
    """The states of users who asked lately; thread-safe.

    Which users an event, a merge or an erasure concerns is read from the log itself: every change
    has a sequence number, and a number without a row makes all states be read anew. So a state is
    never older than the view it is used with.
    """

    def __init__(self, database: LiveDatabase, event_log: EventLog) -> None:
        self._database = database
        self._event_log = event_log
        self._lock = threading.Lock()
        self._states: OrderedDict[StateKey, _KeptState] = OrderedDict()
        self._keys_by_owner: dict[Owner, set[StateKey]] = {}
        self._known_ids = KnownIds()
        self._size = 0
        self._sequence = SequenceNumbers(0, 0, 0)  # what is kept is valid up to here

    @contextmanager
    def lock(self, timeout_s: float) -> Iterator[bool]:
        """Hold the lock of all states; yield whether it was free in time, -1: wait for it."""
        is_locked = self._lock.acquire(timeout=timeout_s)
        try:
            yield is_locked
        finally:
            if is_locked:
                self._lock.release()

    def find(
        self, sequence: SequenceNumbers, catalogue: LiveCatalogue, key: StateKey
    ) -> UserState | None:
        """Return a state that is kept; None if it must be loaded. The lock must be held.

        Args:
            sequence: Of the view that it is for.
            catalogue: Of the same view.
            key: Whose it is.
        """
        self._advance(sequence)
        kept = self._states.get(key)
        if kept is not None and kept.only_with not in (None, (catalogue.id, sequence.items_seq)):
            return None
        # A view may be older than what another request has read meanwhile.
        is_same_store = self._sequence.generation == sequence.generation
        if kept is None or kept.read_seq > sequence.seq or not is_same_store:
            return None
        self._states.move_to_end(key)
        return kept.state

    def forget_outdated(self, sequence: SequenceNumbers) -> None:
        """Forget the states that changes up to some sequence numbers may concern.

        So does `find`; this is for a worker that nobody asks.
        """
        with self._lock:
            self._advance(sequence)

    def load(
        self,
        sequence: SequenceNumbers,
        catalogue: LiveCatalogue,
        key: StateKey,
        connect: Callable[[], sa.Connection],
    ) -> UserState:
        """Return the state of a user and their session as the store holds it, and keep it.

        Args:
            sequence: Of the view that it is for.
            catalogue: Of the same view; of somebody with very many items, those that it lacks are
                left out.
            key: Whose it is.
            connect: Returns a connection that sees the store at `sequence`.
        """
        keep_known = partial(self._known_ids.keep_known, catalogue)
        state = self._event_log.read_user_state(sequence, *key, keep_known)
        if state is None:
            state = self._event_log.load_user_state(connect(), *key, keep_known)
        with self._lock:
            if self._sequence == sequence:
                self._keep(key, state, catalogue)
        return state

    def _advance(self, sequence: SequenceNumbers) -> None:
        """Forget the states that changes up to `sequence` may concern."""
        known = self._sequence
        if (sequence.generation, sequence.seq) <= (known.generation, known.seq):
            return
        self._sequence = sequence
        new_count = sequence.seq - known.seq
        owners = None
        if sequence.removals == known.removals and new_count <= _MAX_NEW_EVENTS:
            try:
                owners = self._database.list_new_owners(known.seq, sequence.seq)
            except sqlite3.Error:  # the view itself will say what is wrong
                owners = None
        if owners is None:
            self._states.clear()
            self._keys_by_owner.clear()
            self._size = 0
            return
        for owner in owners:
            for key in list(self._keys_by_owner.get(owner, ())):
                self._forget(key)

    def _keep(self, key: StateKey, state: UserState, catalogue: LiveCatalogue) -> None:
        if key in self._states:
            self._forget(key)
        size = 1 + len(state.history) + sum(map(len, state.items_by_event.values()))
        is_bound = state.is_of_catalogue
        only_with = (catalogue.id, self._sequence.items_seq) if is_bound else None
        self._states[key] = _KeptState(state, self._sequence.seq, size, only_with)
        for owner in list_owners(*key):
            self._keys_by_owner.setdefault(owner, set()).add(key)
        self._size += size
        while self._size > _MAX_ENTRIES:
            self._forget(next(iter(self._states)))

    def _forget(self, key: StateKey) -> None:
        self._size -= self._states.pop(key).size
        for owner in list_owners(*key):
            keys = self._keys_by_owner[owner]
            keys.discard(key)
            if not keys:
                del self._keys_by_owner[owner]
