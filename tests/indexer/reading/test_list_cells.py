"""Lists in cells are lists, however they are written, and sentences with commas are not."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.reading import Item, ReadingNotes, read_catalog
from indexer.reading.cell_lists import read_array, read_list, read_structure
from indexer.reading.list_columns import find_mark

words = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)


@given(st.lists(words | st.integers() | st.none() | st.booleans(), max_size=5))
def test_python_and_json_say_the_same(entries: list[Any]) -> None:
    if all(not isinstance(entry, int) or abs(entry) < 2**63 for entry in entries):
        assert read_structure(json.dumps(entries)) == entries
    assert read_structure(repr(entries)) == entries
    assert read_structure(repr(tuple(entries))) == entries


@given(st.lists(words.map(str.strip).filter(bool), max_size=5))
def test_arrays_of_postgresql_are_read_back(entries: list[str]) -> None:
    quoted = [e.replace("\\", "\\\\").replace('"', '\\"') for e in entries]
    assert read_array("{" + ",".join(f'"{e}"' for e in quoted) + "}") == entries


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("['Drama', 'Crime']", ["Drama", "Crime"]),
        ("['Drama' 'x']", ["Dramax"]),
        ("('a', 'b')", ["a", "b"]),
        ("[{'id': 18, 'name': 'Drama'}]", [{"id": 18, "name": "Drama"}]),
        ("[\"Men's\", 'a nan b', nan]", ["Men's", "a nan b", None]),
        ('[{"name": "Drama"}]', [{"name": "Drama"}]),
        ("{Drama,Crime}", ["Drama", "Crime"]),
        ('{"Film noir",NULL, Crime }', ["Film noir", "Crime"]),
        ("{}", []),
        ("[]", []),
        ("{'name': 'Drama'}", [{"name": "Drama"}]),
    ],
)
def test_notations_of_lists(text: str, expected: list[Any]) -> None:
    assert read_list(text) == expected


@pytest.mark.parametrize(
    "text",
    ["[REC]", "(no genres listed)", "(1995)", "[1+1]", "[__import__('os')]", "[open]", "{a{b}}",
     "['a'", "['\\d']", "[---1]", "[f'x']", "[" * 50_000 + "]", "[" + "1" * 60_000 + "a]",
     "['" + "a" * 70_000 + "', nan]", "{" + "a " * 200_000 + "}", "a, b", ""],
)  # fmt: skip
def test_what_is_no_list_is_none(text: str) -> None:
    assert read_list(text) is None


def column(tmp_path: Path, name: str, cells: list[Any], kind: str) -> tuple[list[Any], list[str]]:
    path = tmp_path / f"a.{kind}"
    if kind == "csv":
        rows = (f'{n},t,"{cell.replace(chr(34), chr(34) * 2)}"\n' for n, cell in enumerate(cells))
        path.write_text(f"id,title,{name}\n" + "".join(rows), encoding="utf-8")
    else:
        rows = (json.dumps({"id": n, "title": "t", name: c}) + "\n" for n, c in enumerate(cells))
        path.write_text("".join(rows))
    notes = ReadingNotes()
    items = list(read_catalog([str(path)], notes=notes))
    assert all(isinstance(item, Item) for item in items), items
    values = [item.fields.get(name) for item in items if isinstance(item, Item)]
    return values, [sentence.partition(f"{name} ")[2] for sentence in notes.sentences]


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["['Drama', 'Crime']", "['War']"], [["Drama", "Crime"], ["War"]]),
        (["[{'id': 1, 'name': 'Drama'}]", '[{"name": "War"}]'], [["Drama"], ["War"]]),
        (["{Drama,Crime}", "{}"], [["Drama", "Crime"], []]),
        (["Drama, Crime", "War, Crime", "War"], [["Drama", "Crime"], ["War", "Crime"], ["War"]]),
        (["剧情、爱情", "战争、剧情", "喜剧"], [["剧情", "爱情"], ["战争", "剧情"], ["喜剧"]]),
        (["剧情，爱情", "战争,剧情"], [["剧情", "爱情"], ["战争", "剧情"]]),
        (["剧情/爱情", "战争 / 剧情"], [["剧情", "爱情"], ["战争", "剧情"]]),
        (["a; b", "c;d", "e"], [["a", "b"], ["c", "d"], ["e"]]),
        (["Bars, Nightlife", "Doctors, Health & Medical", "Food"],
         [["Bars", "Nightlife"], ["Doctors", "Health & Medical"], ["Food"]]),
        (["Shops & Co, Food", "Food, Health & Care", "Food"],
         [["Shops & Co", "Food"], ["Food", "Health & Care"], ["Food"]]),
        (["a|b, c", "d, e", "f, g"], [["a", "b, c"], ["d, e"], ["f, g"]]),
    ],
)  # fmt: skip
def test_tags_become_tags(
    tmp_path: Path, kind: str, cells: list[str], expected: list[list[str]]
) -> None:
    assert column(tmp_path, "genres", cells, kind)[0] == expected


@pytest.mark.parametrize(
    "cells",
    [
        ["Home, Kitchen & Garden", "Clothing, Shoes & Jewelry", "Toys"],
        ["Sci-Fi/Fantasy", "Action/Adventure"],
        [
            "A story of love, loss, and what comes after all of it is over",
            "Told by many, many people",
        ],
        ["Drama, Crime", "War", "Comedy", "Love"],
        ["Drama"],
    ],
)
def test_commas_within_a_tag_stay(tmp_path: Path, cells: list[str]) -> None:
    assert column(tmp_path, "tags", cells, "csv")[0] == [[cell] for cell in cells]


def test_in_many_cells_parts_that_come_again_are_tags() -> None:
    genres = [f"{a}, {b}" for a in ("Drama", "War", "Crime", "Love", "Noir") for b in "ABCDE"]
    assert find_mark(genres) == ",，"
    shops = [f"Home {n}, Garden {n} & More" for n in range(30)]
    assert find_mark(shops) is None


def test_a_few_long_parts_among_many_tags_do_not_keep_them_together() -> None:
    cells = [f"{a}, {b}" for a in ("Bars", "Food", "Pets") for b in ("Health & Medical", "A", "B")]
    long = "Restaurants, A very long name of one category that nobody would call a tag"
    assert find_mark([*cells, *cells[::-1], long, *(f"Food {n}" for n in range(12))]) == ",，"
    assert find_mark([f"wool{n}, winter{n}, red coat{n}" for n in range(30)]) == ",，"
    sentences = [f"I came, saw it {n} times over the years and liked it, mostly" for n in range(30)]
    assert find_mark(sentences) is None


def test_reviews_are_never_split(tmp_path: Path) -> None:
    cells = ["Good, cheap", "Bad, loud"]
    assert column(tmp_path, "reviews", cells, "csv")[0] == [["Good, cheap"], ["Bad, loud"]]


def test_an_unknown_column_is_a_list_only_if_every_cell_is(tmp_path: Path) -> None:
    lists = ["['x', 'y']", '["z"]', ""]
    assert column(tmp_path, "cast", lists, "csv")[0] == [["x", "y"], ["z"], None]
    objects = ["{'name': 'Ann', 'age': 3}", '{"name": "Bo"}']
    found, told = column(tmp_path, "crew", objects, "csv")
    assert found == [{"name": "Ann", "age": 3}, {"name": "Bo"}]
    assert told == ["holds lists or objects"]
    assert column(tmp_path, "cast", ["{a,b}", "{c}"], "csv")[0] == [["a", "b"], ["c"]]
    mixed = ["['x']", "a word"]
    assert column(tmp_path, "cast", mixed, "csv")[0] == mixed
    commas = ["a, b", "c, d"]
    assert column(tmp_path, "cast", commas, "csv")[0] == commas


def test_how_lists_are_read_is_told(tmp_path: Path) -> None:
    assert column(tmp_path, "tags", ["a、b", "c、d"], "csv")[1] == [
        "holds lists separated by '、', such as 'a、b'"
    ]
    assert column(tmp_path, "tags", ["['a']"], "csv")[1] == ["holds lists such as \"['a']\""]
    assert column(tmp_path, "tags", ["Home, Garden & Co"], "csv")[1] == [
        "holds cells such as 'Home, Garden & Co' that stay one tag each; if they are lists, write "
        "them as a|b"
    ]


SHOPIFY = ("Handle,Title,Body (HTML),Tags,Variant SKU,Variant Price", "Tags", "a,A,Warm.,{},s-1,45")
WOO = (
    "ID,Type,SKU,Name,Visibility in catalog,Regular price,Categories,Tags",
    "Tags", "44,simple,w,A,visible,45,,{}",
)  # fmt: skip
WOO_CATEGORIES = (WOO[0], "Categories", "44,simple,w,A,visible,45,{},")


@pytest.mark.parametrize("export", [SHOPIFY, WOO, WOO_CATEGORIES])
@pytest.mark.parametrize(
    ("cell", "expected"),
    [("new, sale", ["new", "sale"]), ("new", "new"),
     ("Home > Kitchen, Gifts for her and him and all of them", None)],
)  # fmt: skip
def test_a_shop_whose_format_defines_the_comma_is_always_split(
    tmp_path: Path, export: tuple[str, str, str], cell: str, expected: Any
) -> None:
    header, column, row = export
    path = tmp_path / "a.csv"
    path.write_text(f"{header}\n" + row.format(f'"{cell}"') + "\n")
    (item,) = read_catalog([str(path)])
    assert isinstance(item, Item)
    wanted = expected or cell.split(", ")
    assert item.fields[column.lower()] in (wanted, [wanted])


def test_a_comma_within_a_tag_of_woocommerce_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"{WOO[0]}\n" + WOO[2].format(r'"Salt\, fine, Pepper"') + "\n")
    (item,) = read_catalog([str(path)])
    assert isinstance(item, Item)
    assert item.fields["tags"] == ["Salt, fine", "Pepper"]
