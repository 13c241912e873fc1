"""Ratings in words are stars, -1 among stars is none, and values of which none is readable stop."""

from pathlib import Path

import pytest

from indexer.errors import CatalogError
from indexer.reading import EventReading, Interaction, read_interactions


def read(folder: Path, text: str, **said: str) -> tuple[list[tuple[str, float | None]], list[str]]:
    """Event and value of every row, and what was told."""
    path = folder / "a.csv"
    path.write_text(text, encoding="utf-8")
    reading = EventReading(**said)  # type: ignore[arg-type]
    rows = list(read_interactions(str(path), reading=reading))
    found = [(str(row.event), row.value) for row in rows if isinstance(row, Interaction)]
    return found, reading.render()


def test_the_words_of_douban_are_stars(tmp_path: Path) -> None:
    words = ["力荐", "推荐", "还行", "较差", "很差", "力薦"]
    text = "用户,电影,评分\n" + "".join(f"u{n},i{n},{word}\n" for n, word in enumerate(words))
    found, told = read(tmp_path, text)
    assert found == [("rating", stars) for stars in (5.0, 4.0, 3.0, 2.0, 1.0, 5.0)]
    assert any("every row without an event is a rating" in line for line in told)
    assert not any("unreadable" in line for line in told)


def test_values_of_which_none_can_be_read_are_refused(tmp_path: Path) -> None:
    text = "user_id,item_id,rating\nmia,a,superb\nbo,b,dull\n"
    with pytest.raises(CatalogError) as refusal:
        read(tmp_path, text)
    assert str(refusal.value) == (
        f"{tmp_path / 'a.csv'}: no cell of rating is a number (first: line 2 'superb'); write "
        f"ratings or counts as numbers, name another column with --fields value=COLUMN, or give "
        f"--event click to do without"
    )
    assert [event for event, _ in read(tmp_path, text, event="click")[0]] == ["click"] * 2
    answers = "user_id,item_id,value\nmia,a,yes\nbo,b,no\n"
    assert [event for event, _ in read(tmp_path, answers)[0]] == ["click"]


@pytest.mark.parametrize("column", ["rating", "score", "weight"])
def test_minus_one_among_stars_is_no_rating(tmp_path: Path, column: str) -> None:
    text = f"user_id,item_id,{column}\n" + "".join(
        f"u,i{n},{value}\n" for n, value in enumerate([-1, 7, 8, -1, 10, 1])
    )
    found, told = read(tmp_path, text)
    assert found == [
        ("view", None), ("rating", 7.0), ("rating", 8.0), ("view", None), ("rating", 10.0),
        ("rating", 1.0),
    ]  # fmt: skip
    assert any("-1 is no rating, such a row is a view" in line for line in told)


@pytest.mark.parametrize("values", [[-1, 1, 1, -1], [-1, 0, 7], [-5, -1, 8], [-1, 7.5, 2]])
def test_on_other_scales_it_is_one(tmp_path: Path, values: list[float]) -> None:
    rows = "".join(f"u,i{n},{value}\n" for n, value in enumerate(values))
    found, _ = read(tmp_path, "user_id,item_id,rating\n" + rows)
    assert [value for _, value in found] == values
