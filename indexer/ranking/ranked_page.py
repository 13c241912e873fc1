"""A question and its pool to the rows of one page in rank order, and those that follow."""

from dataclasses import dataclass, replace
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Rows, Vectors
from indexer.query import Eligible, Query, find_newest_rows
from indexer.ranking.caps import Cap, apply_caps
from indexer.ranking.order import (
    DIVERSE_RANKS,
    DIVERSITY_WINDOW,
    Positions,
    diversify,
    explore,
    insert_pins,
)
from indexer.ranking.paging import compute_rank_depth, drop_skipped
from indexer.retrieval import Candidates, retrieve, score_rows

# What exploration may show: the next candidates after the page, at least so many, and the newest.
EXPLORE_NEXT = 20
EXPLORE_NEWEST = 10
_DIVERSITY_LOOKBACK = 50  # items of earlier pages that variety looks back at


@dataclass(frozen=True, slots=True)
class RankedPage:
    """One page.

    Attributes:
        candidates: Its rows with scores, in rank order.
        following: Rows ranked after it, as far as the page looks ahead.
        propensities: `(k,)`, None without exploration.
    """

    candidates: Candidates
    following: Rows
    propensities: NDArray[np.float64] | None = None


def apply_query_caps(query: Query, eligible: Eligible, caps: list[Cap]) -> Eligible:
    """Narrow a pool to what caps keep of it, in order of score.

    What earlier pages showed and what is pinned uses its values first; what an earlier page has
    named as still to come is kept.
    """
    promised = query.find_rows(query.page.only_ids or ())
    pins = np.array([row for row, _ in query.pins], np.int64)
    first = [query.find_rows(query.page.served_ids), promised, pins[eligible.allowed[pins]]]

    def candidates(rows: Rows) -> Rows:
        vectors, term_totals = query.vectors.vectors, query.term_totals
        return score_rows(query.catalogue, vectors, rows, len(rows), term_totals).rows

    capped_rows = apply_caps(
        eligible, caps, first=_drop_repeats(np.concatenate(first)), rank=candidates
    )
    capped_rows.allowed[promised] = eligible.allowed[promised]
    return capped_rows


def rank_page(query: Query, eligible: Eligible) -> RankedPage:
    """Rank what is left of a pool for a page."""
    request, page = query.request, query.page
    total = compute_rank_depth(eligible.count, request.k, page)
    depth = total
    if request.explore:
        depth = min(eligible.count, total + max(EXPLORE_NEXT, request.k))
    candidates, fixed = _rank_with_pins(query, eligible, depth)
    if request.explore:
        return _explore_page(query, eligible, (candidates, fixed), total)
    page_candidates = drop_skipped(candidates, page)
    following = page_candidates.rows[request.k : total - page.skip]
    return RankedPage(
        _take(page_candidates, np.arange(min(request.k, len(page_candidates.rows)))), following
    )


def _rank_with_pins(query: Query, eligible: Eligible, total: int) -> tuple[Candidates, Positions]:
    """The first `total` of the whole ranking that is left, and which places of it are pins."""
    start = query.page.offset - query.page.skip
    pins = [(row, rank - 1 - start) for row, rank in query.pins if eligible.allowed[row]]
    pins = [(row, index) for row, index in pins if index >= 0]
    if not pins:
        return _rank_without_pins(query, eligible, total), np.empty(0, np.int64)
    rows = np.array([row for row, _ in pins], np.int64)
    allowed = eligible.allowed.copy()
    allowed[rows] = False
    others = _rank_without_pins(query, replace(eligible, allowed=allowed), total)
    own = _score(query, rows)
    position_by_row = {
        row: len(others.rows) + position for position, row in enumerate(own.rows.tolist())
    }
    order, fixed = insert_pins(
        np.arange(len(others.rows)), [(position_by_row[row], i) for row, i in pins], total=total
    )
    return _take(_concatenate(others, own), order), fixed


