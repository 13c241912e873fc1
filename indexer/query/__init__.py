"""A request to what is looked for: weighted inputs, their vectors, eligible rows, score terms.

In: a `Request` and the `Catalogue` it is asked of.
Out: `QueryVectors` whose inner products split into reasons, and what is added to them.
"""

from indexer.query.additive import TermTotals
from indexer.query.catalogue import Catalogue
from indexer.query.clock import Stopwatch
from indexer.query.eligibility import Eligible, compute_filter_mask, includes_seen, select_eligible
from indexer.query.history_clusters import cluster_history
from indexer.query.input_vectors import build_input_vectors
from indexer.query.inputs import (
    QueryInput,
    QueryVectors,
    Role,
    build_example_vectors,
    build_history_inputs,
    build_query_vectors,
    combine_coefficients,
    compute_profile_coefficients,
)
from indexer.query.interest_clusters import (
    CALIBRATION_RANKS,
    compute_calibration_factors,
    find_interest_clusters,
)
from indexer.query.page import FIRST_PAGE, Page, RowLookup
from indexer.query.read import ResolvedRequest, build_catalogue_terms, build_inputs, resolve_request
from indexer.query.score_terms import ScoreTerm, find_newest_rows
from indexer.query.search_query import Query
from indexer.query.taste_contribution import (
    NO_INPUT_TERMS,
    InputTerms,
    TasteContext,
    TasteContribution,
    apply_taste_model,
    to_context_words,
)

__all__ = [
    "CALIBRATION_RANKS",
    "FIRST_PAGE",
    "NO_INPUT_TERMS",
    "Catalogue",
    "Eligible",
    "InputTerms",
    "Page",
    "Query",
    "QueryInput",
    "QueryVectors",
    "ResolvedRequest",
    "Role",
    "RowLookup",
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
    "cluster_history",
    "combine_coefficients",
    "compute_calibration_factors",
    "compute_filter_mask",
    "compute_profile_coefficients",
    "find_interest_clusters",
    "find_newest_rows",
    "includes_seen",
    "resolve_request",
    "select_eligible",
    "to_context_words",
]
