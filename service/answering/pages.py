"""The fields of a call to one page of its list, as JSON, with the token of the next page. Blocking.

See `service.answering.cursors` for how a list continues.
"""

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any, cast

from indexer import Answer, FilterError, RequestError
from indexer.answer import list_items, prefetch
from indexer.live import LiveCatalogue
from indexer.query import Page, Stopwatch
from indexer.request import Request
from indexer.retrieval import PreparedQuery
from service.answering.cursors import (
    CURSOR_WINDOW,
    build_next_token,
    build_page_range,
    continue_cursor,
    load_cursor,
    load_personalised_request,
    parse_cursor_request,
)
from service.answering.lists import answer_list, compute_trending_weight, recommend_prefetched
from service.answering.prepared_queries import PreparedQueries
from service.answering.rendering import render_answer
from service.edge import Cursor, CursorSigner, ListKind, Problem, unavailable
from service.live import RequestView

MAX_BATCH_K = 10_000

_BATCH_CHUNK = 64  # requests of a batch that are encoded and searched together


@dataclass(frozen=True, slots=True)
class PageResult:
    """A page before it is rendered.

    Attributes:
        cursor: Where the page begins.
        request: What was answered; of recommendations with what the store knows of the user.
        live_seq: Sequence number of the store that the page reflects.
    """

    cursor: Cursor
    request: Request
    answer: Answer
    live_seq: int


