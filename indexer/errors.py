"""Every error that `indexer` raises on purpose.

IndexerError
├── CatalogError            a source, a mapping or too many rows cannot be read
├── FilterError             a filter names an unknown field or compares the wrong type
├── RequestError            a request asks for something that cannot be
├── ScenarioError           a file of scenarios cannot be used
├── EncoderUnavailableError the model or its weights are not there
├── VectorShapeError        vectors do not fit the index
├── WorkerError             a process that does part of the work has ended
├── ReleaseError            a build has learned to recommend worse than what is live
└── SnapshotError           a snapshot is missing, damaged or of another encoder
"""


class IndexerError(Exception):
    """Anything the indexer refuses; the message names the offender and the remedy."""


class CatalogError(IndexerError, ValueError):
    """A catalogue source cannot be read as asked."""


class FilterError(IndexerError, ValueError):
    """A filter does not fit the catalogue's fields."""


class RequestError(IndexerError, ValueError):
    """A request for recommendations is out of its limits."""


class ScenarioError(IndexerError, ValueError):
    """A file of scenarios cannot be used."""


class EncoderUnavailableError(IndexerError, RuntimeError):
    """The language model or its weights cannot be loaded."""


class VectorShapeError(IndexerError, ValueError):
    """A vector does not fit the index."""


class ReleaseError(IndexerError, RuntimeError):
    """A finished build is not published, for what it would answer."""


class WorkerError(IndexerError, RuntimeError):
    """A process that did part of the work ended before it was done."""


class SnapshotError(IndexerError, RuntimeError):
    """A snapshot is missing, damaged, or was built with another encoder."""
