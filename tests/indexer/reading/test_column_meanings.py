"""What one cell cannot tell the whole column does: days of Excel, decimal marks, moved cells."""

import json
from pathlib import Path
from typing import Any

import pytest

from indexer.reading import (
    EventReading,
    Interaction,
    Item,
    ReadingNotes,
    Rejection,
    Row,
    read_catalog,
    read_interactions,
    to_item,
)
from indexer.reading.memory import to_sources
from indexer.reading.plain_dates import read_excel_day


def write(path: Path, name: str, cells: list[Any], mark: str = ",") -> str:
    """A file with one column besides id and title, of the kind that the path's name says."""
    if path.suffix == ".jsonl":
        rows = [{"id": n, "title": "t", name: cell} for n, cell in enumerate(cells)]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    else:
        lines = [f'{n}{mark}t{mark}"{cell}"' for n, cell in enumerate(cells)]
        path.write_text("\n".join([mark.join(("id", "title", name)), *lines]), encoding="utf-8")
    return str(path)


def read(path: Path, name: str, cells: list[Any], mark: str = ",") -> tuple[list[Any], list[str]]:
    """The values of the column, and what is told of it."""
    notes = ReadingNotes()
    items = list(read_catalog([write(path, name, cells, mark)], notes=notes))
    assert all(isinstance(item, Item) for item in items), items
    told = [s.partition(f": {name} ")[2] for s in notes.sentences if f": {name} " in s]
    return [item.fields.get(name) for item in items if isinstance(item, Item)], told


# --- days of Excel -------------------------------------------------------------------------------


def test_a_day_of_excel_is_counted_from_the_end_of_1899() -> None:
    assert read_excel_day(45321) == "2024-01-30"
    assert read_excel_day(45321.5) == "2024-01-30T12:00:00"
    assert read_excel_day(43831) == "2020-01-01"
    assert read_excel_day(44927.75001) == "2023-01-01T18:00:01"


@pytest.mark.parametrize("name", ["created_at", "release_date", "added_at", "上架时间"])
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_column_named_as_a_date_that_holds_days_of_excel(
    tmp_path: Path, kind: str, name: str
) -> None:
    cells = [45321, 45322, 45321.5]
    ours = "created_at" if name == "上架时间" else name
    notes = ReadingNotes()
    path = write(tmp_path / f"a.{kind}", name, cells)
    items = [item for item in read_catalog([path], notes=notes) if isinstance(item, Item)]
    dates = [item.fields[ours] for item in items]
    assert dates == ["2024-01-30", "2024-01-31", "2024-01-30T12:00:00"]
    assert notes.sentences[-1] == (
        f"{path}: {ours} holds day numbers of Excel, such as 45321, which is read as 2024-01-30"
    )


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
@pytest.mark.parametrize("name", ["created_at", "release_date", "premiere"])
def test_days_of_excel_among_dates_are_dates(tmp_path: Path, kind: str, name: str) -> None:
    found, told = read(tmp_path / f"a.{kind}", name, ["2024-01-29", "45321", "2024-02-01"])
    is_known = kind == "csv" or name != "premiere"
    assert found == ["2024-01-29", "2024-01-30" if is_known else "45321", "2024-02-01"]
    assert len(told) == is_known


def test_numbers_beyond_them_keep_a_column_as_it_is(tmp_path: Path) -> None:
    assert read(tmp_path / "a.csv", "added_at", [45321, 12])[0] == [45321, 12]
    assert read(tmp_path / "a.csv", "pages", [45321, 45322])[0] == [45321, 45322]
    assert read(tmp_path / "a.csv", "year", [1999, 2001])[0] == [1999, 2001]
    unix = [1_706_572_800, 1_706_659_200]
    assert read(tmp_path / "a.csv", "created_at", unix)[0] == [
        "2024-01-30T00:00:00Z",
        "2024-01-31T00:00:00Z",
    ]


def test_a_date_is_never_in_1970_because_it_is_a_day_of_excel(tmp_path: Path) -> None:
    notes = ReadingNotes()
    path = write(tmp_path / "a.csv", "created_at", [45321, 1_706_572_800])
    items = [item for item in read_catalog([path], notes=notes) if isinstance(item, Item)]
    assert "created_at" not in items[0].fields
    (finding,) = items[0].findings
    assert "may be a day number of Excel; write an ISO date" in finding.reason
    row = Row("request", 1, {"id": "1", "title": "t", "created_at": 45321})
    refused = to_item(row)
    assert isinstance(refused, Rejection)
    assert refused.reason == "created_at 45321 may be a day number of Excel; write an ISO date"


