"""What a typed wish says becomes a filter through every door, and only where it is plain."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer import Index, build_index
from indexer.answer import recommend_many
from indexer.live import LiveCatalogue, LiveItem
from indexer.metadata import Schema
from indexer.metadata.schema import FieldInfo, FieldType
from indexer.request import parse_request
from indexer.wish import build_phrase_filter, find_phrases
from tests.fakes import WordEncoder
from tests.oracle import write_rows

FILMS: list[dict[str, Any]] = [
    {"id": f"f{year}", "title": f"{word} {year}", "year": year, "price": year / 100,
     "tags": ["Children"] if year % 20 == 10 else ["drama"]}
    for year, word in zip(range(1930, 2020, 10), ["quiet", "loud", "rainy"] * 3, strict=True)
]  # fmt: skip


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Index:
    root = tmp_path_factory.mktemp("films")
    encoder = WordEncoder(dim=32)
    build_index(write_rows(root / "items.jsonl", FILMS), root / "index", encoder=encoder)
    return Index.open(root / "index", encoder=encoder)


def years_of(answer: Any) -> list[int]:
    return sorted(hit.item["year"] for hit in answer)


@pytest.mark.parametrize(
    ("query", "years", "condition"),
    [
        ("quiet films before 1970", [1930, 1940, 1950, 1960], {"year": {"lt": 1970}}),
        ("quiet films from the 90s", [1990], {"year": {"gte": 1990, "lte": 1999}}),
        ("1950年以前的 quiet", [1930, 1940], {"year": {"lt": 1950}}),
        ("quiet under 20 €", [1930, 1940, 1950, 1960, 1970, 1980, 1990], {"price": {"lt": 20}}),
        ("quiet for children", [1930, 1950, 1970, 1990, 2010], {"tags": {"any": ["Children"]}}),
        (
            "quiet from the 50s for kids",
            [1950],
            {"and": [{"year": {"gte": 1950, "lte": 1959}}, {"tags": {"any": ["Children"]}}]},
        ),
    ],
)
def test_what_a_wish_says_is_a_filter_and_the_answer_shows_it(
    films: Index, query: str, years: list[int], condition: dict[str, Any]
) -> None:
    for answer in (films.recommend(query=query), films.search(query)):
        assert years_of(answer) == years
        assert answer.understood is not None
        assert answer.understood["filter"] == condition
        assert all(word in query for word in answer.understood["from"])
        assert answer.complete["excluded"]["filter"] == len(FILMS) - len(years)
        for hit in answer:
            assert sum(r["share"] for r in hit.reasons) == pytest.approx(hit.score, abs=1e-4)


def test_the_rest_of_a_wish_is_what_is_looked_for(films: Index) -> None:
    answer = films.recommend(query="rainy before 1970")
    plain = films.recommend(query="rainy", filter={"year": {"lt": 1970}})
    assert answer.hits == plain.hits
    assert answer.understood == {
        "filter": {"year": {"lt": 1970}}, "from": ["before 1970"], "query": "rainy",
    }  # fmt: skip
    assert plain.understood is None
    alone = films.recommend(query="before 1970")
    assert alone.understood == {"filter": {"year": {"lt": 1970}}, "from": ["before 1970"]}


def test_it_is_combined_with_the_filter_of_the_request(films: Index) -> None:
    body: dict[str, Any] = {"query": "quiet before 1970", "filter": {"year": {"gte": 1950}}}
    assert years_of(films.recommend(**body)) == [1950, 1960]
    assert years_of(films.search(**body)) == [1950, 1960]


def test_a_wish_that_leaves_nothing_is_no_filter_and_the_answer_says_so(films: Index) -> None:
    answer = films.recommend(query="quiet before 1900")
    assert len(answer) == len(FILMS)
    assert answer.understood == {
        "from": ["before 1900"],
        "left_out": ["no item passes 'before 1900', so it is not a filter"],
    }
    unread = films.recommend(query="quiet before 1900", read_wish=False)
    assert unread.hits == answer.hits
    assert unread.understood is None
    kept = films.recommend(query="quiet before 1970", filter={"year": {"gte": 1990}})
    assert years_of(kept) == [1990, 2000, 2010]


def test_a_wish_is_not_read_if_nobody_wants_it(films: Index) -> None:
    for answer in (
        films.recommend(query="quiet before 1970", read_wish=False),
        films.search("quiet before 1970", read_wish=False),
    ):
        assert len(answer) == len(FILMS)
        assert answer.understood is None


def test_the_title_of_an_item_is_no_filter(tmp_path: Path) -> None:
    rows = [*FILMS, {"id": "t", "title": "Before 1970", "year": 2001}]
    encoder = WordEncoder(dim=32)
    build_index(write_rows(tmp_path / "i.jsonl", rows), tmp_path / "x", encoder=encoder)
    index = Index.open(tmp_path / "x", encoder=encoder)
    assert index.search("before 1970")[0].id == "t"
    assert index.recommend(query="before 1970").understood is None


def test_it_is_explained_without_an_answer(films: Index) -> None:
    answer = films.recommend(query="rainy before 1970", validate_only=True)
    assert answer.understood == films.recommend(query="rainy before 1970").understood
    assert answer.reading is not None
    assert answer.reading["filter"]["items"] == 4
    roles = [(signal["kind"], signal.get("text")) for signal in answer.reading["signals"]]
    assert ("query", "rainy") in roles
    assert ("words", "rainy") in roles


def test_requests_together_are_read_as_each_alone(films: Index) -> None:
    bodies: list[dict[str, Any]] = [
        {"query": f"quiet before {year}", "k": 5} for year in (1900, 1940, 1970, 2000)
    ]
    requests = [parse_request(body) for body in bodies]
    together = recommend_many(films, requests)
    for body, answer in zip(bodies, together, strict=True):
        alone = films.recommend(**body)
        assert answer.hits == alone.hits
        assert answer.understood == alone.understood


def test_live_items_are_among_what_a_wish_leaves(films: Index) -> None:
    fields = {"id": "n", "title": "quiet new", "year": 1805}
    (raw,) = films.encoder.encode_items(["quiet new"])
    catalogue = LiveCatalogue(films).apply_changes([LiveItem("n", fields, raw)])
    (answer,) = recommend_many(catalogue, [parse_request({"query": "quiet before 1900"})])
    assert [hit.id for hit in answer] == ["n"]


@settings(max_examples=50)
@given(
    words=st.lists(
        st.sampled_from(["quiet", "rainy", "1984", "under", "the", "sea", "孩子气"]), min_size=1
    )
)
def test_a_wish_that_says_no_filter_changes_nothing(films: Index, words: list[str]) -> None:
    query = " ".join(words)
    read, unread = films.recommend(query=query), films.recommend(query=query, read_wish=False)
    assert (read.hits, read.understood) == (unread.hits, None)


def field(name: str, kind: FieldType, **more: Any) -> FieldInfo:
    return FieldInfo(name, kind, present=3, **more)


def build(text: str, *infos: FieldInfo) -> Any:
    (phrase,) = find_phrases(text)
    return build_phrase_filter(phrase, Schema({i.name: i for i in infos}), lambda _: False)


def test_a_date_stands_in_for_a_year_with_the_same_bounds() -> None:
    released = field("release_date", FieldType.DATE)
    assert build("before 1970", released) == {"release_date": {"lt": "1970-01-01"}}
    assert build("after 1970", released) == {"release_date": {"gte": "1971-01-01"}}
    assert build("from the 90s", released) == {
        "release_date": {"gte": "1990-01-01", "lt": "2000-01-01"}
    }
    assert build("since 1970", released) == {"release_date": {"gte": "1970-01-01"}}


def test_it_is_never_guessed_which_field_is_meant() -> None:
    year = field("year", FieldType.NUMBER, minimum=1900.0, maximum=2020.0)
    other = field("release_year", FieldType.NUMBER, minimum=1900.0, maximum=2020.0)
    dates = [field(name, FieldType.DATE) for name in ("published", "created_at")]
    assert build("before 1970", year, dates[0]) == {"year": {"lt": 1970}}
    for fields in (
        [],
        [year, other],
        dates,
        [field("year", FieldType.STRING)],
        [field("year", FieldType.NUMBER, minimum=1.0, maximum=12.0)],  # of studies, perhaps
        [field("published", FieldType.BOOLEAN)],
    ):
        assert build("before 1970", *fields) is None
    prices = [field(name, FieldType.NUMBER) for name in ("price", "sale_price")]
    assert build("under 20 €", *prices) is None
    assert build("under 20 €", field("price", FieldType.STRING)) is None
    assert build("for children", field("tags", FieldType.STRING)) is None


def test_a_few_odd_years_do_not_take_the_others_away() -> None:
    usual = tuple((float(year), 5) for year in range(1990, 2000))
    for kind in (FieldType.NUMBER, FieldType.MIXED):
        year = field("year", kind, top_values=(*usual, (9999.0, 1), ("circa 1950", 1)))
        assert build("before 1995", year) == {"year": {"lt": 1995}}
    grades = field("year", FieldType.NUMBER, top_values=((1.0, 50), (2.0, 40), (1999.0, 1)))
    assert build("before 1995", grades) is None


@pytest.mark.parametrize(
    ("sign", "wish"),
    [("€", "under 20 euros"), ("$", "under $20"), ("¥", "under ¥20"), ("¥", "二十块以内"),
     ("元", "不超过20元"), ("jpy", "under ¥20"), ("RMB", "under 20 yuan")],
)  # fmt: skip
def test_a_currency_is_known_by_its_sign(sign: str, wish: str) -> None:
    price = field("price", FieldType.NUMBER)
    money = field("currency", FieldType.STRING, top_values=((sign, 3),))
    assert build(wish, price, money) is not None
    other = field("currency", FieldType.STRING, top_values=((sign, 3), ("£", 1)))
    assert build(wish, price, other) is None


def test_money_of_another_currency_is_no_filter() -> None:
    price = field("price", FieldType.NUMBER)
    euros = field("currency", FieldType.STRING, top_values=(("EUR", 3),))
    both = field("currency", FieldType.STRING, top_values=(("EUR", 2), ("USD", 1)))
    assert build("under 20 €", price, euros) == {"price": {"lt": 20}}
    assert build("under 20 €", price) == {"price": {"lt": 20}}
    assert build("under $20", price, euros) is None
    assert build("under 20 ¥", price, euros) is None
    assert build("under 20 €", price, both) is None
