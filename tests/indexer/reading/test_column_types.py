"""A column has one type, a few odd cells of it are left out and named, and guesses are told."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.reading import (
    EventReading,
    Interaction,
    Item,
    ReadingNotes,
    Source,
    read_catalog,
    read_interactions,
)
from indexer.reading.memory import to_sources
from indexer.reading.value_column import ValueColumn


def write_column(path: Path, name: str, cells: list[str]) -> str:
    rows = "".join(f'{n},t,"{cell}"\n' for n, cell in enumerate(cells))
    path.write_text(f"id,title,{name}\n{rows}", encoding="utf-8")
    return str(path)


def read_column(path: Path, name: str, cells: list[str]) -> tuple[list[Any], list[str]]:
    """The values of a column, and what is told of it."""
    notes = ReadingNotes()
    items = list(read_catalog([write_column(path, name, cells)], notes=notes))
    assert all(isinstance(item, Item) for item in items), items
    values = [item.fields.get(name) for item in items if isinstance(item, Item)]
    return values, [sentence.removeprefix(f"{path}: {name} ") for sentence in notes.sentences]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.csv"


@pytest.mark.parametrize("word", ["NA", "N/A", "NULL", "None", "-", "—", "nan", "暂无"])
def test_words_for_nothing_are_missing_in_columns_of_numbers(path: Path, word: str) -> None:
    for cells, expected in ((["3", word, "5"], [3, None, 5]), (["true", word], [True, None])):
        values, told = read_column(path, "sold", cells)
        assert values == expected
        kind = "numbers" if expected[0] == 3 else "booleans"
        if word != "nan" or kind == "numbers":
            assert told == [f"holds {kind}; cells such as {word!r} count as missing (1)"]


@pytest.mark.parametrize("word", ["NA", "None", "-"])
def test_words_for_nothing_stay_in_columns_of_text(path: Path, word: str) -> None:
    assert read_column(path, "maker", ["Acme", word, "5"])[0] == ["Acme", word, "5"]
    assert read_column(path, "maker", [word, word])[0] == [word, word]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1.5E7", "2000000", "1.0E-3"], [1.5e7, 2e6, 0.001]),
        (["1,299", "312", "1,002,004"], [1299, 312, 1002004]),
        (["1,299.50", "-3"], [1299.5, -3.0]),
        (["inf", "2.5", "-Infinity", "nan"], [None, 2.5, None, None]),
    ],
)
def test_numbers_of_java_of_people_and_without_end(
    path: Path, cells: list[str], expected: list[Any]
) -> None:
    assert read_column(path, "budget", cells)[0] == expected


@pytest.mark.parametrize("cells", [["1,29", "3"], ["1,2,3", "4"], ["12E5", "3"], ["01,299", "1"]])
def test_what_only_looks_like_a_number_is_text(path: Path, cells: list[str]) -> None:
    assert read_column(path, "code", cells)[0] == cells


def test_a_few_odd_cells_of_many_numbers_are_left_out_and_named(path: Path) -> None:
    cells = [*map(str, range(19)), "about 7"]
    source = write_column(path, "pages", cells)
    items = [item for item in read_catalog([source]) if isinstance(item, Item)]
    assert [item.fields.get("pages") for item in items] == [*range(19), None]
    ((finding,),) = [item.findings for item in items if item.findings]
    assert (finding.field, finding.value) == ("pages", "about 7")
    assert items[-1].findings == (finding,)


def test_with_fewer_numbers_a_column_stays_text_and_says_which_cell(path: Path) -> None:
    for cells in ([*map(str, range(18)), "about 7"], [*map(str, range(18)), "about 7", "x"]):
        values, told = read_column(path, "pages", cells)
        assert values == cells
        assert told == [
            f"stays text, though 18 of {len(cells)} cells are numbers: line 20 holds 'about 7'"
        ]
    assert read_column(path, "pages", ["1", "a", "b"])[1] == []


def test_a_name_of_digits_keeps_a_column_text(path: Path) -> None:
    cells = [*map(str, range(99)), "007"]
    values, told = read_column(path, "code", cells)
    assert values == cells
    assert told == ["stays text, though 99 of 100 cells are numbers: line 101 holds '007'"]


@given(st.lists(st.sampled_from(["1", "2.5", "x", "NA", "true", "1,299", ""]), max_size=60))
def test_the_order_of_cells_does_not_change_a_type(cells: list[str]) -> None:
    def convert(order: list[str]) -> dict[str, Any]:
        column = ValueColumn(has_parser=False, is_date=False)
        for line, cell in enumerate(order):
            column.observe(cell, line)
        return {cell: column.conversion(cell) for cell in cells}

    assert convert(cells) == convert(cells[::-1]) == convert(sorted(cells))


# --- ids -----------------------------------------------------------------------------------------


def make_source(tmp_path: Path, kind: str, rows: list[dict[str, Any]]) -> Source:
    """The rows in one kind of source."""
    path = tmp_path / f"rows.{kind}"
    match kind:
        case "csv":
            names = list(rows[0])
            lines = [",".join(f'"{row.get(name, "")}"' for name in names) for row in rows]
            path.write_text("\n".join([",".join(names), *lines]) + "\n", encoding="utf-8")
        case "jsonl":
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        case "db":
            with sqlite3.connect(path) as connection:
                connection.execute(f"CREATE TABLE t ({', '.join(rows[0])})")
                marks = ", ".join("?" * len(rows[0]))
                for row in rows:
                    connection.execute(f"INSERT INTO t VALUES ({marks})", list(row.values()))
            connection.close()
            return f"sqlite:///{path}"
        case _:
            (source,) = to_sources(rows)
            return source
    return str(path)


KINDS = ["csv", "jsonl", "db", "memory"]


def read_items(tmp_path: Path, kind: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    source = make_source(tmp_path, kind, rows)
    query = "t" if kind == "db" else None
    items = list(read_catalog([source], query=query))
    assert all(isinstance(item, Item) for item in items), items
    return [item.fields for item in items if isinstance(item, Item)]


@pytest.mark.parametrize("kind", KINDS)
def test_ids_that_are_all_written_with_a_point_lose_it(tmp_path: Path, kind: str) -> None:
    rows = [{"id": f"{n}.0", "title": "t"} for n in (12, 7, 100)]
    assert [item["id"] for item in read_items(tmp_path, kind, rows)] == ["12", "7", "100"]


@pytest.mark.parametrize("kind", KINDS)
def test_one_other_id_keeps_all_as_they_are(tmp_path: Path, kind: str) -> None:
    rows = [{"id": cell, "title": "t"} for cell in ("12.0", "1.5")]
    assert [item["id"] for item in read_items(tmp_path, kind, rows)] == ["12.0", "1.5"]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "db"])
def test_ids_of_interactions_lose_it_alike_and_that_is_told(tmp_path: Path, kind: str) -> None:
    rows = [{"user_id": "5.0", "movieId": f"{n}.0", "event": "click"} for n in (12, 7)]
    source = make_source(tmp_path, kind, rows)
    notes = ReadingNotes()
    reading = EventReading(notes=notes)
    query = "t" if kind == "db" else None
    found = list(read_interactions(str(source), reading=reading, query=query))
    assert [(r.user_id, r.item_id) for r in found if isinstance(r, Interaction)] == [
        ("5", "12"),
        ("5", "7"),
    ]
    told = [sentence.partition(": ")[2] for sentence in notes.sentences]
    assert "user_id is written as 5.0, read as 5" in " ".join(told)
    assert "item_id is written as 12.0, read as 12" in " ".join(told)


# --- dates ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["created_at", "release_date", "上映日期"])
@pytest.mark.parametrize(
    ("sure", "expected"),
    [("29/01/2021", "2021-04-05"), ("01/29/2021", "2021-05-04")],
)
def test_one_sure_date_decides_the_column(
    tmp_path: Path, kind: str, name: str, sure: str, expected: str
) -> None:
    rows = [{"id": n, "title": "t", name: cell} for n, cell in enumerate(["05/04/2021", sure])]
    ours = "created_at" if name == "上映日期" else name
    found = [item[ours] for item in read_items(tmp_path, kind, rows)]
    assert found == [expected, "2021-01-29"]


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (["29/01/2021", "1/2/2021"], "holds dates with the day first, such as '29/01/2021'"),
        (["1/01/2021", "1/29/2021"], "holds dates with the month first, such as '1/29/2021'"),
        (["29/01/2021", "01/29/2021"],
         "holds dates with the day first, others with the month first; write ISO dates"),
        (["05/04/2021"], "holds dates such as '05/04/2021', whose day and month no cell tells "
         "apart; write ISO dates"),
    ],
)  # fmt: skip
def test_how_dates_are_read_is_told(path: Path, cells: list[str], words: str) -> None:
    assert read_column(path, "release_date", cells)[1] == [words]


def test_dates_of_columns_with_any_name_are_read_if_all_are_dates(path: Path) -> None:
    assert read_column(path, "added", ["29/01/2021", "05/04/2021"])[0] == [
        "2021-01-29",
        "2021-04-05",
    ]
    mixed = ["29/01/2021", "05/04/2021", "soon"]
    assert read_column(path, "added", mixed)[0] == mixed
    assert read_column(path, "added", ["2021-01-29", "NA"])[0] == ["2021-01-29", None]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "db"])
def test_times_of_interactions_are_read_by_column(tmp_path: Path, kind: str) -> None:
    rows = [
        {"user_id": "u", "item_id": "i", "event": "click", "time": time}
        for time in ("02-11-2023 22:13", "14-11-2023 22:13")
    ]
    source = make_source(tmp_path, kind, rows)
    found = list(read_interactions(str(source), query="t" if kind == "db" else None))
    assert [r.at for r in found if isinstance(r, Interaction)] == [
        1698963180.0,
        1700000 * 1000 - 20,
    ]