def test_rows_in_memory_have_days_of_excel_too() -> None:
    rows = [{"id": n, "title": "t", "created_at": 45321 + n} for n in range(2)]
    dates = [i.fields["created_at"] for i in read_catalog(to_sources(rows)) if isinstance(i, Item)]
    assert dates == ["2024-01-30", "2024-01-31"]


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_times_of_interactions_are_days_of_excel_if_all_may_be(tmp_path: Path, kind: str) -> None:
    def read_times(cells: list[Any]) -> tuple[list[float | None], list[str]]:
        path = tmp_path / f"log.{kind}"
        if kind == "csv":
            lines = "".join(f"u,i,view,{cell}\n" for cell in cells)
            path.write_text(f"user_id,item_id,event,timestamp\n{lines}")
        else:
            row = {"user_id": "u", "item_id": "i", "event": "view"}
            path.write_text("".join(json.dumps({**row, "timestamp": c}) + "\n" for c in cells))
        reading = EventReading()
        events = list(read_interactions(str(path), reading=reading))
        times = [event.at for event in events if isinstance(event, Interaction)]
        return times, reading.notes.sentences

    times, told = read_times([45321, 45321.5])
    assert times == [1_706_572_800.0, 1_706_616_000.0]
    assert told[0].endswith(
        "timestamp holds day numbers of Excel, such as 45321, which is read as 2024-01-30"
    )
    assert read_times([45321, 70_000])[0] == [45321.0, 70_000.0]


# --- decimal marks -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1.299 €", "12,99 €", "1.299,00 €"], [1299, 12.99, 1299]),
        (["1,5", "12,99", "1.299"], [1.5, 12.99, 1299]),
        (["1,299", "2,50"], [1.299, 2.5]),
        (["9,-", "1.299"], [9, 1299]),
        (["1.234.567", "1.299"], [1234567, 1299]),
        (["$1,299", "$12.99"], [1299, 12.99]),
        (["1,299.00", "1.299"], [1299, 1.299]),
        (["¥1,299", "¥99"], [1299, 99]),
        (["0,125", "1.250"], [0.125, 1250]),
    ],
)
def test_the_column_tells_which_mark_is_before_decimals(
    tmp_path: Path, kind: str, cells: list[str], expected: list[float]
) -> None:
    assert read(tmp_path / f"a.{kind}", "price", cells)[0] == expected


def test_a_rating_with_a_comma_is_one(tmp_path: Path) -> None:
    assert read(tmp_path / "a.csv", "rating", ["4,5/5", "4,75/5", "4"])[0] == [4.5, 4.75, 4]


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_what_the_column_tells_is_told_where_it_matters(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    assert read(path, "price", ["1.299 €", "12,99 €"])[1] == [
        "holds numbers with a comma before the decimals, such as '12,99 €'; '1.299 €' is read as "
        "'1299 €'"
    ]
    assert read(path, "price", ["12.99", "13.5"])[1] == []
    assert read(path, "price", ["12,99", "13.5"])[1] == [
        "holds numbers with a comma before the decimals ('12,99') and others with a point "
        "('13.5'); each is read by itself"
    ]
    assert read(path, "price", ["1.299 €", "3 €"])[1] == [
        "holds numbers such as '1.299 €', and no cell tells whether decimals or thousands are "
        "meant; they are read as decimals"
    ]
    assert read(path, "price", ["$1,299"])[1] == [
        "holds numbers such as '$1,299', and no cell tells whether thousands or decimals are "
        "meant; they are read as thousands"
    ]


def test_semicolons_between_cells_make_commas_decimal_in_any_column(tmp_path: Path) -> None:
    cells = ["1,5", "12,99", "3", "1.299,00", ""]
    assert read(tmp_path / "a.csv", "weight", cells, ";")[0] == [1.5, 12.99, 3, 1299, None]
    assert read(tmp_path / "a.csv", "weight", ["1,5"], ";")[1] == [
        "holds numbers with a comma before the decimals, such as '1,5'"
    ]
    days = ["45321", "45321,5"]
    assert read(tmp_path / "a.csv", "added_at", days, ";")[0] == [
        "2024-01-30",
        "2024-01-30T12:00:00",
    ]
    assert read(tmp_path / "a.csv", "weight", ["1,5", "2.5"], ";")[0] == ["1,5", "2.5"]
    assert read(tmp_path / "a.csv", "weight", ["1,5", "red"], ";")[0] == ["1,5", "red"]


def test_commas_between_cells_leave_a_doubtful_column_text_and_say_so(tmp_path: Path) -> None:
    assert read(tmp_path / "a.csv", "weight", ["1,5", "12,99"]) == (
        ["1,5", "12,99"],
        ["stays text, though cells such as '1,5' may be numbers; write a point before decimals"],
    )
    assert read(tmp_path / "a.csv", "weight", ["1,5", "1.299,00"])[0] == [1.5, 1299.0]
    assert read(tmp_path / "a.csv", "parts", ["1,5", "1,2,3"])[1] == []


@pytest.mark.parametrize("separator", [",", ";"])
def test_codes_that_begin_with_zero_are_text_without_a_word(tmp_path: Path, separator: str) -> None:
    codes = ["0108775", "0110065"]
    assert read(tmp_path / "a.csv", "product_code", codes, separator) == (codes, [])


# --- one odd cell among booleans -----------------------------------------------------------------


def test_an_odd_cell_among_many_booleans_is_left_out_and_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "adult", [*["True", "false"] * 10, "maybe"])
    items = [item for item in read_catalog([path]) if isinstance(item, Item)]
    assert [item.fields.get("adult") for item in items] == [*[True, False] * 10, None]
    (finding,) = items[-1].findings
    assert (finding.field, finding.value) == ("adult", "maybe")
    assert finding.reason == "adult is not of the type that most of its column are"


