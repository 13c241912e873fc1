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
from indexer.live import Overlay
from indexer.request import Request, scenario_named
from service.edge import Problem, unavailable
from service.live.active_index import Recommender
from service.live.items import LiveItems, StaleViewError
from service.settings import Settings
from service.store import (
    NOBODY,
    EventLog,
    LiveDatabase,
    Sequence,
    Trending,
    UserHash,
    Users,
    UserState,
    personal,
)

DEFAULT_FILE = "live.sqlite"
_MOST_TRIES = 20
_LAST_LOOK_S = 5
_NOTHING = Sequence(0, 0, 0)

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Live:
    """What is kept of what happens."""

    database: LiveDatabase
    log: EventLog
    users: Users
    items: LiveItems
    trending: Trending

    @classmethod
    def over(cls, database: LiveDatabase, secret: str, clock: Callable[[], float]) -> "Live":
        """Return the parts over an open store."""
        hashes = UserHash(secret)
        return cls(
            database,
            EventLog(database, hashes),
            Users(database, hashes, clock),
            LiveItems(database, clock),
            Trending(),
        )


@dataclass(frozen=True, slots=True)
class View:
    """One state of everything: nothing that happens meanwhile is seen.

    Attributes:
        catalogue: The snapshot with the live items.
        now: How far the store has come.
    """

    index: Index
    catalogue: Overlay
    now: Sequence = _NOTHING
    live: Live | None = None
    connection: sa.Connection | None = None

    def personal(self, request: Request, *, now: float) -> Request:
        """Add what is known of who asks; stored items that are gone count no more.

        Nor do stored words, where the index was built without a language model to read them.
        """
        state = self.state(request.user_id, request.session_id)
        told = [entry.item_id for entry in state.history if entry.item_id is not None]
        known = self.catalogue.rows(told)
        history = tuple(e for e in state.history if e.item_id is None or e.item_id in known)
        interests = state.interests
        if self.index.manifest.encoder is None:
            history = tuple(e._replace(text=None) for e in history if e.item_id is not None)
            interests = ()
        return personal(request, UserState(history, state.met, interests), now=now)

    def state(self, user_id: str | None, session_id: str | None) -> UserState:
        """Return what is known of a user and their session."""
        if self.live is None or self.connection is None or (user_id or session_id) is None:
            return NOBODY
        return self.live.log.state(self.connection, user_id, session_id)

    def trending(self, scenario: str | None, *, now: float) -> Mapping[str, float]:
        """Return how much in fashion items are, from 0 to 1; those that are not are left out."""
        if self.live is None or self.connection is None:
            return {}
        found = scenario_named(scenario, self.index.scenarios)
        scale = self.index.manifest.rating_scale
        return self.live.trending.shares(self.connection, self.now, found, scale=scale, now=now)


class Views:
    """Makes views of a snapshot and the live store, if there is one."""

    def __init__(self, live: Live | None) -> None:
        self._live = live
        self._bare: Overlay | None = None  # the last snapshot seen, without a store

    @contextmanager
    def of(self, index: Index) -> Iterator[View]:
        """Lend a view.

        Raises:
            Problem: 503 if the store cannot be read now.
        """
        live = self._live
        if live is None:
            yield View(index, self._unchanged(index))
            return
        for _ in range(_MOST_TRIES):
            with live.database.reading() as connection:
                now = live.database.sequence(connection)
                try:
                    overlay = live.items.overlay(index, connection, now)
                except StaleViewError:
                    continue
                yield View(index, overlay, now, live, connection)
                return
        raise unavailable("items change faster than they can be read; try again in a moment")

    def _unchanged(self, index: Index) -> Overlay:
        known = self._bare
        if known is None or known.base is not index:
            known = self._bare = Overlay(index)
        return known


class Refresher:
    """Looks at the live items now and then, so that no request has to read many at once."""

    def __init__(self, recommender: Recommender, views: Views, *, every_s: float) -> None:
        self._recommender = recommender
        self._views = views
        self._every_s = every_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._refresh, name="live items", daemon=True)

    def start(self) -> None:
        """Begin, in the background."""
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        self._stopping.set()
        self._thread.join(_LAST_LOOK_S)

    def _refresh(self) -> None:
        while not self._stopping.wait(self._every_s):
            self._look()

    def _look(self) -> None:
        """Look once; nothing of the snapshot is kept until the next time."""
        try:
            with self._recommender.borrowed() as index, self._views.of(index):
                pass
        except Problem as error:  # not ready, or the store is busy: a request will tell
            _log.debug("live items were not looked at: %s", error.detail)
        except Exception:  # noqa: BLE001  # whatever it is, the next look may succeed
            _log.exception("live items cannot be read")


def open_live(settings: Settings, secret: str, clock: Callable[[], float]) -> Live | None:
    """Open the live store that the settings name, or the one in the index directory.

    Without `db` and with an index directory that cannot be written there is none: the service
    answers, and refuses what would have to be kept.

    Raises:
        SettingsError: If the store cannot be opened.
    """
    url = live_url(settings)
    if url is None:
        _log.warning("%s", no_store(settings))
        return None
    return Live.over(LiveDatabase.open(url), secret, clock)


def live_url(settings: Settings) -> str | None:
    """Return the URL of the live store; None: there is none."""
    if settings.db is not None:
        return settings.db
    file = settings.index.absolute() / DEFAULT_FILE
    writable = os.access(settings.index, os.W_OK) and (
        not file.exists() or os.access(file, os.W_OK)
    )
    return sa.URL.create("sqlite", database=str(file)).render_as_string() if writable else None


def no_store(settings: Settings) -> str:
    """Return the sentence that says why nothing can be kept."""
    return (
        f"nothing can be kept: the index directory {settings.index} cannot be written; start the "
        f"service with --db URL"
    )


def required(live: Live | None, settings: Settings) -> Live:
    """Return the live store.

    Raises:
        Problem: 409 if there is none.
    """
    if live is None:
        raise Problem(HTTPStatus.CONFLICT, no_store(settings))
    return live
