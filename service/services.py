"""What every route works with, made once when the service starts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import orjson
from fastapi import Depends, Request, Response

from indexer import Index
from service.answering import Pages
from service.edge import Keys, WorkQueue
from service.live import Live, Recommender, Refresher, View, Views, required
from service.llm import LanguageModel
from service.settings import Settings

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of a running service.

    Attributes:
        keys: None: whoever can connect may do everything.
        work: Where requests are answered.
        admin_work: Where snapshots are opened, one at a time, so that they hold up no request.
        event_work: Where events and users are written, one transaction after the other.
        item_work: Where items are encoded and written, which takes longer.
        live: None: nothing can be kept.
        views: Of the catalogue and the store as they are at a moment.
        refresher: Keeps the live items at hand.
        language_model: None: no endpoint is configured.
    """

    settings: Settings
    keys: Keys | None
    recommender: Recommender
    pages: Pages
    work: WorkQueue
    admin_work: WorkQueue
    event_work: WorkQueue
    item_work: WorkQueue
    live: Live | None
    views: Views
    refresher: Refresher
    language_model: LanguageModel | None
    clock: Callable[[], float]

    async def answer(
        self, call: Callable[[View], Any], *, deadline_s: float | None = None
    ) -> Response:
        """Return as JSON what `call` makes of the catalogue as it is now, off the event loop."""
        content = await self.look(lambda view: orjson.dumps(call(view)), deadline_s=deadline_s)
        return Response(content, media_type="application/json")

    async def look(self, call: Callable[[View], _T], *, deadline_s: float | None = None) -> _T:
        """Return what `call` makes of the catalogue as it is now, off the event loop."""

        def blocking() -> _T:
            with self.recommender.borrowed() as index, self.views.of(index) as view:
                return call(view)

        deadline_s = self.settings.deadline_s if deadline_s is None else deadline_s
        return await self.work.run(blocking, deadline_s=deadline_s)

    async def write(self, call: Callable[[Live], Any]) -> Response:
        """Return as JSON what `call` returns once it is durable.

        Raises:
            Problem: 409 if there is no live store.
        """
        live = required(self.live, self.settings)
        content = await self.event_work.run(
            lambda: orjson.dumps(call(live)), deadline_s=self.settings.deadline_s
        )
        return Response(content, media_type="application/json")

    async def change_items(self, call: Callable[[Live, Index], Any]) -> Response:
        """Return as JSON what `call` returns once the items are encoded and durable.

        Raises:
            Problem: 409 if there is no live store.
        """
        live = required(self.live, self.settings)

        def blocking() -> bytes:
            with self.recommender.borrowed() as index:
                return orjson.dumps(call(live, index))

        content = await self.item_work.run(blocking, deadline_s=self.settings.batch_deadline_s)
        return Response(content, media_type="application/json")

    async def administer(self, call: Callable[[], _T]) -> _T:
        """Return what a call returns that may open a snapshot; it may take as long as it needs."""
        return await self.admin_work.run(call)

    def close(self) -> None:
        """Finish what runs, then close the index."""
        self.refresher.close()
        self.work.close()
        self.admin_work.close()
        self.event_work.close()
        self.item_work.close()
        if self.live is not None:
            self.live.database.close()
        self.recommender.close()


def _services(request: Request) -> Services:
    found = request.app.state.services
    if not isinstance(found, Services):
        raise TypeError("the application was not started: its lifespan has not run")
    return found


ServicesNow = Annotated[Services, Depends(_services)]
