"""A catalogue given in memory is read as a file is: the same items, refusals and streaming."""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_type_hints

import narwhals
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from indexer import BuildOptions, CatalogError, Index, build_index, snapshot
from indexer.build.options import BuildChoices
from tests.fakes import WordEncoder
from tests.oracle import write_rows

AT = datetime(2026, 3, 4, 5, 6, 7, 890_123)
ROWS: list[dict[str, Any]] = [
    {"id": "a", "title": "sea", "tags": ["x", "y"], "rating": 4.5, "seen_at": AT, "n": 1},
    {"id": "b", "title": "[REC]", "tags": ["z"], "rating": None, "seen_at": None, "n": 2},
    {"id": "c", "title": "rain", "tags": None, "rating": 3.0, "seen_at": AT, "n": 3},
]


def build(catalog: Any, out: Path, **chosen: Any) -> dict[str, Mapping[str, Any]]:
    """The items of an index over a catalogue."""
    build_index(catalog, out, encoder=WordEncoder(dim=8), **chosen)
    index = Index.open(out)
    items: dict[str, Mapping[str, Any]] = {item["id"]: item for _, item in index.page(limit=100)}
    index.close()
    return items


def rejections(out: Path) -> list[dict[str, Any]]:
    lines = (snapshot.find_snapshot(out) / "rejected.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def pandas_frame(rows: list[dict[str, Any]]) -> Any:
    import pandas as pd

    return pd.DataFrame(rows)[::-1].iloc[::-1]  # whose index is no column


def polars_frame(rows: list[dict[str, Any]]) -> Any:
    import polars as pl  # type: ignore[import-not-found,unused-ignore]  # may be missing

    return pl.DataFrame(rows)


def needs(library: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(find_spec(library) is None, reason=f"{library} is not installed")


FRAMES = [
    pytest.param(pa.Table.from_pylist, id="pyarrow"),
    pytest.param(lambda rows: narwhals.from_native(pa.Table.from_pylist(rows)), id="narwhals"),
    pytest.param(pandas_frame, id="pandas", marks=needs("pandas")),
    pytest.param(polars_frame, id="polars", marks=needs("polars")),
    pytest.param(lambda rows: polars_frame(rows).lazy(), id="lazy", marks=needs("polars")),
]
MakeFrame = Callable[[list[dict[str, Any]]], Any]


@pytest.mark.parametrize("make_frame", [*FRAMES, pytest.param(list, id="list")])
def test_items_are_those_of_a_parquet_file(tmp_path: Path, make_frame: MakeFrame) -> None:
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "i.parquet")
    expected = build(tmp_path / "i.parquet", tmp_path / "x")
    assert expected["a"]["seen_at"] == "2026-03-04T05:06:07.890123"
    assert expected["a"]["tags"] == ["x", "y"]
    assert "rating" not in expected["b"]
    assert build(make_frame(ROWS), tmp_path / "y") == expected


def test_an_iterable_is_read_once_and_never_held_as_a_whole(tmp_path: Path) -> None:
    alive, most = 0, 0

    class Row(dict[str, Any]):
        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    def rows() -> Iterator[Row]:
        nonlocal alive, most
        for number in range(9_000):
            alive += 1
            most = max(most, alive)
            yield Row(id=str(number), title=f"t {number % 7}")

    assert build_index(rows(), tmp_path / "x", encoder=WordEncoder(dim=8)).items == 9_000
    assert most < 100


def test_a_bad_row_is_named_by_its_number(tmp_path: Path) -> None:
    rows = [ROWS[0], ROWS[1], {"title": "no id"}, 7, ROWS[2]]
    assert list(build(rows, tmp_path / "x", max_rejected=0.5)) == ["a", "b", "c"]
    assert [rejected["line"] for rejected in rejections(tmp_path / "x")] == [3, 4]
    assert {rejected["source"] for rejected in rejections(tmp_path / "x")} == {
        "the catalogue in memory"
    }
    with pytest.raises(CatalogError, match=r"2 of 5 rows .* bad \(first: row 3: id is missing"):
        build(rows, tmp_path / "y")
    with pytest.raises(CatalogError, match="memory has no usable row; nothing was published"):
        build([], tmp_path / "y")
    with pytest.raises(CatalogError, match=r"no usable row \(first: row 1: "):
        build([None], tmp_path / "y")


@pytest.mark.parametrize("make_frame", [*FRAMES, pytest.param(list, id="list")])
def test_a_row_is_refused_as_in_a_file(tmp_path: Path, make_frame: MakeFrame) -> None:
    rows = [{**ROWS[0], "rating": float("inf")}, ROWS[1], {**ROWS[2], "id": "  "}]
    write_rows(tmp_path / "i.jsonl", [{"id": "z", "title": "z"}])
    items = build(make_frame(rows), tmp_path / "x", max_rejected=0.9)
    assert list(items) == ["a", "b"]
    assert "rating" not in items["a"]  # as NaN
    (refused,) = rejections(tmp_path / "x")
    assert "id" in refused["reason"]


def test_what_is_missing_in_numpy_and_what_a_time_becomes(tmp_path: Path) -> None:
    row: dict[Any, Any] = {
        **ROWS[0],
        "rating": np.float32("nan"),
        "old": np.datetime64("NaT"),
        "day": date(2026, 1, 2),
        "zoned": datetime(2026, 1, 2, tzinfo=UTC),
        "precise": np.datetime64("2026-01-02T03:04:05.123456789"),
        "times": np.array(["2026-01-02"], "datetime64[ns]"),
        "vector": np.arange(8, dtype=np.float32),
        5: np.int64(7),
    }
    item = build([row], tmp_path / "x")["a"]
    assert "rating" not in item
    assert "old" not in item
    assert (item["day"], item["zoned"]) == ("2026-01-02", "2026-01-02T00:00:00+00:00")
    assert item["precise"] == "2026-01-02T03:04:05.123456"
    assert item["times"] == ["2026-01-02T00:00:00"]
    assert item["5"] == 7


@needs("pandas")
def test_what_is_missing_in_pandas_and_what_a_time_becomes(tmp_path: Path) -> None:
    import pandas as pd

    frame = pd.DataFrame(
        {
            "id": ["a", "b"],
            "title": ["sea", "rain"],
            "n": pd.array([None, 2], "Int64"),
            "at": np.array(["NaT", "2026-01-02T03:04:05.123456789"], "datetime64[ns]"),
            "kind": pd.Categorical(["x", None]),
            "mixed": [[1, "a"], 3.5],
        }
    )
    items = build(frame, tmp_path / "x")
    assert items["a"] == {"id": "a", "title": "sea", "kind": "x", "mixed": [1, "a"]}
    assert items["b"] == {
        "id": "b", "title": "rain", "n": 2, "at": "2026-01-02T03:04:05.123456", "mixed": 3.5,
    }  # fmt: skip


def test_nanoseconds_of_a_table_are_cut_as_in_a_parquet_file(tmp_path: Path) -> None:
    times = pa.array([1_700_000_000_123_456_789], pa.timestamp("ns"))
    table = pa.table({"id": ["a"], "title": ["sea"], "at": times})
    assert build(table, tmp_path / "x")["a"]["at"] == "2023-11-14T22:13:20.123456"


def test_columns_can_be_renamed(tmp_path: Path) -> None:
    rows = ({"movieId": number, "name of it": "Heat"} for number in (7, 8))
    fields = {"id": "movieId", "title": "name of it"}
    assert build(rows, tmp_path / "x", fields=fields)["7"] == {"id": "7", "title": "Heat"}


def test_since_last_compares_the_content(tmp_path: Path) -> None:
    def rebuild(catalog: Any) -> Any:
        return build_index(catalog, tmp_path / "x", encoder=WordEncoder(dim=8), since="last")

    assert not rebuild(ROWS).unchanged
    assert rebuild(iter(ROWS[::-1])).unchanged
    assert rebuild(pa.Table.from_pylist(ROWS)).unchanged
    assert not rebuild([*ROWS, {"id": "d", "title": "new"}]).unchanged


def test_paths_may_come_from_any_iterable(tmp_path: Path) -> None:
    for name in "ab":
        write_rows(tmp_path / f"{name}.jsonl", [{"id": name, "title": name}])
    assert list(build(sorted(tmp_path.glob("*.jsonl")), tmp_path / "x")) == ["a", "b"]
    assert list(build(iter([str(tmp_path / "a.jsonl")]), tmp_path / "y")) == ["a"]


@pytest.mark.parametrize(
    ("catalog", "sentence"),
    [
        ({"id": "a", "title": "a"}, "catalog is one mapping; give a list"),
        (7, "catalog is 7; give a path"),
        (["a.jsonl", {"id": "a"}], "catalog has paths and also"),
    ],
)
def test_what_is_no_catalogue_is_refused(tmp_path: Path, catalog: Any, sentence: str) -> None:
    with pytest.raises(CatalogError, match=sentence):
        build(catalog, tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_a_query_needs_a_database(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="--query needs a database URL"):
        build(ROWS, tmp_path / "x", query="SELECT 1")


def test_the_keywords_of_build_index_are_the_options_of_a_build() -> None:
    options, choices = get_type_hints(BuildOptions), get_type_hints(BuildChoices)
    may_be_paths = {name: hint | Path for name, hint in options.items() if name in PATHS}
    assert choices == {**options, **may_be_paths}


PATHS = ("model", "interactions")
