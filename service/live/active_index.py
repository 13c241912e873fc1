"""An index directory to the live `Index`: opened, warmed, swapped when a new snapshot appears.

A request borrows the index it starts with and keeps it, whatever is published meanwhile; an index
is closed when it is no longer live and its last borrower is done. A snapshot that cannot be opened
never replaces one that serves.
"""

import logging
import threading
import time
from collections.abc import Iterator, Mapping
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

_JOIN_TIMEOUT_S = 5  # a model may be loading; it need not be waited for

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _CountedIndex:
    """An index with the number of its borrowers, guarded by the recommender's lock."""

    index: Index
    borrowers: int = 0
    is_active: bool = True


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """Whether requests can be answered.

    Attributes:
        snapshot: The live one; None until the first is open and warm.
        error: Why a newer one is not served; None if all is well.
    """

    snapshot: str | None
    error: str | None


class ActiveIndex:
    """The shell around the live snapshot of one index directory; thread-safe."""

    def __init__(
        self,
        root: Path,
        *,
        encoder: Encoder | None = None,
        scenarios: Mapping[str, Scenario] | None = None,
        poll_s: float,
        retry_s: float,
    ) -> None:
        self._root = root
        self._scenarios = scenarios
        self._poll_s = poll_s
        self._retry_s = retry_s
        self._lock = threading.Lock()  # of the live index, its borrowers, the trouble; for moments
        self._active: _CountedIndex | None = None
        self._error: str | None = None
        self._opening_lock = threading.Lock()  # of the model; one snapshot is opened at a time
        self._encoder = encoder
        self._failed_attempt: tuple[str, float] | None = (
            None  # the watcher's: an id, when to try again
        )
        self._stopping = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="snapshots", daemon=True)

    def start(self) -> None:
        """Open the live snapshot in the background, then keep looking for new ones."""
        self._watcher.start()

    def close(self) -> None:
        """Stop looking; close the index when its last borrower is done."""
        self._stopping.set()
        self._watcher.join(_JOIN_TIMEOUT_S)
        with self._lock:
            retired, self._active = self._active, None
            self._retire(retired)

    @property
    def status(self) -> IndexStatus:
        """What /health/ready tells."""
        with self._lock:
            return IndexStatus(self._active.index.id if self._active else None, self._error)

    @property
    def scenarios(self) -> Mapping[str, Scenario]:
        """Those of the live index; of the directory until there is one.

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
    def borrow(self) -> Iterator[Index]:
        """Lend the live index.

        Raises:
            Problem: 503 until a snapshot is open and warm.
        """
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
        """Serve what the directory says is live now; return its id.

        Raises:
            Problem: 409 if it cannot be opened; the old one goes on serving.
        """
        try:
            return self._serve_current()
        except Exception as error:
            raise _conflict(
                f"the newest snapshot cannot be opened ({_describe_error(error)})"
            ) from error

    def activate(self, snapshot_id: str) -> str:
        """Make a snapshot the live one, here and for every worker and restart.

        Raises:
            Problem: 404 if there is none of that id, 409 if it cannot be opened or the directory
                cannot be written; the old one goes on serving.
        """
        try:
            find_snapshot(self._root, snapshot_id)
        except SnapshotError as error:
            raise Problem(HTTPStatus.NOT_FOUND, str(error)) from error
        with self._opening_lock:
            try:
                opened = self._open_snapshot(snapshot_id)
            except Exception as error:
                raise _conflict(f"it cannot be opened ({_describe_error(error)})") from error
            try:
                make_current(self._root, snapshot_id)
            except OSError as error:
                opened.close()
                raise _conflict(f"{self._root} cannot be written ({error.strerror})") from error
            self._swap(opened)
        return snapshot_id

    def list_snapshots(self) -> list[dict[str, Any]]:
        """Describe every snapshot, the newest first."""
        live = self.status.snapshot
        return [
            {"id": name, "live": name == live, **_describe_snapshot(self._root, name)}
            for name in reversed(list_ids(self._root))
        ]

    def _watch(self) -> None:
        while True:
            self._check_current()
            if self._stopping.wait(self._poll_s):
                return

    def _check_current(self) -> None:
        """Serve a new snapshot if there is one. Whatever is wrong with it, the old one serves."""
        name = "the live snapshot"
        try:
            name = read_current_id(self._root)
            if (
                self._failed_attempt
                and self._failed_attempt[0] == name
                and time.monotonic() < self._failed_attempt[1]
            ):
                return
            self._serve_current()
            self._failed_attempt = None
        except Exception as error:  # noqa: BLE001  # the watcher must outlive any damage
            self._failed_attempt = (name, time.monotonic() + self._retry_s)
            self._report_error(name, error)

    def _serve_current(self) -> str:
        with self._opening_lock:
            # Read here: while the lock was waited for, a roll-back may have changed it.
            name = read_current_id(self._root)
            if self.status.snapshot != name:
                self._swap(self._open_snapshot(name))
            with self._lock:
                self._error = None
        return name

    def _open_snapshot(self, name: str) -> Index:
        """Open a snapshot and answer one request from it, so that the next one is fast."""
        manifest = read_manifest(find_snapshot(self._root, name))
        shared_encoder = self._encoder
        if shared_encoder is not None and shared_encoder.fingerprint != manifest.encoder:
            shared_encoder = None  # built with another model: the index loads its own
        index = Index.open(
            self._root, snapshot_id=name, encoder=shared_encoder, scenarios=self._scenarios
        )
        try:
            index.recommend(query=None if manifest.encoder is None else PROBE_TEXT, k=1)
            if manifest.encoder is not None:
                self._encoder = index.encoder
        except BaseException:
            index.close()
            raise
        return index

    def _swap(self, index: Index) -> None:
        with self._lock:
            retired, self._active = self._active, _CountedIndex(index)
            self._error = None
            self._retire(retired)
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
            old = f"; serving {self._active.index.id}" if self._active else ""
            message = f"snapshot {name} cannot be opened ({_describe_error(error)}){old}"
            is_new = message != self._error
            self._error = message
        if is_new:
            _log.warning("%s", message)


def _describe_error(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _conflict(reason: str) -> Problem:
    return Problem(HTTPStatus.CONFLICT, f"the snapshot was not switched: {reason}")


def _describe_snapshot(root: Path, name: str) -> dict[str, Any]:
    """What a list of snapshots tells about one; a damaged one tells its damage."""
    try:
        manifest = read_manifest(find_snapshot(root, name))
    except SnapshotError as error:
        return {"error": _describe_error(error)}
    return {
        "created_at": manifest.created_at,
        "items": manifest.counts["items"],
        "index": manifest.index.get("kind"),
        "model": manifest.encoder.name if manifest.encoder else None,
        "parent": manifest.parent,
        "error": None,
    }
