"""Query vectors to candidates, complete: never fewer than `min(k, eligible)`.

In: query vectors, eligible rows, score terms.
Out: `Candidates`: rows with exact scores, best first, ties by id.
"""

from indexer.retrieval.prefetch import CachedCatalogue, SearchTask
from indexer.retrieval.prepare import PreparedQuery, prepare_query
from indexer.retrieval.remembered import RememberedSearch
from indexer.retrieval.search import DENSE_SHARE, Candidates, apply_min_score, retrieve, score_rows

__all__ = [
    "DENSE_SHARE",
    "CachedCatalogue",
    "Candidates",
    "PreparedQuery",
    "RememberedSearch",
    "SearchTask",
    "apply_min_score",
    "prepare_query",
    "retrieve",
    "score_rows",
]
