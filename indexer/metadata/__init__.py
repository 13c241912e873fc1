"""Items to SQLite and columns; a filter to the rows that pass it.

In: items in row order; filters and field names of requests.
Out: items, ids, full-text matches, `Cells` of a field, masks `(n,) bool`.
"""

from indexer.metadata.columns import Columns
from indexer.metadata.columns_writer import ColumnsWriter
from indexer.metadata.filters import parse_filter
from indexer.metadata.full_text import IndexedText, exact_key, indexed_text, query_terms, title_key
from indexer.metadata.item_matcher import Held, held_by_path, holds
from indexer.metadata.predicates import And, AnyOf, Exists, Filter, Not, Or
from indexer.metadata.row_values import CellKind, Cells, cells_of_items
from indexer.metadata.schema import FieldInfo, FieldType, Schema
from indexer.metadata.store import Metadata
from indexer.metadata.store_writer import MetadataWriter
from indexer.metadata.values import (
    EARTH_RADIUS_KM,
    Leaf,
    Mark,
    Place,
    Value,
    instant,
    leaves,
    unit_vectors,
)

__all__ = [
    "EARTH_RADIUS_KM",
    "And",
    "AnyOf",
    "CellKind",
    "Cells",
    "Columns",
    "ColumnsWriter",
    "Exists",
    "FieldInfo",
    "FieldType",
    "Filter",
    "Held",
    "IndexedText",
    "Leaf",
    "Mark",
    "Metadata",
    "MetadataWriter",
    "Not",
    "Or",
    "Place",
    "Schema",
    "Value",
    "cells_of_items",
    "exact_key",
    "held_by_path",
    "holds",
    "indexed_text",
    "instant",
    "leaves",
    "parse_filter",
    "query_terms",
    "title_key",
    "unit_vectors",
]
