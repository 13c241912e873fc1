"""A ranked page to an answer: hits with reasons that add up, and how complete they are.

In: a request, from `recommend`, `search` or `similar`.
Out: an `Answer` of `Hit`s.
"""

from indexer.answer.answer import Answer
from indexer.answer.hits import Hit
from indexer.answer.listing import list_items
from indexer.answer.recommend import (
    compute_profile_vector,
    prefetch,
    recommend,
    recommend_many,
    recommend_prepared,
)
from indexer.answer.search import search, similar

__all__ = [
    "Answer",
    "Hit",
    "compute_profile_vector",
    "list_items",
    "prefetch",
    "recommend",
    "recommend_many",
    "recommend_prepared",
    "search",
    "similar",
]