def _rank_without_pins(query: Query, eligible: Eligible, total: int) -> Candidates:
    """The first `total` of the ranking without pins."""
    catalogue, page, request = query.catalogue, query.page, query.request
    if page.only_ids is not None and query.is_reranked:
        rows = query.find_rows(page.only_ids)
        rows = rows[eligible.allowed[rows]]
        page_candidates = _score(query, np.sort(rows))
        by_row = np.argsort(page_candidates.rows)
        return _take(
            page_candidates, by_row[np.searchsorted(page_candidates.rows[by_row], rows)][:total]
        )
    ahead = DIVERSITY_WINDOW if request.diversity else 0
    vectors = query.vectors.vectors
    page_candidates = retrieve(catalogue, vectors, eligible, total + ahead, query.term_totals)
    if not request.diversity:
        return page_candidates
    order = diversify(
        _load_meaning_vectors(query, page_candidates.rows[: DIVERSE_RANKS + DIVERSITY_WINDOW]),
        page_candidates.scores,
        diversity=request.diversity,
        ranks=min(total, max(0, DIVERSE_RANKS - (page.offset - page.skip))),
        shown_vectors=_load_meaning_vectors(
            query, query.find_rows(page.served_ids[-_DIVERSITY_LOOKBACK:])
        ),
    )
    return _take(page_candidates, order[:total])


def _explore_page(
    query: Query, eligible: Eligible, ranking: tuple[Candidates, Positions], total: int
) -> RankedPage:
    """Give some ranks of the page to candidates beyond it."""
    (ranked, fixed), request = ranking, query.request
    k = min(request.k, len(ranked.rows))
    beyond = np.setdiff1d(np.arange(k, len(ranked.rows)), fixed)[: max(EXPLORE_NEXT, k)]
    fresh = eligible.allowed.copy()
    fresh[ranked.rows[:k]] = False
    fresh[[row for row, _ in query.pins]] = False
    newest = find_newest_rows(query.catalogue, fresh, EXPLORE_NEWEST)
    extra = _score(query, np.sort(np.setdiff1d(newest, ranked.rows)))
    known = np.flatnonzero(np.isin(ranked.rows, newest))
    candidates = _concatenate(ranked, extra)
    extras = np.arange(len(ranked.rows), len(candidates.rows))
    page_candidates = explore(
        np.arange(len(ranked.rows)),
        np.concatenate([np.union1d(beyond, known), extras]),
        free=np.setdiff1d(np.arange(k), fixed),
        k=k,
        probability=request.explore,
        rng=_build_generator(query),
    )
    following = (
        ranked.rows[page_candidates.rest][: max(0, total - k)] if total == eligible.count else ()
    )
    return RankedPage(
        _take(candidates, page_candidates.page),
        np.array(following, np.int64),
        page_candidates.propensities,
    )


def _build_generator(query: Query) -> np.random.Generator:
    """The same for the same request, snapshot and place in the list."""
    request = query.request
    seed_request = replace(request, explain=True, fields=None, validate_only=False)
    seed = request.seed if request.seed is not None else seed_request
    text = f"{seed!r}|{query.catalogue.manifest.id}|{query.page.offset}"
    digest = blake2b(text.encode(), digest_size=16).digest()
    return np.random.default_rng(int.from_bytes(digest, "big"))


def _score(question: Query, rows: Rows) -> Candidates:
    vectors, term_totals = question.vectors.vectors, question.term_totals
    return score_rows(question.catalogue, vectors, np.sort(rows), len(rows), term_totals)


def _load_meaning_vectors(question: Query, rows: Rows) -> Vectors:
    width = question.catalogue.manifest.layout.meaning
    meaning: Vectors = question.catalogue.item_vectors(rows)[:, :width].astype(np.float32)
    return meaning


def _take(candidates: Candidates, positions: Positions) -> Candidates:
    return Candidates(
        candidates.rows[positions], candidates.scores[positions], candidates.winners[positions]
    )


def _concatenate(first: Candidates, second: Candidates) -> Candidates:
    return Candidates(
        np.concatenate([first.rows, second.rows]),
        np.concatenate([first.scores, second.scores]),
        np.concatenate([first.winners, second.winners]),
    )


def _drop_repeats(rows: Rows) -> Rows:
    """Each row at its first place."""
    _, first = np.unique(rows, return_index=True)
    return rows[np.sort(first)]
