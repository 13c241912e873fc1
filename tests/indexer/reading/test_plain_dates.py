"""A date has one meaning by every door, or none; the order of day and month is never guessed."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.reading.plain_dates import (
    DateOrder,
    find_date_order,
    parse_instant,
    read_datetime,
    to_instant,
)


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2024", "2024"), ("2024年", "2024"), ("2024-05", "2024-05"), ("2024/5", "2024-05"),
        ("2024年5月", "2024-05"), ("May 2024", "2024-05"),
        (" 2024-05-01 ", "2024-05-01"), ("2024/1/10", "2024-01-10"), ("2024.1.10", "2024-01-10"),
        ("2024年3月10日", "2024-03-10"), ("２０２４年３月１０日", "2024-03-10"),
        ("20240501", "2024-05-01"), ("2024-W05-3", "2024-01-31"), ("2024-W05", "2024-01-29"),
        ("Jan 5 2024", "2024-01-05"), ("5 January 2024", "2024-01-05"),
        ("Sept. 5th, 2024", "2024-09-05"), ("10.01.2024", "2024-01-10"),
        ("29-01-2021 07:01", "2021-01-29T07:01:00"), ("01/29/2021", "2021-01-29"),
        ("05/05/2021", "2021-05-05"),
        ("2024-05-01 20:00", "2024-05-01T20:00:00"),
        ("2024-05-01T20:00:00Z", "2024-05-01T20:00:00Z"),
        ("2024-05-01t20:00:00z", "2024-05-01T20:00:00Z"),
        ("2024-05-01T20:00:00+00:00", "2024-05-01T20:00:00Z"),
        ("2024-01-10 08:00:00+08", "2024-01-10T08:00:00+08:00"),
        ("2024-01-10 08:00:00.5 +0800", "2024-01-10T08:00:00.500000+08:00"),
        ("2024-01-10 08:00:00 +0000 UTC", "2024-01-10T08:00:00+00:00"),
        ("20240501T080000Z", "2024-05-01T08:00:00Z"), ("20240501T08", "2024-05-01T08:00:00"),
        ("2024-W05-3T08:00", "2024-01-31T08:00:00"),
        ("Fri, 05 Jan 2024 08:00:00 GMT", "2024-01-05T08:00:00Z"),
        ("5 January 2024 8:05 PM", "2024-01-05T20:05:00"),
        ("Wed Mar 22 11:37:04 -0700 2017", "2017-03-22T11:37:04-07:00"),
        ("Wed Aug 27 13:08:45 +0000 2008", "2008-08-27T13:08:45Z"),
        ("Wed Mar 22 2017 11:37:04 GMT+0800 (China Standard Time)", "2017-03-22T11:37:04+08:00"),
        ("Wed Mar 22 2017 11:37:04 GMT-0330 (北美时间)", "2017-03-22T11:37:04-03:30"),
        ("2024年3月10日 下午3:05", "2024-03-10T15:05:00"),
        ("2024/3/10 15:05", "2024-03-10T15:05:00"),
        ("2024-12-31T24:00:00", "2025-01-01T00:00:00"),
        ("2024-01-01+08:00", "2024-01-01"), ("2024-01-01-05:00", "2024-01-01"),
        ("2024-01-01Z", "2024-01-01"), ("2024年5月1日 24:00", "2024-05-02T00:00:00"),
        ("2024年5月1日上午0:30", "2024-05-01T00:30:00"),
        ("2024年5月1日下午13:05", "2024-05-01T13:05:00"),
        ("Jan 5 2024 8:00 +0300", "2024-01-05T08:00:00+03:00"),
        ("Jan 5 2024 8:00 UTC", "2024-01-05T08:00:00Z"),
    ],
)  # fmt: skip
def test_a_date_is_read_as_people_and_programs_write_it(text: str, iso: str) -> None:
    assert read_datetime(text) == iso.replace("+00:00", "Z")


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "May", "May 5", "2024-13-01", "2024-02-30", "2024-05-01 25:00", "Jun 31 2024",
     "05/04/2021", "5-4-2021 07:01", "1999.5", "12:30", "March 2024 Sun", "10/01/24", "0000",
     "2024-05-01 20:00:00 PST", "the 5th of May", "2024-05-01x", "9" * 300,
     "2024-10-10x10", "2024-10-10310", "2024-01-01+15:00", "2024-02-30+08:00", "2024-05-01 24:59",
     "2024年5月1日 24:59", "2024年5月1日下午25:00", "2024年5月1日上午13:00", "2024-05-01T24:00:01",
     "Jan 5 2024 8:00 ST", "Jan 5 2024 8:00 T", "2024-05-0①", "2024-05-0²"],
)  # fmt: skip
def test_what_is_no_date_or_not_surely_one_is_none(text: str) -> None:
    assert read_datetime(text) is None


def test_the_column_decides_which_number_is_the_day() -> None:
    day_first = find_date_order(["05/04/2021", "29/01/2021 07:01", "not a date", "2021-01-29"])
    month_first = find_date_order(["05/04/2021", "01/29/2021"])
    assert (day_first, month_first) == (DateOrder.DAY_FIRST, DateOrder.MONTH_FIRST)
    assert read_datetime("05/04/2021", order=day_first) == "2021-04-05"
    assert read_datetime("05/04/2021", order=month_first) == "2021-05-04"
    assert read_datetime("29/01/2021", order=month_first) is None
    assert find_date_order(["05/04/2021", "06/06/2021"]) is None
    assert find_date_order(["29/01/2021", "01/29/2021"]) is None
    assert find_date_order([]) is None


def test_instants_are_those_of_the_iso_form() -> None:
    may = datetime(2024, 5, 1, tzinfo=UTC).timestamp()
    assert parse_instant("2024-05") == parse_instant("2024年5月1日") == may
    assert parse_instant("2024-05-01 08:00:00+08") == may
    assert to_instant("2024") == datetime(2024, 1, 1, tzinfo=UTC).timestamp()
    assert parse_instant("2024") is parse_instant("20240501") is parse_instant("12") is None


@given(st.datetimes(min_value=datetime(1, 1, 2), timezones=st.sampled_from([None, UTC])))
def test_what_python_writes_is_read_back_to_the_same_instant(moment: datetime) -> None:
    iso = read_datetime(moment.isoformat())
    assert iso is not None
    assert to_instant(iso) == moment.replace(tzinfo=UTC).timestamp()
    assert read_datetime(iso) == iso


@given(st.text() | st.from_regex(r"[0-9/:\-. TZ年月日]{4,24}", fullmatch=True))
def test_no_text_makes_the_reader_fail_and_its_answer_is_read_alike(text: str) -> None:
    iso = read_datetime(text)
    if iso is not None:
        assert read_datetime(iso) == iso
        to_instant(iso)
