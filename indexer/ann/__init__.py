"""Vectors to an index and back to the nearest rows. The only door to faiss.

In: item vectors `(n, d) float32`; query vectors `(q, d)` with the rows that are allowed.
Out: `TopRows` rows by inner product, exact or with a recall measured on request vectors.
"""

from indexer.ann.builder import IndexOptions, build_index_file
from indexer.ann.effort import find_least_effort
from indexer.ann.faiss_searcher import Effort
from indexer.ann.layout import Layout
from indexer.ann.plan import check_index_name, plan_index
from indexer.ann.recall import draw_query_sets
from indexer.ann.top_rows import TopRows, select_top
from indexer.ann.vector_index import VectorIndex

__all__ = [
    "Effort",
    "IndexOptions",
    "Layout",
    "TopRows",
    "VectorIndex",
    "build_index_file",
    "check_index_name",
    "draw_query_sets",
    "find_least_effort",
    "plan_index",
    "select_top",
]
