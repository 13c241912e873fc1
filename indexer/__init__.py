"""Everything about an index, offline and in Python; torch and faiss load when first needed."""

from indexer.answer import Answer, Hit
from indexer.build import BuildOptions, BuildSummary
from indexer.errors import (
    CatalogError,
    EncoderUnavailableError,
    FilterError,
    IndexerError,
    ReleaseError,
    RequestError,
    SnapshotError,
    VectorShapeError,
)
from indexer.index import Index
from indexer.release import build_index

__all__ = [
    "Answer",
    "BuildOptions",
    "BuildSummary",
    "CatalogError",
    "EncoderUnavailableError",
    "FilterError",
    "Hit",
    "Index",
    "IndexerError",
    "ReleaseError",
    "RequestError",
    "SnapshotError",
    "VectorShapeError",
    "build_index",
]
