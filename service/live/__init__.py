"""A snapshot and the live store to one consistent state of items and users.

In: the index directory and the live store.
Out: a `RequestView` from which a request is answered; snapshots are swapped between requests.
"""

from service.live.active_index import ActiveIndex
from service.live.item_vectors import ItemDrafts
from service.live.items import MAX_ITEMS_PER_CALL, KeptItems, StaleViewError
from service.live.live_store import (
    LiveStore,
    describe_missing_store,
    find_live_url,
    open_live_store,
    require_live_store,
)
from service.live.user_description import describe_user, parse_profile
from service.live.view import Refresher, RequestView, RequestViews

__all__ = [
    "MAX_ITEMS_PER_CALL",
    "ActiveIndex",
    "ItemDrafts",
    "KeptItems",
    "LiveStore",
    "Refresher",
    "RequestView",
    "RequestViews",
    "StaleViewError",
    "describe_missing_store",
    "describe_user",
    "find_live_url",
    "open_live_store",
    "parse_profile",
    "require_live_store",
]
