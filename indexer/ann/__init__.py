"""Item vectors to an inner-product index and back to the nearest rows. The only door to faiss.

Small catalogues are scanned exactly. Larger ones use 4-bit product quantisation (fast-scan) with
float16 refinement: measured on request vectors it keeps its recall under any block weights, where
graphs and inverted lists tuned on item-like queries lose it.
"""

from indexer.ann.found import Found, Mask, Rows, Vectors, best
from indexer.ann.vector_index import VectorIndex

__all__ = ["Found", "Mask", "Rows", "VectorIndex", "Vectors", "best"]
