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
from indexer.evaluation import Cases, Part, cases_of, log_of
from indexer.reading import Interaction

NEWEST_SHARE = 0.1
LEAST_NEW = 200  # liked rows after the live snapshot's last one, to ask about those only
LEAST_CASES = 30  # fewer prove nothing
MOST_CASES = 1_000


@dataclass(frozen=True, slots=True)
class Exam:
    """The newest slice.

    Attributes:
        cases: What is asked.
        requests: Bodies of requests.
        targets: Ids of what was picked.
        before: Rows that may be learned from, in row order.
        since: Unix seconds of the slice's first row; None without times.
        unseen_by_live: Whether the live snapshot learned from nothing of the slice.
    """

    cases: Cases
    requests: list[dict[str, Any]]
    targets: list[str]
    before: list[Interaction]
    since: float | None
    unseen_by_live: bool

    def some(self, which: NDArray[np.int64]) -> "Exam":
        """Return the exam with some of its questions."""
        return replace(
            self,
            cases=self.cases.taken(which),
            requests=[self.requests[case] for case in which],
            targets=[self.targets[case] for case in which],
        )


def exam_of(
    interactions: Sequence[Interaction],
    item_ids: Sequence[str],
    *,
    learned_until: float | None,
    most_cases: int = MOST_CASES,
    rating_scale: tuple[float, float] | None = None,
) -> Exam | None:
    """Cut the newest slice off; None if it has fewer than `LEAST_CASES` questions.

    Args:
        interactions: In row order, which counts where not every row has a time.
        item_ids: Of the catalogue.
        learned_until: Time of the last row that the live snapshot learned from, if known.
        most_cases: Asked at most.
        rating_scale: Given by the caller, if at all.
    """
    timed = all(row.at is not None for row in interactions)
    rows = interactions if timed else [replace(r, at=float(n)) for n, r in enumerate(interactions)]
    try:
        log = log_of(rows, item_ids, rating_scale=rating_scale)
    except CatalogError:  # no row is with an item of this catalogue
        return None
    cut = log.at[int((1 - NEWEST_SHARE) * len(log))]
    known = learned_until if timed else None
    if known is not None and np.count_nonzero((log.at > known) & log.positive) >= LEAST_NEW:
        cut = max(cut, np.nextafter(known, np.inf))
    log = replace(log, part=np.where(log.at >= cut, Part.TEST, Part.FIT))
    cases = cases_of(log, Part.TEST, repeats=log.repeats, most=most_cases)
    if len(cases) < LEAST_CASES:
        return None
    kept = [row for row, moment in zip(interactions, rows, strict=True) if _before(moment, cut)]
    return Exam(
        cases=cases,
        requests=[body if timed else _timeless(body) for body in cases.requests()],
        targets=[log.item_ids[item] for item in cases.target],
        before=kept,
        since=float(cut) if timed else None,
        unseen_by_live=known is not None and bool(known < cut),
    )


def _before(row: Interaction, cut: float) -> bool:
    return row.at is not None and row.at < cut


def _timeless(body: dict[str, Any]) -> dict[str, Any]:
    """Numbers of rows are no times."""
    history = [{k: v for k, v in entry.items() if k != "at"} for entry in body["history"]]
    return {**{k: v for k, v in body.items() if k != "at"}, "history": history}
