"""A published snapshot, opened: what Python code and the service ask for recommendations.

In: the directory that `build_index` wrote, or one snapshot in it; then fields of requests.
Out: an `Index`, which answers them and is the `Catalogue` that they are answered from.
"""

from indexer.index.index import Examples, Index

__all__ = [
    "Examples",
    "Index",
]
