"""PostgreSQL and SQLite as sources: the same shop in both, streamed, its JSON filterable."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from indexer import CatalogError, Index, build_index
from indexer.reading.database_url import parse_url
from indexer.reading.interactions import read_interactions
from indexer.reading.rows import Row
from indexer.reading.tables import read_rows
from tests.fakes import WordEncoder

FACTS: list[dict[str, Any]] = [
    {"color": "red", "sizes": [1, 2], "maker": {"city": "Kyoto", "since": 1901}},
    {"color": "blue", "sizes": [], "maker": {"city": "Lyon", "since": 1950}},
    {"color": "red", "sizes": [2, 3], "maker": None},
]
AWARDS: list[Any] = [["gold", "silver"], ["gold"], None]


def fill(url: str, *, document: str) -> None:
    """Make the tables of a shop; `document` is what the database calls JSON."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            f"CREATE TABLE goods (id INTEGER PRIMARY KEY, title TEXT, price NUMERIC(8, 2), "
            f"facts {document}, awards {document}, grade {document}, note TEXT)"
        )
        connection.exec_driver_sql(
            "CREATE TABLE deeds (who TEXT, what INTEGER, event TEXT, stamp INTEGER)"
        )
        for row, (facts, awards) in enumerate(zip(FACTS, AWARDS, strict=True)):
            told = None if awards is None else json.dumps(awards)
            grade = json.dumps("A" if row else "B")
            connection.execute(
                sa.text("INSERT INTO goods VALUES (:i, :t, 9.5, :f, :a, :g, '50% off')"),
                {"i": row, "t": f"tea {row}", "f": json.dumps(facts), "a": told, "g": grade},
            )
        for user in range(3):
            connection.execute(
                sa.text("INSERT INTO deeds VALUES (:u, :i, 'like', 1700000000)"),
                {"u": f"u{user}", "i": user},
            )
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a shop."""
    if request.param == "sqlite":
        file = f"sqlite:///{tmp_path / 'shop.db'}"
        fill(file, document="JSON")
        return file
    url: str = request.getfixturevalue("postgres")
    fill(url, document="JSONB")
    return url


def test_a_table_streams_its_rows_as_json_holds_them(shop: str) -> None:
    rows = list(read_rows(shop, query="goods"))
    assert [row.line for row in rows] == [1, 2, 3]
    first = rows[0]
    assert isinstance(first, Row)
    assert first.values == {
        "id": 0, "title": "tea 0", "price": 9.5, "facts": FACTS[0], "awards": AWARDS[0],
        "grade": "B", "note": "50% off",
    }  # fmt: skip


def test_objects_and_lists_in_columns_of_json_are_filterable(shop: str, tmp_path: Path) -> None:
    encoder = WordEncoder(dim=16)
    build_index(shop, tmp_path / "index", query="goods", encoder=encoder)
    index = Index.open(tmp_path / "index", encoder=encoder)

    def passing(condition: dict[str, Any]) -> list[str]:
        return sorted(hit.id for hit in index.search("tea", filter=condition))

    assert passing({"facts.color": "red"}) == ["0", "2"]
    assert passing({"facts.sizes": {"any": [1, 3]}}) == ["0", "2"]
    assert passing({"facts.maker.since": {"gte": 1950}}) == ["1"]
    assert passing({"awards": "silver"}) == ["0"]
    assert passing({"awards": {"exists": False}}) == ["2"]
    assert passing({"grade": "A"}) == ["1", "2"]
    index.close()


def test_interactions_are_read_from_a_table_and_from_a_select(shop: str, tmp_path: Path) -> None:
    mapping = {"user_id": "who", "item_id": "what", "timestamp": "stamp"}
    found = list(read_interactions(shop, query="deeds", mapping=mapping))
    assert [(one.user_id, one.item_id) for one in found] == [("u0", "0"), ("u1", "1"), ("u2", "2")]  # type: ignore[union-attr]  # one that is a Rejection fails here
    select = "SELECT who AS user_id, what AS item_id, event FROM deeds WHERE what > 0"
    summary = build_index(
        shop, tmp_path / "index", query="goods", encoder=WordEncoder(dim=16),
        interactions=shop, interactions_query=select,
    )  # fmt: skip
    assert summary.interactions == 2


def test_a_text_column_of_sqlite_that_is_declared_json_counts_by_what_it_spells(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (id INTEGER, note TEXT, mark json, description JSON)")
        connection.execute("""INSERT INTO t VALUES (1, '"a"', '"a"', '["[x]"]')""")
        connection.execute("INSERT INTO t VALUES (2, '7', '7', 'no JSON')")
    connection.close()
    url = f"sqlite:///{path}"
    expected = [
        {"id": 1, "note": '"a"', "mark": "a", "description": ["[x]"]},
        {"id": 2, "note": "7", "mark": 7, "description": "no JSON"},
    ]
    for query in ("t", "SELECT * FROM t WHERE note <> '%'"):
        assert [dict(row.values) for row in read_rows(url, query=query)] == expected  # type: ignore[union-attr]  # a BadRow fails here
    renamed = next(read_rows(url, query="SELECT mark AS m, note || '' AS n FROM t"))
    assert isinstance(renamed, Row)
    assert renamed.values == {"m": "a", "n": '"a"'}


def test_postgresql_sends_rows_as_they_are_asked_for(postgres: str) -> None:
    """Had it to make the whole answer first, the division by zero would come before any row."""
    late = "SELECT n AS id, 1 / (300000 - n) AS x FROM generate_series(1, 400000) AS n"
    rows = read_rows(postgres, query=late)
    assert [next(rows).line for _ in range(5_000)] == list(range(1, 5_001))
    with pytest.raises(CatalogError, match="division by zero"):
        list(rows)


def test_a_select_cannot_change_postgresql(postgres: str) -> None:
    fill(postgres, document="JSON")
    for query in (
        "WITH gone AS (DELETE FROM goods RETURNING id) SELECT * FROM gone",
        "SELECT setval('no_such', 1)",
        "SELECT 1; DELETE FROM goods",
    ):
        with pytest.raises(CatalogError, match="failed"):
            list(read_rows(postgres, query=query))
    assert len(list(read_rows(postgres, query="goods"))) == 3


def test_values_of_postgresql_become_plain_ones(postgres: str) -> None:
    query = """SELECT 7 AS id, ARRAY['a', 'b'] AS tags, '{"k": [1, {"z": null}]}'::json AS j,
        DATE '2024-05-01' AS d, TIMESTAMPTZ '2024-05-01 12:00+00' AS t, 'NaN'::float8 AS nothing,
        '\\x00'::bytea AS photo, ARRAY[0.5, 1]::real[] AS vector, true AS available, 2.50 AS price,
        '6f9619ff-8b86-d011-b42d-00c04fc964ff'::uuid AS uid, '"tea"'::jsonb AS word"""
    (row,) = read_rows(postgres, query=query)
    assert isinstance(row, Row)
    moment = row.values["t"]
    assert moment.startswith("2024-05-01T12:00:00")
    assert row.values == {
        "id": 7, "tags": ["a", "b"], "j": {"k": [1, {"z": None}]}, "d": "2024-05-01", "t": moment,
        "nothing": None, "photo": None, "vector": [0.5, 1.0], "available": True, "price": 2.5,
        "uid": "6f9619ff-8b86-d011-b42d-00c04fc964ff", "word": "tea",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("godos", "has no table 'godos'; did you mean 'goods'"),
        ("SELECT nope FROM goods", 'column "nope" does not exist'),
        ("public.goods", None),
        ("copied", None),
    ],
)
def test_tables_of_postgresql_are_known_by_name(
    postgres: str, query: str, sentence: str | None
) -> None:
    fill(postgres, document="JSON")
    engine = sa.create_engine(postgres, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE MATERIALIZED VIEW copied AS SELECT * FROM goods")
    if sentence is None:
        assert len(list(read_rows(postgres, query=query))) == 3
    else:
        with pytest.raises(CatalogError, match=sentence):
            list(read_rows(postgres, query=query))


def test_a_server_that_is_not_there_is_named_without_its_password() -> None:
    address = "postgresql://me:hunter2@127.0.0.1:1/shop"
    with pytest.raises(CatalogError, match=r"failed .*check the URL") as caught:
        list(read_rows(address, query="goods"))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("written", ["postgres://u@h/d", "postgresql://u@h/d"])
def test_a_url_without_a_driver_gets_the_one_that_is_installed(written: str) -> None:
    assert parse_url(written).render_as_string() == "postgresql+psycopg://u@h/d"
    assert parse_url("sqlite:///a.db").drivername == "sqlite"
