"""A body, and perhaps a cursor, to one page of a list and the cursor of the next. Blocking.

How a list continues: while more than `WINDOW` hits are left, a cursor names what was served, and
the next page ranks what remains without it; once no more than `WINDOW` are left, it names all of
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
from indexer.answer import list_items, recommend_prepared, warmed
from indexer.live import Overlay
from indexer.query import Page
from indexer.retrieval import Prepared
from service.answering.lists import LISTS, asked_by, fashion
from service.edge import Cursor, CursorSigner, Kind, Problem, continuations, unavailable
from service.live import View

MAX_BATCH_K = 10_000

WINDOW = 1_000  # ids a cursor names ahead
SHARED = 64  # requests of a batch that are encoded and searched together
_MAY_CHANGE = ("k", "fields", "explain")  # from one page to the next
_NOT_ASKED = ("cursor", "llm")  # they say how to answer, not what


@dataclass(frozen=True, slots=True)
class Draft:
    """A page before it is told.

    Attributes:
        cursor: What was asked, and where this page begins.
    """

    cursor: Cursor
    answer: Answer
    live_seq: int


@dataclass(frozen=True, slots=True)
class Pages:
    """Answers pages.

    Attributes:
        signer: Of cursors.
        clock: The present, Unix seconds.
    """

    signer: CursorSigner
    clock: Callable[[], float]

    def page(
        self, view: View, kind: Kind, body: Mapping[str, Any], *, window: int = WINDOW
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
        return self.told(self._draft(view, kind, self._cursor(kind, body), window=window))

    def draft(
        self, view: View, body: Mapping[str, Any], *, read: Mapping[str, Any] | None = None
    ) -> Draft:
        """Find one page of recommendations; errors are those of `page`.

        `read` is what a language model made of a first request; later pages keep it.
        """
        cursor = self._cursor(Kind.RECOMMEND, body)
        if read and "cursor" not in body:
            cursor = replace(cursor, read=read)
        return self._draft(view, Kind.RECOMMEND, cursor, window=WINDOW)

    def told(self, draft: Draft) -> dict[str, Any]:
        """Return a page as JSON holds it, with the cursor of the next."""
        cursor, answer = draft.cursor, draft.answer
        token = next(filter(None, map(self.signer.sign, continuations(cursor, answer))), None)
        told = _told(answer, cursor.body.get("user_id"), token)
        return {**told, "live_seq": draft.live_seq}

    def _draft(
        self, view: View, kind: Kind, cursor: Cursor, *, window: int, ready: Prepared | None = None
    ) -> Draft:
        _check_snapshot(cursor, view)
        page = Page(
            offset=cursor.offset,
            only=cursor.rest,
            served=cursor.served or (),
            skip=cursor.offset if cursor.rest is None and cursor.served is None else 0,
            ahead=max(window, len(cursor.rest or ())),
            settled=bool(cursor.settled),
        )
        if ready is None:
            answer = LISTS[kind](view, cursor, page)
        else:
            addends = fashion(view, ready.read.request, now=cursor.moment)
            answer = recommend_prepared(view.catalogue, ready, page=page, addends=addends)
        return Draft(cursor, answer, view.now.seq)

    def batch(
        self, view: View, bodies: Sequence[Mapping[str, Any]], *, deadline_s: float
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
        for place, body in enumerate(bodies):
            with _named(place):
                cursors.append(self._cursor(Kind.RECOMMEND, body))
                total += asked_by(view, cursors[-1]).k
        if total > MAX_BATCH_K:
            raise RequestError(
                f"the k of the {len(bodies)} requests sum up to {total}, at most {MAX_BATCH_K} are "
                f"answered at once; split the batch"
            )
        answers: list[dict[str, Any]] = []
        for start in range(0, len(cursors), SHARED):
            some = cursors[start : start + SHARED]
            warm, ready = self._warmed(view, some)
            for place, (cursor, own) in enumerate(zip(some, ready, strict=True), start):
                if time.monotonic() - started > deadline_s:
                    raise unavailable(f"the batch took longer than {deadline_s:g} s; split it")
                with _named(place):
                    made = self._draft(warm, Kind.RECOMMEND, cursor, window=0, ready=own)
                    answers.append(self.told(made))
        return answers

    def _warmed(
        self, view: View, cursors: Sequence[Cursor]
    ) -> tuple[View, Sequence[Prepared | None]]:
        """The view with what some requests have in common done once, and each of them prepared.

        If one of them will be refused nothing is: it is named when its turn comes.
        """
        try:
            asked = [
                (view.personal(asked_by(view, cursor), now=cursor.moment), cursor.moment)
                for cursor in cursors
            ]
            warm, ready = warmed(view.catalogue, asked)
        except (RequestError, FilterError):
            return view, [None] * len(cursors)
        return replace(view, catalogue=cast(Overlay, warm)), ready

    def listing(self, view: View, condition: Any, limit: int, token: str | None) -> dict[str, Any]:
        """Return the next items in order of id.

        Raises:
            FilterError: If the filter does not fit the catalogue.
            Problem: If the cursor is not good.
        """
        asked = {} if condition is None else {"filter": condition}
        cursor = Cursor(Kind.ITEMS, asked)
        if token is not None:
            cursor = _continued(self.signer.read(token, Kind.ITEMS), asked)
        items, eligible = list_items(
            view.catalogue, after=cursor.after, limit=limit, condition=cursor.body.get("filter")
        )
        following = None
        if len(items) < eligible:
            following = self.signer.sign(replace(cursor, after=items[-1]["id"]))
        return {
            "snapshot": view.catalogue.id,
            "items": items,
            "complete": {"returned": len(items), "eligible": eligible},
            "next_cursor": following,
        }

    def _cursor(self, kind: Kind, body: Mapping[str, Any]) -> Cursor:
        """Where a body wants to go on: after its cursor, or from the start."""
        asked = {name: value for name, value in body.items() if name not in _NOT_ASKED}
        if "cursor" in body:
            return _continued(self.signer.read(body["cursor"], kind), asked)
        return Cursor(kind, asked, moment=self.clock(), served=())


def _continued(cursor: Cursor, asked: Mapping[str, Any]) -> Cursor:
    """The cursor with what a later page may ask anew."""
    for name, value in asked.items():
        if name not in _MAY_CHANGE and cursor.body.get(name) != value:
            raise RequestError(
                f"{name} differs from what the cursor was made for; leave it out, or ask again "
                f"without cursor"
            )
    return replace(cursor, body={**cursor.body, **asked})


def _check_snapshot(cursor: Cursor, view: View) -> None:
    counts_ranks = cursor.offset and cursor.rest is None and cursor.served is None
    if counts_ranks and cursor.snapshot != view.catalogue.id:
        raise Problem(
            HTTPStatus.GONE,
            f"the catalogue was rebuilt after {cursor.offset} results, too many to go on without "
            f"repeats; ask again without cursor",
        )


def _told(answer: Answer, user_id: Any, token: str | None) -> dict[str, Any]:
    told = {
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
    return told if answer.reading is None else {**told, "reading": answer.reading}


@contextmanager
def _named(place: int) -> Iterator[None]:
    """Say which request of a batch is meant."""
    try:
        yield
    except (RequestError, FilterError) as error:
        raise type(error)(f"requests[{place}]: {error}") from error
    except Problem as error:
        status = HTTPStatus(error.status_code)
        raise Problem(status, f"requests[{place}]: {error.detail}", error.headers) from error
