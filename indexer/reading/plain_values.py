"""Text as people and programs write it to numbers, booleans and availability. Pure.

The forms are those whose meaning nobody doubts. `None` means that a text is no such form; what
becomes of it then is the caller's choice.
"""

import math
import re
from typing import Any, NamedTuple

from indexer.normal_forms import normalize

MAX_NUMBER = 1e300  # whole numbers much larger do not fit a float
MAX_WHOLE_DIGITS = 300  # Python refuses to parse whole numbers of thousands of digits
_MAX_CHARS = 400  # no number, amount or word for yes is longer

_PLAIN = re.compile(r"[-+]?(?:\d++(?:\.\d*+)?|\.\d++)(?:[eE][-+]?\d+)?", re.ASCII)
_WHOLE = re.compile(r"[-+]?\d+", re.ASCII)
# Separators between thousands make whole groups of three digits; 1,29,999 is how India writes.
_POINT_IS_DECIMAL = re.compile(
    r"(?:\d{1,3}(?:,\d{3})+|\d{1,2}(?:,\d{2})+,\d{3}|\d{1,3}(?:['’ \u00a0\u2009\u202f]\d{3})+)"
    r"(?:\.\d+)?",
    re.ASCII,
)
_COMMA_IS_DECIMAL = re.compile(
    r"\d{1,3}(?:\.\d{3})+,\d+|\d{1,3}(?:\.\d{3}){2,}|\d{1,3}(?:['’ \u00a0\u2009\u202f]\d{3})+,\d+",
    re.ASCII,
)
_DECIMAL_COMMA = re.compile(r"\d+,(?:\d{1,2}|-)", re.ASCII)  # of an amount: 9,99 and 9,-
_SYMBOLS = r"(?:US|HK|NT|CA|AU|A|C|R|S)?\$|[€£¥₹₩₽₺₫฿₴₦₪₱]|元|円|圆|圓|块|원|kr\.?|zł|Kč|Rs\.?|CHF"
_CODES = (
    "USD|EUR|GBP|CNY|RMB|JPY|HKD|TWD|KRW|INR|AUD|CAD|NZD|SGD|MYR|THB|VND|IDR|PHP|RUB|UAH|TRY|PLN|"
    "CZK|HUF|RON|BGN|SEK|NOK|DKK|ISK|ILS|AED|SAR|QAR|EGP|ZAR|NGN|KES|BRL|MXN|ARS|CLP|COP|PEN|PKR|"
    "BDT|LKR|KZT|GEL"
)
_CURRENCY = re.compile(f"(?P<symbol>{_SYMBOLS})|(?P<code>{_CODES})", re.IGNORECASE)
_AMOUNT = re.compile(
    rf"(?P<sign>[-+]?)\s*+(?P<before>{_SYMBOLS}|{_CODES})?\s*+(?P<number>[-+]?[\d.](?:[^a-z]*[\d.-])?"
    rf"(?:e[-+]?\d+)?)\s*(?P<after>{_SYMBOLS}|{_CODES})?",
    re.IGNORECASE | re.ASCII,
)
_OUT_OF = re.compile(r"(\S+?)\s*(?:/|out of|von|sur|de)\s*(\d+(?:\.\d+)?)(?:\s*stars?)?", re.ASCII)
_STARS = re.compile(r"(\S+?)\s*(?:stars?|星|分)", re.IGNORECASE)

_TRUE_WORDS = frozenset(("true", "t", "yes", "y", "ja", "on", "1", "1.0", "是", "真", "对", "對"))
_FALSE_WORDS = frozenset(
    ("false", "f", "no", "n", "nein", "off", "0", "0.0", "否", "假", "不是", "错", "錯")
)
_IN_STOCK_WORDS = frozenset(
    ("available", "instock", "limitedavailability", "limitedstock", "lowstock", "onlineonly",
     "instoreonly", "preorder", "presale", "backorder", "onbackorder", "madetoorder", "onsale",
     "有", "有货", "有貨", "现货", "現貨", "在售", "上架", "已上架", "可售", "可用", "可购买",
     "可購買", "预售", "預售", "在庫あり")
)  # fmt: skip
_OUT_OF_STOCK_WORDS = frozenset(
    ("unavailable", "notavailable", "outofstock", "nostock", "soldout", "sold", "discontinued",
     "reserved", "无", "無", "无货", "無貨", "缺货", "缺貨", "售罄", "售完", "已售罄",
     "已售完", "下架", "已下架", "停售", "停产", "停產", "不可用", "不可售", "在庫なし")
)  # fmt: skip
_SCHEMA_ORG = re.compile(r"https?://schema\.org/", re.IGNORECASE)


