"""File or SQL to rows, streamed: JSON, separated cells and Parquet, plain or `.gz`, or a database.

A line that cannot be read as a row is yielded as a `BadRow`; only a source that cannot be read at
all raises.
"""

import os
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from indexer.errors import CatalogError
from indexer.reading.column_names import Role, SourceNames, check_field_names
from indexer.reading.delimited_file import DelimitedFile
from indexer.reading.file_kinds import describe_kind, find_actual_kind
from indexer.reading.json_file import JsonFile
from indexer.reading.memory import MemoryRows, Source
from indexer.reading.named_rows import name_rows
from indexer.reading.notes import ReadingNotes
from indexer.reading.order_exports import split_orders
from indexer.reading.rows import NO_MAPPING, BadRow, Row, clip
from indexer.reading.shop_exports import drop_variants
from indexer.reading.text_file import inspect_text_file, is_packed, open_bytes

_KINDS = {
    ".jsonl": "json", ".ndjson": "json", ".json": "json", ".csv": "csv", ".tsv": "tsv",
    ".tab": "tsv", ".txt": "csv", ".dat": "csv", ".data": "tsv", ".parquet": "parquet",
}  # fmt: skip
_DELIMITERS = {"csv": ",", "tsv": "\t"}
_START_BYTES = 1 << 16  # that tell what a file is
_CATALOGUE = SourceNames(Role.CATALOGUE, NO_MAPPING)


def read_rows(
    source: Source, naming: SourceNames = _CATALOGUE, *, query: str | None = None
) -> Iterator[Row | BadRow]:
    """Return the rows of a file or a database in order, under our names where they are known.

    Args:
        source: A path, a SQLAlchemy URL (anything with `://`), or rows in memory.
        naming: What its rows are and what their columns are called. What `--fields` names keeps
            the source's name here. Cells of a catalogue's CSV are typed by column, those of
            interactions are text.
        query: A SELECT or the name of a table; for a database only.

    Raises:
        CatalogError: At once if the source is missing, of an unknown kind or has a bad URL, or if
            `--fields` has a misspelt field name; on the way if it turns out to be damaged or the
            query fails.
    """
    check_field_names(naming.mapping, option=naming.fields_option)
    rows = _read_source(source, naming, query)
    return drop_variants(rows, naming.notes) if naming.role is Role.CATALOGUE else rows


def _read_source(source: Source, naming: SourceNames, query: str | None) -> Iterator[Row | BadRow]:
    if isinstance(source, MemoryRows):
        return _name_typed_rows(source.read(), naming)
    if is_database_url(source):
        from indexer.reading.database import read_database

        return _name_typed_rows(
            read_database(source, query, naming.role), naming, has_fixed_columns=True
        )
    if query:
        option = naming.role.query_option
        raise CatalogError(f"{option} needs a database URL, but {source} is a file; drop {option}")
    path = _check_readable(source)
    kind = _find_kind(source, path, naming.notes)
    return _name_damage(source, _read_file(source, path, kind, naming))


def is_database_url(source: Source) -> bool:
    """Whether a source is a database rather than a file."""
    return isinstance(source, str) and "://" in source


def _find_kind(source: str, path: Path, notes: ReadingNotes) -> str:
    named = _find_named_kind(source)
    kind = find_actual_kind(source, path, _read_start(source, path), named)
    if kind is None:
        raise _refuse_kind(source)
    if kind != named:
        notes.add(describe_kind(source, kind))
    return kind


def _find_named_kind(source: str) -> str | None:
    """Return the kind that a file's name says; None if it says nothing."""
    suffixes = [suffix.lower() for suffix in Path(source).suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    return _KINDS.get(suffixes[-1] if suffixes else "")


def _refuse_kind(source: str) -> CatalogError:
    return CatalogError(
        f"{source} is of no known kind; give a .jsonl, .json, .csv, .tsv, .txt, .dat or "
        ".parquet file, plain or .gz, or a database URL"
    )


def _read_start(source: str, path: Path) -> bytes:
    try:
        with open_bytes(path) as file:
            return file.read(_START_BYTES)
    except (OSError, EOFError, zlib.error) as error:
        raise _name_cause(source, error) from error


def _check_readable(source: str) -> Path:
    path = Path(source)
    try:
        is_there, is_folder = path.exists(), path.is_dir()
    except OSError as error:  # such as a name of more than 255 bytes
        reason = error.strerror or type(error).__name__
        raise CatalogError(f"{clip(source)} is no path ({reason}); check it") from error
    if is_folder:
        raise CatalogError(f"{source} is a directory; give the files in it one by one")
    if not is_there and _find_named_kind(source) is None:
        raise _refuse_kind(source)
    if not is_there:
        raise CatalogError(f"{source} does not exist; check the path")
    if not os.access(path, os.R_OK):
        raise CatalogError(f"{source} may not be read by this user; change its permissions")
    return path


def _read_file(source: str, path: Path, kind: str, naming: SourceNames) -> Iterator[Row | BadRow]:
    if kind == "parquet":
        yield from _name_typed_rows(_read_parquet(source, path), naming, has_fixed_columns=True)
        return
    file = inspect_text_file(path)
    if file.encoding:
        naming.notes.add(f"{source} is read as {file.describe()}")
    if kind == "json":
        rows = JsonFile(source, file.open, naming.notes).read_rows()
        yield from _name_typed_rows(rows, naming)
        return
    table = DelimitedFile(source, file.open, _DELIMITERS[kind], naming)
    if naming.role is Role.CATALOGUE:
        yield from table.read_typed_rows()
    else:
        orders = split_orders(table.read_text_rows(), naming.notes)
        yield from name_rows(orders, naming, is_named=True)


def _name_typed_rows(
    rows: Iterator[Row | BadRow], naming: SourceNames, *, has_fixed_columns: bool = False
) -> Iterator[Row | BadRow]:
    """Return rows of typed cells under our names, of orders what their customers did."""
    if naming.role is Role.INTERACTIONS:
        rows = split_orders(rows, naming.notes)
    return name_rows(rows, naming, has_fixed_columns=has_fixed_columns)


def _name_damage(source: str, rows: Iterator[Row | BadRow]) -> Iterator[Row | BadRow]:
    try:
        yield from rows
    except (OSError, EOFError, zlib.error) as error:
        raise _name_cause(source, error) from error


def _name_cause(source: str, error: Exception) -> CatalogError:
    reason = clip(str(error) or type(error).__name__)
    return CatalogError(f"{source} cannot be read to its end ({reason}); copy or make it again")


def _read_parquet(source: str, path: Path) -> Iterator[Row | BadRow]:
    from indexer.reading.parquet import read_parquet

    with open_bytes(path) as file:
        if not is_packed(path):
            yield from read_parquet(source, file)
            return
        with tempfile.TemporaryFile() as unpacked:  # Parquet is read from its end
            shutil.copyfileobj(file, unpacked)
            unpacked.seek(0)
            yield from read_parquet(source, cast(BinaryIO, unpacked))
