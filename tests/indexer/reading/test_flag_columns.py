"""A column of yes and no says what happened: a no is no click, and beside others no dislike."""

import json
from pathlib import Path

import pytest

from indexer.reading import EventReading, Interaction, read_interactions
from indexer.reading.value_meaning import ValueKind


def read(folder: Path, text: str) -> tuple[list[tuple[str, str]], list[str]]:
    """Item and event of every row, and what was told."""
    path = folder / "a.csv"
    path.write_text(text, encoding="utf-8")
    reading = EventReading()
    rows = list(read_interactions(str(path), reading=reading))
    found = [(row.item_id, str(row.event)) for row in rows if isinstance(row, Interaction)]
    return found, reading.render()


@pytest.mark.parametrize(
    ("column", "yes", "no", "event"),
    [("click", "1", "0", "click"), ("Clicked", "True", "False", "click"),
     ("is_click", "1", "0", "click"), ("label", "1.0", "0.0", "click"),
     ("是否点击", "是", "否", "click"), ("purchased", "yes", "no", "purchase"),
     ("converted", "1", "0", "purchase"), ("is_viewed", "1", "0", "view")],
)  # fmt: skip
def test_a_yes_is_that_event_and_a_no_none(
    tmp_path: Path, column: str, yes: str, no: str, event: str
) -> None:
    found, told = read(tmp_path, f"user_id,item_id,{column}\nmia,a,{yes}\nmia,b,{no}\nbo,c,{no}\n")
    assert found == [("a", event)]
    assert told == [
        f"{column} says what happened: 1 rows are {event}, 2 with a no are no events; --event "
        f"decides otherwise"
    ]


def test_typed_answers_are_read_alike(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    rows = [{"user": "u", "item": "i", "clicked": answer} for answer in (True, False, 1, 0)]
    path.write_text("\n".join(map(json.dumps, rows)))
    assert len(list(read_interactions(str(path)))) == 2


def test_of_several_the_one_that_says_most_counts(tmp_path: Path) -> None:
    text = "uid,item_id,click,conversion,cost\nmia,a,1,1,0.01\nmia,b,1,0,0.01\nbo,c,0,0,0.01\n"
    found, told = read(tmp_path, text)
    assert found == [("a", "purchase"), ("b", "click")]
    assert told[-1].startswith("conversion, click say what happened")


def test_clicks_that_are_counted_keep_their_number(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("user_id,item_id,click\nmia,a,3\nmia,b,0\nmia,c,1\n")
    rows = [row for row in read_interactions(str(path)) if isinstance(row, Interaction)]
    assert [(row.item_id, row.value) for row in rows] == [("a", 3.0), ("c", None)]


def test_a_no_beside_what_says_more_is_no_dislike(tmp_path: Path) -> None:
    text = (
        "user_id,video_id,time_ms,is_click,is_like,play_time_ms\n0,a,1650040000000,0,0,335\n"
        "0,b,1650040100000,1,0,52991\n0,c,1650040200000,1,1,47996\n"
    )
    path = tmp_path / "a.csv"
    found, told = read(tmp_path, text)
    assert found == [("b", "click"), ("c", "like")]
    assert (
        "is_click says what happened: 1 rows are like (liked), 1 rows are click, 1 with"
        in (told[-1])
    )
    times = [row.at for row in read_interactions(str(path)) if isinstance(row, Interaction)]
    assert times == [1650040100.0, 1650040200.0]


@pytest.mark.parametrize(("column", "event"), [("play_time_ms", "click"), ("plays", "play")])
def test_so_it_is_beside_a_count(tmp_path: Path, column: str, event: str) -> None:
    found, told = read(tmp_path, f"user_id,item_id,is_like,{column}\nmia,a,1,9\nmia,b,0,7\n")
    assert found == [("a", "like"), ("b", event)]
    assert any("those with a no, beside columns that say more" in line for line in told)


@pytest.mark.parametrize("column", ["duration", "amount"])
def test_what_stands_in_rows_of_which_nothing_came_is_no_event(tmp_path: Path, column: str) -> None:
    found, _ = read(tmp_path, f"user_id,item_id,is_click,{column}\nmia,a,1,90\nmia,b,0,70\n")
    assert found == [("a", "click")]


def test_what_a_row_says_otherwise_beats_the_answer(tmp_path: Path) -> None:
    found, _ = read(tmp_path, "user_id,item_id,event,clicked\nmia,a,view,1\nbo,b,like,0\n")
    assert found == [("a", "view"), ("b", "like")]
    found, told = read(tmp_path, "user_id,item_id,rating,clicked\nmia,a,4,1\nbo,b,2,0\n")
    assert found == [("a", "rating"), ("b", "rating")]
    assert "clicked: not read, since there are values that say what happened" in told


def test_a_column_of_zeros_and_ones_that_nobody_knows_is_told(tmp_path: Path) -> None:
    rows = "".join(f"u{n},i{n},{n % 2}\n" for n in range(12))
    found, told = read(tmp_path, "user_id,item_id,seen\n" + rows)
    assert [event for _, event in found] == ["click"] * 12
    assert told[0].startswith("seen holds yes and no, and is not read;")
    assert "--fields value=seen --value-is count" in told[0]


def test_its_remedy_helps(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("user_id,item_id,seen\nmia,a,1\nmia,b,0\n")
    reading = EventReading(value_kind=ValueKind.COUNT)
    rows = list(read_interactions(str(path), reading=reading, mapping={"value": "seen"}))
    assert [row.item_id for row in rows if isinstance(row, Interaction)] == ["a"]