@dataclass(frozen=True, slots=True)
class PageBuilder:
    """Answers calls page by page.

    Attributes:
        signer: Of cursors.
        clock: Returns the time, Unix seconds.
        prepared_queries: Of users who asked lately.
    """

    signer: CursorSigner
    clock: Callable[[], float]
    prepared_queries: PreparedQueries = field(default_factory=PreparedQueries)

    def build_page(
        self,
        view: RequestView,
        kind: ListKind,
        body: Mapping[str, Any],
        *,
        window: int = CURSOR_WINDOW,
    ) -> dict[str, Any]:
        """Return one page as JSON holds it.

        Args:
            view: The state of catalogue and store to answer from.
            kind: The call.
            body: Its fields that are not null.
            window: Of lists up to this length, see `build_page_range`.

        Raises:
            RequestError: If a value does not fit.
            FilterError: If the filter does not fit the catalogue.
            Problem: If the cursor cannot be used.
        """
        cursor = load_cursor(self.signer, kind, body, now=self.clock())
        page_range = build_page_range(view, cursor, window=window)
        prepared_view, prepared_query = self.prepared_queries.prepare(view, cursor)
        page = _compute_page(prepared_view, cursor, page_range, prepared_query)
        if (
            prepared_query
            and "cursor" not in body
            and not compute_trending_weight(view, page.request)
        ):
            self.prepared_queries.keep_answer(view, cursor, page.answer)
        return self.render_page(page)

    def build_kept_page(self, view: RequestView, body: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the first page of recommendations for a call that was answered before.

        Returns:
            None if its answer is not kept: another takes longer.

        Raises:
            StaleViewError: If the store must be read, and the view cannot.
        """
        if "cursor" in body:
            return None
        cursor = load_cursor(self.signer, ListKind.RECOMMEND, body, now=self.clock())
        kept = self.prepared_queries.find_kept(view, cursor)
        if kept is None or kept.answer is None:
            return None
        stopwatch = Stopwatch()
        stopwatch.lap("rank")
        answer = replace(kept.answer, timing_ms=stopwatch.report())
        request = kept.prepared_query.resolved.request
        return self.render_page(PageResult(cursor, request, answer, view.sequence.seq))

    def compute_page(
        self,
        view: RequestView,
        body: Mapping[str, Any],
        *,
        overrides: Mapping[str, Any] | None = None,
    ) -> PageResult:
        """Return one page of recommendations; it raises what `build_page` raises.

        Args:
            view: The state of catalogue and store to answer from.
            body: The fields of the call that are not null.
            overrides: What a language model added to the first request, see `Cursor.read`; later
                pages keep it.
        """
        cursor = load_cursor(self.signer, ListKind.RECOMMEND, body, now=self.clock())
        if overrides and "cursor" not in body:
            cursor = replace(cursor, read=overrides)
        page_range = build_page_range(view, cursor, window=CURSOR_WINDOW, looks_ahead=True)
        view, prepared_query = self.prepared_queries.prepare(view, cursor)
        return _compute_page(view, cursor, page_range, prepared_query)

    def render_page(self, page: PageResult) -> dict[str, Any]:
        """Return a page as JSON holds it, with the token of the next page."""
        answer = page.answer
        token = build_next_token(self.signer, page.cursor, answer)
        user_id = page.cursor.body.get("user_id")
        answer_json = render_answer(
            answer,
            user_id=None if user_id is None else str(user_id).strip(),
            live_seq=page.live_seq,
        )
        timing_ms = answer_json.pop("timing_ms")  # the last key, after the token
        page_json = {
            "recommendation_id": str(uuid.uuid4()),
            **answer_json,
            "next_cursor": token,
            "timing_ms": timing_ms,
        }
        return page_json if answer.reading is None else {**page_json, "reading": answer.reading}

    def build_batch(
        self, view: RequestView, bodies: Sequence[Mapping[str, Any]], *, deadline_s: float
    ) -> list[dict[str, Any]]:
        """Return the first page of each body, in order.

        Nothing is looked up beyond the pages to make their cursors smaller.

        Raises:
            RequestError: If the sum of the k is too large, or a body is wrong, named by its place.
            FilterError: If a filter does not fit the catalogue; its place is named.
            Problem: 503 if it takes too long.
        """
        started = time.monotonic()
        cursors = self._load_batch_cursors(view, bodies)
        pages: list[dict[str, Any]] = []
        for start in range(0, len(cursors), _BATCH_CHUNK):
            chunk = cursors[start : start + _BATCH_CHUNK]
            prefetched_view, prepared_queries = _prefetch(view, chunk)
            for position, (cursor, prepared_query) in enumerate(
                zip(chunk, prepared_queries, strict=True), start
            ):
                if time.monotonic() - started > deadline_s:
                    raise unavailable(f"the batch took longer than {deadline_s:g} s; split it")
                with _prefix_errors(position):
                    page_range = build_page_range(prefetched_view, cursor, window=0)
                    page = _compute_page(prefetched_view, cursor, page_range, prepared_query)
                    pages.append(self.render_page(page))
        return pages

    def _load_batch_cursors(
        self, view: RequestView, bodies: Sequence[Mapping[str, Any]]
    ) -> list[Cursor]:
        """Return the cursor of each body, once all of them are checked."""
        total = 0
        cursors = []
        for position, body in enumerate(bodies):
            with _prefix_errors(position):
                cursor = load_cursor(self.signer, ListKind.RECOMMEND, body, now=self.clock())
                total += parse_cursor_request(view, cursor).k
                cursors.append(cursor)
        if total > MAX_BATCH_K:
            raise RequestError(
                f"the k of the {len(bodies)} requests sum up to {total}, at most {MAX_BATCH_K} are "
                f"answered at once; split the batch"
            )
        return cursors

    def build_listing(
        self, view: RequestView, condition: Any, limit: int, cursor_token: str | None
    ) -> dict[str, Any]:
        """Return the next items in order of id, as JSON holds them.

        Args:
            view: The state of catalogue and store to answer from.
            condition: A filter; None: every item.
            limit: The most items to return.
            cursor_token: `next_cursor` of the page before; None: the first page.

        Raises:
            FilterError: If the filter does not fit the catalogue.
            Problem: If the cursor cannot be used.
        """
        fields = {} if condition is None else {"filter": condition}
        cursor = Cursor(ListKind.ITEMS, fields)
        if cursor_token is not None:
            cursor = continue_cursor(self.signer.read(cursor_token, ListKind.ITEMS), fields)
        items, eligible = list_items(
            view.catalogue, after=cursor.after, limit=limit, condition=cursor.body.get("filter")
        )
        next_token = None
        if len(items) < eligible:
            next_token = self.signer.sign(replace(cursor, after=items[-1]["id"]))
        return {
            "snapshot": view.catalogue.id,
            "items": items,
            "complete": {"returned": len(items), "eligible": eligible},
            "next_cursor": next_token,
        }


def _compute_page(
    view: RequestView, cursor: Cursor, page: Page, prepared_query: PreparedQuery | None = None
) -> PageResult:
    """Return the page at a cursor; `prepared_query` is its request, if that is prepared."""
    if prepared_query is None:
        request, answer = answer_list(view, cursor, page)
    else:
        request = prepared_query.resolved.request
        answer = recommend_prefetched(view, prepared_query, now=cursor.moment, page=page)
    if cursor.kind is ListKind.RECOMMEND:
        answer = replace(answer, user_known=view.is_user_known(request))
    return PageResult(cursor, request, answer, view.sequence.seq)


def _prefetch(
    view: RequestView, cursors: Sequence[Cursor]
) -> tuple[RequestView, Sequence[PreparedQuery | None]]:
    """Encode and search for several requests at once.

    Returns:
        A view that remembers the results, and each request prepared over it. If one of the
        requests is refused, the same view and None for each: the refusal comes again, with its
        place, when that request is answered alone.
    """
    try:
        timed_requests = [
            (load_personalised_request(view, cursor), cursor.moment) for cursor in cursors
        ]
        prefetched_catalogue, prepared_queries = prefetch(view.catalogue, timed_requests)
    except (RequestError, FilterError):
        return view, [None] * len(cursors)
    return replace(view, catalogue=cast(LiveCatalogue, prefetched_catalogue)), prepared_queries


@contextmanager
def _prefix_errors(position: int) -> Iterator[None]:
    """Put the place of a request in its batch before the message of an error."""
    try:
        yield
    except (RequestError, FilterError) as error:
        raise type(error)(f"requests[{position}]: {error}") from error
    except Problem as error:
        status = HTTPStatus(error.status_code)
        raise Problem(status, f"requests[{position}]: {error.detail}", error.headers) from error
