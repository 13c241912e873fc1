"""Words of a few live items, found and scored as the snapshot's full-text search scores its own.

Document frequencies are those of the snapshot, so that scores of both can be ranked together; a
live item counts as one of average length.
"""

import math
import unicodedata
from bisect import bisect_left, insort
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from indexer.metadata import IndexedText, build_indexed_text, parse_query_terms

_COLUMN_WEIGHTS = (10.0, 4.0, 1.0)  # title, tags, rest: as in the snapshot
_BM25_K1 = 1.2
_MIN_IDF = 1e-6
_FREQUENCY_CACHE_SIZE = 1 << 16  # whose frequencies are known without asking


class DeltaFullText:
    """An inverted index that only grows; the caller guards it.

    Args:
        count: Number of items of the snapshot.
        frequency: How many of them hold a term.
    """

    def __init__(self, item_count: int, document_frequency: Callable[[str], int]) -> None:
        self._item_count = item_count
        self._document_frequency = lru_cache(_FREQUENCY_CACHE_SIZE)(document_frequency)
        self._postings: dict[str, dict[int, float]] = {}
        self._vocabulary: list[str] = []  # sorted
        self._texts: dict[int, IndexedText] = {}

    def add(self, position: int, fields: Mapping[str, Any]) -> None:
        """Index an item under a new slot."""
        texts = IndexedText(*(_fold_text(text) for text in build_indexed_text(fields)))
        self._texts[position] = texts
        for text, weight in zip(texts, _COLUMN_WEIGHTS, strict=True):
            for word in text.split():
                posting = self._postings.get(word)
                if posting is None:
                    posting = self._postings[word] = {}
                    insort(self._vocabulary, word)
                posting[position] = posting.get(position, 0.0) + weight

    def search(self, query: str) -> dict[int, float]:
        """Return the score of each slot that holds a term of the query; higher is better."""
        scores: dict[int, float] = {}
        for term in parse_query_terms(query):
            for position, term_frequency in self._find_postings(
                _fold_text(term.text), term.is_prefix
            ).items():
                term_score = (
                    self._compute_idf(term.text)
                    * term_frequency
                    * (_BM25_K1 + 1)
                    / (term_frequency + _BM25_K1)
                )
                scores[position] = scores.get(position, 0.0) + term_score
        return scores

    def _find_postings(self, term: str, is_prefix: bool) -> dict[int, float]:  # noqa: FBT001  # the term's own flag
        words = term.split()
        if not words:
            return {}
        if len(words) > 1:
            return self._match_phrase(words)
        if not is_prefix:
            return self._postings.get(words[0], {})
        found: dict[int, float] = {}
        vocabulary_index = bisect_left(self._vocabulary, words[0])
        while vocabulary_index < len(self._vocabulary) and self._vocabulary[
            vocabulary_index
        ].startswith(words[0]):
            for position, weight in self._postings[self._vocabulary[vocabulary_index]].items():
                found[position] = found.get(position, 0.0) + weight
            vocabulary_index += 1
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


def _fold_text(text: str) -> str:
    """Letters and digits only, without accents, as the snapshot's tokenizer leaves them."""
    base_chars = (
        char for char in unicodedata.normalize("NFD", text) if not unicodedata.combining(char)
    )
    return " ".join("".join(char if char.isalnum() else " " for char in base_chars).split())
