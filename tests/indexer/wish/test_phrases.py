"""Phrases that people type, and what only looks like one, with bounds worked out by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.wish import Subject, find_phrases, remove_phrases

YEARS: list[tuple[str, dict[str, float], str]] = [
    ("before 1970", {"lt": 1970}, ""),
    ("a western from before 1970", {"lt": 1970}, "a western from"),
    ("comedies after 2010", {"gt": 2010}, "comedies"),
    ("jazz since 2000", {"gte": 2000}, "jazz"),
    ("anything until 1980 please", {"lte": 1980}, "anything please"),
    ("films from the 90s", {"gte": 1990, "lte": 1999}, "films"),
    ("films from the 1990's with robots", {"gte": 1990, "lte": 1999}, "films with robots"),
    ("80s movies", {"gte": 1980, "lte": 1989}, "movies"),
    ("the best ’70s rock", {"gte": 1970, "lte": 1979}, "the best rock"),
    ("songs from the nineties", {"gte": 1990, "lte": 1999}, "songs"),
    ("thrillers released in 1994", {"gte": 1994, "lte": 1994}, "thrillers"),
    ("thrillers from 1994 onwards", {"gte": 1994}, "thrillers"),
    ("noir from 1940 to 1955", {"gte": 1940, "lte": 1955}, "noir"),
    ("noir between 1940 and 1955", {"gte": 1940, "lte": 1955}, "noir"),
    ("before the 80s", {"lt": 1980}, ""),
    ("after the eighties", {"gt": 1989}, ""),
    ("older than 1960", {"lt": 1960}, ""),
    ("BEFORE １９７０", {"lt": 1970}, ""),
    ("1994年以前的电影", {"lt": 1994}, "电影"),
    ("一九九四年之前的片子", {"lt": 1994}, "片子"),
    ("二〇一〇年以后的科幻片", {"gte": 2010}, "科幻片"),
    ("2000年以来的小说", {"gte": 2000}, "小说"),
    ("九十年代", {"gte": 1990, "lte": 1999}, ""),
    ("90年代的老歌", {"gte": 1990, "lte": 1999}, "老歌"),
    ("上世纪八十年代的电影", {"gte": 1980, "lte": 1989}, "电影"),
    ("20世纪20年代的电影", {"gte": 1920, "lte": 1929}, "电影"),
    ("1994年上映的电影", {"gte": 1994, "lte": 1994}, "电影"),
    ("1990年到1999年的电影", {"gte": 1990, "lte": 1999}, "电影"),
    ("2010年代的动画", {"gte": 2010, "lte": 2019}, "动画"),
]
PRICES: list[tuple[str, dict[str, float], str | None, str]] = [
    ("a gift under 20 €", {"lt": 20}, "EUR", "a gift"),
    ("a gift under €20", {"lt": 20}, "EUR", "a gift"),
    ("headphones below $15.50", {"lt": 15.5}, "USD", "headphones"),
    ("less than twenty euros", {"lt": 20}, "EUR", ""),
    ("a knife for less than 1,200 dollars", {"lt": 1200}, "USD", "a knife"),
    ("up to 50 dollars", {"lte": 50}, "USD", ""),
    ("a lamp, 30 € or less", {"lte": 30}, "EUR", "a lamp"),
    ("a watch over £100", {"gt": 100}, "GBP", "a watch"),
    ("between 10 and 20 euros", {"gte": 10, "lte": 20}, "EUR", ""),
    ("二十块以内的礼物", {"lte": 20}, "CNY", "礼物"),
    ("不超过100元的耳机", {"lte": 100}, "CNY", "耳机"),
    ("一百五十元以下", {"lte": 150}, "CNY", ""),
    ("一千五以上的手表", {}, None, "一千五以上的手表"),
    ("两百块钱以上的手表", {"gte": 200}, "CNY", "手表"),
    ("50到100元的书", {"gte": 50, "lte": 100}, "CNY", "书"),
    ("不到三万元", {"lt": 30_000}, "CNY", ""),
    ("under 20 ¥", {"lt": 20}, "¥", ""),
]
CHILDREN = [
    "games for children",
    "a film for my kids",
    "适合孩子的书",
    "给小朋友看的动画",
    "kid-friendly",
]
TRAPS = [
    "1984", "like 1984", "2001: A Space Odyssey", "under the sea", "before sunrise",
    "20,000 leagues under the sea", "10 things I hate about you", "三十岁的女人", "Apollo 13",
    "a woman in her thirties", "movies set in the 1920s", "life before 1900", "a war after 1945",
    "born after 1980", "from the 20s", "Blade Runner 2049", "the year 1999", "28 days later",
    "under 20", "less than 90 minutes", "10 km from the sea", "a bag under 20 pounds", "room 1408",
    "not for children", "children of men", "no country for old men", "关于九十年代的小说",
    "九十年代的生活", "八九十年代", "二十年代", "1942", "三块广告牌", "两千年前的故事", "十二怒汉",
    "不适合孩子", "90后", "三年以前", '"before 1970"', "《九十年代》", "描写1994年以前的书",
    "一百元", "20 €", "before 70", "before 19700", "in 1994", "1994年", "the 39 steps",
]  # fmt: skip


@pytest.mark.parametrize(("text", "bounds", "rest"), YEARS)
def test_a_time_is_read_with_its_bounds(text: str, bounds: dict[str, float], rest: str) -> None:
    phrases = find_phrases(text)
    assert [(p.subject, p.bounds) for p in phrases] == [(Subject.YEAR, bounds)]
    assert remove_phrases(text, phrases) == rest


@pytest.mark.parametrize(("text", "bounds", "currency", "rest"), PRICES)
def test_a_price_is_read_with_its_bounds(
    text: str, bounds: dict[str, float], currency: str | None, rest: str
) -> None:
    phrases = find_phrases(text)
    expected = [(Subject.PRICE, bounds, currency)] if bounds else []
    assert [(p.subject, p.bounds, p.currency) for p in phrases] == expected
    assert remove_phrases(text, phrases) == rest


@pytest.mark.parametrize("text", CHILDREN)
def test_what_is_for_children_is_read(text: str) -> None:
    assert [p.subject for p in find_phrases(text)] == [Subject.CHILDREN]


@pytest.mark.parametrize("text", TRAPS)
def test_what_only_looks_like_a_bound_is_left_alone(text: str) -> None:
    assert find_phrases(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "80s and 90s music",
        "music from the 80s or the 90s",
        "movies from 1984 or 1994",
        "nothing from the 90s",
        "songs after 1990 but not 1994",
        "90年代和80年代的歌",
        "1994年以前的电影，但不要1990年的",
        "a film with a budget over $100 million",
        "made more than $5 billion",
        "under $1.5k",
        "under $20 million",
        "gift for my kids' teacher",
        "books for children of divorced parents",
    ],
)
def test_what_would_be_half_read_is_left_alone(text: str) -> None:
    assert find_phrases(text) == []


def test_on_means_onwards_only_where_the_time_ends() -> None:
    for text in ("films from 1985 on", "films from 1985 onwards with music"):
        assert [phrase.bounds for phrase in find_phrases(text)] == [{"gte": 1985}]
    (phrase,) = find_phrases("films from 1985 on Netflix")
    assert phrase.bounds == {"gte": 1985, "lte": 1985}


def test_two_bounds_of_one_stretch_are_both_read() -> None:
    found = find_phrases("films after 1950 and before 1970")
    assert [phrase.bounds for phrase in found] == [{"gt": 1950}, {"lt": 1970}]


def test_several_phrases_are_read_in_order() -> None:
    text = "a thriller from the 90s under 20 € for kids"
    found = find_phrases(text)
    assert [p.subject for p in found] == [Subject.YEAR, Subject.PRICE, Subject.CHILDREN]
    assert [text[p.start : p.end] for p in found] == ["from the 90s", "under 20 €", "for kids"]


@given(text=st.text("abcdefghinorstuvwy '’€$-,.年代以前后内元块不超过的电影孩子《》"))
def test_a_text_without_numbers_names_no_bounds(text: str) -> None:
    numeric = [p for p in find_phrases(text) if p.subject is not Subject.CHILDREN]
    # "nineties" and "twenty euros" are numbers in letters; chance does not write them.
    assert numeric == []


@given(text=st.text('before from the 90s年代以前 under€$十块不超过孩子 19,.-《》"', max_size=400))
def test_phrases_lie_apart_in_the_text_whatever_it_is(text: str) -> None:
    phrases = find_phrases(text)
    ends = [0, *(place for p in phrases for place in (p.start, p.end)), len(text)]
    assert ends == sorted(ends)
    assert len(remove_phrases(text, phrases)) <= len(text) + len(phrases)


@pytest.mark.parametrize(
    "piece",
    ["before ", "1", "between 1990 and ", "the ", "十", "不超过", "€1,", '"', "《", " ", "from 19"],
)
def test_the_longest_wish_is_read_and_a_longer_text_is_not(piece: str) -> None:
    """A pattern that goes back and forth would not come to an end here."""
    find_phrases((piece * 300)[:300])
    assert find_phrases(("films from the 90s " + piece * 300)[:301]) == []
