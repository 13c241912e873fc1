"""Filters to masks of the rows that pass, and fields to their values, from columns on disk."""

import json
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from threading import Lock
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Mask
from indexer.errors import FilterError, SnapshotError
from indexer.metadata.column_parts import GeoPoints, Presence
from indexer.metadata.columns_writer import COLUMNS_VERSION
from indexer.metadata.flat_arrays import FlatArrays, Span
from indexer.metadata.number_columns import Numbers
from indexer.metadata.postings import Postings
from indexer.metadata.predicates import (
    AllOf,
    And,
    AnyOf,
    Elem,
    Exists,
    Filter,
    Near,
    Not,
    Or,
    Range,
    refuse_inner_list,
)
from indexer.metadata.row_values import RowValueKind, RowValues, compute_number_keys
from indexer.metadata.schema import Schema

_MAX_CACHE_BYTES = 64 << 20
_MAX_CACHED_MASKS = 256


@dataclass(frozen=True, slots=True)
class _FieldColumns:
    """The parts of one field; None for those it has no values of."""

    present: Presence
    postings: Postings | None
    numbers: Numbers | None
    geo_points: GeoPoints | None

    def list_pairs(self, kind: RowValueKind) -> list[RowValues]:
        """Return the pairs of a row and a value, for each part that has values of the kind."""
        parts = []
        if self.postings and kind is RowValueKind.KEYS:
            parts.append(RowValues.from_pairs(self.postings.rows, self.postings.repeat_keys()))
        if self.numbers and kind is not RowValueKind.POINTS:
            values: NDArray[Any] = self.numbers.sorted_values
            if kind is RowValueKind.KEYS:
                values = compute_number_keys(values, self.numbers.remainders)
            parts.append(RowValues.from_pairs(self.numbers.rows, values))
        if self.geo_points and kind is RowValueKind.POINTS:
            parts.append(RowValues.from_pairs(*self.geo_points.to_pairs()))
        return parts


