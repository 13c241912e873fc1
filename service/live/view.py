"""A snapshot and the live store to one consistent state, from which a request is answered."""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import sqlalchemy as sa

from indexer import Index
from indexer.live import LiveCatalogue
from indexer.request import Request, find_scenario
from service.edge import Problem, unavailable
from service.live.active_index import ActiveIndex
from service.live.items import StaleViewError
from service.live.live_store import LiveStore
from service.store import EMPTY_USER_STATE, SequenceNumbers, UserState, add_user_state

_MAX_TRIES = 20
_JOIN_TIMEOUT_S = 5
_FIRST_WAIT_S = 1.0  # for the snapshot, so that its live items are loaded as soon as it is open
_EMPTY_SEQUENCE = SequenceNumbers(0, 0, 0)
_T = TypeVar("_T")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RequestView:
    """One state of catalogue and store; later changes are not seen.

    Attributes:
        index: The snapshot.
        catalogue: The snapshot with the live items.
        sequence: Sequence numbers of the state.
        live_store: None: there is no store.
        connect: Returns a connection that sees the store in this state; None: there is no store.
        can_wait: Whether it may wait for other threads; the event loop must not.
        is_patient: Whether it may read a long log of a user, while others wait for its thread.
    """

    index: Index
    catalogue: LiveCatalogue
    sequence: SequenceNumbers = _EMPTY_SEQUENCE
    live_store: LiveStore | None = None
    connect: Callable[[], sa.Connection] | None = None
    can_wait: bool = True
    is_patient: bool = True

    def personalise(self, request: Request, *, now: float) -> Request:
        """Return the request with what the store knows of the user.

        Stored events of items that are not in the catalogue are left out; stored texts too, if the
        index was built without an encoder for them.

        Args:
            request: What was asked.
            now: Time of history entries without a time, Unix seconds.
        """
        state = self.load_user_state(request.user_id, request.session_id)
        return self.add_state(request, state, now=now)

    def add_state(self, request: Request, state: UserState, *, now: float) -> Request:
        """Return the request with what is known of the user; see `personalise`."""
        if state is EMPTY_USER_STATE:
            return request
        item_ids = [entry.item_id for entry in state.history if entry.item_id is not None]
        known_rows = self.catalogue.rows(item_ids)
        history = tuple(e for e in state.history if e.item_id is None or e.item_id in known_rows)
        if self.index.manifest.encoder is None:
            history = tuple(e._replace(text=None) for e in history if e.item_id is not None)
            state = UserState(history, state.items_by_event)
        elif len(history) < len(state.history):
            state = UserState(history, state.items_by_event, state.interests)
        return add_user_state(request, state, now=now)

    def load_user_state(self, user_id: str | None, session_id: str | None) -> UserState:
        """Return what the store knows of a user and their session.

        Raises:
            LongLogError: If a long log must be read, and the view is not patient.
            StaleViewError: If the view cannot wait, and the store must be read.
        """
        if self.live_store is None or self.connect is None or (user_id or session_id) is None:
            return EMPTY_USER_STATE
        states, timeout_s = self.live_store.user_states, -1.0 if self.can_wait else 0.0
        with states.lock(timeout_s) as is_locked:
            if not is_locked:
                raise StaleViewError
            kept = states.find(self.sequence, self.catalogue, (user_id, session_id))
        if kept is not None:
            return kept
        if not self.can_wait:
            raise StaleViewError
        key = user_id, session_id
        return states.load(
            self.sequence, self.catalogue, key, self.connect, is_patient=self.is_patient
        )

    def is_user_known(self, request: Request) -> bool | None:
        """Return whether the store holds anything of the user or session of a request.

        None: the request names neither.
        """
        if request.user_id is None and request.session_id is None:
            return None
        return self.load_user_state(request.user_id, request.session_id).is_known

    def load_trending(self, scenario: str | None, *, now: float) -> Mapping[str, float]:
        """Return the trending items with their shares in (0, 1], see `Trending.compute_shares`."""
        if self.live_store is None or self.connect is None:
            return {}
        scenario_settings = find_scenario(scenario, self.index.scenarios)
        scale = self.index.manifest.rating_scale
        return self.live_store.trending.compute_shares(
            self.connect, self.sequence, scenario_settings, scale=scale, now=now
        )


