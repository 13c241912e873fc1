"""Numbers as people write them in a wish, in digits, English and Chinese, to values. Pure."""

import re

_ENGLISH = {
    "ten": 10, "fifteen": 15, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60,
    "seventy": 70, "eighty": 80, "ninety": 90, "hundred": 100, "a hundred": 100,
    "one hundred": 100, "two hundred": 200, "five hundred": 500, "a thousand": 1_000,
    "one thousand": 1_000,
}  # fmt: skip
_DIGITS = {char: value for value, char in enumerate("零一二三四五六七八九")}
_DIGITS |= {"〇": 0, "○": 0, "两": 2}
_UNITS = {"十": 10, "百": 100, "千": 1_000}
_MYRIAD = "万"

# The longest words first: "five hundred" is not "five".
ENGLISH_AMOUNT = (
    r"(?:\d{1,3}(?:,\d{3})+(?:\.\d{1,2})?|\d{1,7}(?:[.,]\d{1,2})?|"
    + "|".join(sorted(_ENGLISH, key=len, reverse=True))
    + ")"
)
CHINESE_AMOUNT = r"(?:\d{1,7}(?:\.\d{1,2})?|[零〇一二两三四五六七八九十百千万]{1,9})"
_THOUSANDS = re.compile(r",(?=\d{3})")


def read_english_amount(text: str) -> float:
    """Return the value of a text that `ENGLISH_AMOUNT` matches; a comma may be the decimal mark."""
    word = " ".join(text.lower().split())
    if word in _ENGLISH:
        return float(_ENGLISH[word])
    digits = _THOUSANDS.sub("", word).replace(",", ".")
    return float(digits)


def read_chinese_amount(text: str) -> float | None:
    """Return the value of a text that `CHINESE_AMOUNT` matches; None if it is no number.

    一百五十 is 150, 一百五 too, 两千 2000, 三万 30000, 一二三 no amount.
    """
    if text[0].isdigit():
        return float(text)
    before, mark, after = text.rpartition(_MYRIAD)
    upper = _read_below_myriad(before) if mark else 0
    lower = _read_below_myriad(after) if after or not mark else 0
    return None if upper is None or lower is None else float(upper * 10_000 + lower)


def read_chinese_year(text: str) -> int:
    """Return the year that four digits say, each in either script: 一九九四."""
    return int("".join(str(_DIGITS.get(char, char)) for char in text))


def _read_below_myriad(text: str) -> int | None:
    """Return the value of digits before their units, from thousands down; None if it is none."""
    total, digit, last_unit = 0, None, 10_000
    for char in text:
        if char in _UNITS:
            unit = _UNITS[char]
            if unit >= last_unit or (digit is None and unit != 10):
                return None
            total += (1 if digit is None else digit) * unit
            digit, last_unit = None, unit
        elif char in ("零", "〇"):
            if digit is not None:
                return None
        elif digit is not None:
            return None
        else:
            digit = _DIGITS[char]
    if digit is not None:  # the last digit of 一百五 is of the next lower unit
        is_short = last_unit in (100, 1_000) and text[-2:-1] in _UNITS
        total += digit * (last_unit // 10 if is_short else 1)
    return total if text else None
