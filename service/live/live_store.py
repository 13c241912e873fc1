"""Settings to the live store, opened; or the reason why there is none."""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import sqlalchemy as sa

from service.edge import Problem
from service.live.items import LiveItems
from service.live.user_states import UserStates
from service.settings import Settings, SettingsError
from service.store import (
    EventLog,
    LiveDatabase,
    TextVectorFile,
    Trending,
    UserHasher,
    UserStore,
    find_text_vector_path,
    key_old_retractions,
    settle_secret,
)

DEFAULT_FILE_NAME = "live.sqlite"
_LOOKING_OVER_S = 2.0  # that a start may take longer to find a damaged store

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LiveStore:
    """The parts of an open live store."""

    database: LiveDatabase
    event_log: EventLog
    users: UserStore
    items: LiveItems
    trending: Trending
    user_states: UserStates
    text_vectors: TextVectorFile

    @classmethod
    def from_database(
        cls, database: LiveDatabase, secret: str, clock: Callable[[], float]
    ) -> "LiveStore":
        """Return the parts of an open database; nothing is written.

        Args:
            database: The live store.
            secret: Key of the hashes of erased users and retracted events, and of the vectors of
                texts.
            clock: Returns the time, Unix seconds.
        """
        hasher = UserHasher(secret)
        event_log = EventLog(database, hasher)
        vector_path = database.file and find_text_vector_path(database.file)
        text_vectors = TextVectorFile(vector_path, secret)
        return cls(
            database,
            event_log,
            UserStore(database, hasher, clock, text_vectors),
            LiveItems(database, clock),
            Trending(),
            UserStates(database, event_log),
            text_vectors,
        )


def open_live_store(
    settings: Settings, secret: str, clock: Callable[[], float]
) -> LiveStore | None:
    """Open the live store that the settings name, or the one in the index directory.

    Hashes of retracted ids without a key are keyed, unless the store is of another secret.

    Returns:
        None if the settings name none and the index directory cannot be written: then the service
        answers requests, and refuses calls that would have to store something.

    Raises:
        SettingsError: If the store cannot be opened.
    """
    url = find_live_url(settings)
    if url is None:
        _log.warning("%s", describe_missing_store(settings))
        return None
    database = LiveDatabase.open(url)
    try:
        database.look_over(limit_s=_LOOKING_OVER_S)
    except Problem as problem:  # the service starts, and is not ready
        _log.warning("%s", problem.detail)
    hasher = UserHasher(secret)
    if settle_secret(database, hasher):
        key_old_retractions(database, hasher)
    return LiveStore.from_database(database, secret, clock)


def find_live_url(settings: Settings) -> str | None:
    """Return the SQLAlchemy URL of the live store; None if there is none."""
    if settings.db is not None:
        return settings.db
    file = settings.index.absolute() / DEFAULT_FILE_NAME
    return build_default_url(settings.index) if _can_be_written(file) else None


def find_url_beside(root: Path) -> str | None:
    """Return the URL of the live store in an index directory; None if there is none.

    Raises:
        SettingsError: If it cannot be written, as even reading it needs.
    """
    file = root.absolute() / DEFAULT_FILE_NAME
    if not file.exists():
        return None
    if not _can_be_written(file):
        raise SettingsError(
            f"the live store {file} cannot be written, which reading it needs; make it writable, "
            f"or leave it out (--no-live; in Python without live)"
        )
    return build_default_url(root)


def build_default_url(root: Path) -> str:
    """Return the URL of the live store that an index directory has, or will have."""
    file = root.absolute() / DEFAULT_FILE_NAME
    return sa.URL.create("sqlite", database=str(file)).render_as_string()


def _can_be_written(file: Path) -> bool:
    return os.access(file.parent, os.W_OK) and (not file.exists() or os.access(file, os.W_OK))


def require_live_store(live_store: LiveStore | None, settings: Settings) -> LiveStore:
    """Return the live store.

    Raises:
        Problem: 409 if there is none.
    """
    if live_store is None:
        raise Problem(HTTPStatus.CONFLICT, describe_missing_store(settings))
    return live_store


def describe_missing_store(settings: Settings) -> str:
    """Return the sentence that says why there is no live store."""
    file = settings.index / DEFAULT_FILE_NAME
    what = f"the live store {file}" if file.exists() else f"the index directory {settings.index}"
    return (
        f"nothing can be kept: {what} cannot be written; make it writable and restart the service, "
        f"or start it with --db URL"
    )
