"""Vectors to an index and back to the nearest rows. The only door to faiss.

In: item vectors `(n, d) float32`; query vectors `(q, d)` with the rows that are allowed.
Out: `Found` rows by inner product, exact or with a recall measured on request vectors.
"""

from indexer.ann.builder import IndexWish, build_index_file
from indexer.ann.effort import least_effort
from indexer.ann.faiss_searcher import Effort
from indexer.ann.layout import Layout
from indexer.ann.plan import check_index_name, plan_index
from indexer.ann.recall import request_vectors
from indexer.ann.top_rows import Found, best
from indexer.ann.vector_index import VectorIndex

__all__ = [
    "Effort",
    "Found",
    "IndexWish",
    "Layout",
    "VectorIndex",
    "best",
    "build_index_file",
    "check_index_name",
    "least_effort",
    "plan_index",
    "request_vectors",
]
