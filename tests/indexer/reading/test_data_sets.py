"""Files in the shape of public data sets and shop exports are read without any option."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from indexer.reading import (
    EventReading,
    Interaction,
    Item,
    ReadingNotes,
    Rejection,
    read_catalog,
    read_interactions,
)


@dataclass(frozen=True)
class DataSet:
    """A catalogue, its interactions, and what one item and one interaction are."""

    catalogue: tuple[str, str]  # name of the file, text
    interactions: tuple[str, str]
    item: dict[str, Any]
    pair: tuple[str, str]  # user and item of the first interaction
    value: float | None = None
    at: float | None = None


def lines(*objects: dict[str, Any]) -> str:
    return "".join(json.dumps(o, ensure_ascii=False) + "\n" for o in objects)


DATA_SETS = {
    "MovieLens 1M": DataSet(
        ("movies.dat", "1::Toy Story (1995)::Animation|Children's|Comedy\n2::Heat (1995)::Crime\n"),
        ("ratings.dat", "17::2::5::978300760\n17::1::3::978302109\n"),
        {"id": "2", "title": "Heat (1995)", "genres": ["Crime"]},
        ("17", "2"), 5.0, 978300760.0,
    ),
    "MovieLens latest": DataSet(
        ("movies.csv", 'movieId,title,genres\n1,"Toy Story, 1",Animation|Comedy\n2,Heat,Crime\n'),
        ("ratings.csv", "userId,movieId,rating,timestamp\n9,2,4.5,1147880044\n"),
        {"id": "2", "title": "Heat", "genres": ["Crime"]},
        ("9", "2"), 4.5, 1147880044.0,
    ),
    "MovieLens 100K": DataSet(
        ("u.csv", "movie id|movie title|release date\n1|Toy|01-Jan-1995\n2|Heat|15-Dec-1995\n"),
        ("u.data", "196\t2\t3\t881250949\n186\t1\t3\t891717742\n"),
        {"id": "2", "title": "Heat", "release_date": "15-Dec-1995"},
        ("196", "2"), 3.0, 881250949.0,
    ),
    "Amazon 2023": DataSet(
        ("meta.jsonl", lines(
            {"main_category": "Home", "title": "Kettle", "average_rating": 4.5,
             "description": ["Boils.", "Loud."], "price": "from 15.99", "parent_asin": "B01"},
            {"title": "Mug", "description": [], "price": "—", "parent_asin": "B02"},
        )),
        ("reviews.jsonl", lines(
            {"rating": 5.0, "title": "Good", "text": "It boils.", "images": [], "asin": "B01X",
             "parent_asin": "B01", "user_id": "AX", "timestamp": 1588687728923,
             "verified_purchase": True},
        )),
        {"id": "B02", "title": "Mug"},
        ("AX", "B01"), 5.0, 1588687728.923,
    ),
    "Amazon 2018": DataSet(
        ("meta.json", lines({"asin": "000171", "title": "Mug", "category": ["Home", "Kitchen"]})),
        ("reviews.json", lines(
            {"overall": 4.0, "reviewerID": "A1", "asin": "000171", "reviewText": "Fine.",
             "reviewTime": "09 13, 2009", "unixReviewTime": 1252800000},
        )),
        {"id": "000171", "title": "Mug", "category": ["Home", "Kitchen"]},
        ("A1", "000171"), 4.0, 1252800000.0,
    ),
    "Yelp": DataSet(
        ("business.json", lines(
            {"business_id": "Pns2", "name": "Abby's", "city": "Reno", "stars": 4.5, "is_open": 1,
             "categories": "Doctors, Health & Medical"},
            {"business_id": "Qt1", "name": "Bar One", "categories": "Bars, Nightlife"},
        )),
        ("review.json", lines(
            {"review_id": "r1", "user_id": "mh_", "business_id": "Pns2", "stars": 3.0, "useful": 0,
             "text": "Ok.", "date": "2018-07-07 22:09:11"},
        )),
        {"id": "Pns2", "title": "Abby's", "city": "Reno", "stars": 4.5, "is_open": 1},
        ("mh_", "Pns2"), 3.0, 1531001351.0,
    ),
    "Goodreads": DataSet(
        ("books.csv", "book_id,isbn,authors,title\n2,439554934,Rowling,Potter\n"),
        ("ratings.csv", "user_id,book_id,rating\n1,2,5\n"),
        {"id": "2", "title": "Potter", "isbn": "439554934", "authors": "Rowling"},
        ("1", "2"), 5.0,
    ),
    "Book-Crossing": DataSet(
        ("BX-Books.csv", '"ISBN";"Book-Title";"Book-Author"\n"0195153448";"Myths";"Morford"\n'),
        ("BX-Ratings.csv", '"User-ID";"ISBN";"Book-Rating"\n"276";"0195153448";"7"\n'),
        {"id": "0195153448", "title": "Myths"},
        ("276", "0195153448"), 7.0,
    ),
    "Last.fm": DataSet(
        ("artists.dat", "id\tname\turl\n1\tMALICE MIZER\thttp://x\n2\tDiary of Dreams\thttp://y\n"),
        ("user_artists.dat", "userID\tartistID\tweight\n2\t1\t13883\n2\t2\t11690\n"),
        {"id": "1", "title": "MALICE MIZER"},
        ("2", "1"), 13883.0,
    ),
    "Kaggle movies": DataSet(
        ("movies_metadata.csv",
         "adult,budget,genres,id,title,overview,belongs_to_collection\n"
         "False,30000000,\"[{'id': 16, 'name': 'Animation'}, {'id': 35, 'name': 'Comedy'}]\",862,"
         "Toy Story,Toys.,\"{'id': 1, 'name': \"\"Andy's\"\"}\"\n"
         "False,65000000,\"[{'id': 12, 'name': 'Adventure'}]\",8844,Jumanji,A game.,\n"),
        ("ratings_small.csv", "userId,movieId,rating,timestamp\n1,862,2.5,1260759144\n"),
        {"id": "862", "title": "Toy Story", "genres": ["Animation", "Comedy"], "adult": False,
         "belongs_to_collection": {"id": 1, "name": "Andy's"}},
        ("1", "862"), 2.5, 1260759144.0,
    ),
    "Taobao": DataSet(
        ("items.csv", "商品ID,商品名称,类别,价格\n2268318,水壶,家居、厨房,¥99\n"
         "2333346,杯子,家居、餐具,¥15\n"),
        ("UserBehavior.csv", "1,2268318,2520377,pv,1511544070\n1,2333346,2520771,buy,1511561733\n"),
        {"id": "2268318", "title": "水壶", "categories": ["家居", "厨房"], "price": 99},
        ("1", "2268318"), None, 1511544070.0,
    ),
    "Douban": DataSet(
        ("movies.csv", "MOVIE_ID,NAME,GENRES,DOUBAN_SCORE\n1,霸王别姬,剧情/爱情,9.6\n"
         "2,无间道,剧情/犯罪,9.3\n"),
        ("ratings.csv",
         "RATING_ID,USER_MD5,MOVIE_ID,RATING,RATING_TIME\n5,0ab7,1,5,2018-08-19 12:13:12\n"),
        {"id": "1", "title": "霸王别姬", "genres": ["剧情", "爱情"]},
        ("0ab7", "1"), 5.0, 1534680792.0,
    ),
    "WooCommerce": DataSet(
        ("products.csv",
         'ID,Type,SKU,Name,Published,Description,"In stock?",Stock,"Regular price",Categories,'
         'Tags\n'
         '44,simple,w-h,Hoodie,1,Warm.,1,7,45,"Clothing, Hoodies","red, winter"\n'
         '45,simple,w-c,Cap,1,Round.,0,,16,"Clothing, Accessories","red, summer"\n'),
        ("orders.csv", "Customer ID,Product ID,Quantity,Order Date\nc1,44,2,2024-01-05\n"),
        {"id": "44", "title": "Hoodie", "description": "Warm.", "price": 45, "available": True,
         "tags": ["red", "winter"], "categories": ["Clothing", "Hoodies"]},
        ("c1", "44"), 2.0, 1704412800.0,
    ),
    "Shopify": DataSet(
        ("products_export.csv",
         'Handle,Title,Body (HTML),Vendor,Tags,Published,Variant SKU,Variant Price\n'
         'hoodie,Hoodie,Warm.,Acme,"red, winter",true,h-1,45.00\n'
         'cap,Cap,Round.,Acme,"red, summer",true,c-1,16.00\n'),
        ("orders.csv", "customer,handle,action,created_at\nc1,hoodie,purchase,2024-01-05\n"),
        {"id": "hoodie", "title": "Hoodie", "description": "Warm.", "brand": "Acme", "price": 45,
         "tags": ["red", "winter"]},
        ("c1", "hoodie"), None, 1704412800.0,
    ),
}  # fmt: skip


def save(folder: Path, file: tuple[str, str]) -> str:
    path = folder / file[0]
    path.write_text(file[1], encoding="utf-8")
    return str(path)


def check_fields(items: Sequence[Item], expected: dict[str, Any]) -> None:
    (found,) = (item.fields for item in items if item.id == expected["id"])
    assert {name: found.get(name) for name in expected} == expected


@pytest.mark.parametrize("name", DATA_SETS)
def test_a_known_data_set_needs_no_option(tmp_path: Path, name: str) -> None:
    data = DATA_SETS[name]
    rows = list(read_catalog([save(tmp_path, data.catalogue)]))
    items = [row for row in rows if isinstance(row, Item)]
    assert rows == items
    check_fields(items, data.item)
    events = list(read_interactions(save(tmp_path, data.interactions)))
    first = events[0]
    assert isinstance(first, Interaction), first
    assert (first.user_id, first.item_id) == data.pair
    assert (first.value, first.at) == (data.value, data.at)
    assert {e.item_id for e in events if isinstance(e, Interaction)} <= {item.id for item in items}


def test_what_was_guessed_is_told(tmp_path: Path) -> None:
    data = DATA_SETS["Book-Crossing"]
    told: list[str] = []
    catalogue, interactions = save(tmp_path, data.catalogue), save(tmp_path, data.interactions)
    list(read_catalog([catalogue], notes=ReadingNotes(told.append)))
    list(read_interactions(interactions, reading=EventReading(notes=ReadingNotes(told.append))))
    ways = "(--fields ours=theirs decides otherwise)"
    assert told == [
        f"{catalogue}: its cells are separated by semicolons",
        f"{catalogue}: reads ISBN as id, Book-Title as title {ways}",
        f"{interactions}: its cells are separated by semicolons",
        f"{interactions}: reads User-ID as user_id, ISBN as item_id, Book-Rating as value {ways}",
    ]


def test_further_variants_of_a_product_are_no_bad_rows(tmp_path: Path) -> None:
    text = (
        "Handle,Title,Option1 Value,Variant Price,Image Src\n"
        "hoodie,Hoodie,S,45.00,a.png\nhoodie,,M,46.00,b.png\nhoodie,,,,c.png\n"
        "cap,Cap,,16.00,\nmug,,,,\n"
    )
    path = save(tmp_path, ("products.csv", text))
    notes = ReadingNotes()
    *items, bad = read_catalog([path], notes=notes)
    assert [(item.id, item.fields["price"]) for item in items if isinstance(item, Item)] == [
        ("hoodie", 45.0),
        ("cap", 16.0),
    ]
    assert isinstance(bad, Rejection)
    assert bad.line == 6
    assert notes.sentences[-1] == (
        f"{path}: 2 rows without a title go on with the product before them (variants, pictures) "
        f"and are left out; it keeps their SKUs"
    )
