"""Text as people and programs write it to dates and times in ISO 8601, and to instants. Pure.

A date has one meaning by every door: what a file, a request and a filter say is read here. `None`
means that a text is no date, or not surely one: `05/04/2024` is only with an order that the whole
column decided.
"""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta, timezone
from enum import StrEnum
from functools import lru_cache

from indexer.reading.plain_values import to_half_width

_MAX_CHARS = 64  # no date is longer
_MIN_ISO_CHARS = 9  # a month has seven
_YEAR = re.compile(r"\d{4}", re.ASCII)
_MONTH = re.compile(r"(\d{4})\s*[-/年]\s*(\d{1,2})\s*月?", re.ASCII)
_WEEK = re.compile(r"(\d{4})-?W(\d{2})(?:-?([1-7]))?", re.ASCII | re.IGNORECASE)
_ZONE = r"(?P<zone>Z|UTC|GMT|[-+]\d{2}(?::?\d{2}(?::?\d{2})?)?)"
_TIME = (
    r"(?:(?:\s*T\s*|\s*,?\s+|(?<=日)\s*)(?P<noon>上午|下午|am|pm)?\s*"
    r"(?P<hour>\d{1,2})(?:[:时時](?P<minute>\d{1,2})(?:[:分](?:(?P<second>\d{1,2})"
    r"(?:[.,](?P<fraction>\d{1,9}))?秒?)?)?)?(?:\s*(?P<half>am|pm))?"
    rf"(?:\s*{_ZONE}(?:\s+UTC)?)?)?"
)
_YEAR_FIRST = re.compile(
    rf"(?P<year>\d{{4}})\s*(?P<mark>[-/.年])\s*(?P<month>\d{{1,2}})\s*[-/.月]\s*"
    rf"(?P<day>\d{{1,2}})\s*日?{_TIME}",
    re.ASCII | re.IGNORECASE,
)
_YEAR_LAST = re.compile(
    rf"(?P<first>\d{{1,2}})(?P<mark>[-/.])(?P<second_number>\d{{1,2}})(?P=mark)(?P<year>\d{{4}}){_TIME}",
    re.ASCII | re.IGNORECASE,
)
_BASIC = re.compile(
    rf"(?P<year>(?:19|20)\d{{2}})(?P<month>\d{{2}})(?P<day>\d{{2}})"
    rf"(?:T(?P<hour>\d{{2}})(?P<minute>\d{{2}})(?P<second>\d{{2}})?(?P<fraction>)(?:{_ZONE})?)?",
    re.ASCII | re.IGNORECASE,
)
_SHORT_ISO = re.compile(r"\d{4}-?(?:\d{2}-?\d{2}|W\d{2})", re.ASCII)  # with a time in few digits
# Python's own parser takes any character between a date and a time.
_ISO_DATE = re.compile(r"\d{4}(?:-\d{2}-\d{2}|\d{4}|-?W\d{2}(?:-?\d)?)(?=[Tt ]|$)", re.ASCII)
_DAY_WITH_ZONE = re.compile(  # of XML; a day of ours has no zone
    r"(\d{4}-\d{2}-\d{2})(?:Z|[-+](?:0\d|1[0-4]):[0-5]\d)", re.ASCII | re.IGNORECASE
)
_NAMED_MONTH = re.compile(
    r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|sept|oct|nov|dec|january|february|march|april|june"
    r"|july|august|september|october|november|december)",
    re.IGNORECASE,
)
_NAMED_WORD = re.compile(
    rf"{_NAMED_MONTH.pattern}|(?:mon|tue|tues|wed|thu|thur|thurs|fri|sat|sun)(?:day|sday|nesday"
    r"|rsday|urday)?|am|pm|at|of|the|st|nd|rd|th|t|z|utc|gmt",
    re.IGNORECASE,
)
# Of Ruby and Twitter, `11:37:04 -0700 2017`, and of JavaScript, `GMT+0800 (China Standard Time)`.
_ZONE_BEFORE_YEAR = re.compile(r"(:\d{2})\s+([-+]\d{4})\s+(\d{4})$", re.ASCII)
_GMT_OFFSET = re.compile(r"\b(?:GMT|UTC)([-+]\d{4})(?:\s*\([^()\d]*\))?$", re.IGNORECASE)


_MIN_EXCEL_DAY, _MAX_EXCEL_DAY = 20_000, 60_000
_EXCEL_START = datetime(1899, 12, 30)  # so that the days from March 1900 on are right
_DAY_SECONDS = 86_400


class DateOrder(StrEnum):
    """Which number of a date like `05/04/2024` is the day; a whole column decides it."""

    DAY_FIRST = "day first"
    MONTH_FIRST = "month first"


