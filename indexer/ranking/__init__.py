"""Candidates to the order they are shown in: caps, pins, diversity, exploration.

In: a query and its eligible rows.
Out: the rows of one page in rank order, and those that follow.
"""

from indexer.ranking.caps import caps_of
from indexer.ranking.paging import narrowed
from indexer.ranking.ranked_page import (
    EXPLORE_NEWEST,
    EXPLORE_NEXT,
    Arranged,
    arranged,
    within_caps,
)

__all__ = [
    "EXPLORE_NEWEST",
    "EXPLORE_NEXT",
    "Arranged",
    "arranged",
    "caps_of",
    "narrowed",
    "within_caps",
]
