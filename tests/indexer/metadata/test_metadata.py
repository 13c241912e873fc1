"""Items come back as they went in, by row, by id and by their words."""

import json
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexer.errors import CatalogError, SnapshotError
from indexer.metadata.full_text import MAX_TERMS, build_match_expression, parse_query_terms
from indexer.metadata.store import MetadataStore
from indexer.metadata.store_writer import MetadataWriter
from tests.words_oracle import share_words

FILMS: list[dict[str, Any]] = [
    {"id": "m0", "title": "红楼梦", "tags": ["古典"], "description": "贾宝玉与林黛玉的故事。"},
    {"id": "m1", "title": "Film Noir", "tags": ["红楼", "detective"], "description": "雨夜。"},
    {"id": "m2", "title": "The  Rain ", "tags": ["noir"], "reviews": ["看到红楼二字", "tense"]},
    {
        "id": "m3",
        "title": "ｆｉｌｍ noir",
        "brand": "Detective House",
        "url": "https://tense.example",
    },
    {"id": "悬", "title": "m1", "tags": ["悬疑"], "attrs": {"mood": {"name": "Straße"}}},
]
INJECTIONS = (
    "' OR 1=1 --",
    '" OR "x',
    "'); DROP TABLE items; --",
    "NEAR(a b)",
    "title:红",
    "* ^ - + ( ) { } :",
    "a AND b OR NOT c",
    '"""',
    "\x00",
    "%_\\",
    "\ud800",
    "{col1 col2}: x",
)

LETTERS = ("rain", "noir", "tense", "story", "红楼", "楼梦")
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8) | st.sampled_from(INJECTIONS),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=4) | st.sampled_from(INJECTIONS), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


def write(path: Path, items: Sequence[dict[str, Any]]) -> None:
    with MetadataWriter(path) as writer:
        for row, item in enumerate(items):
            writer.add(row, item)
        writer.finish()


@pytest.fixture
def films(tmp_path: Path) -> Iterator[MetadataStore]:
    write(tmp_path / "catalog.sqlite", FILMS)
    with MetadataStore.open(tmp_path / "catalog.sqlite") as metadata:
        yield metadata


def found(metadata: MetadataStore, text: str) -> list[int]:
    return [row for row, _ in metadata.search(text, 10)]


