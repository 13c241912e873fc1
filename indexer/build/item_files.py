"""Staged items to `catalog.sqlite` and `columns/`, and to facts about the catalogue."""

from pathlib import Path

import numpy as np

from indexer.build.staging import Staging
from indexer.language import find_title, is_chinese
from indexer.metadata import ColumnsWriter, MetadataWriter
from indexer.progress import StageProgress
from indexer.reading import infer_rating_scale
from indexer.snapshot import CatalogueStats

_REPORT_EVERY_ROWS = 1_000


def store_items(
    staging: Staging,
    item_count: int,
    folder: Path,
    rating_scale: tuple[float, float] | None,
    report: StageProgress,
) -> CatalogueStats:
    """Write the items' files in one pass, and collect ids, ratings and language on the way.

    Args:
        staging: Holds the items.
        item_count: Number of items.
        folder: Where the files are written.
        rating_scale: Lowest and highest possible rating; None: inferred from the ratings.
        report: Called with the progress.
    """
    ratings = np.full(item_count, np.nan, np.float32)
    chinese_count = 0
    ids: list[str] = []
    (folder / "columns").mkdir()
    with (
        MetadataWriter(folder / "catalog.sqlite") as metadata,
        ColumnsWriter(folder / "columns") as columns,
    ):
        for row, item in enumerate(staging.iter_items()):
            metadata.add(row, item.fields)
            columns.add(item.fields)
            ratings[row] = item.fields.get("rating", np.nan)
            ids.append(item.id)
            chinese_count += is_chinese(find_title(item.fields))
            if row % _REPORT_EVERY_ROWS == 0:
                report("store", row, item_count)
        metadata.finish()
        columns.finish()
    report("store", item_count, item_count)
    scale = rating_scale or infer_rating_scale(ratings[~np.isnan(ratings)].tolist())
    return CatalogueStats(scale, "zh" if 2 * chinese_count > item_count else "en", ratings, ids)
