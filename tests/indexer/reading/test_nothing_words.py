"""Words that programs write for nothing are missing in cells of CSV, and words in JSON."""

import json
from pathlib import Path

import pytest

from indexer.reading import Interaction, Item, Rejection, read_catalog, read_interactions

WORDS = ["NULL", "null", "nan", "None", "N/A", "undefined", " NULL "]


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("good", ["7", "7.0", "a"])
def test_a_user_or_an_item_that_is_nothing_is_a_rejected_row(
    tmp_path: Path, word: str, good: str
) -> None:
    path = tmp_path / "e.csv"
    path.write_text(f"user_id,item_id,event\n{word},{good},like\n{good},{word},like\n7,7,like\n")
    first, second, third = read_interactions(str(path))
    assert isinstance(first, Rejection)
    assert first.reason == "user_id is missing"
    assert isinstance(second, Rejection)
    assert second.reason == "item_id is missing"
    assert isinstance(third, Interaction)


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("separator", [",", "\t"])
def test_ids_titles_and_tags_that_are_nothing_are_missing(
    tmp_path: Path, word: str, separator: str
) -> None:
    path = tmp_path / "items.csv"
    rows = [
        ("id", "title", "tags"), (word, "Tea", "hot"), ("1", word, "hot"), ("2", "Tea", word),
        ("3", "Nan", f"['hot', '{word.strip()}']"), ("4", word, word),
    ]  # fmt: skip
    path.write_text("".join(separator.join(f'"{cell}"' for cell in row) + "\n" for row in rows))
    found = list(read_catalog([str(path)]))
    assert [item.fields for item in found if isinstance(item, Item)] == [
        {"id": "1", "tags": ["hot"]}, {"id": "2", "title": "Tea"},
        {"id": "3", "title": "Nan", "tags": ["hot"]},
    ]  # fmt: skip
    assert [row.line for row in found if isinstance(row, Rejection)] == [2, 6]


def test_json_can_say_that_it_means_the_word(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    path.write_text(json.dumps({"id": "None", "title": "NULL", "tags": ["None"]}))
    (item,) = read_catalog([str(path)])
    assert isinstance(item, Item)
    assert item.fields == {"id": "None", "title": "NULL", "tags": ["None"]}


def test_words_for_nothing_with_spaces_around_are_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    wide = "\u3000" * 12
    text = f"id,title,tags,summary\n1,A,x,nan            \n2,B, None ,{wide}\n"
    path.write_text(text, encoding="utf-8")
    items = [item for item in read_catalog([str(path)]) if isinstance(item, Item)]
    assert [item.fields for item in items] == [
        {"id": "1", "title": "A", "tags": ["x"]},
        {"id": "2", "title": "B"},
    ]
