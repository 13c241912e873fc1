"""All values of one field to its column parts on disk and its entry in the schema."""

import json
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Mask
from indexer.metadata.column_parts import GeoPoints, Presence
from indexer.metadata.flat_arrays import FlatArraysWriter, Span
from indexer.metadata.number_columns import Numbers
from indexer.metadata.packed_columns import Floats
from indexer.metadata.postings import KeyHalves, Postings, Rows
from indexer.metadata.schema import FieldInfo, FieldType

MAX_TOP_VALUES = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldValues:
    """Every value of a field, in ascending order of rows.

    Attributes:
        name: Dotted path.
        is_list: Whether any of the values was in a list.
        kinds: Types of its values; at most string, boolean, number, location and object.
        may_be_date: Whether every word is a string in ISO form.
        word_rows: `(w,) int32`, one for each string or boolean.
        word_codes: `(w,) int32` into the `code_` arrays; one word may have several codes.
        code_high: `(c,) uint64`, first half of the word's key.
        code_low: `(c,) uint64`, second half.
        code_texts: `(c,) int64`, offset of the word in the file of texts, -1 if it is too long.
        code_instants: `(c,) float64`, Unix seconds; meaningful only if `may_be_date`.
        number_rows: `(p,) int32`.
        numbers: `(p,) float64`.
        remainder_places: `(r,) int64`, positions in `numbers` of those that are more or less than
            their float.
        remainders: `(r,) float64`, by how much.
        place_rows: `(g,) int32`, rows of locations.
        degrees: `(2 * g,) float64`: latitude, longitude, latitude, …
        object_rows: `(o,) int32`, rows where the path is an object.
    """

    name: str
    is_list: bool
    kinds: frozenset[FieldType]
    may_be_date: bool
    word_rows: Rows
    word_codes: NDArray[np.int32]
    code_high: KeyHalves
    code_low: KeyHalves
    code_texts: NDArray[np.int64]
    code_instants: Floats
    number_rows: Rows
    numbers: Floats
    remainder_places: NDArray[np.int64]
    remainders: Floats
    place_rows: Rows
    degrees: Floats
    object_rows: Rows


@dataclass(frozen=True, slots=True)
class _TermDictionary:
    """The distinct words of a field by key.

    Attributes:
        postings: The rows of each word, `m` words.
        first_codes: `(m,)`, the lowest code of each word.
    """

    postings: Postings
    first_codes: NDArray[np.intp]


def write_field(
    values: FieldValues, row_count: int, files: FlatArraysWriter, texts: BinaryIO
) -> tuple[FieldInfo, dict[str, dict[str, Span]]]:
    """Append a field's parts to the files.

    Args:
        values: All values of the field.
        row_count: Number of rows of the catalogue.
        files: Where the parts are appended.
        texts: The file that `values.code_texts` refers to.

    Returns:
        The field's entry in the schema, and part to array name to its span in the files.
    """
    field_type = _infer_type(values)
    if field_type is FieldType.DATE:
        values = _to_instants(values)
    dictionary = _build_dictionary(values, row_count)
    present = _build_presence_mask(values, row_count)
    parts = {"present": Presence.from_mask(present).write(files)}
    parts |= _write_values(values, dictionary, row_count, files)
    counted = _count_top_words(dictionary, values.code_texts, texts)
    if field_type is not FieldType.DATE:
        counted += _count_top_numbers(values)
    has_repeats = _has_repeats(values.word_rows) or _has_repeats(values.number_rows)
    info = FieldInfo(
        values.name,
        field_type,
        is_list=values.is_list or has_repeats,
        present=int(np.count_nonzero(present)),
        distinct=_count_distinct(values, dictionary),
        top_values=tuple(sorted(counted, key=lambda pair: -pair[1])[:MAX_TOP_VALUES]),
        minimum=float(values.numbers.min()) if len(values.numbers) else None,
        maximum=float(values.numbers.max()) if len(values.numbers) else None,
    )
    return info, parts


def _write_values(
    values: FieldValues, dictionary: _TermDictionary, row_count: int, files: FlatArraysWriter
) -> dict[str, dict[str, Span]]:
    """Append the part of each type of values that the field has."""
    parts = {}
    if len(values.word_rows):
        parts["words"] = dictionary.postings.write(files)
    if len(values.number_rows):
        numbers = Numbers.from_pairs(
            row_count, values.number_rows, values.numbers, _spread_remainders(values)
        )
        parts["numbers"] = numbers.write(files)
    if len(values.place_rows):
        degrees = values.degrees.reshape(-1, 2)
        parts["places"] = GeoPoints.from_pairs(row_count, values.place_rows, degrees).write(files)
    return parts


