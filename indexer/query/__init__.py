"""A request to what is looked for: weighted inputs, their vectors, eligible rows, score terms.

In: a `Request` and the `Catalogue` it is asked of.
Out: `QueryVectors` whose inner products split into reasons, and what is added to them.
"""

from indexer.query.additive import Additive
from indexer.query.catalogue import Catalogue
from indexer.query.clock import Clock
from indexer.query.eligibility import Pool, filtered, includes_seen, pool_for
from indexer.query.history_clusters import clusters_of
from indexer.query.input_vectors import sources_of
from indexer.query.inputs import (
    RequestVectors,
    Role,
    Signal,
    coefficients_of,
    compose,
    compose_examples,
    history_signals,
    profile_mixes,
)
from indexer.query.interest_clusters import WORLD_RANKS, balance, worlds_of
from indexer.query.page import FIRST_PAGE, Page, Rows
from indexer.query.read import Read, everywhere_terms, read_request, signals_of
from indexer.query.score_terms import Term, newest_rows
from indexer.query.search_query import Question
from indexer.query.taste_contribution import (
    NO_TERMS,
    Learned,
    Moment,
    NamedTerms,
    apply_taste,
    context_words,
)

__all__ = [
    "FIRST_PAGE",
    "NO_TERMS",
    "WORLD_RANKS",
    "Additive",
    "Catalogue",
    "Clock",
    "Learned",
    "Moment",
    "NamedTerms",
    "Page",
    "Pool",
    "Question",
    "Read",
    "RequestVectors",
    "Role",
    "Rows",
    "Signal",
    "Term",
    "apply_taste",
    "balance",
    "clusters_of",
    "coefficients_of",
    "compose",
    "compose_examples",
    "context_words",
    "everywhere_terms",
    "filtered",
    "history_signals",
    "includes_seen",
    "newest_rows",
    "pool_for",
    "profile_mixes",
    "read_request",
    "signals_of",
    "sources_of",
    "worlds_of",
]
