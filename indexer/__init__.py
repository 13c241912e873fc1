"""Everything about an index, offline and in Python.

    offline   reading (row → item) → language (text → vector), taste (interactions → blocks)
              → ann, metadata → snapshot; build runs it, release decides about it
    online    request (body → request) → query (inputs, vectors, eligible rows, score terms)
              → retrieval (candidates) → ranking (order) → answer (hits with reasons)
    between   snapshot; index (one snapshot opened); live (changes beside it)

What is exported loads when it is first asked for, torch and faiss only when they are needed.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

_HOMES = {
    "Answer": "indexer.answer",
    "BuildOptions": "indexer.build",
    "BuildSummary": "indexer.build",
    "Hit": "indexer.answer",
    "Index": "indexer.index",
    "build_index": "indexer.release",
}


def __getattr__(name: str) -> Any:
    """Load what is asked for from where it lives (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(_HOMES.get(name, "indexer.errors")), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """Names to complete, loaded or not."""
    return sorted({*globals(), *__all__})