class Amount(NamedTuple):
    """A number, and the currency that stands beside it as it is written; empty without one."""

    number: float
    currency: str


def to_half_width(text: str) -> str:
    """Return a text in half width, without surrounding spaces.

    Empty if it is too long to be a value, or has digits that are none of a number: 5² is not 52.
    """
    stripped = text.strip()
    if stripped.isascii() and len(stripped) <= _MAX_CHARS:
        return stripped
    if len(stripped) > _MAX_CHARS or any(map(_is_raised_or_circled, stripped)):
        return ""
    return normalize("NFKC", stripped).strip()


def _is_raised_or_circled(char: str) -> bool:
    is_digit = char.isnumeric() and not char.isdecimal()
    return is_digit and normalize("NFKC", char) != char


def read_number(text: str) -> float | None:
    """Return the finite number that a text is, an `int` if it is written as a whole number.

    Read are `-3`, `9.90`, `1.5E7`, `1,299.00`, `1.299,00`, `1'299`, each in full-width digits too.
    `1,299` is one thousand and more; `9,99` is no number here, since it may be two of them (but see
    `read_amount`).
    """
    plain = to_half_width(text)
    if _PLAIN.fullmatch(plain):
        return _to_finite(plain)
    sign, digits = ("-", plain[1:]) if plain[:1] == "-" else ("", plain.removeprefix("+"))
    if _POINT_IS_DECIMAL.fullmatch(digits):
        return _to_finite(sign + re.sub(r"[^\d.]", "", digits))
    if _COMMA_IS_DECIMAL.fullmatch(digits):
        return _to_finite(sign + re.sub(r"[^\d,]", "", digits).replace(",", "."))
    return None


def read_amount(text: str) -> Amount | None:
    """Return the number of a text that is one number, with its currency: `¥99`, `9.99 EUR`, `9,99`.

    What `read_number` reads is read alike; beyond it a comma may stand before one or two decimals.
    """
    number = read_number(text)
    if number is not None:
        return Amount(number, "")
    match = _AMOUNT.fullmatch(to_half_width(text))
    if match is None or (match["before"] and match["after"] and not _is_one_currency(match)):
        return None
    written = match["number"].strip()
    if _DECIMAL_COMMA.fullmatch(written.lstrip("-+")):
        written = written.replace(",-", "").replace(",", ".")
    number = read_number(match["sign"] + written)
    return None if number is None else Amount(number, _name_currency(match))


def read_rating(text: str) -> float | None:
    """Return the number of a rating: an amount, `4.5/5`, `4.5 out of 5`, `4 stars`."""
    half_width = to_half_width(text)
    match = _OUT_OF.fullmatch(half_width) or _STARS.fullmatch(half_width)
    amount = read_amount(match[1] if match else half_width)
    return None if amount is None or amount.currency else amount.number


def read_boolean(text: str) -> bool | None:
    """Return the boolean that a word is: yes/no, ja/nein, 是/否, true/false, Y/N, 1/0, on/off."""
    word = to_half_width(text).lower()
    if word in _TRUE_WORDS:
        return True
    return False if word in _FALSE_WORDS else None


def read_availability(text: str) -> bool | None:
    """Return whether something can be had, from a boolean, a stock count or the words of shops.

    Read are `in stock`, `InStock`, `sold out`, `https://schema.org/OutOfStock`, `有货`, `12`.
    """
    answer = read_boolean(text)
    if answer is not None:
        return answer
    count = read_number(text)
    if count is not None:
        return count > 0
    word = re.sub(r"[\s_-]", "", _SCHEMA_ORG.sub("", to_half_width(text))).lower()
    if word in _IN_STOCK_WORDS:
        return True
    return False if word in _OUT_OF_STOCK_WORDS else None


def to_finite_number(value: Any) -> float | None:
    """Return an `int` or finite `float` unchanged; None for anything else, booleans too."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    is_finite = isinstance(value, int) or math.isfinite(value)
    return value if is_finite and abs(value) <= MAX_NUMBER else None


def _to_finite(written: str) -> float | None:
    is_whole = _WHOLE.fullmatch(written) is not None and len(written) <= MAX_WHOLE_DIGITS
    return to_finite_number(int(written) if is_whole else float(written))


def _is_one_currency(match: re.Match[str]) -> bool:
    """Whether of two currencies one is the symbol and the other the code: `$9.99 USD`."""
    kinds = [_CURRENCY.fullmatch(match[side]) for side in ("before", "after")]
    return {kind.lastgroup for kind in kinds if kind} == {"symbol", "code"}


def _name_currency(match: re.Match[str]) -> str:
    """The currency as it is written, the code if there are both."""
    written = [side for side in (match["before"], match["after"]) if side]
    return max(written, key=len) if written else ""
