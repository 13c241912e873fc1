"""Query vectors to candidates, complete: never fewer than `min(k, eligible)`.

In: query vectors, eligible rows, score terms.
Out: `Candidates`: rows with exact scores, best first, ties by id.
"""

from indexer.retrieval.prefetch import Shared, Wanted
from indexer.retrieval.prepare import Prepared, prepared
from indexer.retrieval.search import DENSE_SHARE, Candidates, at_least, retrieve, score_rows

__all__ = [
    "DENSE_SHARE",
    "Candidates",
    "Prepared",
    "Shared",
    "Wanted",
    "at_least",
    "prepared",
    "retrieve",
    "score_rows",
]