@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(st.lists(st.dictionaries(st.text(max_size=6), json_values, max_size=4), max_size=5))
def test_items_come_back_equal_in_the_order_asked(drawn: list[dict[str, Any]]) -> None:
    items = [{**item, "id": f"i{row}"} for row, item in enumerate(drawn)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "catalog.sqlite"
        write(path, items)
        with MetadataStore.open(path) as metadata:
            order = [*reversed(range(len(items))), *range(len(items))]
            assert metadata.count == len(metadata) == len(items)
            assert metadata.read_items(order) == [items[row] for row in order]
            assert [list(item) for item in metadata.read_items(order)] == [
                list(items[r]) for r in order
            ]
            assert metadata.read_ids(order) == [f"i{row}" for row in order]


def test_one_file_remains_and_nothing_beside_it(tmp_path: Path) -> None:
    write(tmp_path / "catalog.sqlite", FILMS)
    write(tmp_path / "catalog.sqlite", FILMS[:2])  # replaces what an earlier try left
    assert [file.name for file in tmp_path.iterdir()] == ["catalog.sqlite"]
    with MetadataStore.open(tmp_path / "catalog.sqlite") as metadata:
        assert len(metadata) == 2
        metadata.search("film", 5)
        assert [file.name for file in tmp_path.iterdir()] == ["catalog.sqlite"]


def test_a_read_only_folder_with_an_odd_name_serves(tmp_path: Path) -> None:
    folder = tmp_path / "a ?mode=rwc&x#%41%00 名字"
    folder.mkdir()
    path = folder / "c?#%25 目录.sqlite"
    write(path, FILMS)
    path.chmod(0o400)
    folder.chmod(0o500)
    try:
        with MetadataStore.open(path) as metadata:
            assert metadata.read_items([0]) == [FILMS[0]]
    finally:
        folder.chmod(0o700)


def test_20000_ids_are_found_and_unknown_ones_left_out(tmp_path: Path) -> None:
    write(tmp_path / "many.sqlite", [{"id": f"i{row}"} for row in range(3_000)])
    with MetadataStore.open(tmp_path / "many.sqlite") as metadata:
        asked = [f"i{row}" for row in range(20_000)]
        assert metadata.find_rows(asked) == {f"i{row}": row for row in range(3_000)}
        rows = np.arange(2_999, -1, -1)
        assert metadata.read_ids(list(rows)) == [f"i{row}" for row in rows]
        assert metadata.find_rows([]) == {}
        assert metadata.read_items([]) == []


def test_pages_follow_one_another_without_gap_or_repeat(films: MetadataStore) -> None:
    first, second = films.read_page(-1, 3), films.read_page(2, 3)
    assert [*first, *second] == list(enumerate(FILMS))
    assert films.read_page(4, 3) == []


def test_a_row_that_is_not_there_is_named(films: MetadataStore) -> None:
    with pytest.raises(SnapshotError, match="has no row 5; it holds 5 rows"):
        films.read_items([0, 5])


def test_an_exact_id_comes_before_exact_titles(films: MetadataStore) -> None:
    assert films.find_exact("m1") == [1, 4]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("红楼梦", [0]),
        ("film noir", [1, 3]),
        ("  ＦＩＬＭ\tNoir ", [1, 3]),
        ("the rain", [2]),
        ("红楼", []),
        ("M1", [4]),
        ("", []),
        (" ", []),
    ],
)
def test_titles_are_equal_whatever_their_width_case_and_space(
    films: MetadataStore, text: str, rows: list[int]
) -> None:
    assert films.find_exact(text) == rows


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("红", [0, 1, 2]),
        ("红楼", [0, 1, 2]),
        ("楼梦", [0]),
        ("红梦", []),
        ("黛玉 雨夜", [0, 1]),
        ("悬疑", [4]),
        ("detective", [1, 3]),
        ("DETEC", [1, 3]),
        ("detec rain", [2]),
        ("strasse", [4]),
        ("tense", [2]),
        ("看红楼", [0, 1, 2]),
        ("看楼红", []),
        ("http", []),
    ],
)
def test_words_are_found_in_chinese_and_english(
    films: MetadataStore, text: str, rows: list[int]
) -> None:
    assert sorted(found(films, text)) == rows


def test_titles_weigh_more_than_tags_and_tags_more_than_the_rest(tmp_path: Path) -> None:
    texts: list[dict[str, Any]] = [{"description": "月亮"}, {"tags": ["月亮"]}, {"title": "月亮"}]
    others = [{"title": f"other {number}"} for number in range(9)]
    items = [{"id": str(row), **item} for row, item in enumerate([*texts, *others])]
    write(tmp_path / "c.sqlite", items)
    with MetadataStore.open(tmp_path / "c.sqlite") as metadata:
        hits = metadata.search("月亮", 10)
        assert [row for row, _ in hits] == [2, 1, 0]
        scores = [score for _, score in hits]
        assert scores == sorted(scores, reverse=True)
        assert metadata.search("月亮", 2) == hits[:2]


def test_equal_hits_come_in_order_of_rows(tmp_path: Path) -> None:
    write(tmp_path / "c.sqlite", [{"id": str(row), "title": "same"} for row in range(20)])
    with MetadataStore.open(tmp_path / "c.sqlite") as metadata:
        assert [row for row, _ in metadata.search("same", 20)] == list(range(20))


def list_terms(query: str) -> list[str]:
    """The terms of a query, the one that may go on with a star."""
    return [f"{t.text}*" if t.is_prefix else t.text for t in parse_query_terms(query)]


