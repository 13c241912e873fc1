"""The parts of a running service that routes work with, created once when it starts."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import orjson
from fastapi import Depends, Request, Response

from indexer.errors import TextBudgetError
from indexer.language import limit_new_tokens, use_query_store
from indexer.request import measure_text_cost
from service.answering import PageBuilder
from service.edge import ApiKeys, Problem, SharedQueue, TextQueue, WorkQueue, send_json
from service.live import (
    ActiveIndex,
    LiveStore,
    Refresher,
    RequestView,
    RequestViews,
    StaleViewError,
)
from service.llm import LlmClient
from service.settings import Settings
from service.store import KeptTextEncoder, LongLogError, Owner, TextVectors
from service.store_check import StoreCheck
from service.store_writer import StoreWriter

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_CLOSING_S = 5  # for calls that run when the service ends, all queues together
_LONG_TOKENS = 64  # of new text; more than a search asks for, and some 40 ms of encoding
_MAX_TURNS = 5  # of one call: a long log, its history, its examples, tags of the catalogue
_OPENING_S = 5  # that a request waits for the first snapshot


@dataclass(frozen=True, slots=True)
class _NewTexts:
    """What must be encoded before a call can go on."""

    texts: Sequence[str]
    encode: KeptTextEncoder


@dataclass(frozen=True, slots=True)
class _LongLog:
    """Whose log must be read before a call can go on."""

    key: Owner


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of a running service.

    Attributes:
        keys: None: every client may call everything.
        active_index: The snapshot that serves.
        pages: Answers calls page by page.
        answer_queue: Answers requests.
        long_queue: Answers batches of requests, which take seconds that others need not wait for.
        text_queue: Encodes the new texts of requests that have many.
        log_queue: Reads the long logs of users who ask.
        admin_queue: Opens snapshots, one at a time, so that this delays no request.
        live_store: None: nothing can be stored.
        store_check: Tells whether it can be used.
        writer: Changes it.
        views: Opens views of snapshot and store.
        refresher: Loads changed items in the background.
        llm_client: None: no language model is configured.
        clock: Returns the time, Unix seconds.
    """

    settings: Settings
    keys: ApiKeys | None
    active_index: ActiveIndex
    pages: PageBuilder
    answer_queue: WorkQueue
    long_queue: WorkQueue
    text_queue: TextQueue
    log_queue: SharedQueue
    admin_queue: WorkQueue
    live_store: LiveStore | None
    store_check: StoreCheck
    writer: StoreWriter
    views: RequestViews
    refresher: Refresher
    llm_client: LlmClient | None
    clock: Callable[[], float]

    @property
    def queues(self) -> tuple[WorkQueue | TextQueue | SharedQueue, ...]:
        """All queues of blocking calls."""
        return (
            self.answer_queue,
            self.long_queue,
            self.text_queue,
            self.log_queue,
            self.admin_queue,
            self.store_check.queue,
            *self.writer.queues,
        )

    async def respond(
        self,
        call: Callable[[RequestView], Any],
        *,
        is_long: bool = False,
        deadline_s: float | None = None,
    ) -> Response:
        """Run `call` as `run_on_view` does; return its result as JSON."""
        content = await self.run_on_view(
            lambda view: orjson.dumps(call(view)), is_long=is_long, deadline_s=deadline_s
        )
        return send_json(content)

    def answer_from_memory(
        self, call: Callable[[RequestView], dict[str, Any] | None]
    ) -> Response | None:
        """Return what `call` returns as JSON, at once, without a thread.

        Two changes of thread take longer than an answer that memory holds.

        Args:
            call: Reads nothing but memory, within a millisecond or so; None: it cannot answer.
        """
        if self.active_index.status.snapshot is None:  # a thread may wait for it
            return None
        with self.active_index.borrow() as index:
            view = self.views.peek(index)
            if view is None:
                return None
            try:
                content = call(view)
            except StaleViewError:
                return None
        return None if content is None else send_json(orjson.dumps(content))

    async def run_on_view(
        self,
        call: Callable[[RequestView], _T],
        *,
        is_long: bool = False,
        deadline_s: float | None = None,
    ) -> _T:
        """Run `call` over a view of the current state, in a thread; return its result.

        Args:
            call: Blocking.
            is_long: Whether it may take seconds, as a batch of requests does. Of any other call
                only new texts and a long log can take long: they come first, then it begins anew.
            deadline_s: Time limit; None: that of the settings.

        Raises:
            Problem: 503 if the queue is full, the deadline passes, or no snapshot serves yet.
        """

        def run_call(vectors: TextVectors | None, *, is_patient: bool = True) -> _T:
            with (
                use_query_store(vectors),
                self.active_index.borrow(wait_s=_OPENING_S) as index,
            ):
                return self.views.answer(index, call, is_patient=is_patient)

        deadline_s = self.settings.deadline_s if deadline_s is None else deadline_s
        if is_long:
            return await self.long_queue.run(
                lambda: run_call(self._begin_text_vectors()), deadline_s=deadline_s
            )
        return await self._run_in_turns(run_call, ends_at=time.monotonic() + deadline_s)

    async def _run_in_turns(self, call: Callable[..., _T], *, ends_at: float) -> _T:
        """Run `call` until it needs no new texts and no long log; between, these are got ready.

        Args:
            call: Blocking; it begins anew. It gets where to keep vectors of what it reads, and
                whether it may read a long log.
            ends_at: Monotonic time of its deadline.
        """

        def run_short_call() -> _T | _NewTexts | _LongLog:
            vectors = self._begin_text_vectors()
            try:
                with limit_new_tokens(_LONG_TOKENS):
                    return call(vectors, is_patient=False)
            except TextBudgetError as error:
                return _NewTexts(error.texts, KeptTextEncoder(error.encoder, vectors))
            except LongLogError as error:
                return _LongLog(error.key)

        for turn in range(_MAX_TURNS):
            left_s = max(0, ends_at - time.monotonic())
            result = await self.answer_queue.run(
                run_short_call, deadline_s=left_s, is_admitted=turn > 0
            )
            if not isinstance(result, _NewTexts | _LongLog):
                return result
            left_s = max(0, ends_at - time.monotonic())
            await self._get_ready(result, deadline_s=left_s, is_admitted=turn > 0)
        return await self.long_queue.run(
            lambda: call(self._begin_text_vectors()),
            deadline_s=max(0, ends_at - time.monotonic()),
        )

    async def _get_ready(
        self, needed: _NewTexts | _LongLog, *, deadline_s: float, is_admitted: bool
    ) -> None:
        """Wait until what a call needs is in memory; it holds no thread meanwhile."""
        if isinstance(needed, _NewTexts):
            await self.text_queue.encode(
                needed.encode, needed.texts, deadline_s=deadline_s, is_admitted=is_admitted
            )
            return
        key = needed.key

        def read_log() -> None:
            with self.active_index.borrow(wait_s=_OPENING_S) as index:
                self.views.answer(index, lambda view: view.load_user_state(*key))

        await self.log_queue.run(key, read_log, deadline_s=deadline_s, is_admitted=is_admitted)

    def _begin_text_vectors(self) -> TextVectors | None:
        """Return where to keep vectors of what is read from now on, until somebody is erased."""
        return self.live_store.text_vectors.begin() if self.live_store else None

    async def find_unknown_items(
        self, item_ids: Sequence[str], *, deadline_s: float
    ) -> list[str] | None:
        """Return those of some ids that are not in the catalogue as it is now. It never fails.

        Returns:
            None if that cannot be known in time: nothing serves yet, or the store is busy.
        """
        if not item_ids:
            return []

        def list_unknown() -> list[str]:
            with self.active_index.borrow() as index:
                known = self.views.answer(index, lambda view: view.catalogue.rows(item_ids))
            return [item_id for item_id in item_ids if item_id not in known]

        try:
            return await self.answer_queue.run(list_unknown, deadline_s=deadline_s)
        except Problem:
            return None
        except Exception:  # noqa: BLE001  # the events are kept: their answer must say so
            _log.exception("it cannot be told which of %d items are unknown", len(item_ids))
            return None

    def build_forgetter(self) -> Callable[[RequestView], None]:
        """Return what forgets erased users, and what others changed, though nobody asks.

        It may be called by any thread; the event loop is the one that this is called in.
        """
        loop = asyncio.get_running_loop()
        removals: tuple[int, int] | None = None

        def forget(view: RequestView) -> None:
            nonlocal removals
            if view.live_store is None:
                return
            view.live_store.user_states.forget_outdated(view.sequence)
            self.pages.prepared_queries.forget_outdated(view)
            if removals not in (None, view.sequence.removals) and self.llm_client is not None:
                loop.call_soon_threadsafe(self.llm_client.clear_cache)
            removals = view.sequence.removals

        return forget

    async def check_store(self) -> None:
        """Check that the live store, if there is one, can be read now.

        Raises:
            Problem: 503 if it cannot.
        """
        await self.store_check.run()

    async def run_admin(self, call: Callable[[], _T]) -> _T:
        """Run `call`, which may open a snapshot, in a thread; there is no deadline."""
        return await self.admin_queue.run(call)

    def close(self) -> None:
        """Wait a while for the running calls, then close the store and the index."""
        self.refresher.close()
        deadline = time.monotonic() + _CLOSING_S
        for queue in self.queues:
            if not queue.close(wait_s=max(0, deadline - time.monotonic())):
                _log.warning("a call is still running %g s after it was given up", _CLOSING_S)
        if self.live_store is not None:
            self.live_store.database.close()
            self.live_store.text_vectors.close()
        self.active_index.close()


def check_text_cost(body: Mapping[str, Any]) -> None:
    """Check that a request may bring its texts.

    Raises:
        RequestError: If they take so long to encode that they are refused.
    """
    measure_text_cost([body]).check_request()


def _get_services(request: Request) -> Services:
    services = request.app.state.services
    if not isinstance(services, Services):
        raise TypeError("the application was not started: its lifespan has not run")
    return services


ServicesDep = Annotated[Services, Depends(_get_services)]
