"""Item vectors to a FAISS index, and query vectors to the nearest rows. The only user of faiss.

In: item vectors `(n, d) float32`; query vectors `(q, d) float32` with a mask of allowed rows.
Out: `TopRows` by inner product, exact or with a recall that was measured when the index was built.
"""

from indexer.ann.allowed_rows import AllowedRows, contain_rows
from indexer.ann.builder import build_index_file
from indexer.ann.effort import find_least_effort
from indexer.ann.faiss_searcher import Effort
from indexer.ann.layout import Layout
from indexer.ann.measurement import IndexOptions
from indexer.ann.near_rows import NearRows, find_kth_largest
from indexer.ann.plan import check_index_name
from indexer.ann.recall import draw_query_sets
from indexer.ann.top_rows import TopRows, select_top
from indexer.ann.vector_index import VectorIndex

__all__ = [
    "AllowedRows",
    "Effort",
    "IndexOptions",
    "Layout",
    "NearRows",
    "TopRows",
    "VectorIndex",
    "build_index_file",
    "check_index_name",
    "contain_rows",
    "draw_query_sets",
    "find_kth_largest",
    "find_least_effort",
    "select_top",
]
