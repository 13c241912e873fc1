"""Eligible rows to the order they are shown in: scores, caps, diversity, pins, exploration.

In: a `Query` and its eligible rows, which retrieval scores.
Out: a `RankedPage`: the rows of one page in rank order, and those that follow.
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
