"""Files and databases come out as the rows they hold, and a line that is no row says why."""

import csv
import gzip
import io
import json
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.errors import CatalogError
from indexer.reading.cells import to_plain
from indexer.reading.column_names import Role, SourceNames
from indexer.reading.interactions import read_interactions
from indexer.reading.rows import BadRow, Row
from indexer.reading.tables import read_rows

COLUMNS = ("id", "title", "label2", "note")


def write(path: Path, content: str | bytes) -> str:
    data = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return str(path)


def write_parquet(path: Path, table: Any) -> str:
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return write(path, buffer.getvalue())


def values(source: str, **options: Any) -> list[dict[str, Any]]:
    rows = list(read_rows(source, **options))
    assert all(isinstance(row, Row) for row in rows), rows
    return [dict(row.values) for row in rows if isinstance(row, Row)]


def bad(source: str, **options: Any) -> list[tuple[int, str]]:
    return [
        (row.line, row.reason) for row in read_rows(source, **options) if isinstance(row, BadRow)
    ]


# --- JSONL ---------------------------------------------------------------------------------------


def test_json_lines_keep_their_types_and_line_numbers(tmp_path: Path) -> None:
    source = write(
        tmp_path / "a.jsonl",
        '\ufeff{"id": "m1", "title": "电影A", "rating": 4.5, "tags": ["悬疑"], "x": null}\n'
        "\n   \n"
        '{"id": 2, "available": true, "location": {"lat": 1, "lon": 2}}',
    )
    assert list(read_rows(source)) == [
        Row(source, 1, {"id": "m1", "title": "电影A", "rating": 4.5, "tags": ["悬疑"], "x": None}),
        Row(source, 4, {"id": 2, "available": True, "location": {"lat": 1, "lon": 2}}),
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"id": 1', "is not JSON: "),
        (b"[1, 2]", "is JSON, but not an object with fields"),
        (b'"word"', "is JSON, but not an object with fields"),
        (b'{"rating": NaN', "is not JSON: "),
        (b'{"id": "caf\x81"}', "has the byte 0x81 at position 12, which is not UTF-8"),
        (b'{"id": "\\ud800"}', "is not JSON: "),
        (b"[" * 5000, "is nested too deep, at position 1026"),
    ],
)
def test_a_line_that_is_no_json_object_is_a_bad_row(
    tmp_path: Path, line: bytes, reason: str
) -> None:
    source = write(tmp_path / "a.jsonl", b'{"id": 1}\n' + line + b'\n{"id": 3}\n')
    first, second, third = read_rows(source)
    assert isinstance(first, Row)
    assert isinstance(third, Row)
    assert isinstance(second, BadRow)
    assert second.line == 2
    assert second.reason.startswith(reason)
    assert len(second.text) <= 200


def test_an_overlong_line_is_a_bad_row_and_reading_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexer.reading.json_file._MAX_LINE_BYTES", 32)
    source = write(tmp_path / "a.jsonl", '{"id": "' + "x" * 100 + '"}\n{"id": 2}\n')
    first, second = read_rows(source)
    assert isinstance(first, BadRow)
    assert first.reason == "is longer than 32 bytes"
    assert second == Row(source, 2, {"id": 2})


# --- CSV and TSV ---------------------------------------------------------------------------------


