"""Text that is made to take long is read or refused in a number of steps that its length bounds.

A mebibyte of it takes milliseconds; one step for each pair of its characters would take hours.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from indexer.errors import CatalogError
from indexer.markup import strip_markup
from indexer.reading.cell_lists import read_list
from indexer.reading.dialect import detect_dialect
from indexer.reading.field_parsers import (
    BadValueError,
    parse_date_seconds,
    parse_list,
    parse_number,
    parse_title,
)
from indexer.reading.file_kinds import find_actual_kind
from indexer.reading.locations import is_place_name, parse_location
from indexer.reading.missing_words import is_missing_word
from indexer.reading.plain_dates import (
    find_date_order,
    parse_date_instant,
    parse_instant,
    read_datetime,
    read_iso_instant,
)
from indexer.reading.plain_values import (
    read_amount,
    read_availability,
    read_boolean,
    read_number,
    read_rating,
)
from indexer.reading.sale_states import read_sale_state
from indexer.reading.shop_fields import parse_available, parse_price, parse_rating
from indexer.reading.value_column import ValueColumn
from indexer.reading.western_text import is_western

_SIZE = 1 << 20
_SAMPLE = 1 << 16  # of a file, for its dialect
_GENEROUS_SECONDS = 20  # for all functions together


@contextmanager
def _ends_at_all() -> Iterator[None]:
    def give_up(*_: object) -> None:
        raise AssertionError("the text takes more steps than its length allows")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(_GENEROUS_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _observe(text: str) -> object:
    column = ValueColumn(has_parser=False, is_date=True)
    column.observe(text, 1)
    return column.conversion(text), column.describe()


def _find_kinds(text: str) -> object:
    start = text.encode(errors="surrogatepass")
    with suppress(CatalogError):
        return [find_actual_kind("a", Path("a"), start, kind) for kind in ("csv", "json")]
    return []


_READERS: tuple[Callable[[str], object], ...] = (
    read_number, read_amount, read_rating, read_boolean, read_availability, is_missing_word,
    read_datetime, read_iso_instant, parse_instant, parse_date_instant,
    lambda text: find_date_order([text]),
    read_list, strip_markup, is_place_name, _observe,
    lambda text: detect_dialect([text], ","),
    lambda text: detect_dialect([text[:_SAMPLE] + "\n"] * 3, ","),
    lambda text: parse_location("location", text), lambda text: parse_price("price", text),
    lambda text: parse_rating("rating", text), lambda text: parse_available("available", text),
    lambda text: parse_number("value", text), lambda text: parse_date_seconds("created_at", text),
    is_western, lambda text: read_sale_state("status", text), _find_kinds,
    lambda text: parse_list("tags", text), lambda text: parse_title("title", text),
)  # fmt: skip

# What stands before, again and again, and after.
_HOSTILE = (
    ("", "1", "x"), ("", "1", ""), ("-", " ", "x"), ("-", "1 ", "x"), ("$", " ", "x"),
    ("1.", "1", "x"), ("0.", "1", ""), ("1", ",111", "x"), ("1", "'111", ",x"), ("1", ".111", "x"),
    ("1", " ", "x"), ("9", ".", "x"), ("a", " ", "b"), ("", "a", "/5"), ("4", " ", "out of x"),
    ("4", " ", "stars!"), ("", " ", "POINT"), ("POINT", " ", "x"), ("POINT(", " ", "x"),
    ("POINT(1", " ", "x"), ("POINT(", "1", "x"), ("SRID=", "1", "x"), ("1", " ", ",x"),
    ("1,", "1", "x"), ("1,", " ", "x"), ("{", " ", "x}"), ("{", " ", "}"), ('{"', "\\a", "}"),
    ("{a", " ", "\\}"), ("{", "a ", '"}'), ("{", "a,", "}"), ("{", '"",', "\\}"),
    ("[", "'a',", "]"),
    ("[", "1,", "x]"), ("[", "[", "]"), ("[", "'", "]"), ("{", "1.", "}"), ("(", "-", ")"),
    ("2024", " ", "x"), ("2024-05-01", " ", "x"), ("2024-05-01 20:00", " ", "x"),
    ("", "\u0301\u0316", "x"), ("", "９", "x"), ("", "ﷺ", ""), ("1", "\u0301", "x"),
    ("", "[](", "."), ("", "[](" + "." * 2_000, ""), ("", "[](" + "a" * 490 + ".", ")"),
    ("", "[", "](a.b)"), ("", "![", "](a.b)"), ("[](a.b", ' "', ""), ("", "[](a.b \"", ""),
    ("", "`", "x"), ("", "**a", ""), ("", "* a", ""), ("", "__a", ""), ("", "_a ", ""),
    ("", "~~a", ""), ("# ", " ", "\n"), ("", "# ", ""), ("", "```", " x"), ("```", " ", "x"),
    ("", "<a ", ""), ("<a", " ", "x"), ("<a ", "b", "x"), ("", "<a b", "="), ("", '<b x="', ">"),
    ("", "<!--", "-->"), ("", "<!-->", ""), ("", "<script ", "</script>"), ("", "<svg>", "</svg>"),
    ("", "<template>", "</template>"), ("", "</svg>", ""), ("", "&", ";"), ("", "&amp;", ""),
    ("", "<noscript>", "</noscript>"), ("", "<iframe>", "</iframe>"), ("", "<svg/>", "</svg>"),
    ("", ' "', ""), ("", ', "', ""), ('sep=', " ", "x"), ("", '"', ""), ("", ",", ""),
    ("", "é", ""), ("", "šè", ""), ("š", "a", "è"), ("", "a’", ""), ("", "®", "x"), ("", "\n", "{"),
    ("", " ", "<html"), ("a", ",", "x"), ("a", ";", "\n"), ("", "\n ", "x"), ("1", "1,1", "-"),
    ("", "|", ""), ("", "\t", "x"), ("", "::", ""), ("jan ", "1", " 2024"), ("", "jan ", "2024"),
)  # fmt: skip


@pytest.mark.parametrize(("head", "unit", "tail"), _HOSTILE)
def test_a_mebibyte_of_hostile_text_is_read_to_its_end(head: str, unit: str, tail: str) -> None:
    text = head + unit * (_SIZE // len(unit)) + tail
    with _ends_at_all():
        for read in _READERS:
            with suppress(BadValueError):
                read(text)
