"""A body, and perhaps a cursor, to one page of a list and the cursor of the next.

In: a `View` and the fields of a call.
Out: pages as JSON holds them.
"""

from service.answering.lists import compute_trending_terms, request_from_cursor
from service.answering.pages import MAX_BATCH_K, PageBuilder, PageResult

__all__ = [
    "MAX_BATCH_K",
    "PageBuilder",
    "PageResult",
    "compute_trending_terms",
    "request_from_cursor",
]