def test_a_column_has_one_type_for_the_whole_file(tmp_path: Path) -> None:
    source = write(
        tmp_path / "a.csv",
        "id,title,year,price,adult,genres,code,size\n"
        "1,1917,1999,9.90,True,drama|war,007,12\n"
        "2,True,-3,10,false,comedy,12,S|M\n"
        '3,a|b,,1e-05,,,,"L, wide"\n',
    )
    assert values(source) == [
        {"id": "1", "title": "1917", "year": 1999, "price": 9.9, "adult": True,
         "genres": ["drama", "war"], "code": "007", "size": "12"},
        {"id": "2", "title": "True", "year": -3, "price": 10.0, "adult": False,
         "genres": "comedy", "code": "12", "size": ["S", "M"]},
        {"id": "3", "title": "a|b", "year": None, "price": 0.00001, "adult": None,
         "genres": None, "code": None, "size": "L, wide"},
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["id", "movie_id", "movieId", "ISBN", "user", "imdbId", "tags"])
def test_digits_in_a_column_that_names_things_stay_text(tmp_path: Path, name: str) -> None:
    ours = "id" if name in ("movie_id", "movieId", "ISBN") else name
    assert values(write(tmp_path / "a.csv", f"{name},n\n0002844,1\n12,2\n")) == [
        {ours: "0002844", "n": 1},
        {ours: "12", "n": 2},
    ]
    assert values(write(tmp_path / "a.csv", f"{name}\n12\n13\n")) == [{ours: "12"}, {ours: "13"}]


@pytest.mark.parametrize("cell", ["1e5", "+1", ".5", "1_000", "0x1f", "1234567890123456", "١"])
def test_names_that_look_like_numbers_stay_text(tmp_path: Path, cell: str) -> None:
    assert values(write(tmp_path / "a.csv", f"a,b\n{cell},1\n2,2\n")) == [
        {"a": cell, "b": 1},
        {"a": "2", "b": 2},
    ]


def test_a_mapped_column_is_typed_by_the_name_it_is_mapped_to(tmp_path: Path) -> None:
    source = write(tmp_path / "a.csv", "number,film,n\n7,300,1\n")
    mapping = {"id": "number", "title": "film"}
    assert values(source, naming=SourceNames(Role.CATALOGUE, mapping)) == [
        {"number": "7", "film": "300", "n": 1}
    ]
    assert values(source) == [{"number": 7, "film": 300, "n": 1}]


def test_types_can_be_left_alone(tmp_path: Path) -> None:
    source = write(tmp_path / "a.csv", "a,b,c\n1,true,x|y\n,,\n")
    assert values(source, naming=SourceNames(Role.INTERACTIONS, {})) == [
        {"a": "1", "b": "true", "c": "x|y"},
        {"a": None, "b": None, "c": None},
    ]


def test_missing_cells_of_dumps_and_of_numpy_are_missing(tmp_path: Path) -> None:
    source = write(tmp_path / "a.tsv", "id\tyear\tdirector\nt1\t1999\t\\N\nt2\tnan\tnan\n")
    assert values(source) == [
        {"id": "t1", "year": 1999, "director": None},
        {"id": "t2", "year": None, "director": "nan"},
    ]


def test_quoted_newlines_keep_the_line_numbers_right(tmp_path: Path) -> None:
    source = write(tmp_path / "a.csv", 'id,text\r\n1,"one\r\ntwo"\r\n\r\n2,"say ""hi"""\r\n3\r\n')
    assert list(read_rows(source)) == [
        Row(source, 2, {"id": "1", "text": "one\r\ntwo"}),
        Row(source, 5, {"id": "2", "text": 'say "hi"'}),
        BadRow(source, 6, "has 1 cells where the header has 2", "3"),
    ]


def test_an_unclosed_quote_costs_one_line_and_not_the_rest_of_the_file(tmp_path: Path) -> None:
    source = write(tmp_path / "a.csv", 'id,text\n1,a\n2,"oops\n3,c\n4,d\n')
    assert list(read_rows(source)) == [
        Row(source, 2, {"id": "1", "text": "a"}),
        BadRow(source, 3, "has a quoted cell that is never closed", '2,"oops'),
        Row(source, 4, {"id": "3", "text": "c"}),
        Row(source, 5, {"id": "4", "text": "d"}),
    ]


def test_a_cell_beyond_the_limit_is_a_bad_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = csv.field_size_limit(100)
    monkeypatch.setattr("indexer.reading.delimited_records.MAX_CELL_CHARS", 100)
    try:
        source = write(tmp_path / "a.csv", f"id,text\n1,{'x' * 200}\n2,b\n")
        first, second = read_rows(source)
    finally:
        csv.field_size_limit(before)
    assert isinstance(first, BadRow)
    assert first.reason.startswith("has a cell of more than 100 characters")
    assert second == Row(source, 3, {"id": "2", "text": "b"})


