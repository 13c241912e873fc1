"""A question and its pool to the rows of one page in rank order, and those that follow."""

from dataclasses import dataclass, replace
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Rows, Vectors
from indexer.query import Pool, Question, newest_rows
from indexer.ranking.caps import Cap, capped
from indexer.ranking.order import (
    DIVERSE_RANKS,
    DIVERSITY_WINDOW,
    Places,
    diversified,
    explored,
    pinned,
)
from indexer.ranking.paging import after_skipped, wanted
from indexer.retrieval import Candidates, retrieve, score_rows

# What exploration may show: the next candidates after the page, at least so many, and the newest.
EXPLORE_NEXT = 20
EXPLORE_NEWEST = 10
_REMEMBERED = 50  # items of earlier pages that variety looks back at


@dataclass(frozen=True, slots=True)
class Arranged:
    """One page.

    Attributes:
        page: Its rows with scores, in rank order.
        following: Rows ranked after it, as far as the page looks ahead.
        propensities: `(k,)`, None without exploration.
    """

    page: Candidates
    following: Rows
    propensities: NDArray[np.float64] | None = None


def within_caps(question: Question, pool: Pool, caps: list[Cap]) -> Pool:
    """Narrow a pool to what caps keep of it, in order of score.

    What earlier pages showed and what is pinned uses its values first; what an earlier page has
    named as still to come is kept.
    """
    promised = question.known_rows(question.page.only or ())
    pins = np.array([row for row, _ in question.pins], np.int64)
    first = [question.known_rows(question.page.served), promised, pins[pool.allowed[pins]]]

    def ranked(rows: Rows) -> Rows:
        vectors, additive = question.weighed.vectors, question.additive
        return score_rows(question.catalogue, vectors, rows, len(rows), additive).rows

    kept = capped(pool, caps, first=_each_once(np.concatenate(first)), ranked=ranked)
    kept.allowed[promised] = pool.allowed[promised]
    return kept


def arranged(question: Question, pool: Pool) -> Arranged:
    """Rank what is left of a pool for a page."""
    request, page = question.request, question.page
    total = wanted(pool.eligible, request.k, page)
    reach = total
    if request.explore:
        reach = min(pool.eligible, total + max(EXPLORE_NEXT, request.k))
    ranked, fixed = _with_pins(question, pool, reach)
    if request.explore:
        return _with_exploration(question, pool, (ranked, fixed), total)
    found = after_skipped(ranked, page)
    following = found.rows[request.k : total - page.skip]
    return Arranged(_taken(found, np.arange(min(request.k, len(found.rows)))), following)


def _with_pins(question: Question, pool: Pool, total: int) -> tuple[Candidates, Places]:
    """The first `total` of the whole ranking that is left, and which places of it are pins."""
    start = question.page.offset - question.page.skip
    pins = [(row, rank - 1 - start) for row, rank in question.pins if pool.allowed[row]]
    pins = [(row, index) for row, index in pins if index >= 0]
    if not pins:
        return _without_pins(question, pool, total), np.empty(0, np.int64)
    rows = np.array([row for row, _ in pins], np.int64)
    allowed = pool.allowed.copy()
    allowed[rows] = False
    others = _without_pins(question, replace(pool, allowed=allowed), total)
    own = _scored(question, rows)
    places = {row: len(others.rows) + place for place, row in enumerate(own.rows.tolist())}
    order, fixed = pinned(
        np.arange(len(others.rows)), [(places[row], i) for row, i in pins], total=total
    )
    return _taken(_joined(others, own), order), fixed


def _without_pins(question: Question, pool: Pool, total: int) -> Candidates:
    """The first `total` of the ranking without pins."""
    catalogue, page, request = question.catalogue, question.page, question.request
    if page.only is not None and question.is_arranged:
        rows = question.known_rows(page.only)
        rows = rows[pool.allowed[rows]]
        found = _scored(question, np.sort(rows))
        by_row = np.argsort(found.rows)
        return _taken(found, by_row[np.searchsorted(found.rows[by_row], rows)][:total])
    ahead = DIVERSITY_WINDOW if request.diversity else 0
    vectors = question.weighed.vectors
    found = retrieve(catalogue, vectors, pool, total + ahead, question.additive)
    if not request.diversity:
        return found
    order = diversified(
        _meaning(question, found.rows[: DIVERSE_RANKS + DIVERSITY_WINDOW]),
        found.scores,
        diversity=request.diversity,
        ranks=min(total, max(0, DIVERSE_RANKS - (page.offset - page.skip))),
        shown=_meaning(question, question.known_rows(page.served[-_REMEMBERED:])),
    )
    return _taken(found, order[:total])


def _with_exploration(
    question: Question, pool: Pool, ranking: tuple[Candidates, Places], total: int
) -> Arranged:
    """Give some ranks of the page to candidates beyond it."""
    (ranked, fixed), request = ranking, question.request
    k = min(request.k, len(ranked.rows))
    beyond = np.setdiff1d(np.arange(k, len(ranked.rows)), fixed)[: max(EXPLORE_NEXT, k)]
    fresh = pool.allowed.copy()
    fresh[ranked.rows[:k]] = False
    fresh[[row for row, _ in question.pins]] = False
    newest = newest_rows(question.catalogue, fresh, EXPLORE_NEWEST)
    extra = _scored(question, np.sort(np.setdiff1d(newest, ranked.rows)))
    known = np.flatnonzero(np.isin(ranked.rows, newest))
    candidates = _joined(ranked, extra)
    extras = np.arange(len(ranked.rows), len(candidates.rows))
    found = explored(
        np.arange(len(ranked.rows)),
        np.concatenate([np.union1d(beyond, known), extras]),
        free=np.setdiff1d(np.arange(k), fixed),
        k=k,
        chance=request.explore,
        rng=_generator(question),
    )
    following = ranked.rows[found.rest][: max(0, total - k)] if total == pool.eligible else ()
    return Arranged(
        _taken(candidates, found.page), np.array(following, np.int64), found.propensities
    )


def _generator(question: Question) -> np.random.Generator:
    """The same for the same request, snapshot and place in the list."""
    request = question.request
    asked = replace(request, explain=True, fields=None, validate_only=False)
    told = request.seed if request.seed is not None else asked
    text = f"{told!r}|{question.catalogue.manifest.id}|{question.page.offset}"
    digest = blake2b(text.encode(), digest_size=16).digest()
    return np.random.default_rng(int.from_bytes(digest, "big"))


def _scored(question: Question, rows: Rows) -> Candidates:
    vectors, additive = question.weighed.vectors, question.additive
    return score_rows(question.catalogue, vectors, np.sort(rows), len(rows), additive)


def _meaning(question: Question, rows: Rows) -> Vectors:
    width = question.catalogue.manifest.layout.meaning
    meaning: Vectors = question.catalogue.item_vectors(rows)[:, :width].astype(np.float32)
    return meaning


def _taken(found: Candidates, places: Places) -> Candidates:
    return Candidates(found.rows[places], found.scores[places], found.winners[places])


def _joined(first: Candidates, second: Candidates) -> Candidates:
    return Candidates(
        np.concatenate([first.rows, second.rows]),
        np.concatenate([first.scores, second.scores]),
        np.concatenate([first.winners, second.winners]),
    )


def _each_once(rows: Rows) -> Rows:
    """Each row at its first place."""
    _, first = np.unique(rows, return_index=True)
    return rows[np.sort(first)]
