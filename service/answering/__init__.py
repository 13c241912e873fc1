"""The fields of a call, and perhaps a cursor, to one page of a list and the cursor of the next.

In: a `RequestView` and the fields of a call.
Out: pages as JSON holds them.
"""

from service.answering.cursors import parse_cursor_request
from service.answering.lists import recommend_to_user
from service.answering.pages import MAX_BATCH_K, PageBuilder, PageResult
from service.answering.rendering import render_answer

__all__ = [
    "MAX_BATCH_K",
    "PageBuilder",
    "PageResult",
    "parse_cursor_request",
    "recommend_to_user",
    "render_answer",
]
