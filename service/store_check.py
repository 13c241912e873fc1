"""A live store to whether it can be used now, for who asks whether the service is ready."""

import asyncio

from service.edge import Problem, WorkQueue
from service.store import LiveDatabase

_MAX_WAITING = 16


class StoreCheck:
    """Checks a live store, in a thread of its own; for one event loop.

    A store that was found damaged is read through by one thread at a time, as long as it takes;
    who asks waits for that up to a deadline.

    Args:
        database: Of the live store; None: there is none, and nothing is wrong.
        deadline_s: How long a call waits.
    """

    def __init__(self, database: LiveDatabase | None, *, deadline_s: float) -> None:
        self._database, self._deadline_s = database, deadline_s
        self.queue = WorkQueue("store checks", threads=1, max_waiting=_MAX_WAITING)
        self._look: asyncio.Task[Problem | None] | None = None

    async def run(self) -> None:
        """Check that the store can be read now.

        Raises:
            Problem: 503 if it cannot.
        """
        database = self._database
        if database is None:
            return
        if database.is_damaged:
            await self._wait_for_look(database)
        elif database.peek_sequence() is None:
            await self.queue.run(database.check, deadline_s=self._deadline_s)

    async def _wait_for_look(self, database: LiveDatabase) -> None:
        if self._look is None:
            self._look = asyncio.create_task(self._look_through(database))
        look = self._look
        await asyncio.wait({look}, timeout=self._deadline_s)  # it goes on if this is over
        problem = look.result() if look.done() else None
        if problem is not None:
            raise problem
        database.raise_if_damaged()

    async def _look_through(self, database: LiveDatabase) -> Problem | None:
        try:
            await self.queue.run(database.check)
        except Problem as problem:
            return problem
        finally:
            self._look = None
        return None
