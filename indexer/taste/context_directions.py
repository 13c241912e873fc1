"""Context words of events to directions in meaning space towards the items liked in that context.

Too few events share a context word to count single items, so a word is described by the mean
meaning vector of the items liked with it, minus that of all liked items, shrunk towards zero.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Vectors
from indexer.taste.events import NO_WORD, Events

DIRECTION_SHRINKAGE = 20.0  # the direction of a word with this many liked events is halved


@dataclass(frozen=True, slots=True)
class ContextDirections:
    """The directions of context words.

    Attributes:
        names: Context column and word of each row of `vectors`.
        vectors: `(w, d) float32`.
    """

    names: tuple[tuple[str, str], ...]
    vectors: Vectors

    def find_directions(self, context: Mapping[str, str]) -> dict[str, Vectors]:
        """Return the direction `(d,)` of each column of a context whose word has one."""
        if not context:
            return {}
        return {
            column: self.vectors[row]
            for row, (column, word) in enumerate(self.names)
            if context.get(column) == word
        }


def fit_context_directions(events: Events, meaning: Vectors) -> ContextDirections:
    """Fit from the liked events.

    Args:
        events: Without context columns the result has no rows.
        meaning: `(n, d) float32`, meaning vectors of the items.
    """
    liked = events.select(events.is_liked)
    if not liked.context_columns:
        return ContextDirections((), np.zeros((0, meaning.shape[1]), np.float32))
    overall_mean = _compute_mean(meaning, liked.item)
    names: list[tuple[str, str]] = []
    rows = [np.zeros((0, meaning.shape[1]), np.float32)]
    for c, column in enumerate(events.context_columns):
        for number, word in enumerate(events.vocabulary[c]):
            items = liked.item[liked.context_words[:, c] == number]
            shrinkage_factor = len(items) / (len(items) + DIRECTION_SHRINKAGE)
            names.append((column, word))
            rows.append(
                np.float32(shrinkage_factor)
                * (_compute_mean(meaning, items) - overall_mean)[None, :]
            )
    return ContextDirections(tuple(names), np.concatenate(rows).astype(np.float32))


def find_word_rows(events: Events, words: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return the rows of `ContextDirections.vectors` for words `(m, c)`; -1 for `NO_WORD`."""
    starts = np.cumsum([0, *(len(words) for words in events.vocabulary)])[:-1].astype(np.int64)
    return np.where(words == NO_WORD, -1, words + starts[None, :])


def _compute_mean(meaning: Vectors, rows: NDArray[np.int32]) -> Vectors:
    """Return the mean of some rows, `(d,)`; a row that comes several times is read once."""
    if len(rows) == 0:
        return np.zeros(meaning.shape[1], np.float32)
    if len(rows) < len(meaning):
        mean: Vectors = meaning[rows].mean(axis=0)
        return mean
    counts = np.bincount(rows, minlength=len(meaning)).astype(np.float32)
    return np.asarray(counts @ meaning / np.float32(len(rows)), np.float32)
