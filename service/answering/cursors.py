"""A request body to the cursor where its list continues, and an answer to the next page's token.

How a list continues from page to page:

- A cursor tells in a few bytes which items were served, see `served_items`, and the next page
  ranks what remains without them. Of a list of at most `CURSOR_WINDOW` items, a cursor is smaller
  than 1 KiB with any request of up to some hundred bytes. A longer list takes 7 characters for each
  item served, beyond the first hundred more than that: the promise of no repeats and no gaps comes
  before the size. So it is with lists of which a cap left items out, which may come back.
- Where a language model ordered the list, the cursor names all ids that are left, in that order.
- If none of these fits into a token (beyond some ten thousand), the cursor counts ranks. That is
  right within one snapshot only; after a new snapshot such a cursor is refused with 410.

In the first two cases no item is repeated or left out, whichever snapshot answers.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from indexer import Answer, RequestError
from indexer.query import Page
from indexer.request import Request, parse_request
from service.answering.served_items import MAX_IN_ORDER, ServedItems, find_served_ids
from service.edge import Cursor, CursorSigner, ListKind, Problem
from service.live import RequestView

CURSOR_WINDOW = 1_000  # the longest list of which all ids are looked at to make its cursors small
_DEFAULT_K = 10
_ALL = 1 << 40
SEVERAL_SNAPSHOTS = "several"
_CHANGEABLE_FIELDS = ("k", "fields", "explain")  # a later page may set them anew
_UNSIGNED_FIELDS = ("cursor", "llm")  # they say how to answer, not what


def load_cursor(
    signer: CursorSigner, kind: ListKind, body: Mapping[str, Any], *, now: float
) -> Cursor:
    """Return where the list of a body goes on: after its cursor, or at the start.

    Raises:
        RequestError: If the body asks for something else than its cursor.
        Problem: If the cursor cannot be used, see `CursorSigner.read`.
    """
    fields = {name: value for name, value in body.items() if name not in _UNSIGNED_FIELDS}
    if "cursor" in body:
        return continue_cursor(signer.read(body["cursor"], kind), fields)
    return Cursor(kind, fields, moment=now, served=ServedItems().to_bytes())


def continue_cursor(cursor: Cursor, changes: Mapping[str, Any]) -> Cursor:
    """Return the cursor with the fields that a later page sets anew.

    Raises:
        RequestError: If a field that must stay as it was differs.
    """
    for name, value in changes.items():
        if name not in _CHANGEABLE_FIELDS and cursor.body.get(name) != value:
            raise RequestError(
                f"{name} differs from what the cursor was made for; leave it out, or ask again "
                f"without cursor"
            )
    return replace(cursor, body={**cursor.body, **changes})


def parse_cursor_request(view: RequestView, cursor: Cursor) -> Request:
    """Return the request of a cursor, with what a language model added to it."""
    overrides = dict(cursor.read or {})
    ideal = overrides.pop("ideal", None)
    request = parse_request({**cursor.body, **overrides}, scenarios=view.catalogue.scenarios)
    return replace(request, ideal=ideal)


def load_personalised_request(view: RequestView, cursor: Cursor) -> Request:
    """Return the request of a cursor, with what the store knows of the user."""
    return view.personalise(parse_cursor_request(view, cursor), now=cursor.moment)


def build_page_range(
    view: RequestView, cursor: Cursor, *, window: int, looks_ahead: bool = False
) -> Page:
    """Return which part of the ranking a cursor stands for.

    Args:
        view: The state of the catalogue and the store.
        cursor: Where the page begins.
        window: Of lists up to this length, the ids that follow the page are looked up once there
            are many served.
        looks_ahead: Whether they are looked up at once, since their order may be changed.

    Raises:
        Problem: 410 if the cursor counts ranks of another snapshot.
    """
    counts_ranks = cursor.rest is None and cursor.served is None
    if counts_ranks and cursor.offset and cursor.snapshot != view.catalogue.id:
        raise Problem(
            HTTPStatus.GONE,
            f"the catalogue was rebuilt after {cursor.offset} results, too many to go on without "
            f"repeats; ask again without cursor",
        )
    served = ServedItems() if cursor.served is None else ServedItems.from_bytes(cursor.served)
    lookahead = window if looks_ahead else _choose_lookahead(cursor, served, window)
    return Page(
        offset=cursor.offset,
        only_ids=cursor.rest,
        served_ids=find_served_ids(view, served),
        skip=cursor.offset if counts_ranks else 0,
        lookahead=max(lookahead, len(cursor.rest or ())),
        keeps_order=bool(cursor.settled),
    )


def _choose_lookahead(cursor: Cursor, served: ServedItems, window: int) -> int:
    """Return how many ids must follow a page for its cursor to be small; 0: it is small anyway."""
    if not served.is_whole:
        return _ALL  # what is left must not look served
    k = cursor.body.get("k", _DEFAULT_K)
    shown = cursor.offset + (k if isinstance(k, int) else _DEFAULT_K)
    return max(0, window - shown) if shown > MAX_IN_ORDER else 0


def build_next_token(signer: CursorSigner, cursor: Cursor, answer: Answer) -> str | None:
    """Return the token of the page after an answer.

    None: nothing is left, or no cursor for it fits into a token.
    """
    tokens = map(signer.sign, _list_next_cursors(cursor, answer))
    return next((token for token in tokens if token is not None), None)


def _list_next_cursors(cursor: Cursor, answer: Answer) -> Iterator[Cursor]:
    """Yield the ways to go on after an answer, the most exact first."""
    left = answer.complete["eligible"] - len(answer)
    if left <= 0 or answer.reading is not None:
        return
    ids = [hit.id for hit in answer]
    others = answer.following if len(answer.following) == left else None
    is_same_snapshot = cursor.snapshot in (None, answer.snapshot)
    next_cursor = replace(
        cursor,
        offset=cursor.offset + len(ids),
        snapshot=answer.snapshot if is_same_snapshot else SEVERAL_SNAPSHOTS,
        rest=None,
        served=None,
    )
    if others is not None and cursor.settled:
        yield replace(next_cursor, rest=others)
    if cursor.served is not None:
        # An item that a cap left out may come back. It must not look served, and is not known.
        if answer.complete["excluded"].get("cap"):
            others = None
        served = ServedItems.from_bytes(cursor.served).add(ids, others=others)
        yield replace(next_cursor, served=served.to_bytes())
    # Exploration returns items that rank further down: counting ranks would repeat them.
    explores = bool(cursor.body.get("explore"))
    if cursor.rest is None and is_same_snapshot and not explores:
        yield next_cursor
