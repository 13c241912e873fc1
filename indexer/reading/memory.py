"""Rows in memory to rows, as if they had been read from a file; and what a catalogue may be.

Mappings are read as JSON objects are, dataframes as Parquet files are: NaN, NaT and NA are missing,
lists stay lists, timestamps become ISO 8601 text. An iterable is read once, row by row.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
from typing_extensions import override

from indexer.errors import CatalogError
from indexer.reading.cells import parse_json_text, to_plain
from indexer.reading.column_names import INDEX_COLUMN
from indexer.reading.rows import BadRow, Row, clip, render_value

MEMORY_SOURCE = "the catalogue in memory"  # the source of such rows, in messages and reports
_BATCH_ROWS = 1_024  # of a table that become Python objects at once
_PANDAS_MISSING = ("NAType", "NaTType")  # known by name, since pandas need not be installed


class DataFrame(Protocol):
    """A table of pandas, polars, pyarrow or another library that narwhals knows."""

    @property
    def columns(self) -> Any:
        """The columns, or their names."""


Catalog: TypeAlias = str | Path | Iterable[str | Path] | Iterable[Mapping[str, Any]] | DataFrame


class MemoryRows:
    """A catalogue that the caller holds in memory; it can be read once."""

    def __init__(self, rows: Iterator[Row | BadRow]) -> None:
        """Take the rows; `line` counts from 1."""
        self._rows = rows

    @override
    def __str__(self) -> str:
        return MEMORY_SOURCE

    def read(self) -> Iterator[Row | BadRow]:
        """Return the rows."""
        return self._rows


Source: TypeAlias = str | MemoryRows


def name_row(source: str, line: int) -> str:
    """Return where a row is, for a message: `items.csv:3`, or `row 3` of a catalogue in memory."""
    return f"row {line}" if source == MEMORY_SOURCE else f"{source}:{line}"


def to_sources(catalog: Catalog) -> list[Source]:
    """Return a catalogue as sources that `read_catalog` reads.

    Args:
        catalog: A path or URL, an iterable of them, an iterable of mappings, or a dataframe.

    Raises:
        CatalogError: If it is none of these.
    """
    if isinstance(catalog, str | Path):
        return [str(catalog)]
    if isinstance(catalog, Mapping):
        raise CatalogError("catalog is one mapping; give a list of them, one for each row")
    frame = None if isinstance(catalog, list | tuple | Iterator) else _find_frame(catalog)
    if frame is not None:
        return [MemoryRows(_read_frame(frame))]
    if not isinstance(catalog, Iterable):
        raise CatalogError(
            f"catalog is {render_value(catalog)}; give a path, a URL, a list of them, rows as "
            f"mappings, or a dataframe"
        )
    return _to_sources_of_iterable(catalog)


def _to_sources_of_iterable(entries: Iterable[Any]) -> list[Source]:
    """Paths and URLs, or rows, by what the first entry is."""
    iterator = iter(entries)
    try:
        first = next(iterator)
    except StopIteration:
        return [MemoryRows(iter(()))]
    if not isinstance(first, str | Path):
        return [MemoryRows(_read_mappings(chain([first], iterator)))]
    paths = [first, *iterator]
    for path in paths:
        if not isinstance(path, str | Path):
            raise CatalogError(
                f"catalog has paths and also {render_value(path)}; give paths only, or rows only"
            )
    return [str(path) for path in paths]


def _read_mappings(rows: Iterable[Any]) -> Iterator[Row | BadRow]:
    for line, row in enumerate(rows, start=1):
        if isinstance(row, Mapping):
            values = {str(name): _to_value(value) for name, value in row.items()}
            yield Row(MEMORY_SOURCE, line, values)
        else:
            reason = f"is of type {type(row).__name__}, not a mapping with fields"
            yield BadRow(MEMORY_SOURCE, line, reason, clip(render_value(row)))


def _find_frame(catalog: object) -> Any:
    """The catalogue as a narwhals `DataFrame` or `LazyFrame`; None if it is neither."""
    import narwhals

    try:
        frame = narwhals.from_native(catalog, pass_through=True)
    except narwhals.exceptions.NarwhalsError as error:
        raise CatalogError(f"the dataframe cannot be read ({clip(str(error))})") from error
    return frame if isinstance(frame, narwhals.DataFrame | narwhals.LazyFrame) else None


def _read_frame(frame: Any) -> Iterator[Row | BadRow]:
    import narwhals

    if isinstance(frame, narwhals.LazyFrame):
        frame = frame.collect("pyarrow")
    if frame.implementation.is_pyarrow():
        from indexer.reading.parquet import read_batches

        yield from read_batches(MEMORY_SOURCE, frame.to_native().to_batches(_BATCH_ROWS))
        return
    if frame.implementation.is_pandas():
        frame = narwhals.from_native(_keep_index(frame.to_native()))
    for line, row in enumerate(frame.iter_rows(named=True), start=1):
        values = {str(name): _to_value(value) for name, value in row.items()}
        yield Row(MEMORY_SOURCE, line, {n: parse_json_text(n, v) for n, v in values.items()})


def _keep_index(frame: Any) -> Any:
    """A table of pandas with its index as columns, as Parquet files have it; not if it counts."""
    import pandas as pd

    index = frame.index
    if isinstance(index, pd.RangeIndex) and index.name is None:
        return frame
    nameless = [INDEX_COLUMN if name is None else name for name in index.names]
    taken = set(nameless) & {str(name) for name in frame.columns}
    return frame if taken else frame.rename_axis(nameless).reset_index()


def _to_value(value: Any) -> Any:
    """A cell as JSON would hold it; what only numpy and pandas know becomes plain Python first."""
    if isinstance(value, np.ndarray):
        is_time = value.dtype.kind in "mM"
        value = value.astype(f"{value.dtype.kind}8[us]").tolist() if is_time else value.tolist()
    if isinstance(value, list | tuple):
        return to_plain([_to_python(part) for part in value])
    return to_plain(_to_python(value))


def _to_python(value: Any) -> Any:
    """A numpy or pandas time as `datetime`, to the microsecond; NaT and NA as None."""
    if type(value).__name__ in _PANDAS_MISSING:
        return None
    if isinstance(value, np.datetime64):
        return value.astype("datetime64[us]").item()
    if isinstance(value, np.timedelta64):
        return value.astype("timedelta64[us]").item()
    if isinstance(value, datetime) and hasattr(value, "to_pydatetime"):
        return value.to_pydatetime(warn=False)
    return value
