"""Which part of a ranking one page shows: where it starts and what earlier pages have shown."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a ranking to answer with; the default is the first page.

    Attributes:
        offset: Number of hits on earlier pages; the first rank of this page is `offset + 1`.
        only_ids: Choose among these ids only; None: among all that the request allows.
        served_ids: Ids on earlier pages; left out, but not counted as excluded.
        skip: Leave out this many of the best, instead of a `served_ids` too long for a cursor.
            Correct only while the snapshot stays the same.
        lookahead: If at most this many ids are left after the page, `Answer.following` lists them
            all; else it is empty, since ranking the next page costs no more than this one.
        keeps_order: Whether `only_ids` is already in its final order, which scores do not give.
    """

    offset: int = 0
    only_ids: Sequence[str] | None = None
    served_ids: Sequence[str] = ()
    skip: int = 0
    lookahead: int = 0
    keeps_order: bool = False


FIRST_PAGE = Page()
