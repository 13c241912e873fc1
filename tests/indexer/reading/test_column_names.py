"""Columns are known under the names that data sets give them, and --fields decides otherwise."""

import sqlite3
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
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
from indexer.reading.column_names import KNOWN_EXAMPLES, Role, recognise_names
from indexer.reading.memory import to_sources
from indexer.reading.name_spellings import CATALOGUE_SPELLINGS, INTERACTION_SPELLINGS


def recognise(columns: str, role: Role, **mapping: str) -> dict[str, str]:
    return recognise_names(columns.split(","), role, mapping=mapping, context=("weather",))


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ("ID,Title,DESCRIPTION", {"ID": "id", "Title": "title", "DESCRIPTION": "description"}),
        ("movieId,title", {"movieId": "id"}),
        ("Movie ID,title", {"Movie ID": "id"}),
        ("ｉｄ,title", {"ｉｄ": "id"}),
        ("id,ID,title", {}),
        ("id,movieId,sku", {}),
        ("sku,product_id", {"product_id": "id"}),
        ("编号,标题,描述,标签,价格,品牌", {"编号": "id", "标题": "title", "描述": "description",
         "标签": "tags", "价格": "price", "品牌": "brand"}),
        ("商品ID,商品,类别", {"商品ID": "id", "商品": "title", "类别": "categories"}),
        ("商品,价格", {"商品": "title", "价格": "price"}),
        ("商品,名称", {"商品": "id", "名称": "title"}),
        ("商品,title", {"商品": "id"}),
        ("商品编号,名称,评分,时间", {"商品编号": "id", "名称": "title", "评分": "rating",
         "时间": "created_at"}),
        ("Artikelnummer,Titel,Preis,Beschreibung,Bewertung,Verfügbar", {"Artikelnummer": "id",
         "Titel": "title", "Preis": "price", "Beschreibung": "description", "Bewertung": "rating",
         "Verfügbar": "available"}),
        ("StockCode,title", {"StockCode": "id"}),
        ("ad_id,title,average_rating", {"ad_id": "id", "average_rating": "rating"}),
        ("电影ID,片名,豆瓣评分", {"电影ID": "id", "片名": "title", "豆瓣评分": "rating"}),
        ("id,Name", {"Name": "name"}),
        ("id,title,Name", {}),
        ("id,Published", {}),
        ("ad_id,ad_title,brand", {"ad_id": "id", "ad_title": "title"}),
        ("goods_id,Goods Name,shop_name", {"goods_id": "id", "Goods Name": "title"}),
        ("课程ID,课程名称,店铺名称", {"课程ID": "id", "课程名称": "title"}),
        ("hotel_id,hotel_name,title", {"hotel_id": "id"}),
        ("hotel_id,hotel_name,name", {"hotel_id": "id"}),
        ("id,ad_title", {}),
        ("id,title,descriptionHtml", {"descriptionHtml": "description"}),
        ("id,title,description,descriptionHtml", {}),
    ],
)  # fmt: skip
def test_columns_of_a_catalogue(columns: str, expected: dict[str, str]) -> None:
    assert recognise(columns, Role.CATALOGUE) == expected


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ("userId,movieId,rating,timestamp", {"userId": "user_id", "movieId": "item_id"}),
        ("user,item,value", {}),
        ("Kunde,Artikelnummer,Bewertung,Datum", {"Kunde": "user_id", "Artikelnummer": "item_id",
         "Bewertung": "bewertung", "Datum": "timestamp"}),
        ("CustomerID,StockCode,Quantity,InvoiceDate", {"CustomerID": "user_id",
         "StockCode": "item_id", "Quantity": "quantity", "InvoiceDate": "timestamp"}),
        ("User,Item,Rating", {"User": "user_id", "Item": "item_id", "Rating": "rating"}),
        ("asin,parent_asin,user_id", {"parent_asin": "item_id"}),
        ("用户,商品,行为,时间", {"用户": "user_id", "商品": "item_id", "行为": "event",
         "时间": "timestamp"}),
        ("uid,sku,Behavior,Weather", {"uid": "user_id", "sku": "item_id", "Behavior": "event",
         "Weather": "weather"}),
        ("id,user_id,item_id", {}),
        ("user_id,item_id,playCount", {"playCount": "play_count"}),
        ("event_id,user_id,movie", {"movie": "item_id"}),
        ("user_id,item_id,unixReviewTime,reviewTime", {"unixReviewTime": "timestamp"}),
        ("user_id,item_id,date_updated,date_added", {"date_added": "timestamp"}),
        ("user_id,item_id,purchased_at,price", {"purchased_at": "timestamp"}),
        ("user_id,item_id,date_added,time", {}),
    ],
)  # fmt: skip
def test_columns_of_interactions(columns: str, expected: dict[str, str]) -> None:
    assert recognise(columns, Role.INTERACTIONS) == expected


