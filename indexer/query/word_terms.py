"""The words of a typed text to additive score terms of the rows that hold them.

Meaning finds what a text is about; its words find names, makers, years and tags, which an encoder
knows little of. What a match is worth is the share of the text that it holds, so rare words decide.
"""

from collections.abc import Sequence

import numpy as np

from indexer.arrays import Rows, Vectors
from indexer.query.catalogue import Catalogue
from indexer.query.inputs import WORDS_KIND, QueryInput
from indexer.query.taste_contribution import NO_INPUT_TERMS, InputTerms

WORDS_WEIGHT = 0.3  # score term of a row that holds all words of a text in its title
_MAX_MATCHES = 1_000  # that are looked at


def find_word_matches(
    catalogue: Catalogue, text: str, *, is_finished: bool
) -> tuple[Rows, Vectors]:
    """Return the rows that hold words of a text, and what share of it each holds.

    Args:
        catalogue: What is searched.
        text: What was typed.
        is_finished: Whether the last word is complete; else it may begin longer ones.

    Returns:
        `(m,) int64`, and `(m,) float32` above 0 and up to 1, the highest first.
    """
    matches = catalogue.search_full_text(text, _MAX_MATCHES, is_finished=is_finished)
    found = np.array(matches, np.float64).reshape(-1, 2)
    found = found[found[:, 1] > 0]
    return found[:, 0].astype(np.int64), found[:, 1].astype(np.float32)


def build_word_terms(catalogue: Catalogue, inputs: Sequence[QueryInput]) -> InputTerms:
    """Return the score terms of the input of a request that stands for the words of its query."""
    for position, query_input in enumerate(inputs):
        if query_input.reason["kind"] == WORDS_KIND:
            rows, shares = find_word_matches(
                catalogue, query_input.reason["text"], is_finished=True
            )
            order = np.argsort(rows)
            positions = np.full(len(rows), position, np.int64)
            return InputTerms(
                rows[order], positions, shares[order] * np.float32(query_input.weight)
            )
    return NO_INPUT_TERMS
