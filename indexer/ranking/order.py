"""Scored candidates to the order they are shown in: diversity, pins, exploration.

Pure: positions in, positions out. A position is an index into the candidates, which come best
first. Scores are never changed. The choice for a rank depends on earlier ranks only, so a shorter
list is the head of a longer one and pages continue it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Vectors

Positions: TypeAlias = NDArray[np.int64]

DIVERSE_RANKS = 200  # ranks that are diversified; nobody compares what lies further down
DIVERSITY_WINDOW = 100  # a rank goes to one of the 100 best candidates that are left
_MIN_SIMILARITY = 0.05  # below it candidates have nothing in common that could be avoided
_TIE_TOLERANCE = 1e-5


@dataclass(frozen=True, slots=True)
class Exploration:
    """A page with some of its ranks given to candidates from beyond it.

    Attributes:
        page: `(k,) int64`, positions in rank order.
        rest: The other positions, in order; those that had to leave the page come first.
        propensities: `(k,) float64`: the probability, over seeds, that a rank shows what it does.
    """

    page: Positions
    rest: Positions
    propensities: NDArray[np.float64]


def diversify(
    meaning_vectors: Vectors,
    scores: Vectors,
    *,
    diversity: float,
    ranks: int,
    shown_vectors: Vectors,
) -> Positions:
    """Order candidates by maximal marginal relevance (Carbonell & Goldstein 1998).

    Each rank goes to the candidate of the window with the highest
    `(1 - diversity) * relevance - diversity * similarity`. Relevance is the score, scaled so that
    the best candidate has 1 and the last of the first window 0. Similarity is the highest cosine
    with anything ranked before, at least 0, divided by the mean cosine of the first window's
    candidates with their nearest neighbours. So 0 keeps the order, 1 looks at similarity alone,
    and a value between has an effect in any catalogue, however close together its vectors lie.

    Args:
        meaning_vectors: `(m, d) float32`, unit meaning vectors of the candidates, best first. Only
            the first `ranks + DIVERSITY_WINDOW` are read; there may be fewer than `scores`.
        scores: `(n,) float32`, descending.
        diversity: From 0 to 1.
        ranks: How many ranks to diversify; candidates after them keep their order.
        shown_vectors: `(b, d) float32`, of items on earlier pages.

    Returns:
        `(n,) int64`, all positions in their new order.
    """
    count = len(scores)
    ranks = min(ranks, count)
    near = meaning_vectors[: ranks + DIVERSITY_WINDOW]
    similarity = np.zeros(len(near), np.float32)
    if len(shown_vectors):
        similarity = np.maximum(similarity, (near @ shown_vectors.T).max(axis=1))
    relevance = (1 - diversity) * _scale_relevance(scores)[: len(near)]
    weight = np.float32(diversity) / _compute_neighbour_similarity(near[:DIVERSITY_WINDOW])
    window = np.arange(min(DIVERSITY_WINDOW, count))
    chosen: list[int] = []
    while len(chosen) < ranks:
        marginal_relevance = relevance[window] - weight * similarity[window]
        # Not argmax: between equals the order decides, not the last bits of a float.
        is_best = marginal_relevance >= marginal_relevance.max() - _TIE_TOLERANCE
        window_index = int(np.flatnonzero(is_best)[0])
        best = int(window[window_index])
        next_position = len(chosen) + DIVERSITY_WINDOW
        entering = np.arange(next_position, min(next_position + 1, len(near)))
        window = np.concatenate([np.delete(window, window_index), entering])
        chosen.append(best)
        similarity = np.maximum(similarity, near @ near[best])
    left = np.ones(count, np.bool_)
    left[chosen] = False
    return np.concatenate([np.array(chosen, np.int64), np.flatnonzero(left)])


def _scale_relevance(scores: Vectors) -> Vectors:
    """The scores with the best at 1 and the last of the first window at 0."""
    if not len(scores):
        return scores
    low = scores[min(DIVERSITY_WINDOW, len(scores)) - 1]
    spread = float(scores[0] - low)
    relevance: Vectors = (scores - low) / np.float32(spread if spread > _TIE_TOLERANCE else 1.0)
    return relevance


def _compute_neighbour_similarity(meaning_vectors: Vectors) -> np.float32:
    """The mean cosine of candidates with their nearest neighbours, at least `_MIN_SIMILARITY`."""
    if len(meaning_vectors) < 2:
        return np.float32(1)
    near = meaning_vectors @ meaning_vectors.T
    np.fill_diagonal(near, -1)
    return np.float32(max(float(near.max(axis=1).mean()), _MIN_SIMILARITY))


def insert_pins(
    order: Positions, pins: Sequence[tuple[int, int]], *, total: int
) -> tuple[Positions, Positions]:
    """Put pinned positions at their ranks.

    Args:
        order: The other positions, in order.
        pins: Position and index in the result, by index; an index beyond the end means the end.
        total: How long the result may be; pins beyond it wait for a later page.

    Returns:
        The merged order, and the indices in it that are pins, ascending.
    """
    merged: list[int] = []
    fixed: list[int] = []
    others = iter(order.tolist())
    waiting = list(pins)
    while len(merged) < total:
        if waiting and waiting[0][1] <= len(merged):
            fixed.append(len(merged))
            merged.append(waiting.pop(0)[0])
            continue
        position = next(others, None)
        if position is not None:
            merged.append(position)
        elif waiting:
            waiting[0] = (waiting[0][0], len(merged))
        else:
            break
    return np.array(merged, np.int64), np.array(fixed, np.int64)


def explore(
    order: Positions,
    candidates: Positions,
    *,
    free: Positions,
    k: int,
    probability: float,
    rng: np.random.Generator,
) -> Exploration:
    """Give each free rank of a page, with some probability, to a candidate from beyond the page.

    Free ranks and explored candidates are matched at random, each with at most one partner; a
    matched rank shows its partner with probability p. With K free ranks and m candidates, by
    symmetry, a rank shows a given candidate with probability `p / max(K, m)`, and what it would
    show anyway with `1 - p * m / max(K, m)`: marginal over all that may happen at other ranks.

    Args:
        order: Positions in the order without exploration, the page first.
        candidates: Distinct positions beyond the page that may be explored.
        free: Ranks (from 0) that are not pinned.
        k: Length of the page.
        probability: p, from 0 to 1.
        rng: The only source of randomness.
    """
    page = order[:k].copy()
    propensities = np.ones(len(page), np.float64)
    wider = max(len(free), len(candidates))
    if wider:
        propensities[free] = 1 - probability * len(candidates) / wider
        matched = min(len(free), len(candidates))
        ranks = rng.permutation(free)[:matched]
        partners = rng.permutation(candidates)[:matched]
        explored = rng.random(matched) < probability
        page[ranks[explored]] = partners[explored]
        propensities[ranks[explored]] = probability / wider
    return Exploration(page, order[~np.isin(order, page)], propensities)
