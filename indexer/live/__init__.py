"""Changes beside a snapshot: new and changed items as a delta, deleted ones as tombstones.

In: an opened `Index` and item changes in order.
Out: a `Catalogue` that answers as an index built over the result would.
"""

from indexer.live.catalogue import MAX_LIVE_FIELDS, LiveCatalogue
from indexer.live.changes import LiveItem, Tombstone

__all__ = [
    "MAX_LIVE_FIELDS",
    "LiveCatalogue",
    "LiveItem",
    "Tombstone",
]
