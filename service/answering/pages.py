"""A body, and perhaps a cursor, to one page of a list and the cursor of the next. Blocking.

How a list continues: while more than `CURSOR_WINDOW` hits are left, a cursor names what was served, and
the next page ranks what remains without it; once no more than `CURSOR_WINDOW` are left, it names all of
them, best first, and later pages only score and explain those. Either way nothing is repeated and
nothing left out, whatever snapshot answers. When even the served ids do not fit into a token
(beyond some thousands), it counts ranks instead, which is right within one snapshot; after a swap
such a cursor answers 410.
"""

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, cast

from indexer import Answer, FilterError, RequestError
from indexer.answer import list_items, prefetch, recommend_prepared
from indexer.live import LiveCatalogue
from indexer.query import Page
from indexer.retrieval import PreparedQuery
from service.answering.lists import LIST_FUNCTIONS, compute_trending_terms, request_from_cursor
from service.edge import Cursor, CursorSigner, ListKind, Problem, build_continuations, unavailable
from service.live import RequestView

MAX_BATCH_K = 10_000

CURSOR_WINDOW = 1_000  # ids a cursor names ahead
BATCH_CHUNK = 64  # requests of a batch that are encoded and searched together
_CHANGEABLE_FIELDS = ("k", "fields", "explain")  # from one page to the next
_UNSIGNED_FIELDS = ("cursor", "llm")  # they say how to answer, not what


@dataclass(frozen=True, slots=True)
class PageResult:
    """A page before it is told.

    Attributes:
        cursor: What was asked, and where this page begins.
    """

    cursor: Cursor
    answer: Answer
    live_seq: int


