"""What a request costs to encode is bounded, and near what the tokenizer counts."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.errors import RequestError
from indexer.language import estimate_tokens, load_encoder
from indexer.language.text_cost import MAX_TEXT_TOKENS, split_by_cost
from indexer.request import measure_text_cost


def test_every_text_of_a_body_is_counted_once() -> None:
    body = {
        "query": "rain",
        "interests": ["rain", "film noir"],
        "history": [{"text": "ghosts"}, {"item_id": "m1", "text": "a fine film"}, "m2"],
        "context": {"weather": "storm", "mood": 3},
        "texts": {"gore": -1},
    }
    assert measure_text_cost([body, body]).texts == 6
    assert (
        measure_text_cost([{"query": 3, "history": {}, "context": [], "interests": "x"}]).texts == 0
    )


def test_a_request_that_costs_too_much_is_told_by_how_much() -> None:
    many = [{"text": f"film {number}"} for number in range(900)]
    with pytest.raises(RequestError, match=r"may bring 256 different texts.* brings 900 of about"):
        measure_text_cost([{"history": many}]).check_request()
    long: dict[str, Any] = {"interests": [f"{n} " + "words " * 1_000 for n in range(40)]}
    with pytest.raises(RequestError, match="this one brings 40 of about 10240; send fewer"):
        measure_text_cost([long]).check_request()
    measure_text_cost([long]).check_batch()
    with pytest.raises(RequestError, match="a batch may bring 4096 different texts"):
        measure_text_cost([{"query": f"film {number}"} for number in range(5_000)]).check_batch()


@given(st.lists(st.text(max_size=300), max_size=20))
def test_splitting_keeps_every_text_in_order_and_every_part_small(texts: list[str]) -> None:
    parts = list(split_by_cost(texts, max_texts=4, max_tokens=60))
    assert [text for part in parts for text in part] == texts
    for part in parts:
        assert len(part) == 1 or sum(map(estimate_tokens, part)) <= 60
        assert 0 < len(part) <= 4


@pytest.mark.model
def test_the_estimate_is_near_what_the_tokenizer_counts() -> None:
    encoder = load_encoder()
    for text in (
        "a tense film for a rainy night",
        "我最近喜欢看悬疑片，而且想看点刺激的电影",
        "Il pleut, et je voudrais voir un film policier des années soixante.",
        "$%^&*!?" * 20,
        "word " * 3_000,
        "\N{ARABIC LIGATURE SALLALLAHOU ALAYHE WASALLAM}" * 10,
        "\N{SQUARE KIROGURAMU}" * 20,
    ):
        (tokenized,) = encoder._tokenize([text], encoder._prompts.query)
        most = 4 if text[0] in "ﷺ㌔" else 2.5  # whole words in one sign are fewer tokens
        assert 0.4 <= estimate_tokens(text) / len(tokenized) <= most
    assert estimate_tokens("雨" * 10_000) == MAX_TEXT_TOKENS
