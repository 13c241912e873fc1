"""The files of a snapshot, published or not, to what taste models recommend from."""

from pathlib import Path

import numpy as np

from indexer.language import SPACE_FILE, MeaningSpace
from indexer.metadata import Columns, parse_filter
from indexer.release.model_answers import ModelCatalogue
from indexer.snapshot import CatalogueStats, read_arrivals


def open_model_catalogue(folder: Path, stats: CatalogueStats) -> ModelCatalogue:
    """Return the items of a snapshot as its taste models see them.

    Args:
        folder: Its files.
        stats: Facts about its items.
    """
    raw = np.load(folder / "raw.npy", mmap_mode="r", allow_pickle=False)
    columns = Columns.open(folder / "columns")
    unavailable = np.zeros(0, np.int64)
    if "available" in columns.schema.fields:
        mask = columns.match_rows(parse_filter({"available": False}, columns.schema))
        unavailable = np.flatnonzero(mask).astype(np.int64)
    meaning = MeaningSpace.load(folder / SPACE_FILE).map_stored_items(raw)
    arrivals = read_arrivals(folder, len(stats.ids))
    return ModelCatalogue(stats.ids, meaning, unavailable, stats.rating_prior, arrivals)
