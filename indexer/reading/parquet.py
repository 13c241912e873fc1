"""Parquet files and Arrow record batches to rows."""

from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

from indexer.errors import CatalogError
from indexer.reading.cells import parse_json_text, to_plain
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
    for batch in batches:
        for values in _to_python_rows(_drop_nanoseconds(batch)):
            line += 1
            if isinstance(values, dict):
                yield Row(name, line, values)
            else:
                yield BadRow(name, line, f"cannot be turned into values: {values}", "")


def _to_python_rows(batch: Any) -> Iterator[dict[str, Any] | str]:
    """Yield each row of a batch, or the reason it cannot be read: a bad cell costs one row."""
    import pyarrow as pa

    try:
        rows: list[dict[str, Any] | str] = batch.to_pylist()
    except (pa.ArrowException, ValueError, OverflowError):
        rows = [_to_python_row(batch.slice(i, 1)) for i in range(batch.num_rows)]
    for row in rows:
        yield row if isinstance(row, str) else _to_plain_row(row)


def _to_python_row(batch: Any) -> dict[str, Any] | str:
    import pyarrow as pa

    try:
        row: dict[str, Any] = batch.to_pylist()[0]
    except (pa.ArrowException, ValueError, OverflowError) as error:
        return clip(str(error))
    return row


def _to_plain_row(row: dict[str, Any]) -> dict[str, Any]:
    return {name: parse_json_text(name, to_plain(value)) for name, value in row.items()}


def _drop_nanoseconds(batch: Any) -> Any:
    """Return the batch with nanosecond times cut to microseconds, the finest that Python has."""
    import pyarrow as pa

    for i, field in enumerate(batch.schema):
        if pa.types.is_timestamp(field.type) and field.type.unit == "ns":
            micro = batch.column(i).cast(pa.timestamp("us", field.type.tz), safe=False)
            batch = batch.set_column(i, field.name, micro)
    return batch
