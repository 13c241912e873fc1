"""Orders as shop systems export them: lines are purchases, and what was refunded is undone."""

import json
from pathlib import Path
from typing import Any

import pytest

from indexer.event_kinds import find_undone
from indexer.reading import EventReading, Interaction, ItemNames, read_catalog, read_interactions
from indexer.reading.item import Item
from indexer.reading.rows import Rejection
from tests.oracle import write_rows

SHOPIFY = """Name,Email,Financial Status,Paid at,Created at,Lineitem quantity,Lineitem name,\
Lineitem price,Lineitem sku,Cancelled at,Notes
#1001,mia@x.org,paid,2024-01-05 10:00:00 +0100,2024-01-05 10:00:00 +0100,2,Hoodie - S,45,h-1,,gift
#1001,mia@x.org,,,,1,Cap,16,c-1,,
#1001,,,,,3,Mug - Red,9,,,
#1002,,paid,,2024-01-06 10:00:00 +0100,1,Cap,16,c-1,,
#1003,bo@x.org,refunded,,2024-01-07 10:00:00 +0100,1,Hoodie - S,45,h-1,,
#1004,mia@x.org,voided,,2024-01-08 10:00:00 +0100,1,Cap,16,c-1,2024-01-09 09:00:00 +0100,
#1005,bo@x.org,partially_refunded,,2024-01-09 10:00:00 +0100,0,Cap,16,c-1,,
#1005,bo@x.org,,,,1,Mug - Red,9,,,
"""
PRODUCTS = """Handle,Title,Body (HTML),Option1 Value,Variant SKU,Variant Price
hoodie,Hoodie,Warm.,S,h-1,45
hoodie,,,M,h-2,45
cap,Cap,Round.,,c-1,16
mug,Mug,Tall.,,,9
"""
WOOCOMMERCE = """Order Number,Order Status,Order Date,Email (Billing),SKU,Item Name,Quantity
71,Completed,2024-01-05 10:00,mia@x.org,h-1,Hoodie,1
71,,,,c-1,Cap,2
72,Cancelled,2024-01-06 11:00,mia@x.org,c-1,Cap,1
"""


def save(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder / name)


def read(source: str, reading: EventReading | None = None) -> list[Interaction]:
    rows = list(read_interactions(source, reading=reading))
    assert all(isinstance(row, Interaction) for row in rows), rows
    return [row for row in rows if isinstance(row, Interaction)]


def test_each_line_of_a_shopify_order_is_a_purchase_of_its_customer(tmp_path: Path) -> None:
    reading = EventReading()
    rows = read(save(tmp_path, "orders.csv", SHOPIFY), reading)
    assert [(r.user_id, r.item_id, r.event, r.value, r.at) for r in rows] == [
        ("mia@x.org", "h-1", "purchase", 2, 1704445200),
        ("mia@x.org", "c-1", "purchase", 1, 1704445200),
        ("mia@x.org", "Mug - Red", "purchase", 3, 1704445200),
        ("#1002", "c-1", "purchase", 1, 1704531600),
        ("bo@x.org", "h-1", "purchase", 1, 1704618000),
        ("bo@x.org", "h-1", "refund", 1, 1704618001),
        ("mia@x.org", "c-1", "purchase", 1, 1704704400),
        ("mia@x.org", "c-1", "cancel", 1, 1704787200),
        ("bo@x.org", "Mug - Red", "purchase", 1, 1704790800),
    ]
    in_order = sorted(rows, key=lambda row: row.at or 0)
    undone = find_undone([((row.user_id, row.item_id), row.event) for row in in_order])
    assert [(in_order[n].user_id, in_order[n].at) for n in sorted(undone)] == [
        ("bo@x.org", 1704618000),
        ("mia@x.org", 1704704400),
    ]
    told = "\n".join(reading.render())
    assert "is read as orders of Shopify" in told
    assert "lines of orders refunded in part, still purchases: 1" in told
    assert "lines with a quantity of 0, which are no events: 1" in told


def test_orders_name_products_by_the_sku_of_any_variant_or_by_title(tmp_path: Path) -> None:
    items = [
        row.fields
        for row in read_catalog([save(tmp_path, "products.csv", PRODUCTS)])
        if isinstance(row, Item)
    ]
    assert [(item["id"], item.get("Variant SKU")) for item in items] == [
        ("hoodie", ["h-1", "h-2"]), ("cap", "c-1"), ("mug", None),
    ]  # fmt: skip
    ids = {item["id"] for item in items}
    names = ItemNames(ids.intersection, lambda: items)
    reading = EventReading(item_names=names)
    rows = read(save(tmp_path, "orders.csv", SHOPIFY), reading)
    assert [row.item_id for row in rows[:4]] == ["hoodie", "cap", "mug", "cap"]
    assert (
        "3 items are named by SKU or title, and read as ids of the catalogue "
        "(first: 'h-1' is 'hoodie')"
    ) in reading.render()


def test_a_name_of_two_items_is_neither_and_ids_come_first() -> None:
    items: list[dict[str, Any]] = [
        {"id": "a", "title": "Cup", "sku": "1"},
        {"id": "b", "title": "cup", "sku": "2"},
        {"id": "2", "title": "Plate", "variants": [{"sku": "p-1"}]},
    ]
    names = ItemNames({"a", "b", "2"}.intersection, lambda: items)
    assert names.resolve("1") == "1"  # nobody has said that names are no ids
    names.observe(["1", "p-1", "Cup"])
    found = [names.resolve(name) for name in ("1", "2", "p-1", "Cup", "PLATE", "plate - XL", "x")]
    assert found == ["a", "2", "2", "Cup", "2", "2", "x"]


