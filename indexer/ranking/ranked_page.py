"""A query and its eligible rows to the rows of one page in rank order, and those that follow."""

from dataclasses import dataclass, replace
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Rows, Vectors
from indexer.query import Eligible, Query, find_newest_rows
from indexer.ranking.caps import Cap, apply_caps, find_contested_rows
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

# Exploration may show the next candidates after the page (as many as the page holds, but at least
# this many) and the newest eligible items.
EXPLORE_NEXT = 20
EXPLORE_NEWEST = 10
_DIVERSITY_LOOKBACK = 50  # latest items of earlier pages that a page differs from


@dataclass(frozen=True, slots=True)
class RankedPage:
    """One page.

    Attributes:
        candidates: Its rows with scores, in rank order.
        following: Rows ranked after it, as far as the page looks ahead.
        propensities: `(k,) float64`, the probability that each rank shows what it does; None
            without exploration.
    """

    candidates: Candidates
    following: Rows
    propensities: NDArray[np.float64] | None = None


def apply_query_caps(query: Query, eligible: Eligible, caps: list[Cap]) -> Eligible:
    """Drop the eligible rows that caps do not keep, in order of score, and count them.

    Items of earlier pages, items that an earlier page announced and pinned items use up values
    before all others; announced items are kept whatever the caps say.
    """
    announced = query.find_rows(query.page.only_ids or ())
    pins = np.array([row for row, _ in query.pins], np.int64)
    first = _drop_repeats(
        np.concatenate(
            [query.find_rows(query.page.served_ids), announced, pins[eligible.rows.contain(pins)]]
        )
    )
    contested = find_contested_rows(eligible, caps, first)
    ranked = _score(query, contested).rows
    capped = apply_caps(eligible, caps, np.concatenate([first, ranked]))
    if not len(announced):
        return capped
    mask = capped.rows.to_mask()
    mask[announced] = eligible.rows.contain(announced)
    return Eligible.from_mask(mask, capped.excluded)


def rank_page(query: Query, eligible: Eligible) -> RankedPage:
    """Rank the eligible rows that are left for a page, and cut the page off."""
    request, page = query.request, query.page
    total = compute_rank_depth(eligible.count, request.k, page)
    depth = total
    if request.explore:
        depth = min(eligible.count, total + max(EXPLORE_NEXT, request.k))
    ranked, fixed = _rank_with_pins(query, eligible, depth)
    if request.explore:
        return _explore_page(query, eligible, (ranked, fixed), total)
    ranked = drop_skipped(ranked, page)
    shown = np.arange(min(request.k, len(ranked.rows)))
    return RankedPage(_take(ranked, shown), ranked.rows[request.k : total - page.skip])


def _rank_with_pins(query: Query, eligible: Eligible, total: int) -> tuple[Candidates, Positions]:
    """The first `total` of the ranking that is left, and which positions in it are pins."""
    start = query.page.offset - query.page.skip
    pins = [(row, rank - 1 - start) for row, rank in query.pins if rank - 1 - start >= 0]
    if not pins:
        return _rank_without_pins(query, eligible, total), np.empty(0, np.int64)
    is_eligible = eligible.rows.contain(np.array([row for row, _ in pins], np.int64))
    pins = [pin for pin, is_kept in zip(pins, is_eligible.tolist(), strict=True) if is_kept]
    rows = np.array([row for row, _ in pins], np.int64)
    others = _rank_without_pins(query, replace(eligible, rows=eligible.rows.drop(rows)), total)
    pinned = _score(query, rows)
    position_by_row = {
        row: len(others.rows) + position for position, row in enumerate(pinned.rows.tolist())
    }
    order, fixed = insert_pins(
        np.arange(len(others.rows)),
        [(position_by_row[row], index) for row, index in pins],
        total=total,
    )
    return _take(_concatenate(others, pinned), order), fixed