def test_a_catalogue_of_names_alone_says_that_its_ids_are_missing(tmp_path: Path) -> None:
    file = tmp_path / "tea.csv"
    file.write_text("商品,价格\n大吉岭 红茶,12\n龙井 绿茶,30\n")
    with pytest.raises(CatalogError, match="no column is known as id") as refusal:
        list(read_catalog([str(file)]))
    assert "--fields id=COLUMN" in str(refusal.value)
    file.write_text("商品,标签\n17,红茶\n18,绿茶\n")
    items = list(read_catalog([str(file)], mapping={"id": "商品"}))
    assert [item.id for item in items if isinstance(item, Item)] == ["17", "18"]


@pytest.mark.parametrize("column", ["name", "Title", "游戏名称"])
def test_items_that_are_called_by_their_titles_keep_them(tmp_path: Path, column: str) -> None:
    file = tmp_path / "games.csv"
    file.write_text(f"{column},genre\nPortal 2,Puzzle\n黑神话悟空,RPG\n", encoding="utf-8")
    items = list(read_catalog([str(file)], mapping={"id": column}))
    assert [(item.id, item.fields["title"]) for item in items if isinstance(item, Item)] == [
        ("Portal 2", "Portal 2"), ("黑神话悟空", "黑神话悟空"),
    ]  # fmt: skip


def test_a_name_that_serves_as_id_is_no_title_beside_another(tmp_path: Path) -> None:
    file = tmp_path / "games.csv"
    file.write_text("name,title\nportal-2,Portal 2\n")
    (item,) = read_catalog([str(file)], mapping={"id": "name"})
    assert isinstance(item, Item)
    assert (item.id, item.fields["title"]) == ("portal-2", "Portal 2")


def test_a_mapped_column_is_never_guessed() -> None:
    assert recognise("movieId,title", Role.CATALOGUE, id="title") == {}
    assert recognise("userId,movieId", Role.INTERACTIONS, item_id="userId") == {}
    columns = "asin,sku,title"
    assert recognise(columns, Role.CATALOGUE, id="sku") == {}
    # The mapping is for another source of the same build.
    assert recognise(columns, Role.CATALOGUE, id="movieId") == {"asin": "id"}


@pytest.mark.parametrize("role", Role)
def test_every_spelling_is_recognised_and_stands_for_one_field(role: Role) -> None:
    is_catalogue = role is Role.CATALOGUE
    spellings = CATALOGUE_SPELLINGS if is_catalogue else INTERACTION_SPELLINGS
    for ours, words in spellings.items():
        for word in words:
            found = recognise_names([word], role, mapping={})
            assert found == {word: ours} or word == ours or word in ("商品", "物品", "user", "item",
            "time", "at"), (word, found)  # fmt: skip


def test_catalogue_and_interactions_name_their_items_alike() -> None:
    for columns in ("sku,asin,user", "isbn,book_id,user", "货号,商品ID,user"):
        (item,) = recognise(columns, Role.CATALOGUE)
        assert recognise(columns, Role.INTERACTIONS)[item] == "item_id"


