"""The first bytes of a file to what it is, whatever its name says.

A workbook saved as `items.csv` is refused with the remedy; JSON, Parquet or a table under another's
name is read as what it is, and that is told.
"""

import re
import zipfile
from pathlib import Path

from indexer.errors import CatalogError

GZIP_MARK = b"\x1f\x8b"
_PARQUET_MARK = b"PAR1"
_ZIP_MARKS = (b"PK\x03\x04", b"PK\x05\x06")
_UNPACK = "unpack it and give what is in it"
_REFUSED_MARKS = {
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": (
        "an Excel workbook (.xls)",
        "save it as CSV (UTF-8) and give that",
    ),
    b"SQLite format 3\0": (
        "an SQLite database",
        "give it as sqlite:///PATH with --query TABLE (--interactions-query for interactions)",
    ),
    b"version https://git-lfs": (
        "a pointer of Git LFS, not the file itself",
        "fetch it with `git lfs pull`",
    ),
    b"%PDF-": ("a PDF document", "give the table itself, as CSV or JSON"),
    b"BZh": ("compressed by bzip2", _UNPACK),
    b"\xfd7zXZ\0": ("compressed by xz", _UNPACK),
    b"\x28\xb5\x2f\xfd": ("compressed by zstd", _UNPACK),
    b"7z\xbc\xaf\x27\x1c": ("a 7z archive", _UNPACK),
    b"Rar!\x1a\x07": ("a RAR archive", _UNPACK),
}
_WORKBOOKS = {"xl/workbook.xml": "an Excel workbook (.xlsx)", "content.xml": "a workbook (.ods)"}
_HTML = re.compile(rb"(?:\xef\xbb\xbf)?\s*+<(?:!doctype\s++html|html|head|body)\b", re.IGNORECASE)
_XML = re.compile(rb"(?:\xef\xbb\xbf)?\s*+<(?:\?xml|rss|feed)\b", re.IGNORECASE)
_JSON = re.compile(rb'(?:\xef\xbb\xbf)?\s*+(?:\[\s*+)?+\{\s*+"')
_JSON_LINE = re.compile(rb"^(?:\xef\xbb\xbf)?[ \t]*+[\[{]", re.MULTILINE)
_TABLE = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*+\w[^\r\n,;\t|]*+[,;\t|][^\r\n]*+[\r\n]++[^\r\n,;\t|]*+[,;\t|]"
)
_SHOWN_KINDS = {"json": "JSON", "csv": "a table of separated cells", "parquet": "Parquet"}


def find_actual_kind(source: str, path: Path, start: bytes, kind: str | None) -> str | None:
    """Return the kind that a file is read as: "json", "csv", "tsv", "parquet"; None: not known.

    Args:
        source: Its name, for messages.
        path: Where it is.
        start: Its first bytes, unpacked.
        kind: What its name says; None if that says nothing.

    Raises:
        CatalogError: If it is of a kind that cannot be read, with what it is and the remedy.
    """
    if found := _find_refused(path, start):
        what, remedy = found
        raise CatalogError(f"{source} is {what}; {remedy}")
    if start.startswith(_PARQUET_MARK):
        return "parquet"
    if kind in ("csv", "tsv") and _JSON.match(start):
        return "json"
    if kind == "json" and not _JSON_LINE.search(start) and _TABLE.match(start):
        return "csv"
    return kind


def describe_kind(source: str, kind: str) -> str:
    """Return the sentence that a file is read as another kind than its name says."""
    return f"{source} is {_SHOWN_KINDS[kind]}, whatever its name says, and is read as that"


def _find_refused(path: Path, start: bytes) -> tuple[str, str] | None:
    """Return what a file is that cannot be read, and the remedy; None for another."""
    for mark, found in _REFUSED_MARKS.items():
        if start.startswith(mark):
            return found
    if start.startswith(_ZIP_MARKS):
        workbook = _find_workbook(path)
        remedy = "save it as CSV (UTF-8) and give that"
        return (workbook, remedy) if workbook else ("a zip archive", _UNPACK)
    if _HTML.match(start):
        return "an HTML page, perhaps one that shows the file", "download the file itself"
    if _XML.match(start):
        return "XML", "turn it into CSV or JSON, one row or object an item"
    return None


def _find_workbook(path: Path) -> str | None:
    """Return what kind of workbook an archive is; None if it is none, or damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return None
    return next((what for name, what in _WORKBOOKS.items() if name in names), None)
