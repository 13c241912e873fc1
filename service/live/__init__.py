"""A snapshot and the store to one view: what is true of items and users at a moment.

In: the snapshot in use and the live store.
Out: a `RequestView` that a request is answered from, and snapshots swapped under it.
"""

from service.live.active_index import ActiveIndex
from service.live.items import MAX_ITEMS_PER_CALL
from service.live.profiles import describe_user, parse_profile
from service.live.view import (
    LiveStore,
    Refresher,
    RequestView,
    RequestViews,
    find_live_url,
    open_live_store,
    require_live_store,
)

__all__ = [
    "MAX_ITEMS_PER_CALL",
    "ActiveIndex",
    "LiveStore",
    "Refresher",
    "RequestView",
    "RequestViews",
    "describe_user",
    "find_live_url",
    "open_live_store",
    "parse_profile",
    "require_live_store",
]
