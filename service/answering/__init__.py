"""A body, and perhaps a cursor, to one page of a list and the cursor of the next.

In: a `View` and the fields of a call.
Out: pages as JSON holds them.
"""

from service.answering.lists import asked_by, fashion
from service.answering.pages import MAX_BATCH_K, Draft, Pages

__all__ = [
    "MAX_BATCH_K",
    "Draft",
    "Pages",
    "asked_by",
    "fashion",
]