def test_with_few_booleans_a_column_stays_text_and_says_which_cell(tmp_path: Path) -> None:
    values, told = read(tmp_path / "a.csv", "adult", ["true", "false", "maybe"])
    assert values == ["true", "false", "maybe"]
    assert told == [
        "stays text, though 2 of 3 cells are true or false: line 4 holds 'maybe'",
    ]


# --- rows whose cells have moved -----------------------------------------------------------------

FILMS = "adult,budget,id,title,release_date\n" + "".join(
    f"False,{n}000,{n},Film {n},1999-01-{n:02}\n" for n in range(1, 30)
)


def test_a_row_whose_cells_have_moved_is_a_bad_row(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    rows = (FILMS + "- Written by Ann,/a.jpg,1997-08-20,Midnight,1\n").splitlines()
    # In a column that is empty elsewhere a number shows nothing.
    path.write_text(
        "\n".join([f"{rows[0]},part_of", *(f"{r}," for r in rows[1:-1]), rows[-1] + ",7"])
    )
    *items, bad = read_catalog([str(path)])
    assert all(isinstance(item, Item) for item in items)
    assert isinstance(bad, Rejection)
    assert (bad.line, bad.source) == (31, str(path))
    assert bad.reason == (
        "has cells of other columns (adult '- Written by Ann', budget '/a.jpg', id '1997-08-20', "
        "release_date '1'), as if they had moved; check the quotes and separators of this line "
        "and of the one before"
    )


def test_in_a_small_file_the_other_rows_tell_it(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    few = "".join(FILMS.splitlines(keepends=True)[:9])
    path.write_text(few + "- Written by Ann,/a.jpg,1997-08-20,Midnight,1\n")
    notes = ReadingNotes()
    *items, bad = read_catalog([str(path)], notes=notes)
    assert isinstance(bad, Rejection)
    assert bad.reason.startswith("has cells of other columns (adult '- Written by Ann', budget")
    assert [item.fields["budget"] for item in items if isinstance(item, Item)] == [
        n * 1000 for n in range(1, 9)
    ]
    assert notes.sentences == []


@pytest.mark.parametrize(
    "line", ["False,unknown,9,Film,soon", "maybe,9000,x9,Film,soon", ",unknown,x30,Film,"]
)
def test_a_row_of_a_small_file_with_some_odd_cells_is_an_item(tmp_path: Path, line: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text("".join(FILMS.splitlines(keepends=True)[:9]) + line + "\n")
    assert all(isinstance(item, Item) for item in read_catalog([str(path)]))


def test_what_keeps_a_column_text_is_told_without_a_line_that_is_none(tmp_path: Path) -> None:
    _, told = read(tmp_path / "a.csv", "part_of", ["[1, 2]", "0.07"])
    assert told == ["stays text, though 1 of 2 cells are numbers: others are lists or objects"]


@pytest.mark.parametrize(
    "line",
    ["False,unknown,30,Film,soon", "False,unknown,30,Film,2001-01-01", ",unknown,x30,Film,",
     "False,unknown,x30,Film,soon"],
)  # fmt: skip
def test_a_row_with_some_odd_cells_is_an_item_without_them(tmp_path: Path, line: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(FILMS + line + "\n")
    *_, last = read_catalog([str(path)])
    assert isinstance(last, Item)
    assert "budget" not in last.fields
