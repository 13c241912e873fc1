"""Which of several columns holds the ids of items, the data tells."""

import json
from pathlib import Path
from typing import Any

import pytest

from indexer.reading import (
    EventReading,
    Interaction,
    Item,
    ItemNames,
    ReadingNotes,
    list_named_items,
    read_catalog,
    read_interactions,
)

ARTICLES = "article_id,product_code,prod_name\n" + "".join(
    f"01087750{n:02},01087{n // 3:02},Strap top {n}\n" for n in range(12)
)
TRANSACTIONS = "t_dat,customer_id,article_id,price\n" + "".join(
    f"2018-09-20,c{n % 3},01087750{n:02},0.05\n" for n in range(12)
)


def save(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder / name)


def read_ids(source: str, **options: Any) -> list[str]:
    return [row.id for row in read_catalog([source], **options) if isinstance(row, Item)]


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_the_column_that_tells_items_apart_is_the_id_and_that_is_told(
    tmp_path: Path, kind: str
) -> None:
    source = save(tmp_path, "articles.csv", ARTICLES)
    if kind == "jsonl":
        header, *lines = (line.split(",") for line in ARTICLES.splitlines())
        rows = [json.dumps(dict(zip(header, line, strict=True))) for line in lines]
        source = save(tmp_path, "articles.jsonl", "\n".join(rows))
    notes = ReadingNotes()
    assert read_ids(source, notes=notes) == [f"01087750{n:02}" for n in range(12)]
    assert notes.sentences[0] == (
        f"{source}: takes the ids of items from article_id and not from product_code, whose values "
        f"repeat"
    )


def test_the_interactions_tell_which_column_they_name(tmp_path: Path) -> None:
    """Each row is a variant, and orders name the product: its id is the one to take."""
    text = "product_id,sku,title\n" + "".join(f"p{n // 2},s{n},Shirt {n}\n" for n in range(12))
    catalogue = save(tmp_path, "items.csv", text)
    assert read_ids(catalogue)[:3] == ["s0", "s1", "s2"]
    orders = save(tmp_path, "orders.csv", "user_id,product_id\nu1,p1\nu2,p3\n")
    named = list_named_items(orders)
    assert named == {"p1", "p3"}
    found = read_ids(catalogue, count_named=lambda ids: len(named & set(ids)))
    assert found[:3] == ["p0", "p0", "p1"]


def test_interactions_that_cannot_be_read_yet_tell_nothing(tmp_path: Path) -> None:
    assert list_named_items(save(tmp_path, "a.csv", "7,8,9\n")) == frozenset()
    assert list_named_items(str(tmp_path / "none.csv")) == frozenset()


def test_the_catalogue_tells_which_column_of_interactions_names_it(tmp_path: Path) -> None:
    text = "user_id,product_code,article_id\nu1,c1,a1\nu2,c1,a2\n"
    source = save(tmp_path, "events.csv", text)
    (first, _) = read_interactions(source)
    assert isinstance(first, Interaction)
    assert first.item_id == "c1"  # the usual one, if nothing is known
    items = [{"id": "a1", "title": "A"}, {"id": "a2", "title": "B"}]
    reading = EventReading(item_names=ItemNames({"a1", "a2"}.intersection, lambda: items))
    rows = list(read_interactions(source, reading=reading))
    assert [row.item_id for row in rows if isinstance(row, Interaction)] == ["a1", "a2"]
    assert reading.render()[0] == (
        f"{source}: takes the ids of items from article_id and not from product_code, whose values "
        f"the catalogue does not have"
    )


def test_a_few_rows_that_come_twice_are_no_reason_for_another_column(tmp_path: Path) -> None:
    text = "book_id,isbn,title\n" + "".join(f"{n % 19},x{n},Book {n}\n" for n in range(20))
    assert read_ids(save(tmp_path, "books.csv", text))[0] == "0"


def test_fields_decide_before_the_data_does(tmp_path: Path) -> None:
    source = save(tmp_path, "articles.csv", ARTICLES)
    assert read_ids(source, mapping={"id": "product_code"})[0] == "0108700"
