"""Weighted inputs and a catalogue to the vector of each input in the item space."""

from collections.abc import Mapping, Sequence

import numpy as np

from indexer.arrays import Vectors
from indexer.query.catalogue import Catalogue
from indexer.query.inputs import QueryInput, Role


def build_input_vectors(
    catalogue: Catalogue, inputs: Sequence[QueryInput], item_rows: Mapping[str, int]
) -> Vectors:
    """Return the vectors of m inputs, `(m, d) float32`, zero where an input has none.

    Items and texts have a unit vector in the meaning block; the prior has 1 in the prior column,
    without the part that has an input of its own.

    Args:
        catalogue: Stores item vectors and encodes texts.
        inputs: The m inputs.
        item_rows: Row of each item among them.
    """
    layout = catalogue.manifest.layout
    vectors = np.zeros((len(inputs), layout.dim), np.float32)
    items = [p for p, query_input in enumerate(inputs) if query_input.item_id is not None]
    texts = [
        p for p, query_input in enumerate(inputs) if query_input.text and not query_input.item_id
    ]
    if items:
        rows = np.array([item_rows[inputs[position].item_id or ""] for position in items])
        vectors[items, : layout.meaning] = catalogue.item_vectors(rows)[:, : layout.meaning]
    if texts:
        vectors[texts] = catalogue.encode_queries([inputs[p].text or "" for p in texts])
    for position, query_input in enumerate(inputs):
        if query_input.role is Role.PRIOR:
            vectors[position, layout.prior_column] = 1.0
            if layout.prior_part:
                vectors[position, layout.part_column] = -1.0
        elif query_input.role is Role.PRIOR_PART:
            vectors[position, layout.part_column] = 1.0
    return vectors