def test_a_cell_of_a_million_characters_is_read(tmp_path: Path) -> None:
    text = "long " * 200_000
    assert values(write(tmp_path / "a.csv", f"id,text\n1,{text}\n")) == [{"id": "1", "text": text}]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"1,2,3", "has 3 cells where the header has 2"),
        (b"1", "has 1 cells where the header has 2"),
        (b"1,caf\x81", "has the byte 0x81, which is not UTF-8; save the file as UTF-8"),
        (b'1,"a"b', "cannot be split into cells: ',' expected after '\"'"),
    ],
)
def test_a_line_that_does_not_fit_the_header_is_a_bad_row(
    tmp_path: Path, line: bytes, reason: str
) -> None:
    source = write(tmp_path / "a.csv", b"id,text\n" + line + b"\n2,b\n")
    first, second = read_rows(source)
    assert isinstance(first, BadRow)
    assert (first.line, first.reason) == (2, reason)
    assert second == Row(source, 3, {"id": "2", "text": "b"})


def test_the_nameless_row_number_of_pandas_is_left_out(tmp_path: Path) -> None:
    assert values(write(tmp_path / "a.csv", ",id\n0,a\n1,b\n")) == [{"id": "a"}, {"id": "b"}]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"id,title,id\n1,a,2\n", "has two columns named 'id'; rename or remove one"),
        (b"id,t\xe9\n1,a\n", "has no readable header: line 1 has the byte 0xe9"),
    ],
)
def test_a_csv_without_a_usable_header_is_refused(
    tmp_path: Path, content: bytes, sentence: str
) -> None:
    with pytest.raises(CatalogError, match=sentence):
        list(read_rows(write(tmp_path / "a.csv", content)))


def test_an_empty_file_has_no_rows(tmp_path: Path) -> None:
    for name in ("a.csv", "a.tsv", "a.jsonl", "a.csv.gz", "a.jsonl.gz"):
        assert values(write(tmp_path / name, "")) == []


# --- Parquet -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.parquet", "a.parquet.gz"])
def test_parquet_values_become_plain_ones(tmp_path: Path, name: str) -> None:
    table = pa.table(
        {
            "id": [1, 2],
            "title": ["[REC]", None],
            "rating": pa.array([4.5, float("nan")]),
            "tags": [["a", "b"], []],
            "place": [{"lat": 1.5, "lon": 2.5}, None],
            "day": [date(2024, 5, 1), None],
            "at": pa.array([1_714_557_600_123_456_789, None], pa.timestamp("ns", tz="UTC")),
            "price": [Decimal("9.90"), None],
            "extra": ['{"a": [1]}', "[not json"],
            "picture": [b"\x89PNG", None],
        }
    )
    assert values(write_parquet(tmp_path / name, table)) == [
        {"id": 1, "title": "[REC]", "rating": 4.5, "tags": ["a", "b"],
         "place": {"lat": 1.5, "lon": 2.5}, "day": "2024-05-01",
         "at": "2024-05-01T10:00:00.123456+00:00", "price": 9.9, "extra": {"a": [1]},
         "picture": None},
        {"id": 2, "title": None, "rating": None, "tags": [], "place": None, "day": None,
         "at": None, "price": None, "extra": "[not json", "picture": None},
    ]  # fmt: skip


def test_a_parquet_cell_that_python_cannot_hold_costs_one_row(tmp_path: Path) -> None:
    # A date in the year 12000: valid Parquet, beyond Python's calendar.
    days = pa.array([0, 3_663_000], pa.int32()).cast(pa.date32())
    source = write_parquet(tmp_path / "a.parquet", pa.table({"day": days}))
    first, second = read_rows(source)
    assert first == Row(source, 1, {"day": "1970-01-01"})
    assert isinstance(second, BadRow)
    assert second.line == 2
    assert second.reason.startswith("cannot be turned into values: ")