def find_date_order(texts: Iterable[str]) -> DateOrder | None:
    """Return the order that dates like `29/01/2021` of a column have.

    Args:
        texts: Cells of one column; those of another form say nothing.

    Returns:
        None if no cell has a number above 12 as the day, or if cells contradict each other.
    """
    orders = set()
    for text in texts:
        match = _YEAR_LAST.fullmatch(text.strip()) if len(text) <= _MAX_CHARS else None
        order = _find_sure_order(match) if match else None
        if (
            order is not None
            and match is not None
            and int(match["first"]) != int(match["second_number"])
        ):
            orders.add(order)
    return orders.pop() if len(orders) == 1 else None


def read_datetime(text: str, *, order: DateOrder | None = None) -> str | None:
    """Return a date or time in ISO 8601: `2024`, `2024-05`, `2024-05-01`, `2024-05-01T20:00:00Z`.

    Read are ISO 8601 and its relatives (spaces, `+08`, weeks, basic form), `2024/1/10`,
    `2024年3月10日`, `Jan 5 2024`, `5 January 2024 8:00 PM`, RFC 2822, `10.01.2024`. A zone is kept;
    a time without one stays without. Digits alone are a year (four) or a date (eight).

    Args:
        text: Any text.
        order: What `find_date_order` found for the column. Without it `29/01/2021` is read, which
            has one meaning, and `05/04/2021` is not.
    """
    if len(text) > _MAX_CHARS:
        return None
    return _read_datetime(text, order)


def is_excel_day(number: float) -> bool:
    """Whether a number may be a day of Excel: one from 1954 to 2064, with the time as decimals."""
    return _MIN_EXCEL_DAY <= number <= _MAX_EXCEL_DAY


def read_excel_day(number: float) -> str:
    """Return a day of Excel in ISO 8601: 45321 is 2024-01-30, 45321.5 is noon of that day."""
    seconds = round(number * _DAY_SECONDS)
    moment = _EXCEL_START + timedelta(seconds=seconds)
    return moment.isoformat() if seconds % _DAY_SECONDS else moment.date().isoformat()


def parse_instant(text: str) -> float | None:
    """Return Unix seconds for a text that `read_datetime` reads and that is not digits alone.

    Digits alone may be an article number. Without an offset the time is UTC; a month or a year is
    its first instant.
    """
    if len(text) > _MAX_CHARS or not any(char.isdigit() for char in text):
        return None
    stripped = text.strip()
    if stripped.isdigit():
        return None
    iso = _read_datetime(text, None)
    return None if iso is None else to_instant(iso)


def parse_date_instant(text: str) -> float | None:
    """Return Unix seconds as `parse_instant` does, and of a year too, where dates are expected."""
    stripped = text.strip()
    if len(stripped) == 4 and stripped.isdigit():
        iso = _read_datetime(stripped, None)
        return None if iso is None else to_instant(iso)
    return parse_instant(text)


def read_iso_instant(text: str) -> float | None:
    """Return Unix seconds for a whole date or time in ISO 8601, quickly; None for other text."""
    if not _MIN_ISO_CHARS < len(text) <= _MAX_CHARS or not _ISO_DATE.match(text.strip()):
        return None
    try:
        return to_instant(text.strip())
    except (ValueError, OverflowError):
        return None


def to_instant(iso: str) -> float:
    """Return Unix seconds for a date or time that `read_datetime` returned."""
    full = iso + {4: "-01-01", 7: "-01"}.get(len(iso), "")
    parsed_time = datetime.fromisoformat(full)
    if parsed_time.tzinfo is None:
        parsed_time = parsed_time.replace(tzinfo=UTC)
    return parsed_time.timestamp()


@lru_cache(maxsize=1 << 14)
def _read_datetime(text: str, order: DateOrder | None) -> str | None:
    plain = to_half_width(text)
    try:
        if plain[4:5] == "-" and len(plain) >= 10 and (iso := _read_iso(plain)):
            return iso
        read = _read_numeric(plain, order) or _read_named_month(plain)
        return read or (_read_iso(plain) if _SHORT_ISO.match(plain) else None)
    except (ValueError, OverflowError):  # the 30th of February, the 25th hour
        return None


def _read_iso(plain: str) -> str | None:
    """Read the most usual forms by Python's own parser, which is the quickest."""
    if day := _DAY_WITH_ZONE.fullmatch(plain):
        return date.fromisoformat(day[1]).isoformat()
    if not _ISO_DATE.match(plain):
        return None
    try:
        if len(plain) == 10:
            return date.fromisoformat(plain).isoformat()
        return datetime.fromisoformat(plain).isoformat().replace("+00:00", "Z")
    except ValueError:
        return None


