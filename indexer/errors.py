"""Every error that `indexer` raises on purpose.

IndexerError
├── CatalogError            a source, a mapping or too many rows cannot be read
├── FilterError             a filter names an unknown field or compares the wrong type
├── RequestError            a field of a request is invalid or out of its limits
├── ScenarioError           a scenario file cannot be read or is invalid
├── EncoderUnavailableError the language model or its weights cannot be loaded
├── VectorShapeError        vectors have the wrong shape, or hold NaN or infinity
├── GivenUpError            nobody waits for the result any more
├── TextBudgetError         new texts take longer to encode than a thread may take
├── WorkerError             a worker process ended before its work was done
├── ReleaseError            a finished build recommends worse than the published snapshot
└── SnapshotError           a snapshot is missing, damaged or built with another encoder
"""

from collections.abc import Sequence
from typing import Any


class IndexerError(Exception):
    """Base of every error below; the message names the offending value and a remedy."""


class CatalogError(IndexerError, ValueError):
    """A catalogue or interaction source cannot be read, or does not fit what was asked."""


class FilterError(IndexerError, ValueError):
    """A filter does not fit the catalogue's fields."""


class RequestError(IndexerError, ValueError):
    """A field of a request is invalid or out of its limits."""


class ScenarioError(IndexerError, ValueError):
    """A scenario file cannot be read or is invalid."""


class EncoderUnavailableError(IndexerError, RuntimeError):
    """The language model or its weights cannot be loaded."""


class VectorShapeError(IndexerError, ValueError):
    """A vector does not fit the index, or holds NaN or infinity."""


class ReleaseError(IndexerError, RuntimeError):
    """A finished build is not published, because it would recommend worse."""


class GivenUpError(IndexerError, RuntimeError):
    """Nobody waits for the result of this work any more."""


class TextBudgetError(IndexerError, RuntimeError):
    """New texts take longer to encode than the thread that needs them may take.

    Attributes:
        texts: The new texts, each once.
        encoder: What would encode them, a `QueryEncoder` of `indexer.language`.
    """

    def __init__(self, message: str, texts: Sequence[str], encoder: Any) -> None:
        super().__init__(message)
        self.texts = texts
        self.encoder = encoder


class WorkerError(IndexerError, RuntimeError):
    """A worker process ended before its work was done."""


class SnapshotError(IndexerError, RuntimeError):
    """A snapshot is missing, damaged, or was built with another encoder."""
