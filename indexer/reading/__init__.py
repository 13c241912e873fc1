"""Rows as people bring them to items and interactions; the only place that distrusts them.

In: files (JSONL, CSV, TSV, Parquet, plain or .gz) and SQLAlchemy URLs.
Out: `Item` and `Interaction`, or a `Rejection` with file, line and reason.
"""

from indexer.reading.database_url import explain_missing_driver, parse_url
from indexer.reading.interactions import Event, Interaction, infer_rating_scale, read_interactions
from indexer.reading.items import Item, read_catalog, to_item
from indexer.reading.rows import Rejection, Row, parse_mapping, render_rejection, suggest_name

__all__ = [
    "Event",
    "Interaction",
    "Item",
    "Rejection",
    "Row",
    "explain_missing_driver",
    "infer_rating_scale",
    "parse_mapping",
    "parse_url",
    "read_catalog",
    "read_interactions",
    "render_rejection",
    "suggest_name",
    "to_item",
]
