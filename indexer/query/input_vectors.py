"""Inputs of a request to their vectors in the item space."""

from collections.abc import Mapping, Sequence

import numpy as np

from indexer.arrays import Vectors
from indexer.query.catalogue import Catalogue
from indexer.query.inputs import QueryInput, Role


def build_input_vectors(
    catalogue: Catalogue, inputs: Sequence[QueryInput], item_rows: Mapping[str, int]
) -> Vectors:
    """Return `(m, d) float32`: each signal's vector in the item space."""
    layout = catalogue.manifest.layout
    sources = np.zeros((len(inputs), layout.dim), np.float32)
    items = [place for place, signal in enumerate(inputs) if signal.item_id is not None]
    texts = [place for place, signal in enumerate(inputs) if signal.text and not signal.item_id]
    if items:
        rows = np.array([item_rows[inputs[place].item_id or ""] for place in items])
        sources[items, : layout.meaning] = catalogue.item_vectors(rows)[:, : layout.meaning]
    if texts:
        sources[texts] = catalogue.encode_queries([inputs[place].text or "" for place in texts])
    for place, signal in enumerate(inputs):
        if signal.role is Role.PRIOR:
            sources[place, layout.meaning + layout.taste] = 1.0
    return sources
