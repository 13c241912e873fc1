"""What every route works with, made once when the service starts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import orjson
from fastapi import Depends, Request, Response

from indexer import Index
from service.keys import Keys
from service.pages import Pages
from service.recommender import Recommender
from service.settings import Settings
from service.work_queue import WorkQueue

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of a running service.

    Attributes:
        keys: None: whoever can connect may do everything.
        work: Where requests are answered.
        admin_work: Where snapshots are opened, one at a time, so that they hold up no request.
    """

    settings: Settings
    keys: Keys | None
    recommender: Recommender
    pages: Pages
    work: WorkQueue
    admin_work: WorkQueue

    async def answer(
        self, call: Callable[[Index], Any], *, deadline_s: float | None = None
    ) -> Response:
        """Return as JSON what `call` makes of the live index, off the event loop."""

        def blocking() -> bytes:
            with self.recommender.borrowed() as index:
                return orjson.dumps(call(index))

        deadline_s = self.settings.deadline_s if deadline_s is None else deadline_s
        content = await self.work.run(blocking, deadline_s=deadline_s)
        return Response(content, media_type="application/json")

    async def administer(self, call: Callable[[], _T]) -> _T:
        """Return what a call returns that may open a snapshot; it may take as long as it needs."""
        return await self.admin_work.run(call)

    def close(self) -> None:
        """Finish what runs, then close the index."""
        self.work.close()
        self.admin_work.close()
        self.recommender.close()


def _services(request: Request) -> Services:
    found = request.app.state.services
    if not isinstance(found, Services):
        raise TypeError("the application was not started: its lifespan has not run")
    return found


ServicesNow = Annotated[Services, Depends(_services)]
