"""Context words of events to what is liked under them, as directions in meaning space.

Too few events share a word to count items under it, so a word is described by the mean meaning of
what was liked under it, less the mean of what is liked at all, shrunk towards nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Vectors
from indexer.taste.events import NO_WORD, Events

DIRECTION_SHRINKAGE = 20.0  # liked events that a word's direction is mixed with


@dataclass(frozen=True, slots=True)
class ContextDirections:
    """Directions of context words.

    Attributes:
        names: Column and word of each row of `vectors`.
        vectors: `(w, d) float32`.
    """

    names: tuple[tuple[str, str], ...]
    vectors: Vectors

    def find_directions(self, context: Mapping[str, str]) -> dict[str, Vectors]:
        """Return the direction `(d,)` of each column whose word is known."""
        return {
            column: self.vectors[row]
            for row, (column, word) in enumerate(self.names)
            if context.get(column) == word
        }


def fit_context_directions(events: Events, meaning: Vectors) -> ContextDirections:
    """Fit from the liked events; without context columns there are no rows."""
    liked = events.select(events.is_liked)
    overall_mean = _compute_mean(meaning, liked.item)
    names: list[tuple[str, str]] = []
    rows = [np.zeros((0, meaning.shape[1]), np.float32)]
    for c, column in enumerate(events.context_columns):
        for number, word in enumerate(events.vocabulary[c]):
            under = liked.item[liked.context_words[:, c] == number]
            shrinkage_factor = len(under) / (len(under) + DIRECTION_SHRINKAGE)
            names.append((column, word))
            rows.append(
                np.float32(shrinkage_factor)
                * (_compute_mean(meaning, under) - overall_mean)[None, :]
            )
    return ContextDirections(tuple(names), np.concatenate(rows).astype(np.float32))


def find_word_rows(events: Events, words: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return the rows of `Circumstances.vectors` for words by column; -1 where there is none."""
    starts = np.cumsum([0, *(len(words) for words in events.vocabulary)])[:-1].astype(np.int64)
    return np.where(words == NO_WORD, -1, words + starts[None, :])


def _compute_mean(meaning: Vectors, rows: NDArray[np.int32]) -> Vectors:
    if len(rows) == 0:
        return np.zeros(meaning.shape[1], np.float32)
    mean: Vectors = meaning[rows].mean(axis=0)
    return mean