class Columns:
    """Columns that `ColumnsWriter` wrote, memory-mapped; safe to use from many threads."""

    def __init__(self, arrays: FlatArrays, content: Mapping[str, Any]) -> None:
        self._arrays = arrays
        self._parts: Mapping[str, Any] = content["parts"]
        self._schema = Schema.from_json(content)
        self._count: int = content["count"]
        self._is_folded: bool = content.get("folded", False)  # of snapshots of earlier releases: no
        self._elements: Mapping[str, Any] | None = content.get("elements")
        self._cache = _MaskCache(
            max(1, min(_MAX_CACHED_MASKS, _MAX_CACHE_BYTES // (self._count + 1)))
        )

    @classmethod
    def open(cls, folder: Path | str) -> Self:
        """Map the columns in a folder; values are read when a filter first needs them.

        Raises:
            SnapshotError: If a file is missing, damaged, or of another version.
        """
        path = Path(folder) / "columns.json"
        try:
            content = json.loads(path.read_bytes())
            version = content["version"]
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise SnapshotError(f"{path} cannot be read ({error}); rebuild the index") from error
        if version != COLUMNS_VERSION:
            raise SnapshotError(
                f"{path} is of version {version}, this program reads {COLUMNS_VERSION}; "
                f"rebuild the index"
            )
        return cls(FlatArrays.open(Path(folder)), content)

    @property
    def schema(self) -> Schema:
        """The fields that a filter may name."""
        return self._schema

    @property
    def element_paths(self) -> Collection[str]:
        """The fields that are lists of objects, each of which can be asked alone."""
        return self._elements or ()

    @property
    def count(self) -> int:
        """Number of rows."""
        return self._count

    def __len__(self) -> int:
        return self._count

    def match_rows(self, condition: Filter) -> Mask:
        """Return which rows pass a filter, `(n,) bool`, read-only; recent masks are cached.

        Args:
            condition: From `parse_filter` with this schema.
        """
        cached = self._cache.get(condition)
        if cached is not None:
            return cached
        mask = self._evaluate(condition)
        mask.flags.writeable = False
        self._cache.put(condition, mask)
        return mask

    def read_values(self, field: str, kind: RowValueKind) -> RowValues:
        """Return the values of a field with their rows; none if no item has the field."""
        pairs = self._open_field(field).list_pairs(kind) if field in self._parts else []
        return RowValues.concatenate(pairs, kind)

    def _evaluate(self, condition: Filter) -> Mask:
        """Return a new mask, which the caller may overwrite."""
        match condition:
            case And(parts):
                masks = map(self._evaluate, parts)
                return reduce(_intersect, masks, np.ones(self._count, dtype=np.bool_))
            case Or(parts):
                masks = map(self._evaluate, parts)
                return reduce(_unite, masks, np.zeros(self._count, dtype=np.bool_))
            case Not(part):
                mask = self._evaluate(part)
                return np.logical_not(mask, out=mask)
            case Elem(field, part):
                return self._evaluate_elements(field, part)
        if condition.field not in self._parts:
            return np.zeros(self._count, dtype=np.bool_)
        return self._evaluate_leaf(condition, self._open_field(condition.field))

    def _evaluate_elements(self, field: str, part: Filter) -> Mask:
        """Return which rows have an object in a list of theirs that passes a filter.

        Raises:
            FilterError: If the columns cannot tell.
        """
        if self._elements is None:
            raise FilterError(
                f"the snapshot is of an earlier release and cannot be asked for one element of "
                f"{field!r}; rebuild the index"
            )
        refuse_inner_list(field, self._elements)
        mask = np.zeros(self._count, dtype=np.bool_)
        if field in self._elements:
            content = {"fields": (), "folded": self._is_folded, **self._elements[field]}
            owners = self._arrays.read("rows", Span(*content["owners"]))
            mask[owners[Columns(self._arrays, content)._evaluate(part)]] = True
        return mask

    def _evaluate_leaf(
        self, leaf: AnyOf | AllOf | Range | Exists | Near, field: _FieldColumns
    ) -> Mask:
        no_rows = np.zeros(self._count, dtype=np.bool_)
        match leaf:
            case Exists():
                return field.present.to_mask()
            case Near(_, centre, km):
                return field.geo_points.match_near(centre, km) if field.geo_points else no_rows
            case Range():
                return field.numbers.match_range(leaf) if field.numbers else no_rows
            case AnyOf():
                words = self._collect_words(leaf)
                return reduce(_unite, _match_any(leaf, words, field), no_rows)
            case AllOf():
                words = self._collect_words(leaf)
                return reduce(_intersect, _match_all(leaf, words, field, no_rows), ~no_rows)

    def _collect_words(self, leaf: AnyOf | AllOf) -> list[str | bool]:
        values = leaf.values
        return values.collect_words() if self._is_folded else values.collect_raw_words()

    def _open_field(self, name: str) -> _FieldColumns:
        spans = {
            part: {array: Span(*span) for array, span in arrays.items()}
            for part, arrays in self._parts[name].items()
        }
        n, arrays = self._count, self._arrays
        return _FieldColumns(
            present=Presence.read(arrays, spans["present"], n),
            postings=Postings.read(arrays, spans["words"], n) if "words" in spans else None,
            numbers=Numbers.read(arrays, spans["numbers"], n) if "numbers" in spans else None,
            geo_points=GeoPoints.read(arrays, spans["places"], n) if "places" in spans else None,
        )


def _match_any(leaf: AnyOf, words: Sequence[str | bool], field: _FieldColumns) -> list[Mask]:
    numbers = leaf.values.numbers
    masks = []
    if words and field.postings:
        masks.append(field.postings.match_any(words))
    if numbers and field.numbers:
        masks.append(field.numbers.match_any(numbers))
    return masks


def _match_all(
    leaf: AllOf, words: Sequence[str | bool], field: _FieldColumns, no_rows: Mask
) -> list[Mask]:
    numbers = leaf.values.numbers
    masks = []
    if words:
        masks.append(field.postings.match_all(words) if field.postings else no_rows)
    if numbers:
        masks.append(field.numbers.match_all(numbers) if field.numbers else no_rows)
    return masks


def _intersect(left: Mask, right: Mask) -> Mask:
    return np.logical_and(left, right, out=left)


def _unite(left: Mask, right: Mask) -> Mask:
    return np.logical_or(left, right, out=left)


class _MaskCache:
    """The masks of the filters used last."""

    def __init__(self, max_masks: int) -> None:
        self._max_masks = max_masks
        self._masks: OrderedDict[Filter, Mask] = OrderedDict()
        self._lock = Lock()

    def get(self, condition: Filter) -> Mask | None:
        with self._lock:
            if condition in self._masks:
                self._masks.move_to_end(condition)
            return self._masks.get(condition)

    def put(self, condition: Filter, mask: Mask) -> None:
        with self._lock:
            self._masks[condition] = mask
            while len(self._masks) > self._max_masks:
                self._masks.popitem(last=False)
