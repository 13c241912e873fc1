"""Rows are found in JSON as APIs, databases and programs write it."""

import json
from pathlib import Path
from typing import Any

import pytest

from indexer.errors import CatalogError
from indexer.reading import Interaction, Item, read_catalog, read_interactions
from indexer.reading.notes import ReadingNotes

ITEMS = [{"id": "1", "title": "Kettle"}, {"id": "2", "title": "Teapot"}]
_HITS = [{"_index": "p", "_id": item["id"], "_source": {"title": item["title"]}} for item in ITEMS]


def read(path: Path, text: str) -> tuple[list[dict[str, Any]], list[str]]:
    path.write_text(text, encoding="utf-8")
    notes = ReadingNotes()
    rows = list(read_catalog([str(path)], notes=notes))
    assert all(isinstance(row, Item) for row in rows), rows
    return [row.fields for row in rows if isinstance(row, Item)], notes.sentences


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ({"data": {"items": ITEMS}}, "one JSON array ('data.items')"),
        ({"data": {"shop": {"total": 2, "a.b": ITEMS}}}, "one JSON array ('data.shop.a.b')"),
        ({"took": 3, "hits": {"total": {"value": 2}, "hits": _HITS}},
         "one JSON array ('hits.hits')"),
        ({item["id"]: {"title": item["title"]} for item in ITEMS},
         "one JSON object of objects, whose names are their ids"),
        ({"x": ITEMS[0], "y": ITEMS[1]}, "one JSON object of objects, whose names are their ids"),
    ],
)  # fmt: skip
def test_rows_are_found_within_objects(
    tmp_path: Path, value: Any, kind: str, indent: int | None
) -> None:
    items, told = read(tmp_path / "a.json", json.dumps(value, indent=indent))
    assert [{"id": item["id"], "title": item["title"]} for item in items] == ITEMS
    assert told[0].endswith(f"a.json is {kind}; its rows are counted by object, from 1")


def test_documents_of_elasticsearch_are_read_a_line(tmp_path: Path) -> None:
    items, _ = read(tmp_path / "a.json", "\n".join(map(json.dumps, _HITS)))
    assert [{"id": item["id"], "title": item["title"]} for item in items] == ITEMS


@pytest.mark.parametrize("indent", [None, 1])
def test_connections_of_graphql_are_lists_of_their_nodes(
    tmp_path: Path, indent: int | None
) -> None:
    edges: list[Any] = [{"cursor": item["id"], "node": dict(item)} for item in ITEMS]
    edges[0]["node"]["variants"] = {"edges": [{"node": {"color": "red"}}], "pageInfo": {}}
    edges[1]["node"] |= {"variants": {"edges": []}, "prices": {"edges": [1, 2]}}
    edges[1]["__typename"] = "ProductEdge"
    edges[1]["node"]["route"] = {"edges": 3, "node": {"x": 1}, "length": 2}  # which is none
    page = {"data": {"products": {"edges": edges, "pageInfo": {"hasNextPage": False}}}}
    items, _ = read(tmp_path / "a.json", json.dumps(page, indent=indent))
    assert [{"id": item["id"], "title": item["title"]} for item in items] == ITEMS
    assert items[0]["variants"] == [{"color": "red"}]
    parts = [{**item, "parts": {"edges": [{"node": {"size": "L"}}]}} for item in ITEMS]
    (first, _), _ = read(tmp_path / "b.json", json.dumps({"data": {"items": parts}}, indent=indent))
    assert first["parts"] == [{"size": "L"}]
    assert items[1]["variants"] == []
    assert items[1]["prices"] == {"edges": [1, 2]}
    assert items[1]["route"] == {"edges": 3, "node": {"x": 1}, "length": 2}


def test_types_of_mongodb_are_plain_values(tmp_path: Path) -> None:
    row = {
        "_id": {"$oid": "5f9f1b9b9c9d440000000001"}, "title": "Kettle",
        "price": {"$numberDecimal": "9.99"}, "stock": {"$numberInt": "5"},
        "weight": {"$numberDouble": "NaN"},
        "facts": {"sold": [{"$numberLong": "7"}]}, "createdAt": {"$date": "2024-05-01T00:00:00Z"},
    }  # fmt: skip
    other = {**row, "_id": {"$oid": "b"}, "createdAt": {"$date": {"$numberLong": "1714521600000"}}}
    items, _ = read(tmp_path / "a.json", json.dumps(row) + "\n" + json.dumps(other))
    assert [item["id"] for item in items] == ["5f9f1b9b9c9d440000000001", "b"]
    assert [item["created_at"] for item in items] == [items[0]["created_at"]] * 2
    assert (items[0]["price"], items[0]["stock"]) == (9.99, 5)
    assert "weight" not in items[0]
    assert items[0]["facts"] == {"sold": [7]}


def test_an_interaction_of_mongodb_has_the_id_of_its_item(tmp_path: Path) -> None:
    event = {"_id": {"$oid": "e"}, "userId": "u", "itemId": {"$oid": "b"}, "event": "click"}
    path = tmp_path / "a.json"
    path.write_text(json.dumps(event), encoding="utf-8")
    (found,) = read_interactions(str(path))
    assert isinstance(found, Interaction)
    assert (found.user_id, found.item_id) == ("u", "b")


def test_dicts_of_python_are_read_a_line(tmp_path: Path) -> None:
    items, _ = read(
        tmp_path / "a.json",
        "{'asin': 'B0', 'title': \"Baker's kettle\", 'price': 9.9, 'also': None}\n"
        "{'asin': 'B1', 'title': 'Teapot', 'tags': ['a', 'b']}\n",
    )
    assert [(item["id"], item["title"]) for item in items] == [
        ("B0", "Baker's kettle"),
        ("B1", "Teapot"),
    ]


def test_columns_beside_each_other_are_told_with_a_remedy(tmp_path: Path) -> None:
    value = {"title": {"0": "Kettle", "1": "Teapot"}, "price": {"0": 3, "1": 4}}
    with pytest.raises(CatalogError, match=r"a\.json is JSON .*orient='records', lines=True"):
        read(tmp_path / "a.json", json.dumps(value))


def test_one_interaction_with_a_list_of_objects_is_one(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"user": "u", "item": "i", "context": {"seen": [{"x": 1}]}}))
    (found,) = read_interactions(str(path))
    assert isinstance(found, Interaction)
    assert (found.user_id, found.item_id) == ("u", "i")
