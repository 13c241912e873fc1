"""Of many bad rows the one line that is printed gives the commonest reason."""

from pathlib import Path

import pytest

from indexer.errors import CatalogError
from indexer.evaluation.workspace import read_log_rows
from indexer.reading import BadRowCounts
from indexer.reading.notes import ReadingNotes


def test_the_commonest_reason_comes_first_whatever_its_cells() -> None:
    counts = BadRowCounts()
    assert counts.describe_first() == ""
    counts.add("a.csv", 2, "user_id is missing")
    counts.add("a.csv", 3, "item_id 'x' has 300 characters")
    counts.add("a.csv", 4, "item_id 'yy' has 400 characters")
    assert (counts.total, counts.describe_first()) == (3, "a.csv:3: item_id 'x' has 300 characters")


def test_where_reasons_are_as_common_the_first_row_is_given() -> None:
    counts = BadRowCounts()
    counts.add("a.csv", 2, "is bad")
    counts.add("a.csv", 3, "is worse")
    assert counts.describe_first() == "a.csv:2: is bad"


def test_control_characters_of_a_name_are_not_told_raw() -> None:
    notes = ReadingNotes()
    notes.add("a.csv: \x1b[31mred\x00")
    assert notes.sentences == ["a.csv: \\x1b[31mred\\x00"]


def test_an_evaluation_gives_the_commonest_reason(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("user_id,item_id\n,i1\nu1,\nu2,\n", encoding="utf-8")
    with pytest.raises(CatalogError, match=r"3 of 3 rows .*first: .*a\.csv:3: item_id is missing"):
        read_log_rows(str(path), context=None, fields={})