def test_an_expression_is_quoted_and_bounded() -> None:
    terms = parse_query_terms("noir AND 红楼 fi")
    assert build_match_expression(terms) == '"noir" OR "红  楼" OR "fi"'
    assert list_terms('"*" () ^') == []
    assert len(list_terms(" ".join(f"w{n}" for n in range(99)))) == MAX_TERMS
    assert len(list_terms("红楼梦里人" * 2_000)) <= MAX_TERMS


def test_a_sentence_is_asked_for_its_words_and_pairs_of_characters() -> None:
    assert list_terms("a film by the Coens") == ["film", "coens*"]
    assert list_terms("I would like to see something with chess") == ["chess*"]
    assert list_terms("chess with the") == [
        "chess"
    ]  # the last word is no beginning: it is left out
    assert list_terms("红楼梦") == ["红  楼", "楼  梦"]
    assert list_terms("我想看周杰伦的演出") == ["周  杰", "杰  伦", "演  出"]
    assert list_terms("same Same SAME") == ["same*"]


def test_a_query_of_function_words_alone_keeps_them() -> None:
    assert list_terms("The Who") == ["the", "who*"]
    assert list_terms("我想看") == ["我  想", "想  看"]


def test_a_rare_word_counts_and_a_common_one_hardly(tmp_path: Path) -> None:
    items = [{"id": str(row), "title": "quiet film", "director": "Ann"} for row in range(40)]
    items[3] |= {"director": "Tarkovsky"}
    write(tmp_path / "c.sqlite", items)
    with MetadataStore.open(tmp_path / "c.sqlite") as metadata:
        hits = metadata.search("a quiet film by Tarkovsky", 40)
        assert [row for row, _ in hits] == [3]
        assert hits[0][1] > 0.4  # its maker is neither in the title nor in the tags
        common = metadata.search("quiet", 40)
        assert max(share for _, share in common) < 0.01


def test_the_kind_of_item_is_looked_for_only_where_it_is_a_category(tmp_path: Path) -> None:
    films = [{"id": str(row), "title": f"t{row}", "description": "x"} for row in range(60)]
    films[7] |= {"title": "Movie Movie"}
    films[8] |= {"description": "about chess"}
    write(tmp_path / "films.sqlite", films)
    with MetadataStore.open(tmp_path / "films.sqlite") as metadata:
        assert [row for row, _ in metadata.search("movie about chess", 9)] == [8]
        assert [row for row, _ in metadata.search("movie", 9)] == [7]
    mixed = [{**film, "tags": ["movie" if row % 4 else "book"]} for row, film in enumerate(films)]
    write(tmp_path / "mixed.sqlite", mixed)
    with MetadataStore.open(tmp_path / "mixed.sqlite") as metadata:
        assert len(metadata.search("book about chess", 60)) > 10


def test_a_longer_word_counts_a_quarter_and_not_in_a_finished_wish(tmp_path: Path) -> None:
    items = [{"id": str(row), "title": f"t{row}"} for row in range(20)]
    items[2] |= {"title": "gymnopedies"}
    items[5] |= {"title": "gym"}
    write(tmp_path / "c.sqlite", items)
    with MetadataStore.open(tmp_path / "c.sqlite") as metadata:
        whole, longer = metadata.search("gym", 9)
        assert (whole[0], longer[0]) == (5, 2)
        assert 0.1 < longer[1] / whole[1] < 0.26
        assert [row for row, _ in metadata.search("gym", 9, is_finished=True)] == [5]


@settings(max_examples=60)
@given(
    texts=st.lists(st.lists(st.sampled_from(LETTERS), min_size=1, max_size=6), min_size=3),
    query=st.lists(st.sampled_from(LETTERS), min_size=1, max_size=4),
)
def test_shares_are_those_of_looking_at_every_item(
    tmp_path_factory: pytest.TempPathFactory, texts: list[list[str]], query: list[str]
) -> None:
    items: list[dict[str, Any]] = [
        {"id": f"{row:03}", "title": words[0], "tags": words[1:3], "note": " ".join(words[3:])}
        for row, words in enumerate(texts)
    ]
    path = tmp_path_factory.mktemp("w") / "c.sqlite"
    write(path, items)
    expected = share_words({item["id"]: item for item in items}, " ".join(query))
    with MetadataStore.open(path) as metadata:
        found = metadata.search(" ".join(query), 1_000, is_finished=True)
    assert {f"{row:03}" for row, _ in found} == {*expected}
    for row, share in found:
        assert share == pytest.approx(expected[f"{row:03}"], rel=1e-6)


