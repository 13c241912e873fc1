"""Parquet, databases, JSON and memory: types stay, text among them is read as it is meant."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from indexer.reading import Item, ReadingNotes, read_catalog
from indexer.reading.column_names import Role, SourceNames
from indexer.reading.memory import to_sources
from indexer.reading.named_rows import name_rows
from indexer.reading.rows import Row
from indexer.reading.tables import read_rows


def read_parquet(path: Path, table: Any, **options: Any) -> list[dict[str, Any]]:
    pq.write_table(table, path, **options)
    return [dict(row.values) for row in read_rows(str(path)) if isinstance(row, Row)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.parquet"


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary_view()])
def test_bytes_that_are_text_are_text(path: Path, kind: Any) -> None:
    texts = ["蓝色港湾".encode(), b"Night\tFerry\n", None]
    table = pa.table({"id": [b"a", b"b", b"c"], "title": pa.array(texts, kind)})
    assert read_parquet(path, table) == [
        {"id": "a", "title": "蓝色港湾"},
        {"id": "b", "title": "Night\tFerry\n"},
        {"id": "c", "title": None},
    ]


@pytest.mark.parametrize("picture", [b"\x89PNG\r\n\x1a\n", b"\x00\x01\x02", b"caf\xe9"])
def test_bytes_that_are_no_text_are_left_out_for_the_whole_column(
    path: Path, picture: bytes
) -> None:
    table = pa.table({"id": ["a", "b"], "picture": [b"text", picture]})
    assert [row["picture"] for row in read_parquet(path, table)] == [None, None]


def test_bytes_of_a_dictionary_and_of_a_fixed_width_are_text_too(path: Path) -> None:
    brand = pa.array([b"Acme", b"Acme", b"Bolt"]).dictionary_encode()
    table = pa.table({"brand": brand, "code": pa.array([b"ab", b"cd", b"ef"], pa.binary(2))})
    assert read_parquet(path, table) == [
        {"brand": "Acme", "code": "ab"},
        {"brand": "Acme", "code": "cd"},
        {"brand": "Bolt", "code": "ef"},
    ]


def test_bytes_in_a_later_batch_follow_the_first(path: Path) -> None:
    titles = [None] * 1500 + [b"text"] * 1500
    found = read_parquet(path, pa.table({"title": pa.array(titles, pa.binary())}))
    assert [row["title"] for row in found] == [None] * 1500 + ["text"] * 1500


def test_maps_are_objects(path: Path) -> None:
    text_map = pa.map_(pa.string(), pa.string())
    binary_map = pa.map_(pa.binary(), pa.binary())
    number_map = pa.map_(pa.int32(), pa.list_(pa.map_(pa.string(), pa.int64())))
    table = pa.table(
        {
            "attrs": pa.array([[("color", "red"), ("size", "L")], None, []], text_map),
            "raw": pa.array([[(b"a", b"x")], None, []], binary_map),
            "deep": pa.array([[(1, [[("n", 2)]])], None, []], number_map),
        }
    )
    assert read_parquet(path, table) == [
        {"attrs": {"color": "red", "size": "L"}, "raw": {"a": "x"}, "deep": {"1": [{"n": 2}]}},
        {"attrs": None, "raw": None, "deep": None},
        {"attrs": {}, "raw": {}, "deep": {}},
    ]


def test_whole_numbers_stay_exact(path: Path) -> None:
    table = pa.table(
        {
            "id": pa.array([2**64 - 1, 2**53 + 1], pa.uint64()),
            "n": pa.array([2**53 + 1, 5], pa.decimal128(20, 0)),
        }
    )
    assert read_parquet(path, table) == [
        {"id": 2**64 - 1, "n": 2**53 + 1},
        {"id": 2**53 + 1, "n": 5},
    ]
    items = [row for row in read_catalog([str(path)]) if isinstance(row, Item)]
    assert items == []  # no text
    table = table.append_column("title", [["A", "B"]])
    pq.write_table(table, path)
    items = [row for row in read_catalog([str(path)]) if isinstance(row, Item)]
    assert [item.id for item in items] == ["18446744073709551615", "9007199254740993"]


def test_infinities_are_missing(path: Path) -> None:
    table = pa.table({"id": [1.0, 2.0, 3.0], "score": [float("inf"), -float("inf"), 1.0]})
    assert [row["score"] for row in read_parquet(path, table)] == [None, None, 1.0]


# --- the index of pandas -------------------------------------------------------------------------


FRAMES: list[tuple[Any, list[dict[str, Any]]]] = [
    (pd.DataFrame({"title": ["A", "B"]}, index=["x", "y"]),
     [{"id": "x", "title": "A"}, {"id": "y", "title": "B"}]),
    (pd.DataFrame({"title": ["A", "B"]}, index=pd.Index([7, 8], name="movieId")),
     [{"id": "7", "title": "A"}, {"id": "8", "title": "B"}]),
    (pd.DataFrame({"id": [1, 2], "title": ["A", "B"]}, index=[5, 6]),
     [{"id": "1", "title": "A"}, {"id": "2", "title": "B"}]),
    (pd.DataFrame({"id": [1, 2], "title": ["A", "B"]}),
     [{"id": "1", "title": "A"}, {"id": "2", "title": "B"}]),
]  # fmt: skip


@pytest.mark.parametrize(("frame", "expected"), FRAMES)
@pytest.mark.parametrize("kind", ["parquet", "memory"])
def test_an_index_is_the_id_if_nothing_else_is(
    path: Path, frame: Any, expected: list[dict[str, Any]], kind: str
) -> None:
    frame.to_parquet(path)
    (source,) = to_sources(frame if kind == "memory" else path)
    items = list(read_catalog([source]))
    assert [item.fields for item in items if isinstance(item, Item)] == expected


# --- text among numbers, and text that spells lists ----------------------------------------------


def read_memory(*rows: dict[str, Any]) -> tuple[list[dict[str, Any]], list[str], list[Any]]:
    (source,) = to_sources([{"id": str(n), "title": "t", **row} for n, row in enumerate(rows)])
    notes = ReadingNotes()
    items = [i for i in read_catalog([source], notes=notes) if isinstance(i, Item)]
    fields = [{k: v for k, v in i.fields.items() if k not in ("id", "title")} for i in items]
    return fields, notes.sentences, [finding for item in items for finding in item.findings]


def test_text_among_numbers_is_read_as_one_of_them() -> None:
    found, told, findings = read_memory({"n": 3}, {"n": "1,299"}, {"n": "N/A"}, {"n": None})
    assert found == [{"n": 3}, {"n": 1299}, {}, {}]
    (sentence,) = told
    assert sentence.endswith("n holds numbers; cells such as 'N/A' count as missing (1)")
    assert findings == []


def test_one_odd_text_of_many_numbers_is_left_out_and_named() -> None:
    rows: list[dict[str, Any]] = [{"n": n} for n in range(30)]
    found, _, findings = read_memory(*rows, {"n": "many"})
    assert found == [*rows, {}]
    assert [(finding.field, finding.value) for finding in findings] == [("n", "many")]


def test_text_that_the_source_calls_text_stays() -> None:
    rows = [{"n": "3"}, {"n": "1,299"}, {"n": "N/A"}]
    assert read_memory(*rows)[0] == rows
    mixed: list[dict[str, Any]] = [{"n": 3}, {"n": "a"}, {"n": "b"}]
    assert read_memory(*mixed)[0] == mixed


def test_text_that_spells_lists_throughout_is_lists() -> None:
    found, _, _ = read_memory({"cast": "['x', 'y']"}, {"cast": "{a,b}"}, {"cast": None})
    assert found == [{"cast": ["x", "y"]}, {"cast": ["a", "b"]}, {}]
    rows = [{"cast": "['x', 'y']"}, {"cast": "a word"}]
    assert read_memory(*rows)[0] == rows


def test_rows_with_many_names_are_read_in_linear_time() -> None:
    rows = (Row("a", n, {f"n{n}_{i}": "x" for i in range(20)}) for n in range(10_000))
    naming = SourceNames(Role.CATALOGUE, {})
    assert sum(1 for _ in name_rows(rows, naming)) == 10_000


def test_of_many_columns_the_first_are_watched_and_it_is_told() -> None:
    names = [f"n{n}" for n in range(2_001)]
    rows = [Row("a", 1, dict.fromkeys(names, 1)), Row("a", 2, dict.fromkeys(names, "2"))]
    naming = SourceNames(Role.CATALOGUE, {})
    _, second = name_rows(rows, naming)
    assert isinstance(second, Row)
    assert (second.values["n0"], second.values["n1999"], second.values["n2000"]) == (2, 2, "2")
    (note,) = [note for note in naming.notes.sentences if "2,000" in note]
    assert "'n2000'" in note


def test_long_names_are_part_of_the_size_of_the_rows_that_are_kept() -> None:
    taken: list[int] = []

    def make_rows() -> Iterator[Row]:
        for n in range(1_000):
            taken.append(n)
            yield Row("a", n, {"note": {"x" * 200_000: None}})

    next(name_rows(make_rows(), SourceNames(Role.CATALOGUE, {})))
    assert len(taken) < 100  # of 16 MiB


def test_a_generator_is_read_no_further_than_its_first_part() -> None:
    taken: list[int] = []

    def make_rows() -> Any:
        for n in range(50_000):
            taken.append(n)
            yield {"id": n, "title": "t"}

    (source,) = to_sources(make_rows())
    next(read_catalog([source]))
    assert len(taken) <= 10_000


def test_large_rows_are_not_all_kept() -> None:
    taken: list[int] = []

    def make_rows() -> Any:
        for n in range(1_000):
            taken.append(n)
            yield {"id": n, "title": "t" * 500_000}

    (source,) = to_sources(make_rows())
    next(read_catalog([source]))
    assert len(taken) < 50


def test_numpy_values_in_memory_are_plain() -> None:
    found, _, _ = read_memory({"n": np.float32(1.5)}, {"n": np.inf})
    assert found == [{"n": 1.5}, {}]
