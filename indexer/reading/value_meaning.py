"""The values of interactions to what they are: ratings, counts or money. Pure.

A rating has a known scale. A count has a heavy tail and no fixed top, and more is more. Money says
that something was bought, not how much it is liked.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from indexer.event_kinds import Event

# Usual scales of stars, thumbs, grades and percentages; the first that fits is taken.
RATING_SCALES = (
    (0.0, 1.0), (-1.0, 1.0), (1.0, 5.0), (0.5, 5.0), (0.0, 5.0), (1.0, 10.0), (0.0, 10.0),
    (-10.0, 10.0), (1.0, 100.0), (0.0, 100.0),
)  # fmt: skip
_TOP_GRADE, _TOP_PERCENT = 10.0, 100.0
_NEAR_PERCENT = 90.0  # the highest of percentages is at least
_MIN_TELLING = 20  # values from which few low numbers look like counts and not like bad ratings
_TAIL = 4.0  # times the median that the highest of heavy-tailed values is, at least
_USUAL_SMALL_COUNT = 2.0  # median of counts none of which is above ten, at most
_MIN_COUNT_TOP = 3.0  # of such counts; 1 and 2 alone may be a scale
_MIN_STARS = 4.0  # of a scale on which 0 may stand for no rating
_MIN_UNRATED = 0.1  # share of zeros from which they may, if they are ...
_UNRATED_MINUS = -1.0
_UNRATED_RATIO = 3  # ... this many times as frequent as ones
_CENTS = 100  # of an amount of money
# As Douban calls its stars.
_STARS_BY_WORD = {"力荐": 5.0, "推荐": 4.0, "还行": 3.0, "较差": 2.0, "很差": 1.0}
_STARS_BY_WORD |= {"力薦": 5.0, "推薦": 4.0, "還行": 3.0, "較差": 2.0}


class ValueKind(StrEnum):
    """What the value of an interaction is."""

    RATING = "rating"
    COUNT = "count"
    MONEY = "money"


@dataclass(frozen=True, slots=True)
class ValueMeaning:
    """What the values of rows without an event are, and the event of such rows.

    Attributes:
        kind: None: there are no values.
        event: The event of a row that names none.
        reason: Why, in words.
        unrated: The value that is no rating: the row is a view; None: all are ratings.
    """

    kind: ValueKind | None
    event: str
    reason: str
    unrated: float | None = None


_EVENT_BY_KIND = {
    ValueKind.RATING: Event.RATING,
    ValueKind.COUNT: Event.CLICK,
    ValueKind.MONEY: Event.PURCHASE,
}
_COLUMNS_BY_MEANING: Mapping[tuple[ValueKind, Event], str] = {
    (ValueKind.RATING, Event.RATING): "rating score stars 评分 打分 豆瓣评分 bewertung",
    (ValueKind.COUNT, Event.PLAY): "plays play_count playcount listens listen_count watch_count "
    "play_time watch_time minutes hours seconds duration 播放次数 播放量 时长",
    (ValueKind.COUNT, Event.VIEW): "views view_count pageviews 浏览次数",
    (ValueKind.COUNT, Event.CLICK): "clicks click_count count times 点击次数 次数",
    (ValueKind.COUNT, Event.PURCHASE): "quantity qty units orders order_count 数量 购买数量",
    (ValueKind.MONEY, Event.PURCHASE): "amount revenue spend total_price paid 金额 总价",
}
_MEANING_BY_COLUMN = {
    name: meaning for meaning, names in _COLUMNS_BY_MEANING.items() for name in names.split()
}
VALUE_COLUMNS = tuple(_MEANING_BY_COLUMN)


def decide_value_meaning(
    column: str, values: Sequence[float], kind: ValueKind | None = None
) -> ValueMeaning:
    """Return what values are.

    Args:
        column: The source's name of their column.
        values: Those of the first rows without an event; may be empty.
        kind: What the caller says they are; None: the name of the column and the values decide.
    """
    named = _MEANING_BY_COLUMN.get(column.strip().lower())
    if kind is not None:
        event = named[1] if named and named[0] is kind else _EVENT_BY_KIND[kind]
        return ValueMeaning(kind, event, "as you said")
    if not values:
        return ValueMeaning(None, Event.CLICK, "there is no value")
    numbers = np.array(values, np.float64)
    if named is not None:
        found, event = named
        reason = f"the column is called {column!r}"
    else:
        found, reason = infer_value_kind(numbers)
        event = _EVENT_BY_KIND[found]
    unrated = _find_unrated(numbers) if found is ValueKind.RATING else None
    return ValueMeaning(found, event, reason, unrated)


def read_stars(value: object) -> object:
    """Return the stars that a word for them means; any other value as it is."""
    return _STARS_BY_WORD.get(value.strip(), value) if isinstance(value, str) else value


def _find_unrated(values: NDArray[np.float64]) -> float | None:
    """Return the value that stands for no rating; None if there is none."""
    if _has_unrated_zeros(values):
        return 0.0
    return _UNRATED_MINUS if _has_unrated_minus(values) else None


def _has_unrated_minus(values: NDArray[np.float64]) -> bool:
    """Whether -1 stands for no rating: all others are whole and fill a scale that begins at 1.

    So do data sets of films write that one was watched and not rated.
    """
    rated = values[values != _UNRATED_MINUS]
    if len(rated) in (0, len(values)) or (rated != np.floor(rated)).any() or rated.min() < 1:
        return False
    is_top_sure = rated.max() > _MIN_STARS + 1 or len(values) >= _MIN_TELLING
    return is_top_sure and _MIN_STARS <= rated.max() <= _TOP_GRADE


def _has_unrated_zeros(values: NDArray[np.float64]) -> bool:
    """Whether 0 stands for no rating: it is frequent on a scale of stars, and 1 is not.

    So do data sets of books write that a book was read and not rated.
    """
    is_whole = bool((values == np.floor(values)).all()) and values.min() >= 0
    if not is_whole or not _MIN_STARS <= values.max() <= _TOP_GRADE or len(values) < _MIN_TELLING:
        return False
    zeros, ones = int((values == 0).sum()), int((values == 1).sum())
    return zeros >= _MIN_UNRATED * len(values) and zeros > _UNRATED_RATIO * ones


def infer_value_kind(values: NDArray[np.float64]) -> tuple[ValueKind, str]:
    """Return what finite values `(m,)`, at least one, are, and why."""
    if _has_unrated_zeros(values):
        values = values[values > 0]
    low, top, median = float(values.min()), float(values.max()), float(np.median(values))
    if low < 0 and abs(values).max() <= _TOP_GRADE:
        return ValueKind.RATING, f"they lie between {low:g} and {top:g}"
    if (values != np.floor(values)).any():
        return _infer_kind_of_fractions(values)
    if top <= _TOP_GRADE:
        if _has_small_counts(values):
            return ValueKind.COUNT, f"most are {median:g} or less, few are more, up to {top:g}"
        return ValueKind.RATING, f"they lie between {low:g} and {top:g}"
    if _are_percentages(top, median):
        return ValueKind.RATING, f"they lie between {low:g} and {top:g}"
    return ValueKind.COUNT, f"whole numbers, half of them at most {median:g}, the highest {top:g}"


def _infer_kind_of_fractions(values: NDArray[np.float64]) -> tuple[ValueKind, str]:
    low, top, median = float(values.min()), float(values.max()), float(np.median(values))
    if top <= _TOP_GRADE or (_are_percentages(top, median) and low >= 1):
        return ValueKind.RATING, f"they lie between {low:g} and {top:g}"
    tenths = np.abs(values * 10 - np.round(values * 10)) < 1e-6
    cents = np.abs(values * _CENTS - np.round(values * _CENTS)) < 1e-6
    if cents.all() and not tenths.all():
        return ValueKind.MONEY, f"amounts with cents, up to {top:g}"
    return ValueKind.COUNT, f"half of them are at most {median:g}, the highest {top:g}"


def _are_percentages(top: float, median: float) -> bool:
    """Whether values above ten fill a scale up to 100; plays of 20 to 60 fit no usual scale."""
    return _NEAR_PERCENT <= top <= _TOP_PERCENT and top < _TAIL * median


def _has_small_counts(values: NDArray[np.float64]) -> bool:
    """Whether values up to ten fall from one on, as quantities do and ratings do not."""
    counted = values[values > 0]
    if len(counted) < _MIN_TELLING or counted.max() < _MIN_COUNT_TOP:
        return False
    frequency = np.bincount(counted.astype(np.int64), minlength=4)[1:]
    falls = bool(frequency[0] > frequency[1] >= frequency[2:].max())
    return falls and float(np.median(counted)) <= _USUAL_SMALL_COUNT


def infer_rating_scale(values: Iterable[float]) -> tuple[float, float]:
    """Return lowest and highest of the first usual scale that contains all ratings.

    See `RATING_SCALES`. Without ratings it is (1, 5). If no usual scale contains them it is the
    range of the ratings, extended to include 0. NaN and infinity are ignored.
    """
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return (1.0, 5.0)
    lowest, highest = min(finite), max(finite)
    for low, high in RATING_SCALES:
        if low <= lowest and highest <= high:
            return (low, high)
    return (float(min(lowest, 0.0)), float(max(highest, 0.0)))
