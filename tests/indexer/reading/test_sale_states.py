"""An item that its shop does not sell is not available, whatever its stock, by every door."""

import json
from pathlib import Path
from typing import Any

import pytest

from indexer.reading import (
    FindingCounts,
    Item,
    ReadingNotes,
    Rejection,
    Row,
    apply_patch,
    read_catalog,
    to_item,
)
from indexer.reading.sale_states import read_sale_state


@pytest.mark.parametrize(
    ("name", "value", "is_sold"),
    [
        ("Published", 0, False), ("Published", -1, False), ("Published", 1, True),
        ("published", "false", False), ("published", "2024-05-01", None),
        ("Status", "draft", False), ("status", "Archived", False), ("Status", "active", True),
        ("status", "Released", None), ("status", 0, None), ("status", "sold out", False),
        ("Visibility in catalog", "hidden", False), ("visibility", "visible", True),
        ("Visibility in catalog", "search", None), ("visibility", 10, None),
        ("visibility", "Not Visible Individually", False),
        ("is_open", 0, False), ("isOpen", 1, True), ("is_open", "maybe", None),
        ("状态", "下架", False), ("商品状态", "在售", True), ("是否在售", "否", False),
        ("状态", "已完结", None), ("上架状态", "草稿", False), ("是否下架", "是", False),
        ("is_deleted", True, False), ("discontinued", 0, True), ("Discontinued", "1", False),
        ("hidden", "treasure", None), ("active", {"a": 0}, None), ("state", "draft", None),
        ("closed", True, None), ("status", None, None),
    ],
)  # fmt: skip
def test_what_fields_say_of_a_sale(name: str, value: Any, is_sold: bool | None) -> None:  # noqa: FBT001  # a value, not a switch
    assert read_sale_state(name, value) is is_sold


def read(path: Path, text: str) -> tuple[list[Item], list[str], list[str]]:
    """The items, what is told of the file, and what is told of fields."""
    path.write_text(text, encoding="utf-8")
    notes, counts = ReadingNotes(), FindingCounts()
    items = [item for item in read_catalog([str(path)], notes=notes) if isinstance(item, Item)]
    for item in items:
        counts.add(item.fields, item.findings, f"{item.source}:{item.line}")
    return items, notes.sentences, counts.render()


WOOCOMMERCE = (
    'ID,Type,SKU,Name,Published,"Visibility in catalog","In stock?","Regular price",Parent\n'
    "44,variable,hood,Hoodie,1,visible,1,45,\n"
    "45,variation,hood-b,Hoodie - Blue,1,visible,1,45,hood\n"
    "46,variation,hood-r,Hoodie - Red,1,visible,1,46,id:44\n"
    "47,simple,cap,Cap,0,visible,1,16,\n"
    "48,simple,mug,Mug,1,hidden,1,9,\n"
    "49,simple,pen,Pen,1,visible,0,2,\n"
    "50,simple,pad,Pad,-1,visible,1,3,\n"
)


def test_products_of_woocommerce_are_available_if_published_visible_and_in_stock(
    tmp_path: Path,
) -> None:
    path = tmp_path / "products.csv"
    items, told, fields = read(path, WOOCOMMERCE)
    assert {item.fields["title"]: item.fields["available"] for item in items} == {
        "Hoodie": True, "Cap": False, "Mug": False, "Pen": False, "Pad": False,
    }  # fmt: skip
    assert told[-1] == (
        f"{path}: 2 rows are variations of the product that they name as their parent, and are "
        f"left out"
    )
    assert fields == [
        f"Published: 2 of 5 not sold, so not available, first {path}:5 0",
        f"Visibility in catalog: 1 of 5 not sold, so not available, first {path}:6 'hidden'",
    ]


def test_products_of_shopify_are_available_if_published_and_active(tmp_path: Path) -> None:
    text = (
        "Handle,Title,Published,Variant Price,Status\n"
        "a,A,true,1,active\nb,B,false,1,active\nc,C,true,1,draft\nd,D,true,1,archived\n"
    )
    items, _, _ = read(tmp_path / "a.csv", text)
    assert [item.fields["available"] for item in items] == [True, False, False, False]


def test_places_and_goods_say_it_in_json_and_in_chinese(tmp_path: Path) -> None:
    places = [{"business_id": n, "name": "Bar", "is_open": n} for n in (0, 1)]
    items, _, _ = read(tmp_path / "a.json", "".join(json.dumps(p) + "\n" for p in places))
    assert [item.fields["available"] for item in items] == [False, True]
    items, _, _ = read(tmp_path / "b.csv", "商品ID,名称,状态\n1,水壶,在售\n2,杯子,下架\n3,碗,\n")
    assert [item.fields.get("available") for item in items] == [True, False, None]


def test_a_status_of_something_else_says_nothing(tmp_path: Path) -> None:
    items, _, _ = read(tmp_path / "a.csv", "id,title,status\n1,A,Released\n2,B,Rumored\n")
    assert all("available" not in item.fields for item in items)


def test_a_request_is_answered_with_what_it_means() -> None:
    item = to_item(Row("request", 1, {"id": "1", "title": "A", "status": "draft"}))
    assert isinstance(item, Item)
    assert item.fields["available"] is False
    assert [finding.reason for finding in item.findings] == [
        "status is 'draft', so the item is not available"
    ]
    again = to_item(Row("request", 1, item.fields))
    assert isinstance(again, Item)
    assert (again.fields, again.findings) == (item.fields, ())


def patch(current: dict[str, Any], change: dict[str, Any]) -> Item:
    item = apply_patch(current, change)
    assert not isinstance(item, Rejection), item.reason
    return item


def test_an_item_that_is_sold_again_is_available_again() -> None:
    draft = {"id": "1", "title": "A", "status": "draft", "available": False}
    assert patch(draft, {"status": "active"}).fields["available"] is True
    assert patch(draft, {"status": "archived"}).fields["available"] is False
    assert patch(draft, {"title": "B"}).fields["available"] is False
    hidden = {**draft, "visibility": "hidden"}
    assert patch(hidden, {"status": "active"}).fields["available"] is False
    sold_out = {"id": "1", "title": "A", "status": "active", "available": False}
    assert patch(sold_out, {"status": "active"}).fields["available"] is False
    on_sale = {**sold_out, "available": True}
    assert patch(on_sale, {"status": "draft"}).fields["available"] is False
