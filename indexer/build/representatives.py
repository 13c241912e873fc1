"""Items about whose users nothing is known to a varied first list that stands for all of them.

The list is the greedy solution of a facility location: each item is chosen for how much nearer it
brings the whole catalogue to what was chosen before (Nemhauser, Wolsey and Fisher 1978; for
summaries Lin and Bilmes 2011). So it takes one of each large kind before a second of any.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Rows, Vectors
from indexer.metadata import Columns, Exists, FieldType, RowValueKind
from indexer.snapshot import CatalogueStats, Times

REPRESENTATIVE_COUNT = 100
REPRESENTATIVE_SCALE = 0.01  # of the first one's score above that of the best rated item
_HALF_PLACES = 25  # places after which a representative's score above the others is halved
_MAX_AUDIENCE = 2_000  # random items that the list is to stand for
_MAX_CANDIDATES = 2_000
_VOTE_FIELDS = ("rating_count", "ratings_count", "vote_count", "votes", "review_count", "reviews")
_MAX_FIELDS = 30  # whose presence is looked at
_USUAL_VOTES = 10.0  # votes with which a rating counts half
_NO_COVER = 1e-6  # what an item brings that is near nothing left: then its quality decides
_SEED = 20_260_101


def compute_representative_scores(
    columns: Columns,
    stats: CatalogueStats,
    arrivals: Times,
    read_meaning: Callable[[Rows], Vectors],
) -> NDArray[np.float32]:
    """Return what representative items gain in a list for nobody, `(n,) float32`, 0 for others.

    With the rating prior of `stats` they come before all others, in the order of their choice.

    Args:
        columns: Of the items.
        stats: Of the items.
        arrivals: `(n,)`, when each item arrived.
        read_meaning: Returns the meaning vectors `(m, d) float32` of rows, of unit length.
    """
    chosen = choose_representatives(read_meaning, _rate_quality(columns, stats, arrivals))
    return score_in_order(chosen, stats)


def score_in_order(chosen: Rows, stats: CatalogueStats) -> NDArray[np.float32]:
    """Return what rows gain to come first in a given order, `(n,) float32`, 0 for others.

    Args:
        chosen: The rows, the first first.
        stats: Of the items; with its rating prior they come before all others.
    """
    rated = stats.rating_prior
    scores = np.zeros(len(rated), np.float32)
    steps = REPRESENTATIVE_SCALE * 0.5 ** (np.arange(len(chosen)) / _HALF_PLACES)
    scores[chosen] = rated.max(initial=0) + steps - rated[chosen]
    return scores


def choose_representatives(
    read_meaning: Callable[[Rows], Vectors], quality: NDArray[np.float64]
) -> Rows:
    """Return up to `REPRESENTATIVE_COUNT` rows that stand for the catalogue, the first first.

    Args:
        read_meaning: Returns the meaning vectors `(m, d) float32` of rows, of unit length; it is
            asked for a few thousand of a large catalogue.
        quality: `(n,)`, in [0, 1]; what an item brings counts by half and this.
    """
    rng = np.random.default_rng(_SEED)
    count = len(quality)
    audience = np.sort(rng.permutation(count)[:_MAX_AUDIENCE])
    best = np.argsort(-quality, kind="stable")[: _MAX_CANDIDATES // 2]
    random = rng.permutation(count)[: _MAX_CANDIDATES // 2]
    candidates = np.union1d(best, random)
    nearness = np.maximum(read_meaning(candidates) @ read_meaning(audience).T, 0)
    covered = np.zeros(len(audience), np.float32)
    is_left = np.ones(len(candidates), bool)
    chosen: list[int] = []
    while len(chosen) < min(REPRESENTATIVE_COUNT, len(candidates)):
        gains = np.maximum(nearness - covered, 0).sum(axis=1) + _NO_COVER
        gains *= 0.5 + quality[candidates]
        place = int(np.argmax(np.where(is_left, gains, -1)))
        is_left[place] = False
        covered = np.maximum(covered, nearness[place])
        chosen.append(int(candidates[place]))
    return np.array(chosen, np.int64)


def _rate_quality(columns: Columns, stats: CatalogueStats, arrivals: Times) -> NDArray[np.float64]:
    """Return the mean of what the catalogue tells of each item's standing, `(n,)` in [0, 1].

    That is its rating, shrunk to the mean where few voted, the number of votes and how new it is,
    each as a share of the items that it exceeds, and how many of the usual fields it has.
    """
    votes = _read_votes(columns)
    signals = [_compute_completeness(columns)]
    if not np.isnan(stats.ratings).all():
        mean = float(np.nanmean(stats.ratings))
        trust = 1.0 if votes is None else votes / (votes + _USUAL_VOTES)
        signals.append(_rank_shares(trust * np.nan_to_num(stats.ratings - mean)))
    if votes is not None:
        signals.append(_rank_shares(votes))
    if not np.isnan(arrivals).all():
        signals.append(_rank_shares(np.nan_to_num(arrivals, nan=float(np.nanmin(arrivals)))))
    quality: NDArray[np.float64] = np.mean(signals, axis=0)
    return quality


def _read_votes(columns: Columns) -> NDArray[np.float64] | None:
    """Return the number of votes of each item, `(n,)`; None if the catalogue has none."""
    known = columns.schema.fields
    for name in _VOTE_FIELDS:
        if name in known and known[name].type is FieldType.NUMBER:
            numbers = columns.read_values(name, RowValueKind.NUMBERS)
            return np.maximum(numbers.find_largest(len(columns)), 0)
    return None


def _compute_completeness(columns: Columns) -> NDArray[np.float64]:
    """Return which share of the catalogue's fields each item has, `(n,)`."""
    names = [name for name in columns.schema.fields if "." not in name][:_MAX_FIELDS]
    present = np.zeros(len(columns))
    for name in names:
        present += columns.match_rows(Exists(name))
    return present / max(len(names), 1)


def _rank_shares(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share of all values that each value exceeds, `(n,)`."""
    below = np.searchsorted(np.sort(values), values, side="left")
    return below / max(len(values), 1)
