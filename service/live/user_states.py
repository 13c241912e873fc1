"""Users to what is known of them, kept in memory until an event of theirs comes."""

import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

import sqlalchemy as sa

from indexer.live import LiveCatalogue
from service.live.known_ids import KnownIds
from service.store import (
    EventLog,
    LiveDatabase,
    OutdatedState,
    Owner,
    SequenceNumbers,
    UserState,
    list_owners,
    renew_user_state,
)

_MAX_ENTRIES = 1_000_000  # history entries and seen items of all users that are kept
_MAX_NEW_EVENTS = 2_000  # looked through; after more everything is read anew
_MAX_NUMBERS = 10_000  # looked through for the new events of one user: some milliseconds

StateKey: TypeAlias = tuple[str | None, str | None]  # user_id and session_id of a request


@dataclass(frozen=True, slots=True)
class _KeptState:
    """A state, the sequence number it was read at, and how many entries it has.

    Attributes:
        only_with: Id of the snapshot, and the number of the last item change, of the only catalogue
            that it is of use with; None: it is with any.
        events_after: The sequence number after which events of theirs have come, or may have; None:
            none has.
    """

    state: UserState
    read_seq: int
    size: int
    only_with: tuple[str, int] | None
    events_after: int | None


class UserStates:
    """The states of users who asked lately; thread-safe.

    Whose an event is, is read from the log itself: every change has a sequence number. After one
    that is of no event the profile of each user is looked at again; after a merge, an erasure or a
    retraction all states are read anew. So a state is never older than the view it is used with.
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
        self._others_seq = 0  # a profile may have changed up to here

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
        kept = self._find_usable(sequence, catalogue, key)
        if kept is None or kept.events_after is not None or self._is_profile_unsure(key, kept):
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
        *,
        is_patient: bool = True,
    ) -> UserState:
        """Return the state of a user and their session as the store holds it, and keep it.

        Of a long log only the new events are read, if its state is kept and none was removed.

        Args:
            sequence: Of the view that it is for.
            catalogue: Of the same view; of somebody with very many items, those that it lacks are
                left out.
            key: Whose it is.
            connect: Returns a connection that sees the store at `sequence`.
            is_patient: Whether a long log may be read.

        Raises:
            GivenUpError: If nobody waits for it any more.
            LongLogError: If one would have to be read, and may not.
        """
        keep_known = partial(self._known_ids.keep_known, catalogue)
        with self._lock:
            outdated = self._find_outdated(sequence, catalogue, key)
        if outdated is not None:
            database = self._database
            state = renew_user_state(database, connect, sequence, key, outdated, keep_known)
        else:
            log, asked = self._event_log, (*key, keep_known)
            found = log.read_user_state(sequence, *asked, is_patient=is_patient)
            if found is None:
                found = log.load_user_state(connect(), *asked, is_patient=is_patient)
            state = found
        with self._lock:
            self._keep(key, state, catalogue, sequence)
        return state

    def _find_usable(
        self, sequence: SequenceNumbers, catalogue: LiveCatalogue, key: StateKey
    ) -> _KeptState | None:
        """Return what is kept, unless it is of a later view, another store or catalogue."""
        kept = self._states.get(key)
        if kept is None or kept.only_with not in (None, (catalogue.id, sequence.items_seq)):
            return None
        # A view may be older than what another request has read meanwhile.
        is_same_store = self._sequence.generation == sequence.generation
        return kept if kept.read_seq <= sequence.seq and is_same_store else None

    def _is_profile_unsure(self, key: StateKey, kept: _KeptState) -> bool:
        return key[0] is not None and kept.read_seq < self._others_seq

    def _find_outdated(
        self, sequence: SequenceNumbers, catalogue: LiveCatalogue, key: StateKey
    ) -> OutdatedState | None:
        """Return a kept state that can be brought up to date without reading it all again."""
        kept = self._find_usable(sequence, catalogue, key)
        if kept is None or self._sequence.removals != sequence.removals:
            return None
        if not kept.state.is_known:  # that is quickly read
            return None
        after = kept.events_after
        if after is not None and sequence.seq - after > _MAX_NUMBERS:
            return None
        return OutdatedState(kept.state, after)

    def _advance(self, sequence: SequenceNumbers) -> None:
        """Forget the states that changes up to `sequence` may concern, or note what to look at."""
        known = self._sequence
        if (sequence.generation, sequence.seq) <= (known.generation, known.seq):
            return
        self._sequence = sequence
        new_count = sequence.seq - known.seq
        new = None
        if sequence.removals == known.removals and new_count <= _MAX_NEW_EVENTS:
            try:
                new = self._database.list_new_owners(known.seq, sequence.seq)
            except sqlite3.Error:  # the view itself will say what is wrong
                new = None
        if new is None:
            self._states.clear()
            self._keys_by_owner.clear()
            self._size = self._others_seq = 0
            return
        if new.has_others:  # nothing was removed: they are of profiles or items
            self._others_seq = sequence.seq
        for owner in new.owners:
            for key in list(self._keys_by_owner.get(owner, ())):
                self._note_events(key, after=known.seq)

    def _note_events(self, key: StateKey, *, after: int) -> None:
        """Forget a state that events have come for; one of a long log is brought up to date."""
        kept = self._states[key]
        if not kept.state.is_of_long_log:
            self._forget(key)
        elif kept.events_after is None:
            self._states[key] = replace(kept, events_after=max(after, kept.read_seq))

    def _keep(
        self, key: StateKey, state: UserState, catalogue: LiveCatalogue, sequence: SequenceNumbers
    ) -> None:
        """Keep a state that was read at some sequence numbers, if it can still be of use."""
        events_after = None
        if self._sequence != sequence:
            # A long log takes so long that others have written meanwhile.
            is_newer = key not in self._states or self._states[key].read_seq < sequence.seq
            can_be_renewed = self._sequence.removals == sequence.removals and is_newer
            if not (can_be_renewed and state.is_of_long_log):
                return
            events_after = sequence.seq
        if key in self._states:
            self._forget(key)
        size = 1 + len(state.history) + sum(map(len, state.items_by_event.values()))
        is_bound = state.is_of_catalogue
        only_with = (catalogue.id, sequence.items_seq) if is_bound else None
        self._states[key] = _KeptState(state, sequence.seq, size, only_with, events_after)
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
