"""Texts of live items to an inverted index, and a query to BM25 scores by position.

Scores are those of the snapshot's full-text search (SQLite FTS5, Okapi BM25), so that matches of
both can be ranked together: document frequencies are the snapshot's, and a live item counts as one
of average length.
"""

import math
import unicodedata
from bisect import bisect_left, insort
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from indexer.metadata import IndexedText, QueryTerm, build_indexed_text, parse_query_terms
from indexer.normal_forms import normalize

_COLUMN_WEIGHTS = (10.0, 4.0, 1.0)  # title, tags, rest: as in the snapshot
_BM25_K1 = 1.2
_MIN_IDF = 1e-6
_FREQUENCY_CACHE_SIZE = 1 << 16  # terms whose document frequency is remembered


class DeltaFullText:
    """An append-only inverted index; not thread-safe, the caller locks.

    Args:
        item_count: Number of items of the snapshot.
        document_frequency: How many of them hold a term.
    """

    def __init__(self, item_count: int, document_frequency: Callable[[str], int]) -> None:
        self._item_count = item_count
        self._document_frequency = lru_cache(_FREQUENCY_CACHE_SIZE)(document_frequency)
        self._postings: dict[str, dict[int, float]] = {}
        self._vocabulary: list[str] = []  # sorted
        self._texts: dict[int, IndexedText] = {}

    def add(self, position: int, texts: IndexedText) -> None:
        """Index the text of an item, as `fold_item_text` returns it, under a new position."""
        self._texts[position] = texts
        for text, weight in zip(texts, _COLUMN_WEIGHTS, strict=True):
            for word in text.split():
                posting = self._postings.get(word)
                if posting is None:
                    posting = self._postings[word] = {}
                    insort(self._vocabulary, word)
                posting[position] = posting.get(position, 0.0) + weight

    def search(self, query: str) -> dict[int, float]:
        """Return the score of each position that holds a term of the query; higher is better."""
        scores: dict[int, float] = {}
        for term in parse_query_terms(query):
            postings = self._find_postings(term)
            idf = self._compute_idf(term.text) if postings else 0.0  # asks the snapshot: slow
            for position, frequency in postings.items():
                gain = idf * frequency * (_BM25_K1 + 1) / (frequency + _BM25_K1)
                scores[position] = scores.get(position, 0.0) + gain
        return scores

    def _find_postings(self, term: QueryTerm) -> dict[int, float]:
        """Each position that holds a term, with how often, weighted by column."""
        words = _fold_text(term.text).split()
        if not words:
            return {}
        if len(words) > 1:
            return self._match_phrase(words)
        if term.is_prefix:
            return self._match_prefix(words[0])
        return self._postings.get(words[0], {})

    def _match_prefix(self, prefix: str) -> dict[int, float]:
        found: dict[int, float] = {}
        for index in range(bisect_left(self._vocabulary, prefix), len(self._vocabulary)):
            word = self._vocabulary[index]
            if not word.startswith(prefix):
                break
            for position, weight in self._postings[word].items():
                found[position] = found.get(position, 0.0) + weight
        return found

    def _match_phrase(self, words: list[str]) -> dict[int, float]:
        rarest = min((self._postings.get(word, {}) for word in words), key=len)
        padded_phrase = f" {' '.join(words)} "
        found = {}
        for position in rarest:
            weight = sum(
                weight * f" {text} ".count(padded_phrase)
                for text, weight in zip(self._texts[position], _COLUMN_WEIGHTS, strict=True)
            )
            if weight:
                found[position] = weight
        return found

    def _compute_idf(self, term: str) -> float:
        item_frequency = self._document_frequency(term)
        return max(
            _MIN_IDF, math.log((self._item_count - item_frequency + 0.5) / (item_frequency + 0.5))
        )


def fold_item_text(fields: Mapping[str, Any]) -> IndexedText:
    """Return the words of an item as `DeltaFullText.add` takes them."""
    return IndexedText(*(_fold_text(text) for text in build_indexed_text(fields)))


def _fold_text(text: str) -> str:
    """The words of a text without accents and punctuation, as SQLite's tokenizer sees them."""
    base_chars = (char for char in normalize("NFD", text) if not unicodedata.combining(char))
    return " ".join("".join(char if char.isalnum() else " " for char in base_chars).split())
