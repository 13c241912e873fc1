"""Parquet files and Arrow record batches to rows.

Bytes that are UTF-8 throughout the first batch with any are text, as Spark and Impala write it;
other bytes, such as images, are left out. A map is an object.
"""

from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

from indexer.errors import CatalogError
from indexer.reading.cells import decode_text, parse_json_text, to_plain
from indexer.reading.rows import BadRow, Row, clip

_BATCH_ROWS = 1024


def read_parquet(name: str, file: BinaryIO) -> Iterator[Row | BadRow]:
    """Yield the rows of an open Parquet file; `line` is the row number, from 1.

    Raises:
        CatalogError: If the file is not Parquet, or is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        yield from read_batches(name, pq.ParquetFile(file).iter_batches(batch_size=_BATCH_ROWS))
    except pa.ArrowException as error:
        first = clip(str(error).partition("\n")[0])
        raise CatalogError(
            f"{name} is not a readable Parquet file ({first}); write it again"
        ) from error


def read_batches(name: str, batches: Iterable[Any]) -> Iterator[Row | BadRow]:
    """Yield the rows of Arrow record batches; `line` is the row number, from 1."""
    line = 0
    is_text: dict[str, bool] = {}  # of the columns of bytes that had any so far
    for batch in batches:
        _find_text_columns(batch, is_text)
        for values in _to_python_rows(_drop_nanoseconds(batch)):
            line += 1
            if isinstance(values, dict):
                yield Row(name, line, {n: _to_value(n, v, is_text) for n, v in values.items()})
            else:
                yield BadRow(name, line, f"cannot be turned into values: {values}", "")


def _find_text_columns(batch: Any, is_text: dict[str, bool]) -> None:
    """Note of each column of bytes whether those of its first batch with any are all text."""
    import pyarrow as pa

    for i, column in enumerate(batch.schema):
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        if not _holds_bytes(kind) or column.name in is_text:
            continue
        values = [value for value in batch.column(i).to_pylist() if value is not None]
        if values:
            is_text[column.name] = all(decode_text(value) is not None for value in values)


def _holds_bytes(kind: Any) -> bool:
    import pyarrow as pa

    tests = (
        pa.types.is_binary,
        pa.types.is_large_binary,
        pa.types.is_binary_view,
        pa.types.is_fixed_size_binary,
    )
    return any(test(kind) for test in tests)


def _to_value(name: str, value: Any, is_text: dict[str, bool]) -> Any:
    if isinstance(value, bytes) and is_text.get(name):
        return parse_json_text(name, decode_text(value))
    return parse_json_text(name, to_plain(value))


def _to_python_rows(batch: Any) -> Iterator[dict[str, Any] | str]:
    """Yield each row of a batch, or the reason it cannot be read: a bad cell costs one row."""
    import pyarrow as pa

    try:
        yield from _to_python(batch)
    except (pa.ArrowException, ValueError, OverflowError):
        for i in range(batch.num_rows):
            yield _to_python_row(batch.slice(i, 1))


def _to_python_row(batch: Any) -> dict[str, Any] | str:
    import pyarrow as pa

    try:
        (row,) = _to_python(batch)
    except (pa.ArrowException, ValueError, OverflowError) as error:
        return clip(str(error))
    return row


def _to_python(batch: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = batch.to_pylist(maps_as_pydicts="lossy")
    return rows


def _drop_nanoseconds(batch: Any) -> Any:
    """Return the batch with nanosecond times cut to microseconds, the finest that Python has."""
    import pyarrow as pa

    for i, field in enumerate(batch.schema):
        if pa.types.is_timestamp(field.type) and field.type.unit == "ns":
            micro = batch.column(i).cast(pa.timestamp("us", field.type.tz), safe=False)
            batch = batch.set_column(i, field.name, micro)
    return batch
