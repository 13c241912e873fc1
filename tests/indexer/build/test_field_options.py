"""A catalogue and its interactions have columns of their own, and names for each."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from indexer import BuildSummary, CatalogError, Index, build_index
from indexer.reading import split_fields
from tests.fakes import WordEncoder
from tests.oracle import write_rows

ITEMS = [{"sku": f"s{n}", "name": f"Cup {n}", "stars": 4.5, "film": f"f{n}"} for n in range(6)]
DEEDS = [{"who": f"u{n % 3}", "film": f"s{n % 6}", "stars": n % 5 + 1} for n in range(30)]


def build(folder: Path, **options: Any) -> BuildSummary:
    items, deeds = folder / "items.jsonl", folder / "deeds.jsonl"
    write_rows(items, ITEMS)
    write_rows(deeds, DEEDS)
    options = {"interactions": str(deeds), **options}
    return build_index(items, folder / "index", encoder=WordEncoder(dim=16), **options)


def read_item(folder: Path, item_id: str) -> dict[str, Any]:
    with closing(Index.open(folder / "index", encoder=WordEncoder(dim=16))) as index:
        items = {item["id"]: item for _, item in index.page(limit=len(index))}
    return items[item_id]


@pytest.mark.parametrize(
    "options",
    [
        {"fields": {"id": "sku", "user_id": "who", "item_id": "film", "value": "stars"}},
        {"fields": {"id": "sku"},
         "interaction_fields": {"user_id": "who", "item_id": "film", "value": "stars"}},
    ],
)  # fmt: skip
def test_names_for_interactions_rename_nothing_of_the_catalogue(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    summary = build(tmp_path, **options)
    assert (summary.interactions, summary.interactions_matched) == (30, 30)
    assert read_item(tmp_path, "s2") == {"id": "s2", "title": "Cup 2", "stars": 4.5, "film": "f2"}
    assert not [note for note in summary.notes if "which no file has" in note]


def test_names_for_the_catalogue_rename_nothing_of_interactions_that_have_their_own(
    tmp_path: Path,
) -> None:
    names = {"user_id": "who", "item_id": "film"}
    summary = build(tmp_path, fields={"id": "sku", "rating": "stars"}, interaction_fields=names)
    assert summary.interactions_matched == 30
    assert read_item(tmp_path, "s2")["rating"] == 4.5


def test_the_ids_that_the_catalogue_has_are_not_missed_in_interactions(tmp_path: Path) -> None:
    deeds = tmp_path / "plays.jsonl"
    write_rows(deeds, [{"user": row["who"], "item": row["film"]} for row in DEEDS])
    summary = build(tmp_path, interactions=str(deeds), fields={"id": "sku"})
    assert summary.interactions_matched == 30
    assert not [note for note in summary.notes if "which no file has" in note]


def test_a_name_that_no_file_has_is_told(tmp_path: Path) -> None:
    summary = build(tmp_path, interactions=None, fields={"id": "sku", "user_id": "uid"})
    assert "--fields names 'uid', which no file has" in summary.notes
    names = {"user_id": "who", "item_id": "film", "text": "words", "colour": "hue"}
    summary = build(tmp_path, fields={"id": "sku"}, interaction_fields=names)
    assert "--interaction-fields names 'words', which no file has" in summary.notes
    assert "--interaction-fields names 'colour', which is no field of interactions" in summary.notes
    with pytest.raises(CatalogError, match=r"--interaction-fields names the column 'whom'.*'who'"):
        build(tmp_path, fields={"id": "sku"}, interaction_fields={**names, "user_id": "whom"})


def test_names_are_split_by_whose_they_are() -> None:
    both = {"title": "name", "id": "sku", "user_id": "who", "weather": "sky", "at": "when"}
    catalogue, interactions = split_fields(both, {}, context=None, has_interactions=True)
    assert catalogue == {"title": "name", "id": "sku", "weather": "sky", "at": "when"}
    assert interactions == {"id": "sku", "user_id": "who", "weather": "sky", "at": "when"}
    assert split_fields(both, {}, context=None, has_interactions=False) == (both, {})
    own = {"user_id": "who"}
    assert split_fields(both, own, context=None, has_interactions=True) == (both, own)


def test_orders_of_a_shop_need_one_command(tmp_path: Path) -> None:
    """Products are known by handles, orders name SKUs; the taste model learns from them."""
    products = ["Handle,Title,Option1 Value,Variant SKU,Variant Price"]
    orders = ["Name,Email,Financial Status,Created at,Lineitem quantity,Lineitem name,Lineitem sku"]
    for n in range(8):
        products += [f"cup-{n},Cup {n},S,c{n}-s,9", f"cup-{n},,L,c{n}-l,9"]
    for n in range(60):
        day = f"2024-0{n // 28 + 1}-{n % 28 + 1:02} 10:00:00 +0000"
        sku, more = f"c{n % 8}-l", f"c{(n + 1) % 8}-s"
        orders += [
            f"#{n},u{n % 7}@x.org,paid,{day},1,Cup {n % 8} - L,{sku}",
            f"#{n},u{n % 7}@x.org,,,2,Cup {(n + 1) % 8} - S,{more}",
        ]
    catalogue, events = tmp_path / "products_export.csv", tmp_path / "orders_export.csv"
    catalogue.write_text("\n".join(products), encoding="utf-8")
    events.write_text("\n".join(orders), encoding="utf-8")
    summary = build_index(
        catalogue, tmp_path / "index", encoder=WordEncoder(dim=16), interactions=str(events)
    )
    assert (summary.items, summary.interactions, summary.interactions_matched) == (8, 120, 120)
    told = json.dumps(summary.notes)
    assert "is read as orders of Shopify" in told
    assert "16 items are named by SKU or title" in told


def test_the_articles_that_transactions_name_need_one_command(tmp_path: Path) -> None:
    articles = ["article_id,product_code,prod_name"]
    articles += [f"0{n:04},0{n // 3:04},Strap top {n}" for n in range(12)]
    deals = ["t_dat,customer_id,article_id,price"]
    deals += [f"2024-01-{n % 28 + 1:02},c{n % 5},0{n % 12:04},0.0{n % 9 + 1}" for n in range(60)]
    (tmp_path / "articles.csv").write_text("\n".join(articles))
    (tmp_path / "transactions.csv").write_text("\n".join(deals))
    summary = build_index(
        tmp_path / "articles.csv", tmp_path / "index", encoder=WordEncoder(dim=16),
        interactions=str(tmp_path / "transactions.csv"),
    )  # fmt: skip
    assert (summary.items, summary.interactions_matched) == (12, 60)
    assert "takes the ids of items from article_id and not from product_code" in summary.notes[0]
