"""Rows of files, databases and memory to checked items and interactions.

In: files (JSON, separated cells, Parquet, plain or .gz), SQLAlchemy URLs, rows in memory.
Out: `Item` and `Interaction`, or a `Rejection` with source, line and reason. Every check of a row
is here; later stages trust what comes out.
"""

from indexer.reading.bad_row_counts import BadRowCounts
from indexer.reading.database_url import explain_missing_driver, parse_url
from indexer.reading.event_reading import EventReading
from indexer.reading.field_parsers import BadValueError, parse_date_seconds
from indexer.reading.finding_counts import FindingCounts
from indexer.reading.id_columns import CountKnown
from indexer.reading.interaction import Interaction
from indexer.reading.interactions import (
    MAX_AHEAD_S,
    choose_fields_option,
    list_named_items,
    read_interactions,
    split_fields,
)
from indexer.reading.item import DeletedId, Item
from indexer.reading.item_limits import describe_excess
from indexer.reading.item_names import ItemNames
from indexer.reading.item_patch import apply_patch
from indexer.reading.items import read_catalog, to_item
from indexer.reading.memory import Catalog, Source, name_row, to_sources
from indexer.reading.notes import ReadingNotes
from indexer.reading.plain_dates import parse_date_instant
from indexer.reading.rows import (
    Rejection,
    Row,
    clip,
    parse_mapping,
    render_anonymous_rejection,
    render_finding,
    render_rejection,
    suggest_name,
)
from indexer.reading.value_meaning import ValueKind, infer_rating_scale

__all__ = [
    "MAX_AHEAD_S",
    "BadRowCounts",
    "BadValueError",
    "Catalog",
    "CountKnown",
    "DeletedId",
    "EventReading",
    "FindingCounts",
    "Interaction",
    "Item",
    "ItemNames",
    "ReadingNotes",
    "Rejection",
    "Row",
    "Source",
    "ValueKind",
    "apply_patch",
    "choose_fields_option",
    "clip",
    "describe_excess",
    "explain_missing_driver",
    "infer_rating_scale",
    "list_named_items",
    "name_row",
    "parse_date_instant",
    "parse_date_seconds",
    "parse_mapping",
    "parse_url",
    "read_catalog",
    "read_interactions",
    "render_anonymous_rejection",
    "render_finding",
    "render_rejection",
    "split_fields",
    "suggest_name",
    "to_item",
    "to_sources",
]
