"""A ranking to one page of it: what may still come, what has been, where the ranks continue."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a ranking to answer with.

    Attributes:
        offset: How many hits the earlier pages had; ranks continue after it.
        only_ids: Choose among these ids; None: among everything the request allows.
        served_ids: Ids of earlier pages, passed over without being counted as excluded.
        skip: Passes over this many of the best, where `served` is too long to send around. Right
            only within one snapshot.
        lookahead: If at most this many ids are left after the page, `Answer.following` names them all;
            else it names none, since the next page can be ranked as cheaply as this one.
        keeps_order: `only` is in the order of its ranks, which no score gave it.
    """

    offset: int = 0
    only_ids: Sequence[str] | None = None
    served_ids: Sequence[str] = ()
    skip: int = 0
    lookahead: int = 0
    keeps_order: bool = False


FIRST_PAGE = Page()


class RowLookup(Protocol):
    """Ids to dense rows 0..count-1."""

    @property
    def count(self) -> int: ...  # noqa: D102
    def rows(self, ids: Sequence[str]) -> dict[str, int]: ...  # noqa: D102
