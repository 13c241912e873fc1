"""One spelling stands for all spellings of a text, in filters, titles and the search."""

import sqlite3
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.metadata import MetadataStore, MetadataWriter
from indexer.metadata.character_folding import fold_characters


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("懸疑", "悬疑"), ("盜夢空間", "盗梦空间"), ("頭髮與發現", "头发与发现"), ("臺灣", "台湾"),
        ("Cine\u0301ma", "Cin\u00e9ma"), ("ＡＢＣ　１２！", "ABC 12!"), ("ｶﾞｷﾞ", "ガギ"),
        ("\uf900", "岂"),
        ("Film", "Film"), ("H₂O ①", "H₂O ①"), ("", ""), ("\ud800é", "\ud800é"),
    ],
)  # fmt: skip
def test_composition_width_and_chinese_forms_are_folded_and_nothing_else(
    text: str, folded: str
) -> None:
    assert fold_characters(text) == folded


@given(st.text())
def test_folding_twice_or_another_form_changes_nothing(text: str) -> None:
    folded = fold_characters(text)
    assert fold_characters(folded) == folded
    assert fold_characters(unicodedata.normalize("NFD", text)) == folded


TITLES = ["盗梦空间", "盜夢空間", "Amélie", "ＡＬＩＥＮ"]


def store(path: Path) -> MetadataStore:
    with MetadataWriter(path) as writer:
        for row, title in enumerate(TITLES):
            writer.add(row, {"id": f"m{row}", "title": title, "tags": ["懸疑" if row else "悬疑"]})
        writer.finish()
    return MetadataStore.open(path)


def test_titles_and_words_are_found_in_any_spelling(tmp_path: Path) -> None:
    with store(tmp_path / "c.sqlite") as items:
        for text in ("盜夢空間", "盗梦空间"):
            assert items.find_exact(text) == [0, 1]
            assert {row for row, _ in items.search(text, 9)} == {0, 1}
        assert items.find_exact("Ame\u0301lie") == [2]
        assert items.find_exact("alien") == [3]
        assert len(items.search("懸疑", 9)) == len(items.search("悬疑", 9)) == 4
        assert items.count_phrase("悬  疑") == 4


def test_a_file_of_the_first_version_is_searched_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    store(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE items SET title_key = '盜夢空間' WHERE row = 1")
        connection.execute("PRAGMA user_version = 1")
    connection.close()
    with MetadataStore.open(path) as items:
        assert items.find_exact("盜夢空間") == [1]
        assert items.find_exact("盗梦空间") == [0]
