"""An index directory to the `Index` that serves, replaced when a new snapshot is published.

A request borrows the index and keeps it to its end, whatever is published meanwhile. An index is
closed when it no longer serves and its last borrower has returned it. A snapshot that cannot be
opened never replaces one that serves.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from indexer import Index, SnapshotError
from indexer.errors import ScenarioError
from indexer.language import PROBE_TEXT, Encoder
from indexer.request import Scenario, load_index_scenarios
from indexer.snapshot import find_snapshot, list_ids, make_current, read_current_id, read_manifest
from service.edge import Problem, unavailable
from service.live.snapshot_entries import (
    build_conflict,
    describe_error,
    describe_failure,
    describe_snapshot,
    find_highest_applied_seq,
)

_WARM_HISTORY = 12  # items of a made-up history, enough for several interests
_JOIN_TIMEOUT_S = 5  # the watcher may be loading an encoder, which need not be waited for

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _CountedIndex:
    """An index and its borrowers, guarded by the lock of `ActiveIndex`."""

    index: Index
    borrowers: int = 0
    is_active: bool = True


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """Whether requests can be answered.

    Attributes:
        snapshot: Id of the one that serves; None until the first is open and warm.
        error: Why a newer one does not serve, or its language model; None if nothing is wrong.
        has_model: Whether its language model is loaded, if it needs one.
    """

    snapshot: str | None
    error: str | None
    has_model: bool = False


class ActiveIndex:
    """The snapshot of one index directory that serves; thread-safe.

    Args:
        root: The index directory.
        encoder: An encoder that is already loaded; None: the first snapshot loads its own.
        scenarios: By name; None: those of the index directory.
        poll_s: How often to look for a new snapshot.
        retry_s: How long not to retry a snapshot that could not be opened.
        continue_after: Is told, before a snapshot serves, the highest number of a live store that
            a snapshot of the directory has applied: it may be made the current one later.
    """

    def __init__(
        self,
        root: Path,
        *,
        encoder: Encoder | None = None,
        scenarios: Mapping[str, Scenario] | None = None,
        poll_s: float,
        retry_s: float,
        continue_after: Callable[[int], None] | None = None,
    ) -> None:
        self._root = root
        self._scenarios = scenarios
        self._poll_s = poll_s
        self._retry_s = retry_s
        self._continue_after = continue_after
        self._lock = threading.Lock()  # guards `_active`, its borrowers and `_error`; held briefly
        self._active: _CountedIndex | None = None
        self._error: str | None = None
        self._has_opened = threading.Event()
        # Of the snapshot that serves, and of one that is about to.
        self._ids_with_model: set[str] = set()
        self._opening_lock = threading.Lock()  # guards `_encoder`; one snapshot opens at a time
        self._encoder = encoder
        # Snapshot id, and when to try it again; used by the watcher alone.
        self._failed_attempt: tuple[str, float] | None = None
        self._stopping = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="snapshots", daemon=True)

    def start(self) -> None:
        """Open the current snapshot in the background, then keep looking for new ones."""
        self._watcher.start()

    def close(self) -> None:
        """Stop looking; close the index once its last borrower has returned it."""
        self._stopping.set()
        self._watcher.join(_JOIN_TIMEOUT_S)
        with self._lock:
            retired, self._active = self._active, None
            self._retire(retired)

    @property
    def _is_first(self) -> bool:
        return self._active_id is None

    @property
    def _active_id(self) -> str | None:
        with self._lock:
            return self._active.index.id if self._active else None

    @property
    def status(self) -> IndexStatus:
        """The state that /health/ready reports."""
        with self._lock:
            index = self._active.index if self._active else None
            if index is None:
                return IndexStatus(None, self._error)
            has_model = index.manifest.encoder is None or index.id in self._ids_with_model
            return IndexStatus(index.id, self._error, has_model=has_model)

    @property
    def scenarios(self) -> Mapping[str, Scenario]:
        """Scenarios of the index that serves; those of the directory until there is one.

        Raises:
            Problem: 503 if they cannot be read.
        """
        with self._lock:
            if self._active is not None:
                return self._active.index.scenarios
        try:
            return self._scenarios or load_index_scenarios(self._root)
        except ScenarioError as error:
            raise unavailable("the scenarios cannot be read; see the service's log") from error

    @contextmanager
    def borrow(self, *, wait_s: float = 0) -> Iterator[Index]:
        """Lend the index that serves.

        Args:
            wait_s: How long to wait for the first one: of several workers one may be later.

        Raises:
            Problem: 503 until a snapshot is open and warm.
        """
        if wait_s and self._error is None:
            self._has_opened.wait(wait_s)
        with self._lock:
            counted = self._active
            if counted is None:
                raise unavailable(self._error or "the index is being loaded; try again shortly")
            counted.borrowers += 1
        try:
            yield counted.index
        finally:
            with self._lock:
                counted.borrowers -= 1
                self._close_unused(counted)

    def reload(self) -> str:
        """Serve the current snapshot of the directory; return its id.

        Raises:
            Problem: 409 if it cannot be opened; the old one continues to serve.
        """
        try:
            return self._serve_current()
        except Exception as error:
            raise build_conflict(
                f"the newest snapshot cannot be opened ({describe_error(error)})"
            ) from error

    def activate(self, snapshot_id: str) -> str:
        """Make a snapshot the current one of the directory, and serve it.

        Raises:
            Problem: 404 if there is none of that id, 409 if it cannot be opened or the directory
                cannot be written; the old one continues to serve.
        """
        try:
            find_snapshot(self._root, snapshot_id)
        except SnapshotError as error:
            raise Problem(HTTPStatus.NOT_FOUND, str(error)) from error
        with self._opening_lock:
            try:
                opened = self._open_snapshot(snapshot_id)
            except Exception as error:
                raise build_conflict(f"it cannot be opened ({describe_error(error)})") from error
            try:
                make_current(self._root, snapshot_id)
            except OSError as error:
                opened.close()
                raise build_conflict(
                    f"{self._root} cannot be written ({error.strerror})"
                ) from error
            self._swap(opened)
        return snapshot_id

    def list_snapshots(self) -> list[dict[str, Any]]:
        """Describe every snapshot, the newest first."""
        live = self.status.snapshot
        return [
            {"id": name, "live": name == live, **describe_snapshot(self._root, name)}
            for name in reversed(list_ids(self._root))
        ]

    def _watch(self) -> None:
        while True:
            self._check_current()
            if self._stopping.wait(self._poll_s):
                return

    def _check_current(self) -> None:
        """Serve a new snapshot if there is one; on any error the old one continues to serve."""
        name = ""
        try:
            name = read_current_id(self._root)
            if self._is_waiting_to_retry(name):
                return
            self._serve_current()
            self._failed_attempt = None
        except Exception as error:  # noqa: BLE001  # the watcher must outlive any damage
            self._failed_attempt = (name, time.monotonic() + self._retry_s)
            self._report_error(name, error)

    def _is_waiting_to_retry(self, name: str) -> bool:
        if self._failed_attempt is None:
            return False
        failed_name, retry_at = self._failed_attempt
        return failed_name == name and time.monotonic() < retry_at

    def _serve_current(self) -> str:
        with self._opening_lock:
            # Read again: while this thread waited for the lock, a roll-back may have changed it.
            name = read_current_id(self._root)
            if self._active_id != name:
                self._swap(self._open_snapshot(name))
            self._load_missing_encoder()
            with self._lock:
                self._error = None
        return name

    def _load_missing_encoder(self) -> None:
        """Load the model of the first snapshot, which serves without it meanwhile."""
        with self._lock:
            index = self._active.index if self._active else None
            is_loaded = index is None or index.id in self._ids_with_model
        if index is not None and index.manifest.encoder is not None and not is_loaded:
            self._load_encoder(index)

    def _open_snapshot(self, name: str) -> Index:
        """Open a snapshot and answer requests with it, so that the next one is fast.

        The first snapshot serves before its language model is loaded, which takes seconds: requests
        without text are answered at once. A later one waits for its model while the old one serves.
        """
        manifest = read_manifest(find_snapshot(self._root, name))
        shared_encoder = self._encoder
        if shared_encoder is not None and shared_encoder.fingerprint != manifest.encoder:
            shared_encoder = None  # built with another encoder: the index loads its own
        index = Index.open(
            self._root, snapshot_id=name, encoder=shared_encoder, scenarios=self._scenarios
        )
        try:
            index.recommend(k=1)
            index.recommend(history=index.ids(range(min(index.count, _WARM_HISTORY))), k=1)
            if manifest.encoder is not None and not self._is_first:
                self._load_encoder(index)
        except BaseException:
            index.close()
            raise
        return index

    def _load_encoder(self, index: Index) -> None:
        """Load the model of an index, or reuse the one that is loaded. The opening lock is held."""
        index.recommend(query=PROBE_TEXT, k=1)
        self._encoder = index.encoder
        with self._lock:
            self._ids_with_model.add(index.id)

    def _swap(self, index: Index) -> None:
        if self._continue_after is not None:
            self._continue_after(find_highest_applied_seq(self._root))
        with self._lock:
            retired, self._active = self._active, _CountedIndex(index)
            self._ids_with_model &= {index.id}
            self._error = None
            self._retire(retired)
        self._has_opened.set()
        _log.info("serving snapshot %s", index.id)

    def _retire(self, retired: _CountedIndex | None) -> None:
        if retired is not None:
            retired.is_active = False
            self._close_unused(retired)

    def _close_unused(self, counted: _CountedIndex) -> None:
        if not counted.is_active and not counted.borrowers:
            counted.index.close()

    def _report_error(self, name: str, error: Exception) -> None:
        with self._lock:
            served = self._active.index.id if self._active else ""
            message = describe_failure(name, served, describe_error(error))
            is_new = message != self._error
            self._error = message
        if is_new:
            _log.warning("%s", message)
