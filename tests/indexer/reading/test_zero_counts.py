"""A count of 0 is no event, in files and in requests; a price or a rating of 0 is none."""

from pathlib import Path

import pytest

from indexer.event_kinds import settle_event
from indexer.reading import EventReading, Interaction, Rejection, read_interactions
from indexer.request import parse_request


def _read(path: Path, text: str, reading: EventReading) -> list[Interaction | Rejection]:
    path.write_text(text)
    return list(read_interactions(str(path), reading=reading))


@pytest.mark.parametrize("column", ["clicks", "plays", "views", "quantity", "播放次数"])
def test_a_row_that_counts_nothing_is_no_event_and_is_told(tmp_path: Path, column: str) -> None:
    reading = EventReading()
    text = f"user_id,item_id,{column}\na,x,0\na,y,2\nb,x,0.0\nb,z,1\n"
    rows = _read(tmp_path / "e.csv", text, reading)
    assert [(row.user_id, row.item_id) for row in rows if isinstance(row, Interaction)] == [
        ("a", "y"), ("b", "z"),
    ]  # fmt: skip
    assert len(rows) == 2
    assert "2 rows with a count of 0 are no events" in reading.render()


def test_a_counted_event_of_0_is_no_event_in_a_file_that_names_events(tmp_path: Path) -> None:
    reading = EventReading()
    text = "user_id,item_id,event,value\na,x,click,0\na,y,play,0\na,z,click,\na,w,like,0\n"
    rows = _read(tmp_path / "e.csv", text, reading)
    assert [row.item_id for row in rows if isinstance(row, Interaction)] == ["z", "w"]
    assert reading.zero_counts == 2


def test_an_amount_or_a_rating_of_0_says_nothing_about_how_often(tmp_path: Path) -> None:
    reading = EventReading()
    rows = _read(tmp_path / "e.csv", "user_id,item_id,amount\na,x,0\na,y,9.99\n", reading)
    assert len(rows) == 2
    text = "user_id,item_id,event,rating\na,x,click,0\na,y,rating,5\n"
    rows = _read(tmp_path / "f.csv", text, reading)
    assert [(row.event, row.value) for row in rows if isinstance(row, Interaction)] == [
        ("click", None), ("rating", 5.0),
    ]  # fmt: skip
    assert reading.zero_counts == 0


@pytest.mark.parametrize("event", ["click", "view", "play"])
def test_by_request_it_is_an_impression(event: str) -> None:
    assert settle_event(event, 0.0) == ("impression", None)
    assert settle_event(event, 1.0) == (event, 1.0)
    assert settle_event(event, None) == (event, None)
    entry = {"item_id": "x", "event": event, "value": 0}
    request = parse_request({"history": [entry]})
    assert [(one.event, one.value) for one in request.history] == [("impression", None)]
