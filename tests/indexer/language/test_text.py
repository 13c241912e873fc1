"""What an item sounds like, written out by hand."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.language.item_text import describe_item, find_title, is_chinese


def test_an_english_item_reads_title_tags_prose_facts_numbers_reviews() -> None:
    item = {
        "id": "m1",
        "rating": 4.5,
        "reviews": ["Loved it.", {"text": "Too long"}],
        "title": "The  Quiet\nSea",
        "price": 9.9,
        "tags": ["drama", "sea"],
        "year": 1999,
        "director": "A. Person",
        "description": "Two friends sail north.",
        "studio_name": "Blue House",
    }
    assert describe_item(item, rating_scale=(0, 5)) == (
        "The Quiet Sea. drama, sea. Two friends sail north. director: A. Person. "
        "studio name: Blue House. from 1999. rated excellent. priced under ten. Loved it. Too long"
    )


def test_a_chinese_item_reads_in_chinese() -> None:
    item = {
        "id": "m1",
        "title": "电影A",
        "tags": ["悬疑", "恐怖"],
        "rating": 4.5,
        "brand": "某厂",
        "price": 700,
        "created_at": "2024-05-01",
    }
    assert describe_item(item) == (
        "电影A。悬疑、恐怖。品牌：某厂。2024年。口碑极佳。价格两千元以内"
    )


@pytest.mark.parametrize(
    ("rating", "scale", "words"),
    [
        (5, (0, 5), "rated excellent"),
        (4.5, (0, 5), "rated excellent"),
        (4, (0, 5), "rated very good"),
        (3, (0, 5), "rated good"),
        (2, (0, 5), "rated average"),
        (1, (0, 5), "rated poor"),
        (-7, (0, 5), "rated poor"),
        (8.5, (1, 10), "rated very good"),
        (8.5, (0, 100), "rated poor"),
        (3, (3, 3), "rated excellent"),
    ],
)
def test_a_rating_becomes_words_by_its_share_of_the_scale(
    rating: float, scale: tuple[float, float], words: str
) -> None:
    assert describe_item({"title": "x", "rating": rating}, rating_scale=scale) == f"x. {words}"


@pytest.mark.parametrize(
    ("price", "words"),
    [
        (0, "priced under ten"),
        (10, "priced under fifty"),
        (99.99, "priced under a hundred"),
        (499, "priced under five hundred"),
        (1999, "priced under two thousand"),
        (2000, "priced over two thousand"),
    ],
)
def test_a_price_becomes_words(price: float, words: str) -> None:
    assert describe_item({"title": "x", "price": price}) == f"x. {words}"


@pytest.mark.parametrize(
    "silent",
    [
        {"id": "abc"},
        {"imdb_id": "tt0111161"},
        {"image_url": "a picture"},
        {"homepage": "https://example.org/x"},
        {"isbn": "ABC"},
        {"language": "en"},
        {"available": True},
        {"minutes": 90},
        {"location": {"name": "x"}},
        {"plot_hash": "xyz"},
        {"notes": "long " * 30},
    ],
)
def test_what_says_nothing_about_the_item_stays_out(silent: dict[str, Any]) -> None:
    assert describe_item({"title": "Alien", **silent}) == "Alien"


def test_what_is_said_twice_is_told_once() -> None:
    item = {"title": "Alien", "tags": ["space"], "genres": ["space", "horror"], "plot": "Alien"}
    assert describe_item(item) == "Alien. space, horror"


def test_the_order_of_fields_does_not_matter() -> None:
    item = {"title": "x", "tags": ["a"], "mood_word": "calm", "author": "b", "zebra": "c"}
    turned = dict(reversed(item.items()))
    assert describe_item(item) == describe_item(turned)


def test_what_is_long_is_cut_at_a_word() -> None:
    text = describe_item({"title": "x", "description": "word " * 1_000})
    assert len(text) < 1_300
    assert text.endswith("word")


def test_title_comes_from_the_first_field_that_has_one() -> None:
    assert find_title({"label": "d", "headline": "c", "name": " "}) == "c"
    assert find_title({"description": "d"}) == ""


def test_a_fifth_of_the_letters_makes_a_text_chinese() -> None:
    assert is_chinese("abcd雨")
    assert not is_chinese("abcde雨")
    assert not is_chinese("  ")
    assert is_chinese("雨 天")


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
names = st.sampled_from(
    ["title", "tags", "description", "brand", "rating", "price", "reviews", "year", "odd", "genres"]
)


@given(st.dictionaries(names, values))
def test_any_item_has_one_tidy_text(item: dict[str, Any]) -> None:
    text = describe_item(item)
    assert text == describe_item(item) == text.strip()
    assert len(text) < 12_000
