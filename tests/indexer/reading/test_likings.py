"""Whether somebody liked an item, answered with yes or no, is a like or a dislike."""

import json
from pathlib import Path
from typing import Any

import pytest

from indexer.reading import EventReading, Interaction, read_interactions


def read(folder: Path, text: str, **said: Any) -> tuple[list[tuple[str, str]], list[str]]:
    """Item and event of every row, and what was told."""
    path = folder / "a.csv"
    path.write_text(text, encoding="utf-8")
    reading = EventReading(**said)
    rows = list(read_interactions(str(path), reading=reading))
    found = [(row.item_id, str(row.event)) for row in rows if isinstance(row, Interaction)]
    return found, reading.render()


@pytest.mark.parametrize(
    ("column", "yes", "no"),
    [("liked", "1", "0"), ("Is_Liked", "true", "false"), ("favorite", "Yes", "No"),
     ("like", "Y", "N"), ("喜欢", "是", "否"), ("推荐", "是", "不是"), ("liked", "ja", "nein"),
     ("recommended", "True", "False")],
)  # fmt: skip
def test_a_yes_is_a_like_and_a_no_a_dislike(tmp_path: Path, column: str, yes: str, no: str) -> None:
    text = f"user_id,item_id,{column}\nmia,a,{yes}\nmia,b,{no}\nbo,a,\n"
    found, told = read(tmp_path, text)
    assert found == [("a", "like"), ("b", "dislike"), ("a", "click")]
    assert told[-1] == (
        "liked says what happened: 1 rows with a yes are likes, 1 with a no dislikes, those "
        "without an answer clicks; --event decides otherwise"
    )


def test_answers_of_typed_rows_are_read_alike(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    rows = [{"user": "u", "item": "i", "liked": answer} for answer in (True, False, 1, 0)]
    path.write_text("\n".join(map(json.dumps, rows)))
    events = [row.event for row in read_interactions(str(path)) if isinstance(row, Interaction)]
    assert events == ["like", "dislike", "like", "dislike"]


def test_likes_that_are_counted_are_no_answers(tmp_path: Path) -> None:
    found, _ = read(tmp_path, "user_id,item_id,likes,favorite\nmia,a,3,pizza\nbo,b,5,pasta\n")
    assert found == [("a", "click"), ("b", "click")]


def test_a_no_that_nearly_all_rows_have_is_no_dislike(tmp_path: Path) -> None:
    """As in a log of all that was shown, where 1 is a button that was pressed."""
    text = "user_id,item_id,is_like\n" + "".join(f"u{n},i{n},{int(n < 3)}\n" for n in range(40))
    found, told = read(tmp_path, text)
    assert [event for _, event in found] == ["like"] * 3 + ["click"] * 37
    assert "3 rows with a yes are likes, those with a no, as nearly all have, clicks" in told[-1]


def test_what_a_row_says_otherwise_beats_the_answer(tmp_path: Path) -> None:
    text = "user_id,item_id,event,liked\nmia,a,view,yes\nbo,b,,yes\n"
    assert read(tmp_path, text)[0] == [("a", "view"), ("b", "like")]
    assert read(tmp_path, text, event="play")[0] == [("a", "play"), ("b", "play")]


def test_ratings_say_it_better_and_that_is_told(tmp_path: Path) -> None:
    found, told = read(tmp_path, "user_id,item_id,rating,liked\nmia,a,4,yes\nbo,b,2,no\n")
    assert found == [("a", "rating"), ("b", "rating")]
    assert "liked is not read, since there are ratings" in told


@pytest.mark.parametrize(
    ("event", "value", "expected"),
    [("like", "False", ["dislike"]), ("like", "no", ["dislike"]), ("喜欢", "否", ["dislike"]),
     ("like", "True", ["like"]), ("click", "False", []), ("dislike", "no", []),
     ("purchase", "yes", ["purchase"]), ("purchase", "False", [])],
)  # fmt: skip
def test_an_event_that_a_word_denies_did_not_happen_and_no_like_is_a_dislike(
    tmp_path: Path, event: str, value: str, expected: list[str]
) -> None:
    found, _ = read(tmp_path, f"user_id,item_id,event,value\nmia,a,{event},{value}\n")
    assert [name for _, name in found] == expected


def test_a_typed_no_denies_it_too(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"user": "u", "item": "i", "event": "like", "value": false}\n')
    (found,) = read_interactions(str(path))
    assert isinstance(found, Interaction)
    assert (found.event, found.value) == ("dislike", None)
