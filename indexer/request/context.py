"""The context of a request (time, place, weather, device) to a phrase for each field. Pure.

An encoder places "rainy weather" better than `{"weather": "rain"}` and "in the evening" better than
an hour, so each context field becomes a short phrase, which is encoded on its own. A phrase is in
Chinese if the value holds Chinese characters, else in the language of the catalogue.

A time as text ("2026-11-24T20:30:00+08:00", or without an offset) is taken as the user's local
time: it becomes part of day, weekday, kind of day and season, with a country also the public
holiday. Unix seconds do not tell the local time, so they become the season only. Coordinates do not
become words; `indexer.query.score_terms` makes a score term of them.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeAlias

from indexer.errors import RequestError
from indexer.request.public_holidays import (
    find_country_code,
    find_country_name,
    find_public_holiday,
    is_southern,
)

_DATE_PART = re.compile(r"[\dW-]{7,10}(?:[Tt ]|$)", re.ASCII)
_CHINESE_CHARS = re.compile(r"[\u3400-\u9fff]")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Language = Literal["en", "zh"]
ContextValue: TypeAlias = str | float | bool | Mapping[str, float]  # the mapping: lat and lon

_DAY_PARTS = (  # the hour before which it ends
    (5, "late at night", "深夜"),
    (8, "early in the morning", "清晨"),
    (12, "in the morning", "上午"),
    (14, "at noon", "中午"),
    (18, "in the afternoon", "下午"),
    (22, "in the evening", "晚上"),
    (24, "late at night", "深夜"),
)
_WEEKDAYS = (
    ("Monday", "周一"), ("Tuesday", "周二"), ("Wednesday", "周三"), ("Thursday", "周四"),
    ("Friday", "周五"), ("Saturday", "周六"), ("Sunday", "周日"),
)  # fmt: skip
_SEASONS = (("winter", "冬天"), ("spring", "春天"), ("summer", "夏天"), ("autumn", "秋天"))

# Field to its English and Chinese phrase. Other fields become "field: value".
_PLACEHOLDER = "{}"
_PHRASES: dict[str, tuple[str, str]] = {
    "weather": ("{} weather", "天气：{}"),
    "place": ("in {}", "地点：{}"),
    "location": ("at {}", "地点：{}"),
    "city": ("in {}", "城市：{}"),
    "country": ("in {}", "国家：{}"),
    "scene": ("{}", "{}"),
    "social": ("with {}", "{}"),
    "mood": ("feeling {}", "心情：{}"),
    "device": ("on a {}", "用{}"),
    "daytime": ("in the {}", "{}"),
    "daytype": ("{}", "{}"),
    "season": ("in {}", "{}"),
    "weekday": ("on {}", "{}"),
}
_VALUE_WORDS_ZH = {
    "rain": "下雨", "rainy": "下雨", "snow": "下雪", "snowy": "下雪", "sunny": "晴天",
    "clear": "晴天", "cloudy": "多云", "storm": "暴风雨", "hot": "炎热", "cold": "寒冷",
    "windy": "刮风", "fog": "有雾", "home": "家里", "work": "公司", "office": "公司",
    "commute": "通勤路上", "alone": "一个人", "friends": "朋友", "family": "家人",
    "with friends": "和朋友一起", "with family": "和家人一起", "with children": "和孩子一起",
    "with partner": "和恋人一起", "tv": "电视", "phone": "手机", "tablet": "平板", "pc": "电脑",
    "morning": "早上", "afternoon": "下午", "evening": "晚上", "night": "夜里",
    "weekend": "周末", "weekday": "工作日", "holiday": "假日", "spring": "春天",
    "summer": "夏天", "autumn": "秋天", "winter": "冬天", "happy": "开心", "sad": "难过",
    "relaxed": "放松", "tired": "疲惫", "bored": "无聊",
}  # fmt: skip
_ADJECTIVES_EN = {
    "rain": "rainy", "snow": "snowy", "sun": "sunny", "storm": "stormy", "fog": "foggy",
    "wind": "windy", "cloud": "cloudy",
}  # fmt: skip


def describe_context(context: Mapping[str, ContextValue], language: Language) -> dict[str, str]:
    """Return the phrase of each context field that has one, in order of field name.

    Args:
        context: Field to value.
        language: Of the catalogue; used where the values are not in Chinese.

    Raises:
        RequestError: If `time` is not a time.
    """
    phrases = {field: _describe_field(field, context, language) for field in sorted(context)}
    return {field: phrase for field, phrase in phrases.items() if phrase}


def _describe_field(field: str, context: Mapping[str, ContextValue], language: Language) -> str:
    """Return the phrase of one field; empty for false, blank text and coordinates."""
    value = context[field]
    if field == "time":
        return _describe_time_field(context, language)
    if isinstance(value, bool):
        return field.replace("_", " ") if value else ""
    if isinstance(value, Mapping):
        return ""
    if isinstance(value, str) and _CHINESE_CHARS.search(value):
        language = "zh"
    words = _describe_value(field, value, language)
    return _format_phrase(field, words, language) if words else ""


def describe_time(
    local_time: datetime,
    language: Language,
    country: str | None = None,
    *,
    is_south: bool | None = None,
) -> str:
    """Return the phrase of a time: part of day, weekday, kind of day (or holiday) and season.

    Args:
        local_time: In the user's time zone.
        language: Of the phrase.
        country: ISO 3166 code, for public holidays.
        is_south: Whether the seasons are those of the southern hemisphere; None: those of
            `country`, northern without one.
    """
    chinese = language == "zh"
    _, english_part, chinese_part = next(part for part in _DAY_PARTS if local_time.hour < part[0])
    weekday = _WEEKDAYS[local_time.weekday()][chinese]
    if is_south is None:
        is_south = country is not None and is_southern(country)
    season = _describe_season(local_time, language, is_south=is_south)
    weekend = local_time.weekday() >= 5
    day = ("工作日", "周末")[weekend] if chinese else ("working day", "weekend")[weekend]
    if country and (holiday := find_public_holiday(country, local_time.date(), language)):
        day = f"节假日{holiday}，" if chinese else f"public holiday: {holiday}"
    if chinese:
        return f"{season}，{day}{weekday}{chinese_part}"
    return f"{weekday} {english_part}, {day}, {season}"


def _describe_time_field(context: Mapping[str, ContextValue], language: Language) -> str:
    country_value = context.get("country")
    country = find_country_code(country_value) if isinstance(country_value, str) else None
    is_south = _is_south(context, country)
    language = _detect_language(context, language)
    local_time = parse_time(context["time"])
    if isinstance(context["time"], int | float):
        return _describe_season(local_time, language, is_south=is_south)
    return describe_time(local_time, language, country, is_south=is_south)


def _is_south(context: Mapping[str, ContextValue], country: str | None) -> bool:
    """Return whether the user is south of the equator, by country, else by latitude; else False."""
    if country is not None:
        return is_southern(country)
    places = (context.get(name) for name in ("place", "location"))
    latitudes = (place.get("lat") for place in places if isinstance(place, Mapping))
    return next((float(lat) < 0 for lat in latitudes if isinstance(lat, int | float)), False)


def _describe_season(local_time: datetime, language: Language, *, is_south: bool) -> str:
    half_year = 2 if is_south else 0
    return _SEASONS[(local_time.month % 12 // 3 + half_year) % 4][language == "zh"]


def _detect_language(context: Mapping[str, ContextValue], language: Language) -> Language:
    """Return "zh" if any other field holds Chinese text: the time then uses the same language."""
    words = [word for field, word in context.items() if isinstance(word, str) and field != "time"]
    return "zh" if any(map(_CHINESE_CHARS.search, words)) else language


def parse_time(value: ContextValue) -> datetime:
    """Return a time from RFC 3339 text, in the zone it names (none: UTC), or from Unix seconds.

    Raises:
        RequestError: If the value is neither, or outside the years 1 to 9999.
    """
    if isinstance(value, bool | Mapping):
        raise _build_time_error(value)
    try:
        if isinstance(value, int | float):
            return _EPOCH + timedelta(seconds=float(value))
        local_time = _read_time(value.strip())
    except (ValueError, OverflowError) as error:
        raise _build_time_error(value) from error
    return local_time if local_time.tzinfo else local_time.replace(tzinfo=UTC)


def _read_time(text: str) -> datetime:
    # Python's own parser takes any character between a date and a time.
    if not _DATE_PART.match(text):
        raise ValueError("no date")
    return datetime.fromisoformat(text)


def _build_time_error(value: ContextValue) -> RequestError:
    return RequestError(
        f"{value!r} is not a time; use RFC 3339 such as 2026-11-24T20:30:00+08:00, or Unix seconds"
    )


def _describe_value(field: str, value: str | float, language: Language) -> str:
    if isinstance(value, int | float):
        return f"{value:g}"
    words = value.strip()
    if field == "country" and len(words) <= 3 and (code := find_country_code(words)):
        words = find_country_name(code)
    if language == "zh":
        return _VALUE_WORDS_ZH.get(words.lower(), words)
    return words


def _format_phrase(field: str, words: str, language: Language) -> str:
    english, chinese = _PHRASES.get(
        field, (f"{field.replace('_', ' ')}: {_PLACEHOLDER}", f"{field}：{_PLACEHOLDER}")
    )
    if language == "zh":
        return _fill_template(chinese, words)
    if field == "weather":
        words = _ADJECTIVES_EN.get(words.lower(), words)
    if field == "social" and words.lower() in ("alone", "nobody"):
        return "alone"
    if words.lower().startswith(("my ", "with ", "in ", "at ", "on ", "the ")):
        return words
    return _fill_template(english, words)


def _fill_template(phrase: str, words: str) -> str:
    # Not `str.format`: a field's name comes from the request and may hold braces.
    before, _, after = phrase.rpartition(_PLACEHOLDER)
    return before + words + after
