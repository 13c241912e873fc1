"""Whatever a file holds is rows, bad rows or one sentence; never a traceback."""

import contextlib
import gzip
import json
import tempfile
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.errors import CatalogError
from indexer.reading import Interaction, Item, Rejection, read_catalog, read_interactions

KINDS = [".csv", ".tsv", ".txt", ".dat", ".json", ".jsonl", ".parquet", ".csv.gz", ".json.gz"]
PIECES = [
    b"id", b"title", b"tags", b"user_id", b"movieId", b"rating", b"time", b",", b";", b"|", b"::",
    b"\t", b'"', b"'", b"\n", b"\r\n", b"\r", b"[", b"]", b"{", b"}", b":", b"1", b"2.0", b"1,299",
    b"NA", b"-", b"nan", b"29/01/2021", b"true", b"null", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff",
    b"\x00", b"\xe9", b"\xb0\xcd", b"sep=;", b" ", "电影".encode(), "、".encode(), b"PAR1",
    b'{"id": 1, "title": "A"}', b"['a', 'b']", b"x" * 70,
]  # fmt: skip
contents = st.lists(st.sampled_from(PIECES) | st.binary(max_size=4), max_size=40).map(b"".join)


@pytest.mark.parametrize("kind", KINDS)
@given(content=contents)
def test_any_bytes_are_rows_or_a_sentence(kind: str, content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{kind}"
        path.write_bytes(gzip.compress(content) if kind.endswith(".gz") else content)
        with contextlib.suppress(CatalogError):
            for row in read_catalog([str(path)]):
                assert isinstance(row, Item | Rejection)
                orjson.dumps(row.fields if isinstance(row, Item) else row.reason)
        with contextlib.suppress(CatalogError):
            for event in read_interactions(str(path)):
                assert isinstance(event, Interaction | Rejection)


cells = st.sampled_from(
    ["", "1", "1.0", "2.5", "1,299", "1.5E7", "NA", "-", "inf", "true", "x", "a|b", "a, b", "a、b",
     "['a']", '{"a": 1}', "{a,b}", "29/01/2021", "05/04/2021", "2021-01-29", "¥99", "007", "水壶"]
)  # fmt: skip
names = st.sampled_from(
    ["tags", "price", "created_at", "sold", "note", "year", "标签", "available"]
)


@given(st.dictionaries(names, st.lists(cells, min_size=3, max_size=3), max_size=4))
def test_a_csv_says_the_same_with_any_delimiter_and_in_any_encoding(
    columns: dict[str, list[str]],
) -> None:
    header = ["id", "标题", *columns]
    rows = [[str(n), "霸王别姬的故事", *(cells[n] for cells in columns.values())] for n in range(3)]
    found: list[list[Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for delimiter in (",", ";", "\t"):
            lines = [
                delimiter.join('"' + cell.replace('"', '""') + '"' for cell in row)
                for row in [header, *rows]
            ]
            for encoding in ("utf-8", "utf-8-sig", "utf-16", "gb18030"):
                path = Path(folder) / "a.csv"
                path.write_bytes("\n".join(lines).encode(encoding))
                items = list(read_catalog([str(path)]))
                assert all(isinstance(item, Item) for item in items)
                found.append([item.fields for item in items if isinstance(item, Item)])
    assert all(fields == found[0] for fields in found)


@given(st.lists(st.dictionaries(names, st.integers() | cells | st.none(), max_size=3), max_size=4))
def test_json_says_the_same_in_any_layout(extra: list[dict[str, Any]]) -> None:
    rows = [{"ID": n, "title": "t", **row} for n, row in enumerate(extra)]
    layouts = {
        "lines": "".join(json.dumps(row) + "\n" for row in rows),
        "array": json.dumps(rows),
        "pretty": json.dumps(rows, indent=2, ensure_ascii=False),
        "objects": "\n".join(json.dumps(row, indent=2) for row in rows),
    }
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for name, text in layouts.items():
            path = Path(folder) / f"{name}.json"
            path.write_text(text, encoding="utf-8")
            found.append([r.fields for r in read_catalog([str(path)]) if isinstance(r, Item)])
    assert all(fields == found[0] for fields in found)
