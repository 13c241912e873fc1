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


def apply_query_caps(question: Query, pool: Eligible, caps: list[Cap]) -> Eligible:
    """Narrow a pool to what caps keep of it, in order of score.

    What earlier pages showed and what is pinned uses its values first; what an earlier page has
    named as still to come is kept.
    """
    promised = question.find_rows(question.page.only_ids or ())
    pins = np.array([row for row, _ in question.pins], np.int64)
    first = [question.find_rows(question.page.served_ids), promised, pins[pool.allowed[pins]]]

    def ranked(rows: Rows) -> Rows:
        vectors, additive = question.vectors.vectors, question.term_totals
        return score_rows(question.catalogue, vectors, rows, len(rows), additive).rows

    kept = apply_caps(pool, caps, first=_drop_repeats(np.concatenate(first)), ranked=ranked)
    kept.allowed[promised] = pool.allowed[promised]
    return kept


def rank_page(question: Query, pool: Eligible) -> RankedPage:
    """Rank what is left of a pool for a page."""
    request, page = question.request, question.page
    total = compute_rank_depth(pool.count, request.k, page)
    reach = total
    if request.explore:
        reach = min(pool.count, total + max(EXPLORE_NEXT, request.k))
    ranked, fixed = _rank_with_pins(question, pool, reach)
    if request.explore:
        return _explore_page(question, pool, (ranked, fixed), total)
    found = drop_skipped(ranked, page)
    following = found.rows[request.k : total - page.skip]
    return RankedPage(_take(found, np.arange(min(request.k, len(found.rows)))), following)


def _rank_with_pins(question: Query, pool: Eligible, total: int) -> tuple[Candidates, Positions]:
    """The first `total` of the whole ranking that is left, and which places of it are pins."""
    start = question.page.offset - question.page.skip
    pins = [(row, rank - 1 - start) for row, rank in question.pins if pool.allowed[row]]
    pins = [(row, index) for row, index in pins if index >= 0]
    if not pins:
        return _rank_without_pins(question, pool, total), np.empty(0, np.int64)
    rows = np.array([row for row, _ in pins], np.int64)
    allowed = pool.allowed.copy()
    allowed[rows] = False
    others = _rank_without_pins(question, replace(pool, allowed=allowed), total)
    own = _score(question, rows)
    places = {row: len(others.rows) + place for place, row in enumerate(own.rows.tolist())}
    order, fixed = insert_pins(
        np.arange(len(others.rows)), [(places[row], i) for row, i in pins], total=total
    )
    return _take(_concatenate(others, own), order), fixed


def _rank_without_pins(question: Query, pool: Eligible, total: int) -> Candidates:
    """The first `total` of the ranking without pins."""
    catalogue, page, request = question.catalogue, question.page, question.request
    if page.only_ids is not None and question.is_reranked:
        rows = question.find_rows(page.only_ids)
        rows = rows[pool.allowed[rows]]
        found = _score(question, np.sort(rows))
        by_row = np.argsort(found.rows)
        return _take(found, by_row[np.searchsorted(found.rows[by_row], rows)][:total])
    ahead = DIVERSITY_WINDOW if request.diversity else 0
    vectors = question.vectors.vectors
    found = retrieve(catalogue, vectors, pool, total + ahead, question.term_totals)
    if not request.diversity:
        return found
    order = diversify(
        _load_meaning_vectors(question, found.rows[: DIVERSE_RANKS + DIVERSITY_WINDOW]),
        found.scores,
        diversity=request.diversity,
        ranks=min(total, max(0, DIVERSE_RANKS - (page.offset - page.skip))),
        shown=_load_meaning_vectors(
            question, question.find_rows(page.served_ids[-_DIVERSITY_LOOKBACK:])
        ),
    )
    return _take(found, order[:total])


def _explore_page(
    question: Query, pool: Eligible, ranking: tuple[Candidates, Positions], total: int
) -> RankedPage:
    """Give some ranks of the page to candidates beyond it."""
    (ranked, fixed), request = ranking, question.request
    k = min(request.k, len(ranked.rows))
    beyond = np.setdiff1d(np.arange(k, len(ranked.rows)), fixed)[: max(EXPLORE_NEXT, k)]
    fresh = pool.allowed.copy()
    fresh[ranked.rows[:k]] = False
    fresh[[row for row, _ in question.pins]] = False
    newest = find_newest_rows(question.catalogue, fresh, EXPLORE_NEWEST)
    extra = _score(question, np.sort(np.setdiff1d(newest, ranked.rows)))
    known = np.flatnonzero(np.isin(ranked.rows, newest))
    candidates = _concatenate(ranked, extra)
    extras = np.arange(len(ranked.rows), len(candidates.rows))
    found = explore(
        np.arange(len(ranked.rows)),
        np.concatenate([np.union1d(beyond, known), extras]),
        free=np.setdiff1d(np.arange(k), fixed),
        k=k,
        chance=request.explore,
        rng=_build_generator(question),
    )
    following = ranked.rows[found.rest][: max(0, total - k)] if total == pool.count else ()
    return RankedPage(
        _take(candidates, found.page), np.array(following, np.int64), found.propensities
    )


def _build_generator(question: Query) -> np.random.Generator:
    """The same for the same request, snapshot and place in the list."""
    request = question.request
    asked = replace(request, explain=True, fields=None, validate_only=False)
    told = request.seed if request.seed is not None else asked
    text = f"{told!r}|{question.catalogue.manifest.id}|{question.page.offset}"
    digest = blake2b(text.encode(), digest_size=16).digest()
    return np.random.default_rng(int.from_bytes(digest, "big"))


def _score(question: Query, rows: Rows) -> Candidates:
    vectors, additive = question.vectors.vectors, question.term_totals
    return score_rows(question.catalogue, vectors, np.sort(rows), len(rows), additive)


def _load_meaning_vectors(question: Query, rows: Rows) -> Vectors:
    width = question.catalogue.manifest.layout.meaning
    meaning: Vectors = question.catalogue.item_vectors(rows)[:, :width].astype(np.float32)
    return meaning


def _take(found: Candidates, places: Positions) -> Candidates:
    return Candidates(found.rows[places], found.scores[places], found.winners[places])


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
