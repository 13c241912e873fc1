"""What every route works with, made once when the service starts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import orjson
from fastapi import Depends, Request, Response

from indexer import Index
from service.answering import PageBuilder
from service.edge import ApiKeys, WorkQueue
from service.live import (
    ActiveIndex,
    LiveStore,
    Refresher,
    RequestView,
    RequestViews,
    require_live_store,
)
from service.llm import LlmClient
from service.settings import Settings

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of a running service.

    Attributes:
        keys: None: whoever can connect may do everything.
        answer_queue: Where requests are answered.
        admin_queue: Where snapshots are opened, one at a time, so that they hold up no request.
        event_queue: Where events and users are written, one transaction after the other.
        item_queue: Where items are encoded and written, which takes longer.
        live_store: None: nothing can be kept.
        views: Of the catalogue and the store as they are at a moment.
        refresher: Keeps the live items at hand.
        llm_client: None: no endpoint is configured.
    """

    settings: Settings
    keys: ApiKeys | None
    active_index: ActiveIndex
    pages: PageBuilder
    answer_queue: WorkQueue
    admin_queue: WorkQueue
    event_queue: WorkQueue
    item_queue: WorkQueue
    live_store: LiveStore | None
    views: RequestViews
    refresher: Refresher
    llm_client: LlmClient | None
    clock: Callable[[], float]

    async def respond(
        self, call: Callable[[RequestView], Any], *, deadline_s: float | None = None
    ) -> Response:
        """Return as JSON what `call` makes of the catalogue as it is now, off the event loop."""
        content = await self.run_on_view(
            lambda view: orjson.dumps(call(view)), deadline_s=deadline_s
        )
        return Response(content, media_type="application/json")

    async def run_on_view(
        self, call: Callable[[RequestView], _T], *, deadline_s: float | None = None
    ) -> _T:
        """Return what `call` makes of the catalogue as it is now, off the event loop."""

        def blocking() -> _T:
            with self.active_index.borrow() as index, self.views.open(index) as view:
                return call(view)

        deadline_s = self.settings.deadline_s if deadline_s is None else deadline_s
        return await self.answer_queue.run(blocking, deadline_s=deadline_s)

    async def write(self, call: Callable[[LiveStore], Any]) -> Response:
        """Return as JSON what `call` returns once it is durable.

        Raises:
            Problem: 409 if there is no live store.
        """
        live = require_live_store(self.live_store, self.settings)
        content = await self.event_queue.run(
            lambda: orjson.dumps(call(live)), deadline_s=self.settings.deadline_s
        )
        return Response(content, media_type="application/json")

    async def change_items(self, call: Callable[[LiveStore, Index], Any]) -> Response:
        """Return as JSON what `call` returns once the items are encoded and durable.

        Raises:
            Problem: 409 if there is no live store.
        """
        live = require_live_store(self.live_store, self.settings)

        def blocking() -> bytes:
            with self.active_index.borrow() as index:
                return orjson.dumps(call(live, index))

        content = await self.item_queue.run(blocking, deadline_s=self.settings.batch_deadline_s)
        return Response(content, media_type="application/json")

    async def run_admin(self, call: Callable[[], _T]) -> _T:
        """Return what a call returns that may open a snapshot; it may take as long as it needs."""
        return await self.admin_queue.run(call)

    def close(self) -> None:
        """Finish what runs, then close the index."""
        self.refresher.close()
        self.answer_queue.close()
        self.admin_queue.close()
        self.event_queue.close()
        self.item_queue.close()
        if self.live_store is not None:
            self.live_store.database.close()
        self.active_index.close()


def _get_services(request: Request) -> Services:
    services = request.app.state.services
    if not isinstance(services, Services):
        raise TypeError("the application was not started: its lifespan has not run")
    return services


ServicesDep = Annotated[Services, Depends(_get_services)]