def _rank_without_pins(query: Query, eligible: Eligible, total: int) -> Candidates:
    """The first `total` of the ranking without pins."""
    page, request = query.page, query.request
    if page.only_ids is not None and query.is_reranked:
        return _keep_announced_order(query, eligible, total)
    ahead = DIVERSITY_WINDOW if request.diversity else 0
    best = retrieve(
        query.catalogue, query.vectors.vectors, eligible, total + ahead, query.term_totals
    )
    if not request.diversity:
        return best
    shown_rows = query.find_rows(page.served_ids[-_DIVERSITY_LOOKBACK:])
    order = diversify(
        _load_meaning_vectors(query, best.rows[: DIVERSE_RANKS + DIVERSITY_WINDOW]),
        best.scores,
        diversity=request.diversity,
        ranks=min(total, max(0, DIVERSE_RANKS - (page.offset - page.skip))),
        shown_vectors=_load_meaning_vectors(query, shown_rows),
    )
    return _take(best, order[:total])


def _keep_announced_order(query: Query, eligible: Eligible, total: int) -> Candidates:
    """The first `total` of the items that an earlier page announced, in the order of its ids."""
    rows = query.find_rows(query.page.only_ids or ())
    rows = rows[eligible.rows.contain(rows)]
    scored = _score(query, rows)
    by_row = np.argsort(scored.rows)
    return _take(scored, by_row[np.searchsorted(scored.rows[by_row], rows)][:total])


def _explore_page(
    query: Query, eligible: Eligible, ranking: tuple[Candidates, Positions], total: int
) -> RankedPage:
    """Give some ranks of the page to candidates beyond it."""
    (ranked, fixed), request = ranking, query.request
    k = min(request.k, len(ranked.rows))
    beyond = np.setdiff1d(np.arange(k, len(ranked.rows)), fixed)[: max(EXPLORE_NEXT, k)]
    off_page = eligible.rows.to_mask()
    off_page[ranked.rows[:k]] = False
    off_page[[row for row, _ in query.pins]] = False
    newest = find_newest_rows(query.catalogue, off_page, EXPLORE_NEWEST)
    unranked = _score(query, np.setdiff1d(newest, ranked.rows))
    candidates = _concatenate(ranked, unranked)
    explored = np.concatenate(
        [
            np.union1d(beyond, np.flatnonzero(np.isin(ranked.rows, newest))),
            np.arange(len(ranked.rows), len(candidates.rows)),
        ]
    )
    exploration = explore(
        np.arange(len(ranked.rows)),
        explored,
        free=np.setdiff1d(np.arange(k), fixed),
        k=k,
        probability=request.explore,
        rng=_build_generator(query),
    )
    following = np.empty(0, np.int64)
    if total == eligible.count:
        following = ranked.rows[exploration.rest][: max(0, total - k)]
    return RankedPage(_take(candidates, exploration.page), following, exploration.propensities)


def _build_generator(query: Query) -> np.random.Generator:
    """A generator that is the same for the same request, snapshot and offset in the list."""
    request = query.request
    # What only changes how the answer looks must not change what it holds.
    seed_request = replace(request, explain=True, fields=None, validate_only=False)
    seed = request.seed if request.seed is not None else seed_request
    text = f"{seed!r}|{query.catalogue.manifest.id}|{query.page.offset}"
    digest = blake2b(text.encode(), digest_size=16).digest()
    return np.random.default_rng(int.from_bytes(digest, "big"))


def _score(query: Query, rows: Rows) -> Candidates:
    """All of some distinct rows with their scores, best first."""
    vectors, term_totals = query.vectors.vectors, query.term_totals
    return score_rows(query.catalogue, vectors, np.sort(rows), len(rows), term_totals)


def _load_meaning_vectors(query: Query, rows: Rows) -> Vectors:
    width = query.catalogue.manifest.layout.meaning
    meaning: Vectors = query.catalogue.item_vectors(rows)[:, :width].astype(np.float32)
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
    """Each row where it comes first."""
    _, first = np.unique(rows, return_index=True)
    return rows[np.sort(first)]
