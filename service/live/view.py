"""The live store and a snapshot to one consistent view, from which a request is answered."""

import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeVar

import sqlalchemy as sa

from indexer import Index
from indexer.live import LiveCatalogue
from indexer.request import Request, find_scenario
from service.edge import Problem, unavailable
from service.live.active_index import ActiveIndex
from service.live.items import LiveItems, StaleViewError
from service.settings import Settings
from service.store import (
    EMPTY_USER_STATE,
    EventLog,
    LiveDatabase,
    SequenceNumbers,
    Trending,
    UserHasher,
    UserState,
    UserStore,
    add_user_state,
)

DEFAULT_FILE_NAME = "live.sqlite"
_MAX_TRIES = 20
_JOIN_TIMEOUT_S = 5
_EMPTY_SEQUENCE = SequenceNumbers(0, 0, 0)

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class LiveStore:
    """What is kept of what happens."""

    database: LiveDatabase
    event_log: EventLog
    users: UserStore
    items: LiveItems
    trending: Trending

    @classmethod
    def from_database(
        cls, database: LiveDatabase, secret: str, clock: Callable[[], float]
    ) -> "LiveStore":
        """Return the parts over an open store."""
        hashes = UserHasher(secret)
        return cls(
            database,
            EventLog(database, hashes),
            UserStore(database, hashes, clock),
            LiveItems(database, clock),
            Trending(),
        )


@dataclass(frozen=True, slots=True)
class RequestView:
    """One state of everything: nothing that happens meanwhile is seen.

    Attributes:
        catalogue: The snapshot with the live items.
        sequence: How far the store has come.
    """

    index: Index
    catalogue: LiveCatalogue
    sequence: SequenceNumbers = _EMPTY_SEQUENCE
    live_store: LiveStore | None = None
    connection: sa.Connection | None = None

    def personalise(self, request: Request, *, now: float) -> Request:
        """Add what is known of who asks; stored items that are gone count no more.

        Nor do stored words, where the index was built without a language model to read them.
        """
        state = self.load_user_state(request.user_id, request.session_id)
        item_ids = [entry.item_id for entry in state.history if entry.item_id is not None]
        known_rows = self.catalogue.rows(item_ids)
        history = tuple(e for e in state.history if e.item_id is None or e.item_id in known_rows)
        interests = state.interests
        if self.index.manifest.encoder is None:
            history = tuple(e._replace(text=None) for e in history if e.item_id is not None)
            interests = ()
        return add_user_state(request, UserState(history, state.items_by_event, interests), now=now)

    def load_user_state(self, user_id: str | None, session_id: str | None) -> UserState:
        """Return what is known of a user and their session."""
        if self.live_store is None or self.connection is None or (user_id or session_id) is None:
            return EMPTY_USER_STATE
        return self.live_store.event_log.load_user_state(self.connection, user_id, session_id)

    def load_trending(self, scenario: str | None, *, now: float) -> Mapping[str, float]:
        """Return how much in fashion items are, from 0 to 1; those that are not are left out."""
        if self.live_store is None or self.connection is None:
            return {}
        scenario_settings = find_scenario(scenario, self.index.scenarios)
        scale = self.index.manifest.rating_scale
        return self.live_store.trending.compute_shares(
            self.connection, self.sequence, scenario_settings, scale=scale, now=now
        )


class RequestViews:
    """Makes views of a snapshot and the live store, if there is one."""

    def __init__(self, live_store: LiveStore | None) -> None:
        self._live_store = live_store
        self._snapshot_only: LiveCatalogue | None = None  # the last snapshot seen, without a store

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
                yield RequestView(index, live_catalogue, sequence, live, connection)
                return
        raise unavailable("items change faster than they can be read; try again in a moment")

    def _get_snapshot_only(self, index: Index) -> LiveCatalogue:
        known_rows = self._snapshot_only
        if known_rows is None or known_rows.base is not index:
            known_rows = self._snapshot_only = LiveCatalogue(index)
        return known_rows


class Refresher:
    """Looks at the live items now and then, so that no request has to read many at once."""

    def __init__(
        self, active_index: ActiveIndex, views: RequestViews, *, interval_s: float
    ) -> None:
        self._active_index = active_index
        self._views = views
        self._interval_s = interval_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="live items", daemon=True)

    def start(self) -> None:
        """Begin, in the background."""
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        self._stopping.set()
        self._thread.join(_JOIN_TIMEOUT_S)

    def _run(self) -> None:
        while not self._stopping.wait(self._interval_s):
            self._refresh_once()

    def _refresh_once(self) -> None:
        """Look once; nothing of the snapshot is kept until the next time."""
        try:
            with self._active_index.borrow() as index, self._views.open(index):
                pass
        except Problem as error:  # not ready, or the store is busy: a request will tell
            _log.debug("live items were not looked at: %s", error.detail)
        except Exception:  # noqa: BLE001  # whatever it is, the next look may succeed
            _log.exception("live items cannot be read")


def open_live_store(
    settings: Settings, secret: str, clock: Callable[[], float]
) -> LiveStore | None:
    """Open the live store that the settings name, or the one in the index directory.

    Without `db` and with an index directory that cannot be written there is none: the service
    answers, and refuses what would have to be kept.

    Raises:
        SettingsError: If the store cannot be opened.
    """
    url = find_live_url(settings)
    if url is None:
        _log.warning("%s", describe_missing_store(settings))
        return None
    return LiveStore.from_database(LiveDatabase.open(url), secret, clock)


def find_live_url(settings: Settings) -> str | None:
    """Return the URL of the live store; None: there is none."""
    if settings.db is not None:
        return settings.db
    file = settings.index.absolute() / DEFAULT_FILE_NAME
    writable = os.access(settings.index, os.W_OK) and (
        not file.exists() or os.access(file, os.W_OK)
    )
    return sa.URL.create("sqlite", database=str(file)).render_as_string() if writable else None


def describe_missing_store(settings: Settings) -> str:
    """Return the sentence that says why nothing can be kept."""
    return (
        f"nothing can be kept: the index directory {settings.index} cannot be written; start the "
        f"service with --db URL"
    )


def require_live_store(live_store: LiveStore | None, settings: Settings) -> LiveStore:
    """Return the live store.

    Raises:
        Problem: 409 if there is none.
    """
    if live_store is None:
        raise Problem(HTTPStatus.CONFLICT, describe_missing_store(settings))
    return live_store
