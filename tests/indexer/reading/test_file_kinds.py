"""A file is what its bytes say, whatever its name is: read so, or refused with the remedy."""

import bz2
import gzip
import io
import json
import lzma
import sqlite3
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from indexer.errors import CatalogError
from indexer.reading import Item, ReadingNotes, read_catalog

CSV = "id,title\n1,Kettle\n2,Mug\n"
JSONL = '{"id": 1, "title": "Kettle"}\n{"id": 2, "title": "Mug"}\n'


def archive(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as written:
        for name in names:
            written.writestr(name, "x" * 100)
    return file.getvalue()


def database(folder: Path) -> bytes:
    connection = sqlite3.connect(folder / "shop.db")
    connection.execute("CREATE TABLE t (id)")
    connection.close()
    return (folder / "shop.db").read_bytes()


REFUSED = {
    "xlsx": (
        archive("[Content_Types].xml", "xl/workbook.xml"),
        "is an Excel workbook (.xlsx); save it as CSV (UTF-8) and give that",
    ),
    "ods": (
        archive("mimetype", "content.xml"),
        "is a workbook (.ods); save it as CSV (UTF-8) and give that",
    ),
    "xls": (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600,
        "is an Excel workbook (.xls); save it as CSV (UTF-8) and give that",
    ),
    "zip": (archive("items.csv"), "is a zip archive; unpack it and give what is in it"),
    "bzip2": (bz2.compress(CSV.encode()), "is compressed by bzip2; unpack it and give what"),
    "xz": (lzma.compress(CSV.encode()), "is compressed by xz; unpack it and give what is in it"),
    "html": (
        b"\n<!DOCTYPE html>\n<html><body>404</body></html>",
        "is an HTML page, perhaps one that shows the file; download the file itself",
    ),
    "xml": (b'<?xml version="1.0"?><rss/>', "is XML; turn it into CSV or JSON, one row or object"),
    "lfs": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
        "is a pointer of Git LFS, not the file itself; fetch it with `git lfs pull`",
    ),
    "pdf": (b"%PDF-1.7\n", "is a PDF document; give the table itself, as CSV or JSON"),
}


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.json", "a.tsv", "a.xlsx"])
@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_read_is_named_with_the_remedy(tmp_path: Path, name: str, kind: str) -> None:
    content, sentence = REFUSED[kind]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(CatalogError) as refusal:
        list(read_catalog([str(path)]))
    assert str(refusal.value).startswith(f"{path} {sentence}")


def test_a_database_under_another_name_is_refused_with_how_to_give_it(tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    path.write_bytes(database(tmp_path))
    with pytest.raises(CatalogError, match="is an SQLite database; give it as sqlite:///PATH"):
        list(read_catalog([str(path)]))


def read(path: Path, content: bytes) -> tuple[list[str], list[str]]:
    path.write_bytes(content)
    notes = ReadingNotes()
    rows = list(read_catalog([str(path)], notes=notes))
    assert all(isinstance(row, Item) for row in rows), rows
    return [row.id for row in rows if isinstance(row, Item)], notes.sentences


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.csv", CSV), ("a.jsonl", JSONL), ("a.csv.gz", CSV), ("a.jsonl.gz", JSONL)],
)
def test_gzip_is_unpacked_by_its_bytes_and_not_by_its_name(
    tmp_path: Path, name: str, text: str
) -> None:
    assert read(tmp_path / name, gzip.compress(text.encode())) == (["1", "2"], [])
    assert read(tmp_path / name, text.encode()) == (["1", "2"], [])


def test_readable_kinds_under_the_name_of_another_are_read_and_told(tmp_path: Path) -> None:
    table = io.BytesIO()
    pq.write_table(pa.table({"id": ["1", "2"], "title": ["Kettle", "Mug"]}), table)
    for name, content, kind in (
        ("a.csv", JSONL.encode(), "JSON"),
        ("b.tsv", json.dumps([{"id": 1, "title": "K"}, {"id": 2, "title": "M"}]).encode(), "JSON"),
        ("a.json", CSV.encode(), "a table of separated cells"),
        ("b.jsonl", CSV.replace(",", "\t").encode(), "a table of separated cells"),
        ("c.csv", table.getvalue(), "Parquet"),
        ("d.jsonl", gzip.compress(table.getvalue()), "Parquet"),
    ):
        ids, told = read(tmp_path / name, content)
        assert ids == ["1", "2"], name
        path = tmp_path / name
        assert told[0] == f"{path} is {kind}, whatever its name says, and is read as that"


@pytest.mark.parametrize(
    "text",
    [
        '{"items": [{"id": 1, "title": "A"}, {"id": 2, "title": "B"}], "total": 2}',
        '{"total": 2, "page": {"size": 9}, "items": [{"id": 1, "title": "A"}, '
        '{"id": 2, "title": "B"}]}',
        '{"status": "ok",\n "errors": [],\n "data": [{"id": 1, "title": "A"},\n'
        '{"id": 2, "title": "B"}]}',
        '{"data": [{"id": 1, "title": "A"}, {"id": 2, "title": "B"}]}',
    ],
)  # fmt: skip
def test_the_only_list_of_objects_in_an_answer_of_an_api_is_read(tmp_path: Path, text: str) -> None:
    for name in ("a.json", "a.jsonl"):
        ids, told = read(tmp_path / name, text.encode())
        assert ids == ["1", "2"]
        assert "is one JSON array (" in told[0]


def test_one_item_with_a_list_of_objects_is_an_item(tmp_path: Path) -> None:
    for text in (
        '{"id": 1, "title": "A", "reviews": [{"text": "x"}]}',
        '{\n"movieId": 1,\n"title": "A", "cast": [{"name": "x"}]}',
    ):
        assert read(tmp_path / "a.json", text.encode())[0] == ["1"]


@pytest.mark.parametrize("text", ["[]", " [ ]\n", '{"items": [], "total": 0}', '{"items": []}'])
def test_an_empty_list_has_no_rows_and_no_bad_ones(tmp_path: Path, text: str) -> None:
    assert read(tmp_path / "a.json", text.encode())[0] == []
