"""A request to a query: weighted inputs, query vectors, eligible rows, additive score terms.

In: a `Request` and the `Catalogue` to recommend from.
Out: `QueryVectors`, whose inner products split into reasons; `Eligible` rows; a `Query`.
"""

from indexer.query.calibration import CALIBRATION_RANKS, compute_calibration_factors
from indexer.query.catalogue import Catalogue
from indexer.query.eligibility import (
    Availability,
    Eligible,
    compute_availability,
    compute_filter_mask,
    find_rows,
    includes_seen,
    select_eligible,
)
from indexer.query.history_clusters import cluster_history
from indexer.query.input_vectors import build_input_vectors
from indexer.query.inputs import (
    InputColumns,
    QueryInput,
    Role,
    build_history_inputs,
    build_words_input,
)
from indexer.query.interest_clusters import InterestClusters, find_interest_clusters
from indexer.query.page import FIRST_PAGE, Page
from indexer.query.query_vectors import (
    QueryVectors,
    build_example_vectors,
    build_query_vectors,
    combine_coefficients,
    compute_profile_coefficients,
)
from indexer.query.resolved_request import ResolvedRequest, build_inputs, resolve_request
from indexer.query.score_terms import ScoreTerm, build_catalogue_terms, find_newest_rows
from indexer.query.search_query import Query
from indexer.query.stopwatch import Stopwatch
from indexer.query.taste_contribution import (
    NO_INPUT_TERMS,
    InputTerms,
    TasteContext,
    TasteContribution,
    apply_taste_model,
    to_context_words,
)
from indexer.query.term_totals import TermTotals
from indexer.query.understood_wish import understand_wish
from indexer.query.word_terms import WORDS_WEIGHT, build_word_terms, find_word_matches

__all__ = [
    "CALIBRATION_RANKS",
    "FIRST_PAGE",
    "NO_INPUT_TERMS",
    "WORDS_WEIGHT",
    "Availability",
    "Catalogue",
    "Eligible",
    "InputColumns",
    "InputTerms",
    "InterestClusters",
    "Page",
    "Query",
    "QueryInput",
    "QueryVectors",
    "ResolvedRequest",
    "Role",
    "ScoreTerm",
    "Stopwatch",
    "TasteContext",
    "TasteContribution",
    "TermTotals",
    "apply_taste_model",
    "build_catalogue_terms",
    "build_example_vectors",
    "build_history_inputs",
    "build_input_vectors",
    "build_inputs",
    "build_query_vectors",
    "build_word_terms",
    "build_words_input",
    "cluster_history",
    "combine_coefficients",
    "compute_availability",
    "compute_calibration_factors",
    "compute_filter_mask",
    "compute_profile_coefficients",
    "find_interest_clusters",
    "find_newest_rows",
    "find_rows",
    "find_word_matches",
    "includes_seen",
    "resolve_request",
    "select_eligible",
    "to_context_words",
    "understand_wish",
]
