"""A snapshot and the store to one view: what is true of items and users at a moment.

In: the snapshot in use and the live store.
Out: a `View` that a request is answered from, and snapshots swapped under it.
"""

from service.live.active_index import Recommender
from service.live.items import MAX_ITEMS
from service.live.profiles import described_user, parse_profile
from service.live.view import Live, Refresher, View, Views, live_url, open_live, required

__all__ = [
    "MAX_ITEMS",
    "Live",
    "Recommender",
    "Refresher",
    "View",
    "Views",
    "described_user",
    "live_url",
    "open_live",
    "parse_profile",
    "required",
]