def _read_numeric(plain: str, order: DateOrder | None) -> str | None:
    if _YEAR.fullmatch(plain.removesuffix("年")):
        return date(int(plain[:4]), 1, 1).isoformat()[:4]
    if match := _MONTH.fullmatch(plain):
        return date(int(match[1]), int(match[2]), 1).isoformat()[:7]
    if match := _WEEK.fullmatch(plain):
        return date.fromisocalendar(int(match[1]), int(match[2]), int(match[3] or 1)).isoformat()
    if match := _YEAR_FIRST.fullmatch(plain) or _BASIC.fullmatch(plain):
        return _build_iso(match, int(match["month"]), int(match["day"]))
    if match := _YEAR_LAST.fullmatch(plain):
        return _read_year_last(match, order)
    return None


def _read_year_last(match: re.Match[str], order: DateOrder | None) -> str | None:
    first, second = int(match["first"]), int(match["second_number"])
    if order is None or match["mark"] == ".":
        order = _find_sure_order(match)
    if order is None:
        return None
    day, month = (first, second) if order is DateOrder.DAY_FIRST else (second, first)
    return _build_iso(match, month, day)


def _find_sure_order(match: re.Match[str]) -> DateOrder | None:
    """The order of a date that has one meaning: a number above 12, twice the same, or points."""
    first, second = int(match["first"]), int(match["second_number"])
    if first > 12 or first == second or match["mark"] == ".":
        return DateOrder.DAY_FIRST
    return DateOrder.MONTH_FIRST if second > 12 else None


def _build_iso(match: re.Match[str], month: int, day: int) -> str:
    """Return ISO text; raises ValueError if there is no such day or time."""
    parts = match.groupdict()
    start = datetime(int(parts["year"]), month, day)
    if parts["hour"] is None:
        return start.date().isoformat()
    hour = _to_24_hours(int(parts["hour"]), parts.get("noon") or parts.get("half"))
    if parts["minute"] is None and not (parts.get("noon") or parts.get("half")):
        raise ValueError("an hour alone is no time")
    microseconds = int((parts["fraction"] or "0").ljust(6, "0")[:6])
    seconds = int(parts["second"] or 0)
    minutes = int(parts["minute"] or 0)
    # The midnight that ends a day is written 24:00, a leap second 23:59:60.
    is_past_midnight = hour == 24 and (minutes or seconds or microseconds)
    if hour > 24 or is_past_midnight or minutes > 59 or seconds > 60:
        raise ValueError("no such time")
    moment = start + timedelta(
        hours=hour, minutes=minutes, seconds=seconds, microseconds=microseconds
    )
    iso = moment.isoformat() + _to_offset(parts["zone"])
    return datetime.fromisoformat(iso).isoformat().replace("+00:00", "Z")


def _to_24_hours(hour: int, half: str | None) -> int:
    if half is None:
        return hour
    last = {"上午": 12, "下午": 23}.get(half, 12)
    if hour > last or (hour == 0 and half not in ("上午", "下午")):
        raise ValueError("no such hour")
    return hour % 12 + (12 if half.lower() in ("pm", "下午") else 0)


def _to_offset(zone: str | None) -> str:
    if zone is None:
        return ""
    if zone.upper() in ("Z", "UTC", "GMT"):
        return "Z"
    digits = zone[1:].replace(":", "")
    return f"{zone[0]}{digits[:2]}:{digits[2:4] or '00'}"


def _read_named_month(plain: str) -> str | None:
    """Read a date whose month is a word; the day may be missing, the year not."""
    plain = _GMT_OFFSET.sub(r"\1", _ZONE_BEFORE_YEAR.sub(r"\1 \3 \2", plain))
    words = re.findall(r"[^\W\d_]+", plain)
    if not _is_named_date(words, plain):
        return None
    from dateutil import parser  # slow to import, and seldom needed

    # What the text does not say is taken from the default, so that two of them tell it apart.
    moment, other = (
        parser.parse(plain, default=datetime(2000, 1, day), tzinfos=_to_zone) for day in (1, 15)
    )
    if moment.day != other.day:
        return moment.date().isoformat()[:7] if len(words) == 1 else None
    if not re.search(r"\d:\d|\d\s*[ap]m\b", plain, re.IGNORECASE):
        return moment.date().isoformat()
    return moment.isoformat().replace("+00:00", "Z")


def _to_zone(name: str | None, offset_s: int | None) -> timezone | None:
    """The zone of a name and an offset; raises ValueError for a name that is none."""
    if name is not None and name.upper() not in ("Z", "UTC", "GMT"):
        raise ValueError("no such zone")
    if offset_s is None:
        return None if name is None else UTC
    return timezone(timedelta(seconds=offset_s)) if offset_s else UTC


def _is_named_date(words: list[str], plain: str) -> bool:
    months = [word for word in words if _NAMED_MONTH.fullmatch(word)]
    years = re.findall(r"(?<!\d)\d{4}(?!\d)", re.sub(r"[-+]\d{4}$", "", plain))
    known = all(_NAMED_WORD.fullmatch(word) for word in words)
    return len(months) == 1 and len(years) == 1 and known and plain.isascii()
