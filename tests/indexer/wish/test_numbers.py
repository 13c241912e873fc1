"""Numbers in words and numerals, worked out by hand."""

import pytest

from indexer.wish.numbers import read_chinese_amount, read_chinese_year, read_english_amount


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("十", 10), ("十五", 15), ("二十", 20), ("两百", 200), ("一百五", 150), ("一百五十", 150),
        ("一百零五", 105), ("三千", 3_000), ("三千五", 3_500), ("一千零一", 1_001), ("九", 9),
        ("三万", 30_000), ("一万五千", 15_000), ("12.5", 12.5), ("一二三", None), ("百", None),
        ("十百", None), ("万", None), ("一十一百", None),
    ],
)  # fmt: skip
def test_chinese_numerals_are_read(text: str, value: float | None) -> None:
    assert read_chinese_amount(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [("20", 20), ("9,99", 9.99), ("1,200", 1_200), ("1,299.50", 1_299.5), ("Twenty", 20),
     ("a  hundred", 100), ("1200", 1_200)],
)  # fmt: skip
def test_english_amounts_are_read(text: str, value: float) -> None:
    assert read_english_amount(text) == value


def test_years_in_either_script_are_read() -> None:
    assert read_chinese_year("一九九四") == read_chinese_year("1994") == 1994
    assert read_chinese_year("二〇一〇") == read_chinese_year("二零一零") == 2010
