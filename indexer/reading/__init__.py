"""Rows as people bring them to items and interactions; the only place that distrusts them.

In: files (JSONL, CSV, TSV, Parquet, plain or .gz) and SQLAlchemy URLs.
Out: `Item` and `Interaction`, or a `Rejection` with file, line and reason.
"""

from indexer.reading.database_url import missing_driver, parse_url
from indexer.reading.interactions import Event, Interaction, infer_rating_scale, read_interactions
from indexer.reading.items import Item, read_catalog, to_item
from indexer.reading.rows import Rejection, Row, parse_mapping, rejection_line, suggestion

__all__ = [
    "Event",
    "Interaction",
    "Item",
    "Rejection",
    "Row",
    "infer_rating_scale",
    "missing_driver",
    "parse_mapping",
    "parse_url",
    "read_catalog",
    "read_interactions",
    "rejection_line",
    "suggestion",
    "to_item",
]
