"""Items to a SQLite file and columns of their fields, and filters to the rows that pass.

In: items in row order; filters, texts and field names of requests.
Out: items, ids, full-text matches, the `RowValues` of a field, masks `(n,) bool`.
"""

from indexer.metadata.columns_writer import ColumnsWriter
from indexer.metadata.field_spools import MAX_FIELDS
from indexer.metadata.filter_parser import parse_filter
from indexer.metadata.filter_rows import Columns
from indexer.metadata.full_text import (
    IndexedText,
    QueryTerm,
    build_indexed_text,
    compute_title_key,
    has_content_words,
    list_exact_keys,
    parse_query_terms,
)
from indexer.metadata.item_matcher import PathValues, collect_path_values, matches_values
from indexer.metadata.predicates import And, AnyOf, Elem, Exists, Filter, Not, Or, refuse_inner_list
from indexer.metadata.query_weights import BM25_K1, PREFIX_SHARE, compute_idf, weigh_query
from indexer.metadata.row_values import RowValueKind, RowValues, collect_row_values
from indexer.metadata.schema import FieldInfo, FieldType, Schema
from indexer.metadata.store import MetadataStore, StoredItem
from indexer.metadata.store_writer import MetadataWriter
from indexer.metadata.values import (
    EARTH_RADIUS_KM,
    DateGuess,
    GeoPoint,
    Leaf,
    NonValue,
    Value,
    collect_leaves,
    to_unit_vectors,
)

__all__ = [
    "BM25_K1",
    "EARTH_RADIUS_KM",
    "MAX_FIELDS",
    "PREFIX_SHARE",
    "And",
    "AnyOf",
    "Columns",
    "ColumnsWriter",
    "DateGuess",
    "Elem",
    "Exists",
    "FieldInfo",
    "FieldType",
    "Filter",
    "GeoPoint",
    "IndexedText",
    "Leaf",
    "MetadataStore",
    "MetadataWriter",
    "NonValue",
    "Not",
    "Or",
    "PathValues",
    "QueryTerm",
    "RowValueKind",
    "RowValues",
    "Schema",
    "StoredItem",
    "Value",
    "build_indexed_text",
    "collect_leaves",
    "collect_path_values",
    "collect_row_values",
    "compute_idf",
    "compute_title_key",
    "has_content_words",
    "list_exact_keys",
    "matches_values",
    "parse_filter",
    "parse_query_terms",
    "refuse_inner_list",
    "to_unit_vectors",
    "weigh_query",
]
