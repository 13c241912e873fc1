"""Texts of live items to an inverted index, and a query to BM25 scores by position.

Scores are those of the snapshot's full-text search (SQLite FTS5, Okapi BM25), so that matches of
both can be ranked together: document frequencies are the snapshot's, and a live item counts as one
of average length.
"""

import unicodedata
from bisect import bisect_left, insort
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from indexer.metadata import (
    BM25_K1,
    PREFIX_SHARE,
    IndexedText,
    QueryTerm,
    build_indexed_text,
    compute_idf,
    parse_query_terms,
    weigh_query,
)
from indexer.normal_forms import normalize

_COLUMN_WEIGHTS = (10.0, 4.0, 1.0)  # title, tags, rest: as in the snapshot
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

    def search(self, query: str, *, is_finished: bool = False) -> dict[int, float]:
        """Return the share of the query that each position with a word of it holds, 0 to 1.

        Args:
            query: Words or a sentence.
            is_finished: Whether the last word is complete; else longer words that begin so count
                a little.
        """
        weighed = weigh_query(parse_query_terms(query), self._item_count, self._document_frequency)
        scores: dict[int, float] = {}
        for term in weighed.terms:
            self._add_scores(scores, term, self._find_postings(term), 1.0)
        if weighed.typed is not None and not is_finished:
            longer = self._match_longer_words(weighed.typed.text)
            self._add_scores(scores, weighed.typed, longer, PREFIX_SHARE)
        return {position: weighed.to_share(score) for position, score in scores.items()}

    def _add_scores(
        self,
        scores: dict[int, float],
        term: QueryTerm,
        postings: Mapping[int, float],
        weight: float,
    ) -> None:
        """Add the BM25 of a term, times a weight, to the score of each position that holds it."""
        idf = compute_idf(self._item_count, self._document_frequency(term.text))
        for position, frequency in postings.items():
            gain = weight * idf * frequency * (BM25_K1 + 1) / (frequency + BM25_K1)
            scores[position] = scores.get(position, 0.0) + gain

    def _find_postings(self, term: QueryTerm) -> dict[int, float]:
        """Each position that holds a term, with how often, weighted by column."""
        words = _fold_text(term.text).split()
        if not words:
            return {}
        return self._match_phrase(words) if len(words) > 1 else self._postings.get(words[0], {})

    def _match_longer_words(self, beginning: str) -> dict[int, float]:
        """Each position with a word that begins so, unless it holds the beginning as a word."""
        prefix = _fold_text(beginning)
        whole = self._postings.get(prefix, {})
        found: dict[int, float] = {}
        for index in range(bisect_left(self._vocabulary, prefix), len(self._vocabulary)):
            word = self._vocabulary[index]
            if not word.startswith(prefix):
                break
            for position, weight in self._postings[word].items():
                if position not in whole:
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


def fold_item_text(fields: Mapping[str, Any]) -> IndexedText:
    """Return the words of an item as `DeltaFullText.add` takes them."""
    return IndexedText(*(_fold_text(text) for text in build_indexed_text(fields)))


def _fold_text(text: str) -> str:
    """The words of a text without accents and punctuation, as SQLite's tokenizer sees them."""
    base_chars = (char for char in normalize("NFD", text) if not unicodedata.combining(char))
    return " ".join("".join(char if char.isalnum() else " " for char in base_chars).split())
