"""A call and what is known of its user to a prepared query, kept until something about it changes.

Preparing reads the user's history, weighs it and finds interests in it: most of the time of an
answer. As long as the user does nothing new and asks for the same, it gives the same.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from indexer import Answer
from indexer.live import LiveCatalogue
from indexer.query import Stopwatch, resolve_request
from indexer.request import Request, find_scenario
from indexer.retrieval import PreparedQuery, RememberedSearch, prepare_query
from service.answering.cursors import parse_cursor_request
from service.edge import Cursor, ListKind
from service.live import RequestView
from service.store import UserState

_MAX_BYTES = 1 << 26
_ANSWER_BYTES = 40_000  # of the items on a page, and of its reasons; a larger page is not kept
_BYTES_PER_INPUT = 2_000  # of the objects that describe an input
_KEPT_K = range(1, 51)
_MAX_HISTORY = 100  # of entries in the call; longer ones take too long to compare

_Key = tuple[Any, Any]  # user_id and session_id as they were sent


@dataclass(slots=True)
class KeptQuery:
    """A prepared query, and what it was prepared from.

    Attributes:
        body: The fields of the call.
        state: What was known of the user.
        catalogue: What is recommended from.
        remembering: The same, with the last search of this query.
        prepared_query: The query.
        size: About how many bytes all of it takes.
        answer: Its first page, if nothing that changes by itself is in it; None until there is one.
    """

    body: Mapping[str, Any]
    state: UserState
    catalogue: LiveCatalogue
    remembering: LiveCatalogue
    prepared_query: PreparedQuery
    size: int
    answer: Answer | None = None


class PreparedQueries:
    """The prepared queries of users who asked lately; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[_Key, KeptQuery] = OrderedDict()
        self._size = 0
        self._catalogue: LiveCatalogue | None = None  # that of all that is kept
        self._removals_seq = 0

    def prepare(
        self, view: RequestView, cursor: Cursor
    ) -> tuple[RequestView, PreparedQuery | None]:
        """Return the query of a call for recommendations, prepared now or before.

        Returns:
            The view to answer it from, and the query; None for another call, and for one that is
            only to be explained.

        Raises:
            RequestError: If a value does not fit.
            FilterError: If the filter does not fit the catalogue.
        """
        if cursor.kind is not ListKind.RECOMMEND:
            return view, None
        kept = self.find_kept(view, cursor)
        if kept is not None:
            prepared_query = replace(kept.prepared_query, stopwatch=Stopwatch())
            return replace(view, catalogue=kept.remembering), prepared_query
        request = parse_cursor_request(view, cursor)
        state = view.load_user_state(request.user_id, request.session_id)
        personal = view.add_state(request, state, now=cursor.moment)
        if personal.validate_only:
            return view, None
        resolved = resolve_request(view.catalogue, personal, now=cursor.moment)
        prepared_query = prepare_query(view.catalogue, resolved)
        scenario = find_scenario(request.scenario, view.catalogue.scenarios)
        is_timeless = scenario.half_life_s is None and not scenario.fresh_weight
        if _is_keepable(cursor) and is_timeless and not _may_reorder(request, personal, cursor):
            remembering = cast(LiveCatalogue, RememberedSearch(view.catalogue))
            size = _count_bytes(prepared_query, view.catalogue) + _ANSWER_BYTES
            kept = KeptQuery(cursor.body, state, view.catalogue, remembering, prepared_query, size)
            self._keep(_build_key(cursor), kept, view.sequence.removals_seq)
            view = replace(view, catalogue=remembering)
        return view, prepared_query

    def find_kept(self, view: RequestView, cursor: Cursor) -> KeptQuery | None:
        """Return the query of a call if it was prepared before; see `prepare`.

        Raises:
            StaleViewError: If what is known of the user must be read from the store, and the view
                cannot.
        """
        self.forget_outdated(view)
        kept = self._kept.get(_build_key(cursor)) if _is_keepable(cursor) else None
        if kept is None or not self._is_current(kept, view, cursor):
            return None
        with self._lock:
            if _build_key(cursor) in self._kept:
                self._kept.move_to_end(_build_key(cursor))
        return kept

    def keep_answer(self, view: RequestView, cursor: Cursor, answer: Answer) -> None:
        """Keep the first page of a call whose query is kept, if it is not large.

        Args:
            view: What the query was prepared over.
            cursor: Of the call.
            answer: Without anything that changes by itself, such as trending terms.
        """
        kept = self._kept.get(_build_key(cursor)) if _is_keepable(cursor) else None
        if kept is None or kept.catalogue is not view.catalogue or kept.body is not cursor.body:
            return
        item_bytes = sum(
            len(hit.stored_item) if isinstance(hit.stored_item, bytes) else _ANSWER_BYTES
            for hit in answer.hits
        )
        if item_bytes <= _ANSWER_BYTES:
            kept.answer = answer

    def forget_outdated(self, view: RequestView) -> None:
        """Forget everything once the catalogue has changed, or events were removed.

        What is kept would hold a snapshot open that serves no more, or what was known of a user who
        is erased.
        """
        removals_seq = view.sequence.removals_seq
        if view.catalogue is self._catalogue and removals_seq <= self._removals_seq:
            return
        with self._lock:
            self._kept.clear()
            self._size = 0
            self._catalogue = view.catalogue
            self._removals_seq = max(removals_seq, self._removals_seq)

    def _is_current(self, kept: KeptQuery, view: RequestView, cursor: Cursor) -> bool:
        """Whether call, user and catalogue are what they were."""
        request = kept.prepared_query.resolved.request
        return (
            kept.catalogue is view.catalogue
            and kept.body == cursor.body
            # To Python 1, 1.0 and true are equal; to a call they are not.
            and repr(kept.body) == repr(cursor.body)
            and kept.state is view.load_user_state(request.user_id, request.session_id)
        )

    def _keep(self, key: _Key, kept: KeptQuery, removals_seq: int) -> None:
        with self._lock:
            # Events may have been removed while it was prepared.
            if kept.catalogue is not self._catalogue or removals_seq < self._removals_seq:
                return
            old = self._kept.pop(key, None)
            self._size += kept.size - (old.size if old else 0)
            self._kept[key] = kept
            while self._size > _MAX_BYTES:
                _, dropped = self._kept.popitem(last=False)
                self._size -= dropped.size