@pytest.mark.parametrize("text", INJECTIONS)
def test_no_text_is_taken_for_sql_or_fts_syntax(tmp_path: Path, text: str) -> None:
    storable = "x" if text == "\ud800" else text
    items: list[dict[str, Any]] = [
        {"id": storable, "title": text, "tags": [text]},
        {"id": "other", "title": "other"},
    ]
    write(tmp_path / "c.sqlite", items)
    with MetadataStore.open(tmp_path / "c.sqlite") as metadata:
        assert metadata.read_items([0, 1]) == items
        assert metadata.find_rows([storable, text, "other' --"]) == {storable: 0}
        assert metadata.find_exact(storable)[:1] == [0]
        assert set(found(metadata, text)) <= {0}


def test_every_thread_reads_at_once(films: MetadataStore) -> None:
    def ask(number: int) -> tuple[list[dict[str, Any]], list[int], dict[str, int]]:
        row = number % 5
        return films.read_items([row]), found(films, "红楼"), films.find_rows([FILMS[row]["id"]])

    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(ask, range(300)))
    hits = found(films, "红楼")
    for number, answer in enumerate(answers):
        row = number % 5
        assert answer == ([FILMS[row]], hits, {FILMS[row]["id"]: row})


def test_two_rows_with_one_id_are_refused_with_both(tmp_path: Path) -> None:
    with MetadataWriter(tmp_path / "c.sqlite") as writer:
        for row, item_id in enumerate(["a", "b", "a"]):
            writer.add(row, {"id": item_id})
        with pytest.raises(CatalogError, match="id 'a' is on rows 0 and 2"):
            writer.finish()


@pytest.mark.parametrize(
    ("row", "item", "complaint"),
    [
        (1, {"id": "a"}, "row 1 was added where row 0 is due"),
        (0, {"title": "x"}, "the id of row 0 must be a string"),
        (0, {"id": 7}, "the id of row 0 must be a string"),
        (0, {"id": ""}, "the id of row 0 must be a string"),
        (0, {"id": "\ud800"}, "the id of row 0 must be a string"),
        (0, {"id": "a", "n": float("nan")}, "item 'a' cannot be stored as JSON"),
        (0, {"id": "a", "n": {1, 2}}, "item 'a' cannot be stored as JSON"),
    ],
)
def test_an_item_that_cannot_be_kept_is_refused_by_name(
    tmp_path: Path, row: int, item: dict[str, Any], complaint: str
) -> None:
    with MetadataWriter(tmp_path / "c.sqlite") as writer, pytest.raises(CatalogError) as refusal:
        writer.add(row, item)
    assert complaint in str(refusal.value)


def test_a_missing_unfinished_or_foreign_file_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    with pytest.raises(SnapshotError, match=r"c\.sqlite cannot be read"):
        MetadataStore.open(path)
    path.write_text("no database at all, but long enough to be looked at " * 40)
    with pytest.raises(SnapshotError, match=r"c\.sqlite cannot be read"):
        MetadataStore.open(path)
    with MetadataWriter(path) as writer:
        writer.add(0, {"id": "a"})
    with pytest.raises(SnapshotError, match="of version 0, this program reads 2"):
        MetadataStore.open(path)


def test_the_file_is_sound_and_holds_plain_json(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    write(path, FILMS)
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    bodies = connection.execute("SELECT body FROM items ORDER BY row").fetchall()
    connection.close()
    assert [json.loads(body) for (body,) in bodies] == FILMS