def _infer_type(values: FieldValues) -> FieldType:
    if values.kinds == {FieldType.STRING} and values.may_be_date:
        return FieldType.DATE
    if len(values.kinds) == 1:
        return next(iter(values.kinds))
    return FieldType.MIXED if values.kinds else FieldType.EMPTY


def _to_instants(values: FieldValues) -> FieldValues:
    """Return the words of a date field as numbers: their instants."""
    no_rows = np.empty(0, np.int32)
    instants = values.code_instants[values.word_codes]
    return replace(
        values,
        word_rows=no_rows,
        word_codes=no_rows,
        number_rows=values.word_rows,
        numbers=instants,
        code_high=values.code_high[:0],
        code_low=values.code_low[:0],
    )


def _spread_remainders(values: FieldValues) -> Floats:
    """Return the remainder of every number, `(p,)`; empty if all are 0."""
    if not len(values.remainders):
        return values.remainders
    remainders = np.zeros(len(values.numbers))
    remainders[values.remainder_places] = values.remainders
    return remainders


def _build_dictionary(values: FieldValues, row_count: int) -> _TermDictionary:
    """Merge codes of equal words, and list the rows of each word once."""
    by_key = np.lexsort((values.code_low, values.code_high))  # stable: codes ascend within a key
    high, low = values.code_high[by_key], values.code_low[by_key]
    is_new = np.ones(len(by_key), dtype=np.bool_)
    is_new[1:] = (high[1:] != high[:-1]) | (low[1:] != low[:-1])
    key_of_code = np.empty(len(by_key), dtype=np.int32)  # (c,), position among the m keys
    key_of_code[by_key] = np.cumsum(is_new) - 1
    keys = key_of_code[values.word_codes]  # (w,)
    order = np.argsort(keys, kind="stable")  # rows still ascend within a key
    keys, rows = keys[order], values.word_rows[order]
    is_first_pair = np.ones(len(rows), dtype=np.bool_)
    is_first_pair[1:] = (keys[1:] != keys[:-1]) | (rows[1:] != rows[:-1])
    counts = np.bincount(keys[is_first_pair], minlength=int(np.count_nonzero(is_new)))
    starts = np.concatenate([[0], np.cumsum(counts)])
    return _TermDictionary(
        Postings(row_count, high[is_new], low[is_new], starts, rows[is_first_pair]), by_key[is_new]
    )


def _build_presence_mask(values: FieldValues, row_count: int) -> Mask:
    present = np.zeros(row_count, dtype=np.bool_)
    for rows in (values.word_rows, values.number_rows, values.place_rows, values.object_rows):
        present[rows] = True
    return present


def _has_repeats(rows: Rows) -> bool:
    return bool(np.any(rows[1:] == rows[:-1]))


def _count_distinct(values: FieldValues, dictionary: _TermDictionary) -> int:
    points = values.degrees.view(np.complex128)
    numbers: NDArray[Any] = values.numbers
    if len(values.remainders):
        numbers = np.stack([values.numbers, _spread_remainders(values)], axis=1)
    distinct_numbers = len(np.unique(numbers, axis=0))
    return len(dictionary.first_codes) + distinct_numbers + len(np.unique(points))


def _count_top_words(
    dictionary: _TermDictionary, code_texts: NDArray[np.int64], texts: BinaryIO
) -> list[tuple[Any, int]]:
    counts = np.diff(dictionary.postings.starts)
    counted = np.flatnonzero(code_texts[dictionary.first_codes] >= 0)
    best_first = np.lexsort((dictionary.first_codes[counted], -counts[counted]))
    top = []
    for key in counted[best_first[:MAX_TOP_VALUES]]:
        texts.seek(int(code_texts[dictionary.first_codes[key]]))
        top.append((json.loads(texts.readline()), int(counts[key])))
    return top


def _count_top_numbers(values: FieldValues) -> list[tuple[Any, int]]:
    """Return each number with the number of its rows; none if they are too many or too long."""
    distinct = np.unique(values.numbers)
    if len(distinct) > MAX_TOP_VALUES or len(values.remainders):
        return []
    counts = [len(np.unique(values.number_rows[values.numbers == number])) for number in distinct]
    json_numbers = [int(number) if number.is_integer() else number for number in distinct.tolist()]
    return list(zip(json_numbers, counts, strict=True))
