"""File or SQL to rows, streamed: JSONL, CSV, TSV and Parquet, plain or `.gz`, or a database URL.

A line that cannot be read as a row is yielded as a `BadRow`; only a source that cannot be read at
all raises.
"""

import gzip
import io
import os
import re
import shutil
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, cast

import orjson

from indexer.errors import CatalogError
from indexer.reading.delimited_file import DelimitedFile
from indexer.reading.memory import MemoryRows, Source
from indexer.reading.rows import NO_MAPPING, BadRow, Row, clip

_KINDS = {
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "tsv", ".parquet": "parquet",
}  # fmt: skip
_DELIMITERS = {"csv": ",", "tsv": "\t"}
_MAX_LINE_BYTES = 64 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"
_UTF_16_BOMS = (b"\xff\xfe", b"\xfe\xff")
_NOT_A_NUMBER = re.compile(r"[:\[,]\s*-?(NaN|Infinity)\b")


def read_rows(
    source: Source,
    *,
    query: str | None = None,
    mapping: Mapping[str, str] = NO_MAPPING,
    infer_types: bool = True,
) -> Iterator[Row | BadRow]:
    """Return the rows of a file or a database, in their order, under the source's own names.

    Args:
        source: A path, a SQLAlchemy URL (anything with `://`), or rows in memory.
        query: A SELECT or the name of a table; for a database only.
        mapping: Our names to the source's. Columns of CSV and TSV are typed by both names;
            nothing is renamed here.
        infer_types: Whether columns of CSV and TSV become numbers, booleans and lists.

    Raises:
        CatalogError: At once if the source is missing, of an unknown kind or has a bad URL; on
            the way if it turns out to be damaged or the query fails.
    """
    if isinstance(source, MemoryRows):
        return source.read()
    if is_database_url(source):
        from indexer.reading.database import read_database

        return read_database(source, query)
    if query:
        raise CatalogError(f"--query needs a database URL, but {source} is a file; drop --query")
    kind, path = _find_kind(source), _check_readable(source)
    return _name_damage(source, _read_file(source, path, kind, mapping if infer_types else None))


def is_database_url(source: Source) -> bool:
    """Whether a source is a database rather than a file."""
    return isinstance(source, str) and "://" in source


def _find_kind(source: str) -> str:
    suffixes = [suffix.lower() for suffix in Path(source).suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    kind = _KINDS.get(suffixes[-1] if suffixes else "")
    if kind is None:
        raise CatalogError(
            f"{source} is of no known kind; give a .jsonl, .csv, .tsv or .parquet file, "
            "plain or .gz, or a database URL"
        )
    return kind


def _check_readable(source: str) -> Path:
    path = Path(source)
    try:
        is_there, is_folder = path.exists(), path.is_dir()
    except OSError as error:  # such as a name of more than 255 bytes
        reason = error.strerror or type(error).__name__
        raise CatalogError(f"{clip(source)} is no path ({reason}); check it") from error
    if is_folder:
        raise CatalogError(f"{source} is a directory; give the files in it one by one")
    if not is_there:
        raise CatalogError(f"{source} does not exist; check the path")
    if not os.access(path, os.R_OK):
        raise CatalogError(f"{source} may not be read by this user; change its permissions")
    return path


def _read_file(
    source: str, path: Path, kind: str, mapping: Mapping[str, str] | None
) -> Iterator[Row | BadRow]:
    match kind:
        case "jsonl":
            yield from _read_jsonl(source, path)
        case "parquet":
            yield from _read_parquet(source, path)
        case _:
            table = DelimitedFile(source, lambda: _open_text(path), _DELIMITERS[kind])
            yield from table.read_text_rows() if mapping is None else table.read_typed_rows(mapping)


def _name_damage(source: str, rows: Iterator[Row | BadRow]) -> Iterator[Row | BadRow]:
    try:
        yield from rows
    except (OSError, EOFError, zlib.error) as error:
        reason = clip(str(error) or type(error).__name__)
        raise CatalogError(
            f"{source} cannot be read to its end ({reason}); copy or make it again"
        ) from error


def _open_bytes(path: Path) -> BinaryIO:
    if path.suffix.lower() == ".gz":
        return io.BufferedReader(cast(io.RawIOBase, gzip.open(path, "rb")))
    return path.open("rb")


def _open_text(path: Path) -> BinaryIO:
    """Open a file whose bytes are text, without its byte order mark if it has one."""
    file = cast(io.BufferedReader, _open_bytes(path))
    start = file.peek(3)
    if start.startswith(_UTF_16_BOMS):
        file.close()
        raise CatalogError(f"{path} is in UTF-16; save it as UTF-8")
    if start.startswith(_BOM):
        file.read(len(_BOM))
    return file


def _read_jsonl(source: str, path: Path) -> Iterator[Row | BadRow]:
    with _open_text(path) as file:
        line = 0
        while text := file.readline(_MAX_LINE_BYTES):
            line += 1
            if len(text) == _MAX_LINE_BYTES and not text.endswith(b"\n"):
                _skip_line(file)
                reason = f"is longer than {_MAX_LINE_BYTES} bytes"
                yield BadRow(source, line, reason, text[:200].decode("utf-8", "replace"))
            elif not text.isspace():
                yield _parse_json(source, line, text)


def _skip_line(file: BinaryIO) -> None:
    while (more := file.readline(_MAX_LINE_BYTES)) and not more.endswith(b"\n"):
        pass


def _parse_json(source: str, line: int, text: bytes) -> Row | BadRow:
    try:
        values = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        shown = clip(text.strip().decode("utf-8", "replace"))
        return BadRow(source, line, _describe_json_error(text, error), shown)
    if not isinstance(values, dict):
        shown = clip(text.strip().decode())
        return BadRow(source, line, "is JSON, but not an object with fields", shown)
    return Row(source, line, values)


def _describe_json_error(text: bytes, error: orjson.JSONDecodeError) -> str:
    try:
        decoded = text.decode()
    except UnicodeDecodeError as wrong:
        byte = text[wrong.start]
        return (
            f"has the byte 0x{byte:02x} at position {wrong.start + 1}, which is not UTF-8; "
            "save the file as UTF-8"
        )
    if found := _NOT_A_NUMBER.search(decoded):
        return f"has {found[1]}, which JSON does not allow; write null or leave the field out"
    return f"is not JSON: {error.msg} at position {error.pos + 1}"


def _read_parquet(source: str, path: Path) -> Iterator[Row | BadRow]:
    from indexer.reading.parquet import read_parquet

    with _open_bytes(path) as file:
        if path.suffix.lower() != ".gz":
            yield from read_parquet(source, file)
            return
        with tempfile.TemporaryFile() as unpacked:  # Parquet is read from its end
            shutil.copyfileobj(file, unpacked)
            unpacked.seek(0)
            yield from read_parquet(source, cast(BinaryIO, unpacked))