def _count_bytes(prepared_query: PreparedQuery, catalogue: LiveCatalogue) -> int:
    """Return about how much memory a query takes, without what all of them share."""
    vectors, mask = prepared_query.vectors, prepared_query.eligible.rows.mask
    taste_bytes = 0 if vectors.taste_vectors is None else vectors.taste_vectors.nbytes
    is_own = mask is not None and mask is not catalogue.availability.rows.mask
    term_bytes = sum(term.values.nbytes for term in prepared_query.catalogue_terms)
    mask_bytes = mask.nbytes if mask is not None and is_own else 0
    input_bytes = vectors.input_vectors.nbytes + _BYTES_PER_INPUT * len(vectors.inputs)
    terms = prepared_query.input_terms
    word_bytes = terms.rows.nbytes + terms.input_positions.nbytes + terms.values.nbytes
    return input_bytes + taste_bytes + term_bytes + word_bytes + mask_bytes


def _build_key(cursor: Cursor) -> _Key:
    return cursor.body.get("user_id"), cursor.body.get("session_id")


def _is_keepable(cursor: Cursor) -> bool:
    """Whether a call is a short one for recommendations, just as a client sent it."""
    if cursor.kind is not ListKind.RECOMMEND or cursor.read:
        return False
    history = cursor.body.get("history", [])
    if not isinstance(history, list) or len(history) > _MAX_HISTORY:
        return False
    has_ids = all(isinstance(part, str | None) for part in _build_key(cursor))
    return has_ids and cursor.body.get("k", 10) in _KEPT_K


def _may_reorder(request: Request, personal: Request, cursor: Cursor) -> bool:
    """Whether time alone changes the order of the history.

    An entry without a time is of now, and will be later than one that is of the future yet.
    """
    return any(entry.at is None for entry in request.history) and any(
        entry.at is not None and entry.at > cursor.moment for entry in personal.history
    )