def test_a_file_that_is_not_parquet_is_refused(tmp_path: Path) -> None:
    source = write(tmp_path / "a.parquet", b"PAR1 but not really")
    with pytest.raises(CatalogError, match=r"a\.parquet is not a readable Parquet file"):
        list(read_rows(source))


# --- every file ----------------------------------------------------------------------------------


def csv_text(rows: list[dict[str, str]], dialect: str) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, dialect=dialect)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


WRITERS: dict[str, Callable[[Path, list[dict[str, str]]], str]] = {
    "a.jsonl": lambda p, rows: write(p, "".join(json.dumps(row) + "\n" for row in rows)),
    "a.csv": lambda p, rows: write(p, csv_text(rows, "excel")),
    "a.tsv": lambda p, rows: write(p, csv_text(rows, "excel-tab")),
    "a.parquet": lambda p, rows: write_parquet(p, pa.Table.from_pylist(rows)),
}
# A letter first: such cells are text in every format, which is what this property is about.
cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="|\0")).map("x".__add__)


@pytest.mark.parametrize("name", [*WRITERS, *(f"{name}.gz" for name in WRITERS)])
@given(rows=st.lists(st.fixed_dictionaries(dict.fromkeys(COLUMNS, cells)), min_size=1, max_size=4))
@settings(max_examples=15, deadline=None)
def test_what_is_written_is_read(name: str, rows: list[dict[str, str]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / name
        assert values(WRITERS[name.removesuffix(".gz")](path, rows)) == rows


@given(
    whole=st.lists(st.integers(-(10**14), 10**14), min_size=1, max_size=5),
    real=st.floats(allow_nan=False, allow_infinity=False),
)
@settings(max_examples=40, deadline=None)
def test_numbers_survive_a_csv(whole: list[int], real: float) -> None:
    with tempfile.TemporaryDirectory() as directory:
        text = "n,x\n" + "".join(f"{n},{real / 1e300!r}\n" for n in whole)
        rows = values(write(Path(directory) / "a.csv", text))
    assert rows == [{"n": n, "x": real / 1e300} for n in whole]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("missing.csv", "does not exist; check the path"),
        ("items.xlsx", "is of no known kind; give a .jsonl, .json, .csv, .tsv, .txt, .dat or"),
        ("items.zip.gz", "is of no known kind"),
        ("items", "is of no known kind"),
        ("folder.csv", "is a directory; give the files in it one by one"),
    ],
)
def test_a_source_that_cannot_be_read_is_refused_at_once(
    tmp_path: Path, name: str, sentence: str
) -> None:
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(CatalogError, match=sentence) as refusal:
        read_rows(str(tmp_path / name))
    assert name in str(refusal.value)


@pytest.mark.parametrize("name", ["a.csv.gz", "a.jsonl.gz", "a.parquet.gz"])
def test_a_truncated_gzip_file_is_refused_by_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(b'{"id": 1}\n' * 1000)[:-20])
    with pytest.raises(CatalogError, match=rf"{name} cannot be read to its end"):
        list(read_rows(str(path)))


def test_a_query_for_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"--query needs a database URL, but .* is a file"):
        read_rows(write(tmp_path / "a.csv", "id\n1\n"), query="SELECT 1")


# --- databases -----------------------------------------------------------------------------------


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[str]:
    path = tmp_path / "my shop.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE products (id INTEGER, title TEXT, facts TEXT, photo BLOB)")
        connection.execute("CREATE VIEW cheap AS SELECT id FROM products WHERE id < 2")
        connection.executemany(
            "INSERT INTO products VALUES (?, ?, ?, ?)",
            [
                (1, "50% off: tea", '{"kind": "green", "sizes": [1, 2]}', b"\x00"),
                (2, "[x]", "", None),
            ],
        )
    connection.close()
    yield f"sqlite:///{path}"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["my shop.db"]


