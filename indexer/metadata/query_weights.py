"""The terms of a query and how many items hold each to what a match of them is worth. Pure.

A match counts by the share of the query that it holds: each term by its inverse document frequency
(Robertson & Spärck Jones 1976), as BM25 has it. So a rare name decides, and the common words of a
sentence say next to nothing.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from indexer.metadata.full_text import QueryTerm
from indexer.metadata.function_words import CJK_KIND_WORDS, KIND_WORDS

BM25_K1 = 1.2
MIN_IDF = 1e-6  # as SQLite's full text has it, for what half of all items or more hold
# What a query of common words is measured by: the idf of a word of one in eight items. Without it,
# the best match of a word that all items hold would count as much as one of a rare name.
_FULL_IDF = 2.0
# Of the rarest word; commoner ones would take most of the time and say next to nothing.
_LEAST_SHARE = 0.2
_KIND_IDF = 3.0  # of the kind of one in twenty items; what fewer mention is no category
PREFIX_SHARE = 0.25  # of a word, where an item holds only a longer one that begins so
_CJK_KIND_TERMS = frozenset("  ".join(word) for word in CJK_KIND_WORDS)


@dataclass(frozen=True, slots=True)
class WeighedQuery:
    """The terms of a query that are looked for, and the score of an item that holds all of them.

    Attributes:
        terms: Distinct; empty if the query has no words.
        full_score: BM25 of a perfect match, what the score of a match is divided by.
        typed: The last term if it may be the beginning of a longer word; else None.
    """

    terms: tuple[QueryTerm, ...]
    full_score: float
    typed: QueryTerm | None

    def to_share(self, score: float) -> float:
        """Return the share of the query that an item with a BM25 score holds, 0 to 1."""
        return min(1.0, score / self.full_score)


def compute_idf(item_count: int, frequency: int) -> float:
    """Return the inverse document frequency of a term as SQLite's full text computes it."""
    ratio = (item_count - frequency + 0.5) / (frequency + 0.5)
    return max(MIN_IDF, math.log(ratio)) if ratio > 0 else MIN_IDF


def weigh_query(
    terms: Sequence[QueryTerm], item_count: int, document_frequency: Callable[[str], int]
) -> WeighedQuery:
    """Return the terms worth looking for, and what a match of all of them is worth.

    Words that are far commoner than the rarest one are left out, and words for a kind of item where
    that is no category of the catalogue, unless there are no others.

    Args:
        terms: From `parse_query_terms`.
        item_count: Number of items.
        document_frequency: How many of them hold a term; asked once for each term.
    """
    frequencies = {term: document_frequency(term.text) for term in terms}
    idf = {term: compute_idf(item_count, count) for term, count in frequencies.items()}
    named = [term for term in terms if not _names_no_category(term, idf[term])] or list(terms)
    known = [idf[term] for term in named if frequencies[term]]
    rarest = max(known or [idf[term] for term in named], default=0.0)
    chosen = [term for term in named if idf[term] >= _LEAST_SHARE * rarest]
    # Two neighbouring characters that no item holds are mostly the seam between two words.
    mass = sum(idf[t] for t in chosen if frequencies[t] or " " not in t.text)
    # That of the rarest possible word, where a catalogue is too small for rarer ones.
    floor = min(_FULL_IDF, compute_idf(item_count, 1)) if item_count else MIN_IDF
    return WeighedQuery(
        terms=tuple(chosen),
        full_score=max(mass, floor) * (BM25_K1 + 1),
        typed=next((term for term in chosen if term.is_prefix), None),
    )


def _names_no_category(term: QueryTerm, idf: float) -> bool:
    return idf > _KIND_IDF and (term.text in KIND_WORDS or term.text in _CJK_KIND_TERMS)
