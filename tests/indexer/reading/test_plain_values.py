"""Numbers, booleans and missing words are read as people and programs write them, or not at all."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.reading.missing_words import is_missing_word
from indexer.reading.plain_values import (
    read_amount,
    read_availability,
    read_boolean,
    read_number,
    read_rating,
)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12", 12), ("-3", -3), ("+3", 3), (" 9.90 ", 9.9), (".5", 0.5), ("5.", 5.0),
        ("1e-05", 1e-05), ("1.5E7", 15_000_000.0), ("1,299", 1299), ("1,299.00", 1299.0),
        ("12,345,678", 12_345_678), ("1.299,00", 1299.0), ("1.299.000", 1_299_000),
        ("1'299.50", 1299.5), ("1 299,50", 1299.5), ("12,34,567.5", 1_234_567.5),
        ("９９", 99), ("１，２９９．５", 1299.5), ("007", 7),
        ("9007199254740993", 9_007_199_254_740_993),
    ],
)  # fmt: skip
def test_a_number_is_read_in_the_forms_whose_meaning_nobody_doubts(
    text: str, number: float
) -> None:
    found = read_number(text)
    assert (found, type(found)) == (number, type(number))


@pytest.mark.parametrize(
    "text",
    ["", "-", "1,29", "9,99", "1,2,3", "12.34.56", "from 15.99", "5%", "1e999", "inf", "nan", "٣",
     "1_000", "0x10", "--5", "1" * 5_000, "5²", "10³", "5₂", "5①", "5⑩"],
)  # fmt: skip
def test_what_may_mean_something_else_is_no_number(text: str) -> None:
    assert read_number(text) is None


@pytest.mark.parametrize(
    ("text", "number", "currency"),
    [
        ("¥99", 99, "¥"), ("￥９９．５", 99.5, "¥"), ("9.99 EUR", 9.99, "EUR"),
        ("EUR 9,99", 9.99, "EUR"), ("9,99", 9.99, ""), ("9,- ", 9, ""), ("1.299,00 €", 1299.0, "€"),
        ("$9.99 USD", 9.99, "USD"),
        ("HK$1,299", 1299, "HK$"), ("99元", 99, "元"), ("-¥5", -5, "¥"), ("1e3 usd", 1000.0, "usd"),
        ("7", 7, ""),
    ],
)  # fmt: skip
def test_an_amount_may_have_a_currency_and_a_decimal_comma(
    text: str, number: float, currency: str
) -> None:
    assert read_amount(text) == (number, currency)


@pytest.mark.parametrize(
    "text", ["from 15.99", "15.99 - 20", "$", "—", "$9 €", "9 dollars", "价格面议", "9.99 each"]
)
def test_what_is_not_one_amount_is_none(text: str) -> None:
    assert read_amount(text) is None


@pytest.mark.parametrize(
    ("text", "rating"),
    [("4.5", 4.5), ("4,5", 4.5), ("4.5/5", 4.5), ("8.7 / 10", 8.7), ("4.5 out of 5", 4.5),
     ("4.5 out of 5 stars", 4.5), ("4 stars", 4), ("8.7分", 8.7), ("¥4", None), ("great", None),
     ("5/2/2024", None)],
)  # fmt: skip
def test_a_rating_may_name_its_scale(text: str, rating: float | None) -> None:
    assert read_rating(text) == rating


def test_booleans_are_read_in_english_and_chinese() -> None:
    for word in ("true", "T", "YES", "y", "on", "1", "是"):
        assert read_boolean(word) is True, word
    for word in ("False", "f", "no", "N", "off", "0", "否"):
        assert read_boolean(word) is False, word
    for word in ("", "2", "maybe", "in stock", "有货"):
        assert read_boolean(word) is None, word


def test_what_can_be_had_is_said_by_words_or_counts() -> None:
    for text in ("in stock", "In_Stock", "https://schema.org/InStock", "http://schema.org/PreOrder",
                 "available", "有货", "現貨", "在售", "12", "1,000", "Y"):  # fmt: skip
        assert read_availability(text) is True, text
    for text in ("out of stock", "Out-Of-Stock", "https://schema.org/SoldOut", "sold out", "缺货",
                 "無貨", "售罄", "下架", "0", "-2", "否"):  # fmt: skip
        assert read_availability(text) is False, text
    for text in ("", "soon", "https://example.org/InStock", "部分有货"):
        assert read_availability(text) is None, text


def test_words_for_nothing_are_known_in_any_case() -> None:
    for word in ("NA", "n/a", "NULL", "None", " - ", "—", "NaN", "<NA>", "暂无"):
        assert is_missing_word(word), word
    for word in ("0", "no", "无", "nada", "--x"):
        assert not is_missing_word(word), word


@given(st.text())
def test_no_text_makes_a_reader_fail(text: str) -> None:
    for number in (read_number(text), read_rating(text), *(read_amount(text) or ())[:1]):
        assert number is None or math.isfinite(number)
    assert read_availability(text) in (True, False, None)


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False, max_value=1e299))
def test_what_python_writes_is_read_back(number: float) -> None:
    if abs(number) < 1e299:
        assert read_number(repr(number)) == number
