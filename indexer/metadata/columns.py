"""Columns on disk and a filter to the rows that pass it."""

import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from threading import Lock
from typing import Any, Self

import numpy as np

from indexer.arrays import Mask
from indexer.errors import SnapshotError
from indexer.metadata.column_parts import Numbers, Places, Presence
from indexer.metadata.columns_writer import COLUMNS_VERSION, ColumnsWriter
from indexer.metadata.flat_arrays import FlatArrays, Span
from indexer.metadata.postings import Words
from indexer.metadata.predicates import AllOf, And, AnyOf, Between, Exists, Filter, Near, Not, Or
from indexer.metadata.row_values import CellKind, Cells, keys_of_numbers
from indexer.metadata.schema import Schema

__all__ = ["Columns", "ColumnsWriter"]

_CACHE_BYTES = 64 << 20
_MOST_MASKS = 256


@dataclass(frozen=True, slots=True)
class _Field:
    present: Presence
    words: Words | None
    numbers: Numbers | None
    places: Places | None


class Columns:
    """What `ColumnsWriter` wrote, memory-mapped and read-only; safe to use from many threads."""

    def __init__(self, arrays: FlatArrays, content: Mapping[str, Any]) -> None:
        self._arrays = arrays
        self._parts: Mapping[str, Any] = content["parts"]
        self._schema = Schema.from_json(content)
        self._count: int = content["count"]
        self._cache = _MaskCache(max(1, min(_MOST_MASKS, _CACHE_BYTES // (self._count + 1))))

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
    def count(self) -> int:
        """Number of rows."""
        return self._count

    def __len__(self) -> int:
        return self._count

    def mask(self, condition: Filter) -> Mask:
        """Return `(n,) bool`, read-only: which rows pass. Recent answers are kept.

        Args:
            condition: From `parse_filter` with this schema.
        """
        known = self._cache.get(condition)
        if known is not None:
            return known
        mask = self._evaluate(condition)
        mask.flags.writeable = False
        self._cache.put(condition, mask)
        return mask

    def cells(self, field: str, kind: CellKind) -> Cells:
        """Return what rows hold in a field; nothing if there is no such field."""
        if field not in self._parts:
            return Cells.joined([], kind)
        known = self._field(field)
        parts = []
        if kind is CellKind.KEYS and known.words:
            parts.append(Cells.of(known.words.rows, known.words.keys()))
        if kind is CellKind.KEYS and known.numbers:
            parts.append(Cells.of(known.numbers.rows, keys_of_numbers(known.numbers.ordered)))
        if kind is CellKind.NUMBERS and known.numbers:
            parts.append(Cells.of(known.numbers.rows, known.numbers.ordered))
        if kind is CellKind.POINTS and known.places:
            parts.append(Cells.of(*known.places.pairs()))
        return Cells.joined(parts, kind)

    def _evaluate(self, condition: Filter) -> Mask:
        """A fresh mask, which the caller may overwrite."""
        match condition:
            case And(parts):
                masks = map(self._evaluate, parts)
                return reduce(_and, masks, np.ones(self._count, dtype=np.bool_))
            case Or(parts):
                masks = map(self._evaluate, parts)
                return reduce(_or, masks, np.zeros(self._count, dtype=np.bool_))
            case Not(part):
                mask = self._evaluate(part)
                return np.logical_not(mask, out=mask)
        if condition.field not in self._parts:
            return np.zeros(self._count, dtype=np.bool_)
        return self._compare(condition, self._field(condition.field))

    def _compare(self, leaf: AnyOf | AllOf | Between | Exists | Near, field: _Field) -> Mask:
        nobody = np.zeros(self._count, dtype=np.bool_)
        match leaf:
            case Exists():
                return field.present.mask()
            case Near(_, centre, km):
                return field.places.near(centre, km) if field.places else nobody
            case Between():
                return field.numbers.between(leaf) if field.numbers else nobody
            case AnyOf():
                return reduce(_or, _any_of(leaf, field), nobody)
            case AllOf():
                return reduce(_and, _all_of(leaf, field, nobody), ~nobody)

    def _field(self, name: str) -> _Field:
        spans = {
            part: {array: Span(*span) for array, span in arrays.items()}
            for part, arrays in self._parts[name].items()
        }
        n, arrays = self._count, self._arrays
        return _Field(
            present=Presence.read(arrays, spans["present"], n),
            words=Words.read(arrays, spans["words"], n) if "words" in spans else None,
            numbers=Numbers.read(arrays, spans["numbers"], n) if "numbers" in spans else None,
            places=Places.read(arrays, spans["places"], n) if "places" in spans else None,
        )


def _any_of(leaf: AnyOf, field: _Field) -> list[Mask]:
    words, numbers = leaf.values.words(), leaf.values.numbers
    masks = []
    if words and field.words:
        masks.append(field.words.any_of(words))
    if numbers and field.numbers:
        masks.append(field.numbers.any_of(numbers))
    return masks


def _all_of(leaf: AllOf, field: _Field, nobody: Mask) -> list[Mask]:
    words, numbers = leaf.values.words(), leaf.values.numbers
    masks = []
    if words:
        masks.append(field.words.all_of(words) if field.words else nobody)
    if numbers:
        masks.append(field.numbers.all_of(numbers) if field.numbers else nobody)
    return masks


def _and(left: Mask, right: Mask) -> Mask:
    return np.logical_and(left, right, out=left)


def _or(left: Mask, right: Mask) -> Mask:
    return np.logical_or(left, right, out=left)


class _MaskCache:
    """The masks asked for last."""

    def __init__(self, most: int) -> None:
        self._most = most
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
            while len(self._masks) > self._most:
                self._masks.popitem(last=False)
