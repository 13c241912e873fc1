"""Interactions to an exam: the newest slice as questions, and the rows from before it.

What is compared on it must not have seen it. If the live snapshot learned from rows up to a moment
and enough came after, the slice is what came after; else it is the newest tenth, and the live
snapshot's settings are fitted again without it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.errors import CatalogError
from indexer.evaluation import Cases, Part, build_cases, build_log
from indexer.reading import Interaction

HOLDOUT_SHARE = 0.1
MIN_NEW_ROWS = 200  # liked rows after the live snapshot's last one, to ask about those only
MIN_CASES = 30  # fewer prove nothing
MAX_CASES = 1_000


@dataclass(frozen=True, slots=True)
class Holdout:
    """The newest slice.

    Attributes:
        cases: What is asked.
        requests: Bodies of requests.
        targets: Ids of what was picked.
        training_rows: Rows that may be learned from, in row order.
        starts_at: Unix seconds of the slice's first row; None without times.
        is_unseen_by_live: Whether the live snapshot learned from nothing of the slice.
    """

    cases: Cases
    requests: list[dict[str, Any]]
    targets: list[str]
    training_rows: list[Interaction]
    starts_at: float | None
    is_unseen_by_live: bool

    def take(self, which: NDArray[np.int64]) -> "Holdout":
        """Return the exam with some of its questions."""
        return replace(
            self,
            cases=self.cases.taken(which),
            requests=[self.requests[case] for case in which],
            targets=[self.targets[case] for case in which],
        )


def split_holdout(
    interactions: Sequence[Interaction],
    item_ids: Sequence[str],
    *,
    learned_until: float | None,
    max_cases: int = MAX_CASES,
    rating_scale: tuple[float, float] | None = None,
) -> Holdout | None:
    """Cut the newest slice off; None if it has fewer than `MIN_CASES` questions.

    Args:
        interactions: In row order, which counts where not every row has a time.
        item_ids: Of the catalogue.
        learned_until: Time of the last row that the live snapshot learned from, if known.
        max_cases: Asked at most.
        rating_scale: Given by the caller, if at all.
    """
    timed = all(row.at is not None for row in interactions)
    rows = interactions if timed else [replace(r, at=float(n)) for n, r in enumerate(interactions)]
    try:
        log = build_log(rows, item_ids, rating_scale=rating_scale)
    except CatalogError:  # no row is with an item of this catalogue
        return None
    cut = log.at[int((1 - HOLDOUT_SHARE) * len(log))]
    known = learned_until if timed else None
    if known is not None and np.count_nonzero((log.at > known) & log.positive) >= MIN_NEW_ROWS:
        cut = max(cut, np.nextafter(known, np.inf))
    log = replace(log, part=np.where(log.at >= cut, Part.TEST, Part.FIT))
    cases = build_cases(log, Part.TEST, repeats=log.has_repeats, max_cases=max_cases)
    if len(cases) < MIN_CASES:
        return None
    training_rows = [
        row for row, timed_row in zip(interactions, rows, strict=True) if _is_before(timed_row, cut)
    ]
    return Holdout(
        cases=cases,
        requests=[body if timed else _drop_times(body) for body in cases.requests()],
        targets=[log.item_ids[item] for item in cases.target],
        training_rows=training_rows,
        starts_at=float(cut) if timed else None,
        is_unseen_by_live=known is not None and bool(known < cut),
    )


def _is_before(row: Interaction, cut: float) -> bool:
    return row.at is not None and row.at < cut


def _drop_times(body: dict[str, Any]) -> dict[str, Any]:
    """Numbers of rows are no times."""
    history = [{k: v for k, v in entry.items() if k != "at"} for entry in body["history"]]
    return {**{k: v for k, v in body.items() if k != "at"}, "history": history}
