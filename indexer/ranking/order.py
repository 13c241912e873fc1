"""Scored candidates to the order they are shown in: variety, pins, exploration.

Pure: places in, places out. Candidates come best first; a place is an index into them. Scores are
never touched, and every choice of a rank depends on earlier ranks only, so a shorter list is the
head of a longer one and pages continue it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Vectors

Positions: TypeAlias = NDArray[np.int64]

DIVERSE_RANKS = 200  # ranks that variety arranges; nobody compares what lies further down
DIVERSITY_WINDOW = 100  # a rank is given to one of the best so many candidates that are left
_MIN_SIMILARITY = 0.05  # below it candidates have nothing in common that could be avoided
_TIE_TOLERANCE = 1e-5


@dataclass(frozen=True, slots=True)
class Exploration:
    """A page with some of its ranks given to other candidates.

    Attributes:
        page: Places shown, in rank order.
        rest: The other places, in order, those that had to give way first.
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
    """Order candidates by maximal marginal relevance.

    Each rank goes to the candidate with the highest `(1 - diversity) * relevance - diversity *
    likeness`: relevance is the score on a scale from 0 (the last of the first window) to 1 (the
    best), likeness the highest cosine with what ranks before it, 0 if that is negative, on a scale
    where 1 is how like its nearest neighbour a candidate of the first window is on average. So 0
    keeps the order, 1 looks at likeness alone, within the window, and the steps between are felt
    in any catalogue, however close together its vectors lie.

    Args:
        meaning_vectors: `(m, d) float32`, unit meaning vectors of candidates, the best first.
        scores: `(m,) float32`, descending.
        diversity: From 0 to 1.
        ranks: How many ranks to arrange; those after keep their order.
        shown_vectors: `(b, d) float32`, what earlier pages showed.
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
        # Not argmax: the last bits must not decide between equals, the order does.
        position = int(
            np.flatnonzero(marginal_relevance >= marginal_relevance.max() - _TIE_TOLERANCE)[0]
        )
        best = int(window[position])
        following = len(chosen) + DIVERSITY_WINDOW
        entering = [following] if following < len(near) else []
        window = np.concatenate(
            [window[:position], window[position + 1 :], np.array(entering, np.int64)]
        )
        chosen.append(best)
        similarity = np.maximum(similarity, near @ near[best])
    left = np.ones(count, np.bool_)
    left[chosen] = False
    return np.concatenate([np.array(chosen, np.int64), np.flatnonzero(left)])


def _scale_relevance(scores: Vectors) -> Vectors:
    if not len(scores):
        return scores
    low = scores[min(DIVERSITY_WINDOW, len(scores)) - 1]
    spread = float(scores[0] - low)
    relevance: Vectors = (scores - low) / np.float32(spread if spread > _TIE_TOLERANCE else 1.0)
    return relevance


def _compute_neighbour_similarity(meaning_vectors: Vectors) -> np.float32:
    """The mean cosine of candidates with their nearest neighbour."""
    if len(meaning_vectors) < 2:
        return np.float32(1)
    near = meaning_vectors @ meaning_vectors.T
    np.fill_diagonal(near, -1)
    return np.float32(max(float(near.max(axis=1).mean()), _MIN_SIMILARITY))


def insert_pins(
    order: Positions, pins: Sequence[tuple[int, int]], *, total: int
) -> tuple[Positions, Positions]:
    """Put pinned places at their ranks.

    Args:
        order: The other places, in order.
        pins: Place and index in the result, ascending; beyond the end it comes last.
        total: How long the result may be; pins beyond it wait for a later page.

    Returns:
        The order, and which of its indices are pins.
    """
    merged: list[int] = []
    fixed: list[int] = []
    waiting = iter(order.tolist())
    upcoming = list(pins)
    while len(merged) < total:
        position = None
        if upcoming and upcoming[0][1] <= len(merged):
            position = upcoming.pop(0)[0]
            fixed.append(len(merged))
        else:
            position = next(waiting, None)
        if position is not None:
            merged.append(position)
        elif upcoming:
            upcoming[0] = (upcoming[0][0], len(merged))
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
    """Give each free rank of a page, with a chance, to a candidate from beyond the page.

    Ranks and the pool are matched at random, each with at most one partner; a matched rank takes
    its partner with probability `probability`. With K free ranks and m in the pool, by symmetry, a rank
    shows a given one of the pool with probability `chance / max(K, m)` and what it would show
    anyway with `1 - chance * m / max(K, m)`: marginal over all that may happen at other ranks.

    Args:
        order: Places in the order without exploration, the page first.
        candidates: Places beyond the page that may be explored, distinct.
        free: Ranks (from 0) that are not pinned.
        k: Length of the page.
        probability: From 0 to 1.
        rng: The only source of chance.
    """
    page = order[:k].copy()
    propensities = np.ones(len(page), np.float64)
    wider = max(len(free), len(candidates))
    if wider:
        propensities[free] = 1 - probability * len(candidates) / wider
        matched = min(len(free), len(candidates))
        ranks = rng.permutation(free)[:matched]
        partners = rng.permutation(candidates)[:matched]
        taken = rng.random(matched) < probability
        page[ranks[taken]] = partners[taken]
        propensities[ranks[taken]] = probability / wider
    return Exploration(page, order[~np.isin(order, page)], propensities)
