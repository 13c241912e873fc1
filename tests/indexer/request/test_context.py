"""Context fields as phrases, in both languages."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.errors import RequestError
from indexer.request.context import (
    ContextValue,
    Language,
    describe_context,
    describe_time,
    parse_time,
)


def test_known_fields_have_english_phrases() -> None:
    context: dict[str, ContextValue] = {
        "weather": "rain", "place": "Shanghai", "scene": "with friends", "device": "tv",
        "mood": "tired", "social": "alone", "season": "autumn", "weekday": "Friday",
    }  # fmt: skip
    assert describe_context(context, "en") == {
        "device": "on a tv",
        "mood": "feeling tired",
        "place": "in Shanghai",
        "scene": "with friends",
        "season": "in autumn",
        "social": "alone",
        "weather": "rainy weather",
        "weekday": "on Friday",
    }


def test_known_fields_have_chinese_phrases() -> None:
    context: dict[str, ContextValue] = {
        "weather": "rain", "place": "上海", "scene": "with friends", "device": "tv",
        "mood": "Tired",
    }  # fmt: skip
    assert describe_context(context, "zh") == {
        "device": "用电视",
        "mood": "心情：疲惫",
        "place": "地点：上海",
        "scene": "和朋友一起",
        "weather": "天气：下雨",
    }


def test_other_fields_are_named_in_their_phrase() -> None:
    context: dict[str, ContextValue] = {
        "time_budget": "an hour", "guests": 3, "half": 2.5, "with_kids": True, "hurry": False,
        "blank": "  ",
    }  # fmt: skip
    assert describe_context(context, "en") == {
        "guests": "guests: 3",
        "half": "half: 2.5",
        "time_budget": "time budget: an hour",
        "with_kids": "with kids",
    }


def test_a_name_with_braces_is_a_name_and_no_format() -> None:
    assert describe_context({"{0.__class__}": "x"}, "en") == {"{0.__class__}": "{0.  class  }: x"}
    assert describe_context({"{": "a {} b"}, "zh") == {"{": "{：a {} b"}


@pytest.mark.parametrize("expected", ["with my sister", "in the garden", "my office", "on a boat"])
def test_words_that_have_their_own_preposition_keep_it(expected: str) -> None:
    assert describe_context({"place": expected}, "en") == {"place": expected}


@pytest.mark.parametrize(
    ("local_time", "english", "chinese"),
    [
        (
            "2026-11-24T20:30:00+08:00",
            "Tuesday in the evening, working day, autumn",
            "秋天，工作日周二晚上",
        ),
        (
            "2026-01-03T04:59:59Z",
            "Saturday late at night, weekend, winter",
            "冬天，周末周六深夜",
        ),
        (
            "2026-03-01T05:00:00Z",
            "Sunday early in the morning, weekend, spring",
            "春天，周末周日清晨",
        ),
        (
            "2026-08-31T12:00:00Z",
            "Monday at noon, working day, summer",
            "夏天，工作日周一中午",
        ),
        (
            "2026-12-04T23:00:00Z",
            "Friday late at night, working day, winter",
            "冬天，工作日周五深夜",
        ),
    ],
)
def test_a_local_time_is_part_of_day_weekday_and_season(
    local_time: str, english: str, chinese: str
) -> None:
    assert describe_context({"time": local_time}, "en") == {"time": english}
    assert describe_context({"time": local_time}, "zh") == {"time": chinese}


@pytest.mark.parametrize("local_time", [1795523400, 1795523400.5])
def test_unix_seconds_give_the_season_only(local_time: float) -> None:
    assert describe_context({"time": local_time}, "en") == {"time": "autumn"}
    assert describe_context({"time": local_time}, "zh") == {"time": "秋天"}
    assert describe_context({"time": local_time, "country": "AU"}, "en")["time"] == "spring"


@pytest.mark.parametrize("country", ["CN", "chn", "China", "中国", " china "])
def test_a_public_holiday_of_a_known_country_is_named(country: str) -> None:
    context: dict[str, ContextValue] = {"time": "2026-10-01T20:30:00+08:00", "country": country}
    words = describe_context(context, "zh")["time"]
    assert words == "秋天，节假日国庆节，周四晚上"


@pytest.mark.parametrize(
    ("local_time", "country", "expected"),
    [
        ("2026-07-04T12:00:00-05:00", "US", "public holiday: Independence Day"),
        ("2026-07-03T12:00:00-05:00", "United States", "public holiday: Independence Day"),
        ("2026-01-02T12:00:00+08:00", "CN", "public holiday: day off"),
        ("2026-07-04T12:00:00-05:00", "Narnia", "weekend"),
        ("2026-07-06T12:00:00-05:00", "US", "working day"),
        ("2026-07-04T02:00:00+09:00", "US", "public holiday: Independence Day"),
    ],
)
def test_a_holiday_is_that_of_the_day_where_the_user_is(
    local_time: str, country: str, expected: str
) -> None:
    assert expected in describe_context({"time": local_time, "country": country}, "en")["time"]


def test_seasons_are_those_of_the_hemisphere() -> None:
    july = datetime(2026, 7, 10, 12, tzinfo=UTC)
    assert describe_time(july, "en", "CL").endswith("winter")
    assert describe_time(july, "en", "SE").endswith("summer")


@pytest.mark.parametrize(
    ("where", "season"),
    [
        ({"place": {"lat": -33.8, "lon": 151.2}}, "summer"),
        ({"location": {"lat": 59.3, "lon": 18.1}}, "winter"),
        ({"place": {"lat": -33.8, "lon": 151.2}, "country": "SE"}, "winter"),
        ({"place": "Sydney"}, "winter"),
    ],
)
def test_coordinates_give_the_hemisphere_where_no_country_does(
    where: dict[str, Any], season: str
) -> None:
    phrase = describe_context({"time": "2026-01-15T10:00:00+11:00", **where}, "en")["time"]
    assert phrase.endswith(season)


def test_a_country_code_is_replaced_by_its_name() -> None:
    assert describe_context({"country": "GB"}, "en") == {"country": "in United Kingdom"}
    assert describe_context({"country": "Narnia"}, "en") == {"country": "in Narnia"}


def test_chinese_words_get_chinese_phrases_in_an_english_catalogue() -> None:
    context: dict[str, ContextValue] = {
        "weather": "下雨", "device": "tv", "time": "2026-11-24T20:30:00+08:00",
    }  # fmt: skip
    assert describe_context(context, "en") == {
        "device": "on a tv",
        "time": "秋天，工作日周二晚上",
        "weather": "天气：下雨",
    }


def test_coordinates_have_no_phrase() -> None:
    assert describe_context({"place": {"lat": 31.2, "lon": 121.5}}, "en") == {}
    with pytest.raises(RequestError, match="is not a time"):
        parse_time({"lat": 1.0, "lon": 2.0})


def test_a_time_is_described_in_its_own_zone() -> None:
    same = datetime(2026, 11, 24, 20, 30, tzinfo=timezone(timedelta(hours=8)))
    assert "evening" in describe_time(same, "en")
    assert "noon" in describe_time(same.astimezone(UTC), "en")


@pytest.mark.parametrize(
    ("given_as", "local_time"),
    [
        ("2026-11-24T20:30:00+08:00", datetime(2026, 11, 24, 12, 30, tzinfo=UTC)),
        ("2026-11-24T12:30:00Z", datetime(2026, 11, 24, 12, 30, tzinfo=UTC)),
        (" 2026-11-24T12:30:00 ", datetime(2026, 11, 24, 12, 30, tzinfo=UTC)),
        ("2026-11-24", datetime(2026, 11, 24, tzinfo=UTC)),
        (1795523400, datetime(2026, 11, 24, 12, 30, tzinfo=UTC)),
        (-0.5, datetime(1969, 12, 31, 23, 59, 59, 500_000, tzinfo=UTC)),
    ],
)
def test_a_time_is_rfc_3339_or_unix_seconds(given_as: Any, local_time: datetime) -> None:
    assert parse_time(given_as) == local_time


@pytest.mark.parametrize(
    "wrong",
    [
        "yesterday",
        "",
        "2026-13-01",
        True,
        1e300,
        float("nan"),
        "24:61",
        "2024-10-10x10",
        "2024-10-10310",
        "2024-01-01+08:00",
    ],
)
def test_what_is_no_time_is_refused_with_an_example(wrong: Any) -> None:
    with pytest.raises(RequestError, match="RFC 3339 such as 2026"):
        parse_time(wrong)


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=8).filter(lambda name: name != "time"),
        st.text(max_size=10) | st.integers() | st.booleans() | st.floats(allow_nan=False),
        max_size=5,
    )
)
def test_a_phrase_depends_on_its_field_only_and_fields_are_sorted(context: dict[str, Any]) -> None:
    languages: tuple[Language, ...] = ("en", "zh")
    for language in languages:
        words = describe_context(context, language)
        assert [*words] == sorted(words)
        for name in words:
            assert describe_context({name: context[name]}, language) == {name: words[name]}
