"""Interactions to a holdout: the newest picks as cases, and the older rows to learn from.

A model must not have seen the picks that it is judged on. If enough rows came after the live
snapshot's last one, the holdout is what came after, and the live snapshot is judged as it is. Else
it is the newest tenth, and the live snapshot's settings are fitted again on the older rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from indexer.errors import CatalogError
from indexer.evaluation import Cases, InteractionLog, Part, build_cases, build_log
from indexer.reading import Interaction
from indexer.taste import WINDOW_SHARE

HOLDOUT_SHARE = WINDOW_SHARE  # so that settings tuned without the newest window saw none of it
MIN_NEW_ROWS = 200  # liked rows after the live snapshot's last one, to hold out only those
MIN_CASES = 30  # fewer prove nothing
MAX_CASES = 1_000
MAX_UNTUNED_CASES = 300  # where nothing was tuned, more cases would take longer than the fit
_MAX_SCORES = 1_000_000_000  # cases times items: in a larger catalogue fewer cases are asked
_MIN_LARGE_CASES = 300


@dataclass(frozen=True, slots=True)
class Holdout:
    """The newest picks, and what may be learned from to predict them.

    Attributes:
        cases: `c` picks with the history before each.
        training_rows: The interactions before the holdout, in row order.
        starts_at: Unix seconds of the holdout's first row; None without times.
        is_unseen_by_live: Whether the live snapshot learned from none of the holdout.
    """

    cases: Cases
    training_rows: list[Interaction]
    starts_at: float | None
    is_unseen_by_live: bool

    def take(self, case_numbers: NDArray[np.int64]) -> "Holdout":
        """Return the holdout with some of its cases."""
        return replace(self, cases=self.cases.take(case_numbers))


def split_holdout(
    interactions: Sequence[Interaction],
    item_ids: Sequence[str],
    *,
    learned_until: float | None,
    own_weights: Mapping[str, float],
    max_cases: int = MAX_CASES,
) -> Holdout | None:
    """Hold out the newest interactions; None if that gives fewer than `MIN_CASES` cases.

    Args:
        interactions: In row order, which is taken as time where not every row has one.
        item_ids: Ids of the catalogue.
        learned_until: Unix seconds of the last row that the live snapshot learned from, if known.
        own_weights: Weights of events that are not built in.
        max_cases: The holdout is sampled down to this many.
    """
    timed = all(row.at is not None for row in interactions)
    rows = interactions if timed else [replace(r, at=float(n)) for n, r in enumerate(interactions)]
    try:
        log = build_log(rows, item_ids, own_weights=own_weights)
    except CatalogError:  # no row is with an item of this catalogue
        return None
    last_learned = learned_until if timed else None
    cut = _find_cut(log, last_learned)
    log = replace(log, part=np.where(log.at >= cut, Part.TEST, Part.FIT))
    cases = build_cases(log, Part.TEST, repeats=log.has_repeats, max_cases=max_cases)
    if len(cases) < MIN_CASES:
        return None
    training_rows = [
        row for row, timed_row in zip(interactions, rows, strict=True) if _is_before(timed_row, cut)
    ]
    return Holdout(
        cases=cases,
        training_rows=training_rows,
        starts_at=float(cut) if timed else None,
        is_unseen_by_live=last_learned is not None and bool(last_learned < cut),
    )


def count_most_cases(n_items: int, *, is_tuned: bool) -> int:
    """Return how many cases are asked at most of a build.

    Args:
        n_items: Items of the catalogue, with each of which every case is compared.
        is_tuned: Whether the build was tuned anew.
    """
    affordable = max(_MIN_LARGE_CASES, _MAX_SCORES // max(n_items, 1))
    return min(affordable, MAX_CASES if is_tuned else MAX_UNTUNED_CASES)


def _find_cut(log: InteractionLog, last_learned: float | None) -> float:
    """Time at which the holdout begins."""
    cut: float = log.at[int((1 - HOLDOUT_SHARE) * len(log))]
    if last_learned is None:
        return cut
    new_liked_count = np.count_nonzero((log.at > last_learned) & log.positive)
    return max(cut, np.nextafter(last_learned, np.inf)) if new_liked_count >= MIN_NEW_ROWS else cut


def _is_before(row: Interaction, cut: float) -> bool:
    return row.at is not None and row.at < cut