@pytest.mark.parametrize("field", ["titel", "titlle", "pirce", "user_di", "itme_id", "timestmap"])
def test_a_misspelt_field_is_refused_with_the_nearest(tmp_path: Path, field: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,name\n1,A\n")
    sentence = f"--fields names the field {field!r}, which is not known; did you mean '"
    with pytest.raises(CatalogError, match=sentence):
        list(read_catalog([str(path)], mapping={field: "name"}))
    with pytest.raises(CatalogError, match=sentence):
        list(read_interactions(str(path), mapping={field: "name"}))


def test_a_field_of_ones_own_may_be_mapped(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,title,c\n1,A,red\n")
    (item,) = read_catalog([str(path)], mapping={"colour": "c"})
    assert isinstance(item, Item)
    assert item.fields == {"id": "1", "title": "A", "colour": "red"}


def test_fields_decide_for_interactions_too(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("userId,movieId,shop,rating\n1,2,3,4\n")
    (found,) = read_interactions(str(path), mapping={"item_id": "shop"})
    assert isinstance(found, Interaction)
    assert (found.user_id, found.item_id, found.value) == ("1", "3", 4.0)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "memory"])
def test_names_are_recognised_in_every_kind_of_source(tmp_path: Path, kind: str) -> None:
    rows: list[dict[str, Any]] = [{"MovieID": "1", "标题": "A"}, {"MovieID": "2", "标题": "B"}]
    path = tmp_path / f"a.{kind}"
    if kind == "csv":
        path.write_text("MovieID,标题\n1,A\n2,B\n")
    elif kind == "jsonl":
        path.write_text('{"MovieID": "1", "标题": "A"}\n{"MovieID": "2", "标题": "B"}\n')
    (source,) = to_sources(rows if kind == "memory" else path)
    notes = ReadingNotes()
    found = [row for row in read_catalog([source], notes=notes) if isinstance(row, Item)]
    assert [item.fields for item in found] == [{"id": "1", "title": "A"}, {"id": "2", "title": "B"}]
    (sentence,) = notes.sentences
    assert sentence.endswith(
        ": reads MovieID as id, 标题 as title (--fields ours=theirs decides otherwise)"
    )


def test_a_row_that_has_our_name_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(
        '{"asin": "x", "title": "A"}\n' * 10_001 + '{"id": "y", "asin": "z", "title": "B"}\n'
    )
    *_, last = read_catalog([str(path)])
    assert isinstance(last, Item)
    assert last.fields == {"id": "y", "asin": "z", "title": "B"}


@pytest.mark.parametrize("role", Role)
def test_a_source_without_ids_says_what_it_has(tmp_path: Path, role: Role) -> None:
    path = tmp_path / "a.csv"
    path.write_text("film,who,when\nA,B,C\n" if role is Role.CATALOGUE else "film,who\nA,B\n")
    notes = ReadingNotes()
    if role is Role.CATALOGUE:
        with pytest.raises(CatalogError) as refusal:
            list(read_catalog([str(path)], notes=notes))
        assert str(refusal.value) == (
            f"{path}: no column is known as id (such as {KNOWN_EXAMPLES['id']}); there are film, "
            f"who, when; name it with --fields id=COLUMN"
        )
        assert notes.sentences == []  # one fault, one sentence
    else:
        list(read_interactions(str(path), reading=EventReading(notes=notes)))
        assert notes.sentences[-1] == (
            f"{path}: no column is known as user_id (such as {KNOWN_EXAMPLES['user_id']}); there "
            f"are item_id, who; name it with --fields user_id=COLUMN"
        )


@pytest.mark.parametrize("kind", ["csv", "parquet", "db"])
def test_columns_without_an_id_are_refused_by_every_door(tmp_path: Path, kind: str) -> None:
    def refuse(columns: dict[str, list[str]]) -> str:
        path = tmp_path / f"a.{kind}"
        path.unlink(missing_ok=True)
        source, query = str(path), None
        if kind == "csv":
            rows = zip(*columns.values(), strict=True)
            path.write_text("\n".join([",".join(columns), *map(",".join, rows)]))
        elif kind == "parquet":
            pq.write_table(pa.table(columns), path)
        else:
            connection = sqlite3.connect(path)
            connection.execute(f"CREATE TABLE t ({', '.join(columns)})")
            for row in zip(*columns.values(), strict=True):
                connection.execute("INSERT INTO t VALUES (?, ?)", row)
            connection.commit()
            connection.close()
            source, query = f"sqlite:///{path}", "t"
        with pytest.raises(CatalogError) as refusal:
            list(read_catalog([source], query=query))
        return str(refusal.value).partition(": ")[2]

    assert refuse({"title": ["A"], "price": ["2"]}).startswith("no column is known as id (such as")


def test_the_names_that_messages_show_are_recognised() -> None:
    for field, examples in KNOWN_EXAMPLES.items():
        role = Role.INTERACTIONS if field in ("user_id", "item_id") else Role.CATALOGUE
        for name in examples.split(", "):
            ours = recognise(f"title,{name}" if field == "id" else name, role).get(name, name)
            assert ours == field, name