@dataclass(frozen=True, slots=True)
class PageBuilder:
    """Answers pages.

    Attributes:
        signer: Of cursors.
        clock: The present, Unix seconds.
    """

    signer: CursorSigner
    clock: Callable[[], float]

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
            view: What is answered from.
            kind: The call.
            body: Its fields that are not null.
            window: How many ids the next cursor may name ahead.

        Raises:
            RequestError: If a value does not fit.
            FilterError: If the filter does not fit the catalogue.
            Problem: If the cursor is not good.
        """
        return self.render_page(
            self._compute_page(view, kind, self._load_cursor(kind, body), window=window)
        )

    def compute_page(
        self,
        view: RequestView,
        body: Mapping[str, Any],
        *,
        overrides: Mapping[str, Any] | None = None,
    ) -> PageResult:
        """Find one page of recommendations; errors are those of `page`.

        `overrides` is what a language model made of a first request; later pages keep it.
        """
        cursor = self._load_cursor(ListKind.RECOMMEND, body)
        if overrides and "cursor" not in body:
            cursor = replace(cursor, read=overrides)
        return self._compute_page(view, ListKind.RECOMMEND, cursor, window=CURSOR_WINDOW)

    def render_page(self, draft: PageResult) -> dict[str, Any]:
        """Return a page as JSON holds it, with the cursor of the next."""
        cursor, answer = draft.cursor, draft.answer
        token = next(filter(None, map(self.signer.sign, build_continuations(cursor, answer))), None)
        answer_json = _render_answer(answer, cursor.body.get("user_id"), token)
        return {**answer_json, "live_seq": draft.live_seq}

    def _compute_page(
        self,
        view: RequestView,
        kind: ListKind,
        cursor: Cursor,
        *,
        window: int,
        prepared_query: PreparedQuery | None = None,
    ) -> PageResult:
        _check_snapshot(cursor, view)
        page = Page(
            offset=cursor.offset,
            only_ids=cursor.rest,
            served_ids=cursor.served or (),
            skip=cursor.offset if cursor.rest is None and cursor.served is None else 0,
            lookahead=max(window, len(cursor.rest or ())),
            keeps_order=bool(cursor.settled),
        )
        if prepared_query is None:
            answer = LIST_FUNCTIONS[kind](view, cursor, page)
        else:
            score_terms = compute_trending_terms(
                view, prepared_query.resolved.request, now=cursor.moment
            )
            answer = recommend_prepared(
                view.catalogue, prepared_query, page=page, score_terms=score_terms
            )
        return PageResult(cursor, answer, view.sequence.seq)

    def build_batch(
        self, view: RequestView, bodies: Sequence[Mapping[str, Any]], *, deadline_s: float
    ) -> list[dict[str, Any]]:
        """Return the first page of each body, in order; cursors name nothing ahead, to be short.

        Raises:
            RequestError: If the k sum up to too many, or a body is bad; its place is named.
            FilterError: If a filter does not fit the catalogue; its place is named.
            Problem: 503 if it takes too long.
        """
        started = time.monotonic()
        total = 0
        cursors = []
        for position, body in enumerate(bodies):
            with _prefix_errors(position):
                cursors.append(self._load_cursor(ListKind.RECOMMEND, body))
                total += request_from_cursor(view, cursors[-1]).k
        if total > MAX_BATCH_K:
            raise RequestError(
                f"the k of the {len(bodies)} requests sum up to {total}, at most {MAX_BATCH_K} are "
                f"answered at once; split the batch"
            )
        answers: list[dict[str, Any]] = []
        for start in range(0, len(cursors), BATCH_CHUNK):
            chunk = cursors[start : start + BATCH_CHUNK]
            prefetched_view, prepared_queries = self._prefetch(view, chunk)
            for position, (cursor, own) in enumerate(
                zip(chunk, prepared_queries, strict=True), start
            ):
                if time.monotonic() - started > deadline_s:
                    raise unavailable(f"the batch took longer than {deadline_s:g} s; split it")
                with _prefix_errors(position):
                    result = self._compute_page(
                        prefetched_view, ListKind.RECOMMEND, cursor, window=0, prepared_query=own
                    )
                    answers.append(self.render_page(result))
        return answers

    def _prefetch(
        self, view: RequestView, cursors: Sequence[Cursor]
    ) -> tuple[RequestView, Sequence[PreparedQuery | None]]:
        """The view with what some requests have in common done once, and each of them prepared.

        If one of them will be refused nothing is: it is named when its turn comes.
        """
        try:
            request_fields = [
                (
                    view.personalise(request_from_cursor(view, cursor), now=cursor.moment),
                    cursor.moment,
                )
                for cursor in cursors
            ]
            prefetched_view, prepared_queries = prefetch(view.catalogue, request_fields)
        except (RequestError, FilterError):
            return view, [None] * len(cursors)
        return replace(view, catalogue=cast(LiveCatalogue, prefetched_view)), prepared_queries

    def build_listing(
        self, view: RequestView, condition: Any, limit: int, cursor_token: str | None
    ) -> dict[str, Any]:
        """Return the next items in order of id.

        Raises:
            FilterError: If the filter does not fit the catalogue.
            Problem: If the cursor is not good.
        """
        request_fields = {} if condition is None else {"filter": condition}
        cursor = Cursor(ListKind.ITEMS, request_fields)
        if cursor_token is not None:
            cursor = _continue_cursor(
                self.signer.read(cursor_token, ListKind.ITEMS), request_fields
            )
        items, eligible = list_items(
            view.catalogue, after=cursor.after, limit=limit, condition=cursor.body.get("filter")
        )
        next_cursor = None
        if len(items) < eligible:
            next_cursor = self.signer.sign(replace(cursor, after=items[-1]["id"]))
        return {
            "snapshot": view.catalogue.id,
            "items": items,
            "complete": {"returned": len(items), "eligible": eligible},
            "next_cursor": next_cursor,
        }

    def _load_cursor(self, kind: ListKind, body: Mapping[str, Any]) -> Cursor:
        """Where a body wants to go on: after its cursor, or from the start."""
        request_fields = {
            name: value for name, value in body.items() if name not in _UNSIGNED_FIELDS
        }
        if "cursor" in body:
            return _continue_cursor(self.signer.read(body["cursor"], kind), request_fields)
        return Cursor(kind, request_fields, moment=self.clock(), served=())


def _continue_cursor(cursor: Cursor, changes: Mapping[str, Any]) -> Cursor:
    """The cursor with what a later page may ask anew."""
    for name, value in changes.items():
        if name not in _CHANGEABLE_FIELDS and cursor.body.get(name) != value:
            raise RequestError(
                f"{name} differs from what the cursor was made for; leave it out, or ask again "
                f"without cursor"
            )
    return replace(cursor, body={**cursor.body, **changes})


def _check_snapshot(cursor: Cursor, view: RequestView) -> None:
    counts_ranks = cursor.offset and cursor.rest is None and cursor.served is None
    if counts_ranks and cursor.snapshot != view.catalogue.id:
        raise Problem(
            HTTPStatus.GONE,
            f"the catalogue was rebuilt after {cursor.offset} results, too many to go on without "
            f"repeats; ask again without cursor",
        )


def _render_answer(answer: Answer, user_id: Any, token: str | None) -> dict[str, Any]:
    answer_json = {
        "recommendation_id": str(uuid.uuid4()),
        "snapshot": answer.snapshot,
        "live_seq": 0,
        "user_id": None if user_id is None else str(user_id).strip(),
        "unknown_items": answer.unknown_items,
        "items": [
            {
                "id": hit.id,
                "rank": hit.rank,
                "score": hit.score,
                "item": hit.item,
                "propensity": hit.propensity,
                "reasons": hit.reasons,
            }
            for hit in answer
        ],
        "complete": answer.complete,
        "next_cursor": token,
        "timing_ms": answer.timing_ms,
    }
    return answer_json if answer.reading is None else {**answer_json, "reading": answer.reading}


@contextmanager
def _prefix_errors(position: int) -> Iterator[None]:
    """Say which request of a batch is meant."""
    try:
        yield
    except (RequestError, FilterError) as error:
        raise type(error)(f"requests[{position}]: {error}") from error
    except Problem as error:
        status = HTTPStatus(error.status_code)
        raise Problem(status, f"requests[{position}]: {error.detail}", error.headers) from error
