"""Calls that change the live store, each in a thread of the queue that its kind waits in."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import orjson
from fastapi import Response

from indexer import Index
from indexer.live import LiveCatalogue
from service.edge import Problem, WorkQueue, send_json
from service.live import (
    ActiveIndex,
    ItemDrafts,
    KeptItems,
    LiveStore,
    RequestViews,
    require_live_store,
)
from service.settings import Settings

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_LONG_QUEUE_SIZE = 8  # waiting calls with many new items


class StoreWriter:
    """Changes the live store, if there is one.

    Events and users are written one transaction after the other. Items are encoded first, which
    takes longer, and many of them so long that other writers need not wait for it. Erased users
    are removed, and the files cleaned, while events come.

    Args:
        settings: Of the service.
        active_index: The snapshot that serves.
        live_store: None: every call is refused.
        views: Opens views of snapshot and store.
    """

    def __init__(
        self,
        settings: Settings,
        active_index: ActiveIndex,
        live_store: LiveStore | None,
        views: RequestViews,
    ) -> None:
        self._settings, self._active_index = settings, active_index
        self._live_store, self._views = live_store, views
        size = settings.write_queue
        self._event_queue = WorkQueue("events", threads=1, max_waiting=size)
        self._item_queue = WorkQueue("items", threads=1, max_waiting=size)
        self._long_item_queue = WorkQueue("long items", threads=1, max_waiting=_LONG_QUEUE_SIZE)
        self._erasure_queue = WorkQueue("erasures", threads=1, max_waiting=size)
        self._finishing: asyncio.Task[None] | None = None  # an erasure that nobody waits for

    @property
    def queues(self) -> tuple[WorkQueue, ...]:
        """The queues of its calls."""
        return (
            self._event_queue,
            self._item_queue,
            self._long_item_queue,
            self._erasure_queue,
        )

    async def write(self, call: Callable[[LiveStore], Any]) -> Response:
        """Run `call`, which writes to the live store, in a thread; return its result as JSON.

        Raises:
            Problem: 409 if there is no live store.
        """
        return send_json(await self.run_write(lambda live: orjson.dumps(call(live))))

    async def run_write(self, call: Callable[[LiveStore], _T]) -> _T:
        """Run `call`, which writes to the live store, in a thread; return what it returns.

        Raises:
            Problem: 409 if there is no live store.
        """
        live = require_live_store(self._live_store, self._settings)
        return await self._event_queue.run(lambda: call(live), deadline_s=self._settings.deadline_s)

    async def erase_user(self, user_id: str) -> tuple[int, int]:
        """Erase a user from the live store and from its files.

        Returns:
            The number of events that were removed, and the sequence number afterwards.

        Raises:
            Problem: 409 if there is no live store; 503 if it could not be done in time: then the
                user is hidden, and removed in the background, from rows and files.
        """
        live = require_live_store(self._live_store, self._settings)
        deadline_s = self._settings.batch_deadline_s
        is_clean = False
        try:
            erased_count, seq = await self._erasure_queue.run(
                lambda: live.users.erase_rows(user_id), deadline_s=deadline_s
            )
            # Behind the erasures that wait, so that the files are cleaned once for all of them.
            await self._erasure_queue.run(
                lambda: live.users.clean_files(seq), deadline_s=deadline_s
            )
            is_clean = True
        finally:  # also if the caller has left
            if not is_clean and self._finishing is None:
                self._finishing = asyncio.create_task(self._finish_later())
        return erased_count, seq

    async def _finish_later(self) -> None:
        """Finish, behind the erasure that nobody waits for any more."""
        try:
            await self.finish_erasures()
        finally:
            self._finishing = None

    async def finish_erasures(self) -> None:
        """Remove what erasures that were interrupted have left; no caller waits for it."""
        live = self._live_store
        if live is None:
            return
        try:
            await self._erasure_queue.run(live.users.finish_erasures)
        except Problem as problem:
            _log.warning("interrupted erasures are not complete yet: %s", problem.detail)

    async def change_items(self, call: Callable[[LiveStore, Index], Any]) -> Response:
        """Run `call`, which encodes and writes items, in a thread; return its result as JSON.

        Raises:
            Problem: 409 if there is no live store.
        """
        live = require_live_store(self._live_store, self._settings)

        def run_call() -> bytes:
            with self._active_index.borrow() as index:
                return orjson.dumps(call(live, index))

        deadline_s = self._settings.batch_deadline_s
        return send_json(await self._item_queue.run(run_call, deadline_s=deadline_s))

    async def put_items(self, bodies: Sequence[Mapping[str, Any]]) -> KeptItems:
        """Store whole items; many new texts are encoded in a thread of their own.

        Raises:
            Problem: 409 if there is no live store; 503 if it could not be done in time, then
                nothing was stored unless the transaction was under way.
            RequestError: See `LiveItems.draft`.
        """
        live = require_live_store(self._live_store, self._settings)

        def store(drafts: ItemDrafts) -> KeptItems:
            with self._active_index.borrow() as index:
                return live.items.store(index, drafts)

        def draft_or_store() -> ItemDrafts | KeptItems:
            with self._active_index.borrow() as index:
                drafts = live.items.draft(index, bodies, lambda: self._load_catalogue(index))
            return drafts if drafts.is_long else store(drafts)

        deadline_s = self._settings.batch_deadline_s
        stored = await self._item_queue.run(draft_or_store, deadline_s=deadline_s)
        if isinstance(stored, ItemDrafts):
            drafts = stored
            return await self._long_item_queue.run(lambda: store(drafts), deadline_s=deadline_s)
        return stored

    def _load_catalogue(self, index: Index) -> LiveCatalogue:
        """Return the catalogue as it is now."""
        with self._views.open(index) as view:
            return view.catalogue