def test_a_table_is_read_and_its_json_text_becomes_values(shop: str) -> None:
    assert list(read_rows(shop, query="products")) == [
        Row(shop, 1, {"id": 1, "title": "50% off: tea",
                      "facts": {"kind": "green", "sizes": [1, 2]}, "photo": None}),
        Row(shop, 2, {"id": 2, "title": "[x]", "facts": "", "photo": None}),
    ]  # fmt: skip


def test_a_select_may_hold_percent_signs_and_colons(shop: str) -> None:
    query = "SELECT id AS id, 'a:b' AS mark FROM products WHERE title LIKE '50%' -- :x"
    assert values(shop, query=query) == [{"id": 1, "mark": "a:b"}]


def test_a_view_counts_as_a_table(shop: str) -> None:
    assert values(shop, query="cheap") == [{"id": 1}]


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        (None, "needs --query: a SELECT, or the name of a table"),
        ("  ", "needs --query: a SELECT, or the name of a table"),
        ("DELETE FROM products", "is neither a SELECT nor the name of a table"),
        ("WITH x AS (SELECT 1) DELETE FROM products", "readonly|read-only"),
        ("prodcuts", "has no table 'prodcuts'; did you mean 'products'"),
        ("xyz", "has no table 'xyz'; there are products, cheap"),
        ("SELECT nope FROM products", "no such column: nope.*check the URL and --query"),
    ],
)
def test_a_query_that_cannot_work_is_refused(shop: str, query: str | None, sentence: str) -> None:
    with pytest.raises(CatalogError, match=sentence):
        list(read_rows(shop, query=query))
    assert len(values(shop, query="products")) == 2


def test_a_query_of_interactions_is_called_by_its_own_option(shop: str) -> None:
    with pytest.raises(CatalogError, match="needs --interactions-query: a SELECT"):
        list(read_interactions(shop))
    with pytest.raises(CatalogError, match=r"^--interactions-query 'DROP x' is neither"):
        list(read_interactions(shop, query="DROP x"))


def test_a_query_of_a_file_of_interactions_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "clicks.csv"
    file.write_text("user_id,item_id\nu,1\n")
    with pytest.raises(CatalogError, match=r"is a file; drop --interactions-query$"):
        list(read_interactions(str(file), query="clicks"))


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("sqlite:////nowhere/at/all.db", "does not exist; check the path after sqlite:///"),
        ("https://example.org/a.csv", "is not a database URL; use one such as"),
        ("postgresql+pg8000://u:secret@h/db", "needs the driver 'pg8000'; install it with `pip"),
        ("://", "cannot be parsed; write it as driver://"),
        ("sqlite+pysqlite:////nowhere/at/all.db", "does not exist"),
    ],
)
def test_a_database_that_cannot_be_reached_is_refused_without_its_password(
    url: str, sentence: str
) -> None:
    with pytest.raises(CatalogError, match=sentence) as refusal:
        list(read_rows(url, query="SELECT 1"))
    assert "secret" not in str(refusal.value)


def test_leaving_a_database_half_read_closes_it(shop: str) -> None:
    rows = read_rows(shop, query="products")
    next(rows)
    del rows


@pytest.mark.parametrize(
    ("foreign", "expected"),
    [
        (datetime(2024, 5, 1, 12, tzinfo=UTC), "2024-05-01T12:00:00+00:00"),
        (Decimal("NaN"), None),
        (np.float64(1.5), 1.5),
        (np.int32(7), 7),
        (np.bool_(1), True),
        (np.array([[1, 2]]), [[1, 2]]),
        ((1, "a"), [1, "a"]),
        ({"a": b"\x89", 1: Decimal("2.5")}, {"a": None, "1": 2.5}),
        ({b"a": b"x"}, {"a": "x"}),
        (float("inf"), None),
        (Decimal(2**53 + 1), 2**53 + 1),
        (memoryview(b"x"), None),
    ],
)
def test_foreign_values_become_json_ones(foreign: Any, expected: Any) -> None:
    value = to_plain(foreign)
    assert value == expected
    assert type(value) is type(expected)