def test_a_name_of_two_items_is_not_that_of_a_third_and_is_told() -> None:
    items: list[dict[str, Any]] = [
        {"id": "a", "title": "Shirt - Red"},
        {"id": "b", "title": "shirt - red"},
        {"id": "c", "title": "Shirt"},
        {"id": "d", "title": "Cap"},
        {"id": "e", "title": "Cap"},
        {"id": "f", "title": " "},
    ]
    names = ItemNames({item["id"] for item in items}.intersection, lambda: items)
    assert names.count_known(["Shirt - Red", "Shirt - Blue", "Cap - S", "x", "x - y"]) == 1
    called = ["Shirt - Red", "Shirt - Blue", "Cap - S", "Shirt", "x", "x - y"]
    names.observe(called)
    assert [names.resolve(name) for name in called] == [
        "Shirt - Red", "c", "Cap - S", "c", "x", "x - y",
    ]  # fmt: skip
    assert names.describe() == [
        "2 items are named by SKU or title, and read as ids of the catalogue "
        "(first: 'Shirt - Blue' is 'c')",
        "2 names are each that of several items of the catalogue, and are taken for none of them "
        "(first: 'Shirt - Red')",
    ]


def test_where_most_names_are_ids_no_other_is_consulted() -> None:
    names = ItemNames({"a", "b"}.intersection, lambda: pytest.fail("the items were read"))
    names.observe(["a", "b", "Cup"])
    assert names.resolve("Cup") == "Cup"
    assert names.describe() == []


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_orders_of_woocommerce_are_read_alike(tmp_path: Path, kind: str) -> None:
    source = save(tmp_path, "orders.csv", WOOCOMMERCE)
    if kind == "jsonl":
        header, *lines = WOOCOMMERCE.splitlines()
        cells = [dict(zip(header.split(","), line.split(","), strict=True)) for line in lines]
        source = str(write_rows(tmp_path / "orders.jsonl", cells))
    rows = read(source)
    assert [(r.user_id, r.item_id, r.event, r.value, r.at) for r in rows] == [
        ("mia@x.org", "h-1", "purchase", 1, 1704448800),
        ("mia@x.org", "c-1", "purchase", 2, 1704448800),
        ("mia@x.org", "c-1", "purchase", 1, 1704538800),
        ("mia@x.org", "c-1", "cancel", 1, 1704538801),
    ]


@pytest.mark.parametrize("users", ["Billing Email Address", "Email (Billing)"])
def test_the_export_plugin_of_woocommerce_names_its_columns_otherwise(
    tmp_path: Path, users: str
) -> None:
    text = f"""Order ID,Order Number,Order Date,Order Status,Customer User ID,{users},Item #,\
Product ID,SKU,Item Name,Quantity (- Refund)
71,71,2024-01-05 10:00,Completed,,mia@x.org,1,9,h-1,Hoodie,1
72,72,2024-01-06 11:00,Completed,5,,1,8,,,2
73,73,2024-01-06 12:00,Completed,5,,1,8,,,0
"""
    reading = EventReading()
    rows = read(save(tmp_path, "orders.csv", text), reading)
    assert [(r.user_id, r.item_id, r.event, r.value, r.at) for r in rows] == [
        ("mia@x.org", "h-1", "purchase", 1, 1704448800),
        ("5", "8", "purchase", 2, 1704538800),
    ]
    assert (
        f"each line is a purchase of SKU or Item Name or Product ID by {users} or Customer User ID "
        f"or Order Number, and"
    ) in "\n".join(reading.render())


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_orders_are_recognised_behind_bad_rows(tmp_path: Path, kind: str) -> None:
    header, *lines = WOOCOMMERCE.splitlines()
    if kind == "csv":
        text = "\n".join([header, "70", "69,x", *lines])
    else:
        cells = [dict(zip(header.split(","), line.split(","), strict=True)) for line in lines]
        text = "\n".join(["70", '{"Order Number"', *map(json.dumps, cells)])
    rows = list(read_interactions(save(tmp_path, f"orders.{kind}", text)))
    assert [isinstance(row, Rejection) for row in rows] == [True, True, *[False] * 4]
    good = [row for row in rows if isinstance(row, Interaction)]
    assert [(row.user_id, row.item_id, row.event) for row in good] == [
        ("mia@x.org", "h-1", "purchase"),
        ("mia@x.org", "c-1", "purchase"),
        ("mia@x.org", "c-1", "purchase"),
        ("mia@x.org", "c-1", "cancel"),
    ]


def test_a_guest_is_known_by_the_order(tmp_path: Path) -> None:
    text = WOOCOMMERCE.replace("Email (Billing)", "Customer User ID").replace("mia@x.org", "0")
    rows = read(save(tmp_path, "orders.csv", text))
    assert [row.user_id for row in rows] == ["71", "71", "72", "72"]


def test_fields_decide_for_orders_too(tmp_path: Path) -> None:
    source = save(tmp_path, "orders.csv", SHOPIFY)
    rows = list(read_interactions(source, mapping={"user_id": "Name", "item_id": "Lineitem name"}))
    first = rows[0]
    assert isinstance(first, Interaction)
    assert (first.user_id, first.item_id) == ("#1001", "Hoodie - S")


def test_of_a_cancelled_order_whose_day_its_column_must_tell_the_cancellation_is_left(
    tmp_path: Path,
) -> None:
    text = WOOCOMMERCE.replace("2024-01-05 10:00", "13/04/2024")
    source = save(tmp_path, "orders.csv", text.replace("2024-01-06 11:00", "05/04/2024"))
    rows = read(source)
    assert [(row.event, row.at) for row in rows] == [
        ("purchase", 1712966400), ("purchase", 1712966400), ("cancel", 1712275200),
    ]  # fmt: skip
