"""Candidates to the order they are shown in: caps, pins, diversity, exploration.

In: a query and its eligible rows.
Out: the rows of one page in rank order, and those that follow.
"""

from indexer.ranking.caps import resolve_caps
from indexer.ranking.paging import restrict_to_page
from indexer.ranking.ranked_page import (
    EXPLORE_NEWEST,
    EXPLORE_NEXT,
    RankedPage,
    apply_query_caps,
    rank_page,
)

__all__ = [
    "EXPLORE_NEWEST",
    "EXPLORE_NEXT",
    "RankedPage",
    "apply_query_caps",
    "rank_page",
    "resolve_caps",
    "restrict_to_page",
]
