"""Names of events as programs write them, and what is said of those that nobody can know."""

import pytest

from indexer.event_kinds import find_event, suggest_event


@pytest.mark.parametrize(
    ("name", "event"),
    [
        ("detailPageView", "view"),
        ("addToCart", "add_to_cart"),
        ("AddToCart", "add_to_cart"),
        ("addToWishlist", "like"),
        ("removeFromCart", "remove_from_cart"),
        ("PageView", "view"),
        ("PV", "view"),
        ("CLICK", "click"),
        ("Add To Cart", "add_to_cart"),
        ("noSuchThing", None),
        ("1", None),
    ],
)
def test_an_event_is_known_in_any_spelling(name: str, event: str | None) -> None:
    assert find_event(name) == event


def test_an_own_name_in_camel_case_is_the_operators() -> None:
    assert find_event("trailerSeen", ("trailer_seen",)) == "trailer_seen"
    assert find_event("addToCart", ("addToCart",)) == "addToCart"


@pytest.mark.parametrize("code", ["1", "4", " 3 "])
def test_a_behaviour_code_is_to_be_written_as_a_word(code: str) -> None:
    assert "write a word for each, such as view or purchase" in suggest_event(code)
    assert "did you mean" not in suggest_event(code)
