"""Cells are split as the file shows, whatever its name says, and that is told."""

from pathlib import Path
from typing import Any

import pytest

from indexer.errors import CatalogError
from indexer.reading import (
    EventReading,
    Interaction,
    Item,
    ReadingNotes,
    read_catalog,
    read_interactions,
)
from indexer.reading.dialect import detect_dialect


def read(path: Path, text: str, **options: Any) -> tuple[list[Any], list[str]]:
    path.write_text(text, encoding="utf-8")
    notes = ReadingNotes()
    return list(read_catalog([str(path)], notes=notes, **options)), notes.sentences


def fields(path: Path, text: str, **options: Any) -> list[dict[str, Any]]:
    items, _ = read(path, text, **options)
    assert all(isinstance(item, Item) for item in items), items
    return [item.fields for item in items]


A, B = {"id": "1", "title": "Alien, the film", "n": 7}, {"id": "2", "title": "Heat", "n": 8}


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.txt", "a.dat"])
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('id,title,n\n1,"Alien, the film",7\n2,Heat,8\n', "commas"),
        ("id;title;n\n1;Alien, the film;7\n2;Heat;8\n", "semicolons"),
        ("id\ttitle\tn\n1\tAlien, the film\t7\n2\tHeat\t8\n", "tabs"),
        ("id|title|n\n1|Alien, the film|7\n2|Heat|8\n", "bars (|)"),
        ("id::title::n\n1::Alien, the film::7\n2::Heat::8\n", "double colons (::)"),
        ("sep=;\nid;title;n\n1;Alien, the film;7\n2;Heat;8\n", "semicolons"),
        ('"sep=,"\nid,title,n\n1,"Alien, the film",7\n2,Heat,8\n', "commas"),
        ("\ufeffsep=\t\nid\ttitle\tn\n1\tAlien, the film\t7\n2\tHeat\t8\n", "tabs"),
    ],
)
def test_the_delimiter_is_seen(tmp_path: Path, name: str, text: str, words: str) -> None:
    items, told = read(tmp_path / name, text)
    assert [item.fields for item in items] == [A, B]
    expected = "tabs" if name == "a.tsv" else "commas"
    sentence = f"{tmp_path / name}: its cells are separated by {words}"
    assert told == ([] if words == expected else [sentence])


def test_lines_count_from_the_first_of_the_file(tmp_path: Path) -> None:
    items, _ = read(tmp_path / "a.csv", "sep=;\nid;title\n1;A\n2\n3;C\n")
    assert [row.line for row in items] == [3, 4, 5]


def test_a_quote_separates_no_cells() -> None:
    lines = ['sep="\n', "id;title\n", "1;A\n", "2;B\n"]
    assert detect_dialect(lines, ",").delimiter != '"'


@pytest.mark.parametrize(
    "text",
    [
        'id, title, n\n1, "Alien, the film", 7\n2, Heat, 8\n',
        'id; "title"; n\n1; "Alien, the film"; 7\n2; "Heat"; 8\n',
        '"id", "title", "n"\n"1", "Alien, the film", "7"\n"2", "Heat", "8"\n',
    ],
)
def test_spaces_before_quotes_are_no_part_of_a_cell(tmp_path: Path, text: str) -> None:
    assert fields(tmp_path / "a.csv", text) == [A, B]


def test_quotes_within_a_sentence_stay(tmp_path: Path) -> None:
    text = 'id,title\n1,"He said, ""no"", twice"\n2,"a, ""b"""\n'
    assert [f["title"] for f in fields(tmp_path / "a.csv", text)] == [
        'He said, "no", twice',
        'a, "b"',
    ]


@pytest.mark.parametrize(
    "text",
    [
        "id,title\n1,a;b\n2,c;d\n",  # semicolons in every cell
        'id,"title; long"\n1,x\n2,y\n',  # and in the header
        "id,tags\n1,a|b\n2,c|d\n",
        "id,title\n1,a\n2,b,c\n3,d,e\n4,f,g\n",  # most lines have one comma too many
        "id\nHeat; the film\n",  # one column
    ],
)
def test_the_promised_delimiter_is_kept_where_it_fits(tmp_path: Path, text: str) -> None:
    _, told = read(tmp_path / "a.csv", text)
    assert not [sentence for sentence in told if "separated by" in sentence and "cells" in sentence]


def test_prices_with_commas_do_not_hide_semicolons(tmp_path: Path) -> None:
    text = "id;title;weight\n1;Alien;1,5\n2;Heat;2,5\n3;Ran;0,5\n"
    assert [f["title"] for f in fields(tmp_path / "a.csv", text)] == ["Alien", "Heat", "Ran"]


# --- no header -----------------------------------------------------------------------------------


def test_a_catalogue_without_a_header_is_refused_with_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("1,Toy Story,Animation\n2,Heat,Crime\n")
    with pytest.raises(CatalogError) as refusal:
        list(read_catalog([str(path)]))
    assert str(refusal.value) == (
        f"{path} has no header: its first line is '1, Toy Story, Animation'; write a line with the "
        f"names of its columns before it, or name them by number with --fields id=1,title=2"
    )


def test_columns_of_a_file_without_a_header_are_named_by_number(tmp_path: Path) -> None:
    text = "1,Toy Story,Animation\n2,Heat,Crime\n"
    mapping = {"id": "1", "title": "2", "genres": "3"}
    assert fields(tmp_path / "a.csv", text, mapping=mapping) == [
        {"id": "1", "title": "Toy Story", "genres": ["Animation"]},
        {"id": "2", "title": "Heat", "genres": ["Crime"]},
    ]


def test_interactions_without_a_header_are_refused_or_named_by_number(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("7,1,click\n8,2,view\n")
    with pytest.raises(CatalogError, match="by number with --fields user_id=1,item_id=2"):
        list(read_interactions(str(path)))
    mapping = {"user_id": "1", "item_id": "2", "event": "3"}
    found = list(read_interactions(str(path), mapping=mapping))
    assert [(r.user_id, r.item_id, r.event) for r in found if isinstance(r, Interaction)] == [
        ("7", "1", "click"),
        ("8", "2", "view"),
    ]


def test_the_shape_of_ratings_names_their_columns_and_that_is_told(tmp_path: Path) -> None:
    path = tmp_path / "ratings.dat"
    path.write_text("7::1::5::978300760\n8::2::3.5::978302109\n")
    notes = ReadingNotes()
    first, second = read_interactions(str(path), reading=EventReading(notes=notes))
    assert isinstance(first, Interaction)
    assert isinstance(second, Interaction)
    assert (first.user_id, first.item_id, first.value, first.at) == ("7", "1", 5.0, 978300760.0)
    assert second.value == 3.5
    assert notes.sentences == [
        f"{path}: its cells are separated by double colons (::)",
        f"{path} has no header; its columns are read as user_id, item_id, rating, timestamp",
    ]


@pytest.mark.parametrize(
    "first", ["id,2019,2020", "id,1", ",id", "sku,99", "movieId,1994", "商品ID,2024"]
)
def test_a_header_with_a_known_name_is_one(tmp_path: Path, first: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"{first}\n{','.join('x' * len(first.split(',')))}\n")
    list(read_catalog([str(path)]))