class RequestViews:
    """Opens views of a snapshot and the live store, if there is one."""

    def __init__(self, live_store: LiveStore | None) -> None:
        self._live_store = live_store
        self._snapshot_only: LiveCatalogue | None = None  # the last one opened without a store

    @contextmanager
    def open(self, index: Index) -> Iterator[RequestView]:
        """Lend a view.

        Raises:
            Problem: 503 if the store cannot be read now.
        """
        live = self._live_store
        if live is None:
            yield RequestView(index, self._get_snapshot_only(index))
            return
        for _ in range(_MAX_TRIES):
            with live.database.begin_read() as connection:
                sequence = live.database.read_sequence(connection)
                try:
                    live_catalogue = live.items.load_catalogue(index, connection, sequence)
                except StaleViewError:
                    continue
                connect = partial(_return_connection, connection)
                yield RequestView(index, live_catalogue, sequence, live, connect)
                return
        raise unavailable("items change faster than they can be read; try again in a moment")

    def answer(
        self, index: Index, call: Callable[[RequestView], _T], *, is_patient: bool = True
    ) -> _T:
        """Return what `call`, which only reads, returns for a view.

        If memory holds all that it needs, no transaction is begun. One that is begun in the midst
        of the call may see a later state; then the call is made again over a view of that.

        Args:
            index: The snapshot.
            call: Reads.
            is_patient: Whether it may read a long log of a user.

        Raises:
            LongLogError: If one must be read, and may not.
            Problem: 503 if the store cannot be read now.
        """
        with ExitStack() as transactions:
            view = self._peek(index, transactions)
            if view is not None:
                with suppress(StaleViewError):
                    return call(replace(view, is_patient=is_patient))
        with self.open(index) as view:
            return call(replace(view, is_patient=is_patient))

    def peek(self, index: Index) -> RequestView | None:
        """Return a view of what is in memory, which begins no transaction.

        Returns:
            None if memory does not hold the present state.
        """
        return self._peek(index, None)

    def _peek(self, index: Index, transactions: ExitStack | None) -> RequestView | None:
        """Return a view of what is in memory, with a place for the transaction that may begin."""
        live = self._live_store
        if live is None:
            return RequestView(index, self._get_snapshot_only(index))
        sequence = live.database.peek_sequence()
        catalogue = live.items.get_loaded(index, sequence) if sequence is not None else None
        if catalogue is None or sequence is None:
            return None
        connect = _Transaction(live, sequence, transactions).connect
        return RequestView(
            index, catalogue, sequence, live, connect, can_wait=transactions is not None
        )

    def _get_snapshot_only(self, index: Index) -> LiveCatalogue:
        catalogue = self._snapshot_only
        if catalogue is None or catalogue.base is not index:
            catalogue = self._snapshot_only = LiveCatalogue(index)
        return catalogue


def _return_connection(connection: sa.Connection) -> sa.Connection:
    return connection


class _Transaction:
    """A transaction that begins with the first call of `connect`; none begins without a stack."""

    def __init__(self, live: LiveStore, sequence: SequenceNumbers, stack: ExitStack | None) -> None:
        self._live = live
        self._sequence = sequence
        self._stack = stack
        self._connection: sa.Connection | None = None

    def connect(self) -> sa.Connection:
        """Return the connection.

        Raises:
            StaleViewError: If it sees a later state than the view, or none may begin.
        """
        if self._stack is None:
            raise StaleViewError
        if self._connection is None:
            database = self._live.database
            connection = self._stack.enter_context(database.begin_read())
            if database.read_sequence(connection) != self._sequence:
                raise StaleViewError
            self._connection = connection
        return self._connection


class Refresher:
    """Looks at the store at intervals, whether or not somebody asks.

    New item changes are loaded, so that no request has to load many at once.

    Attributes:
        has_loaded: Whether the live items were in memory once.
        has_failed: Whether they could not be loaded when it last tried, with a snapshot open.
    """

    def __init__(
        self, active_index: ActiveIndex, views: RequestViews, *, interval_s: float
    ) -> None:
        self._active_index = active_index
        self._views = views
        self._interval_s = interval_s
        self._on_view: Callable[[RequestView], None] | None = None
        self.has_loaded = False
        self.has_failed = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="live items", daemon=True)

    def start(self, on_view: Callable[[RequestView], None] | None = None) -> None:
        """Start the background thread, which calls `on_view` with each state that it sees."""
        self._on_view = on_view
        self._thread.start()

    def close(self) -> None:
        """Stop the background thread."""
        self._stopping.set()
        self._thread.join(_JOIN_TIMEOUT_S)

    def _run(self) -> None:
        first_wait_s = _FIRST_WAIT_S
        while True:
            self._refresh_once(first_wait_s)
            first_wait_s = 0.0
            if self._stopping.wait(self._interval_s):
                return

    def _refresh_once(self, wait_s: float) -> None:
        """Load the changes; the snapshot is not held until the next time."""
        try:
            with self._active_index.borrow(wait_s=wait_s) as index:
                self._load_items(index)
        except Problem as error:  # not ready, or the store is busy: requests get the same answer
            _log.debug("live items were not looked at: %s", error.detail)
        except Exception:  # noqa: BLE001  # whatever it is, the next attempt may succeed
            _log.exception("live items cannot be read")

    def _load_items(self, index: Index) -> None:
        try:
            with self._views.open(index) as view:  # which loads the changes
                self.has_loaded, self.has_failed = True, False
                if self._on_view is not None:
                    self._on_view(view)
        except Exception:
            self.has_failed = True
            raise
