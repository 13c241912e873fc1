"""Columns of yes and no, such as `is_click` and `purchased`, to the event of a row. Pure.

A log of all that was shown says in such columns what came of it: 1 that it happened, 0 that the
item was at most shown. Several of them tell one event, the one that says most.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from indexer.event_kinds import Event
from indexer.reading.field_parsers import is_missing
from indexer.reading.name_spellings import normalise_name
from indexer.reading.plain_values import read_boolean, read_number, to_finite_number

# The first that a row says yes to is its event.
_COLUMNS_BY_EVENT: Mapping[Event, str] = {
    Event.PURCHASE: "purchase purchased ispurchase ispurchased buy bought isbuy isbought ordered "
    "isorder isordered conversion converted isconversion isconverted isconvert attribution "
    "是否购买 是否下单 是否成交 是否转化 购买 转化",
    Event.ADD_TO_CART: "cart carted iscart addtocart isaddtocart addedtocart incart 是否加购 加购",
    Event.FINISH: "finish finished isfinish isfinished completed iscompleted 是否完播 完播",
    Event.PLAY: "played isplay isplayed watched iswatched listened islistened 是否播放",
    Event.CLICK: "click clicked isclick isclicked clk isclk label 是否点击 点击",
    Event.VIEW: "viewed isview isviewed visited 是否浏览",
}
_EVENT_BY_COLUMN = {
    name: event for event, names in _COLUMNS_BY_EVENT.items() for name in names.split()
}
_COUNTED = frozenset((Event.CLICK, Event.PLAY, Event.VIEW))
# What stands in a log of all that was shown, where a button was pressed in few rows.
_LOG_COLUMNS = frozenset(
    (*_EVENT_BY_COLUMN, "playtimems", "playtime", "watchtimems", "watchtime", "watchratio",
     "longview", "islongview", "durationms", "impression", "impressions", "exposure", "曝光",
     "isfollow", "iscomment", "isforward", "ishate", "isshare", "isprofileenter", "tab"),
)  # fmt: skip
_MIN_SHARE = 0.95  # of the cells of a column, from which they answer yes or no
_MIN_UNNAMED_ROWS = 10  # from which a column of zeros and ones alone shows that it may be one


class FlagColumn(NamedTuple):
    """A column that says whether an event happened."""

    name: str
    event: Event


def read_yes_or_no(value: Any) -> bool | None:
    """Return the answer in a cell, which 1 and 0 are too; None if it is none."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return bool(value) if value in (0, 1) else None
    return read_boolean(value) if isinstance(value, str) else None


def find_flag_columns(samples: Sequence[Mapping[str, Any]]) -> tuple[FlagColumn, ...]:
    """Return the columns that say what happened, the one that says most first.

    Args:
        samples: Column to value, of the first rows.
    """
    found = [
        FlagColumn(name, event)
        for name in _list_columns(samples)
        if (event := _EVENT_BY_COLUMN.get(normalise_name(name))) is not None
        and _answers(name, event, samples)
    ]
    order = list(_COLUMNS_BY_EVENT)
    return tuple(sorted(found, key=lambda flag: order.index(flag.event)))


def find_flagged(
    flags: Iterable[FlagColumn], values: Mapping[str, Any]
) -> tuple[Event, float | None] | None:
    """Return the event that a row says yes to, and how often it happened if it counts more than 1.

    None: it says yes to none.
    """
    for flag in flags:
        times = _read_times(values.get(flag.name), flag.event)
        if times:
            return flag.event, times if times > 1 else None
    return None


def is_log_of_shown(samples: Sequence[Mapping[str, Any]]) -> bool:
    """Whether rows have a column that tells what came of an item that was shown."""
    return any(normalise_name(name) in _LOG_COLUMNS for name in _list_columns(samples))


def find_unnamed_flag(samples: Sequence[Mapping[str, Any]], known: Iterable[str]) -> str | None:
    """Return a column of zeros and ones that has no known name; None if there is none.

    Args:
        samples: Column to value, of the first rows.
        known: The columns that are read.
    """
    read = {*known}
    for name in _list_columns(samples):
        answers = {read_yes_or_no(row.get(name)) for row in samples}
        if name not in read and answers == {True, False} and len(samples) >= _MIN_UNNAMED_ROWS:
            return name
    return None


def _list_columns(samples: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for row in samples for name in row))


def _answers(name: str, event: Event, samples: Sequence[Mapping[str, Any]]) -> bool:
    given = [cell for row in samples if not is_missing(cell := row.get(name))]
    answered = sum(1 for cell in given if _read_times(cell, event) is not None)
    return bool(given) and answered >= _MIN_SHARE * len(given)


def _read_times(value: Any, event: Event) -> float | None:
    """Return how often a cell says that an event happened; None if it is no answer."""
    answer = read_yes_or_no(value)
    if answer is not None:
        return float(answer)
    if event not in _COUNTED:
        return None
    number = read_number(value) if isinstance(value, str) else to_finite_number(value)
    return number if number is not None and number >= 0 and number == int(number) else None
