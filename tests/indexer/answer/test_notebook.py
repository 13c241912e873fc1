"""What a notebook shows of answers and indexes, and answers as tables."""

import json
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from indexer import Answer, Hit, Index, build_index
from tests.oracle import write_rows
from tests.worlds import Built

COMPLETE: dict[str, Any] = {
    "returned": 2,
    "eligible": 812,
    "excluded": {"deleted": 0, "seen": 3, "filter": 120},
    "search": "exact",
}
REASONS: list[dict[str, Any]] = [
    {"kind": "history", "item_id": "m1", "event": "like", "share": 0.5},
    {"kind": "context", "field": "weather", "value": "rain", "share": 0.3},
    {"kind": "interest", "text": "悬疑", "share": 0.05},
    {"kind": "popularity", "share": -0.14},
]
FIRST = Hit("m2", 1, 0.71, {"id": "m2", "title": "Night Train"}, REASONS)
SECOND = Hit("m7", 2, 0.4, {"id": "m7"})
ANSWER = Answer((FIRST, SECOND), COMPLETE, "s1", unknown_items=("ghost",))


class TextOfTags(HTMLParser):
    """The text of a page by tag; refuses tags that are not closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.tags: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag in ("td", "p"):
            self.cells.append("")
        if tag == "br":
            self.cells[-1] += "\n"
        else:
            self.open.append(tag)

    @override
    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    @override
    def handle_data(self, data: str) -> None:
        if {"td", "p"} & set(self.open):
            self.cells[-1] += data


def test_a_hit_is_its_rank_id_score_and_title() -> None:
    assert repr(FIRST) == "Hit(1, 'm2', 0.71, 'Night Train')"
    assert repr(SECOND) == "Hit(2, 'm7', 0.40)"
    assert len(repr(Hit("x", 3, 1.0, {"title": "word " * 100}))) < 80


def test_an_answer_says_how_many_and_which_is_best() -> None:
    assert repr(ANSWER) == "Answer(2 of 812 eligible, best 'm2' 0.71)"
    assert repr(Answer((), {**COMPLETE, "eligible": 0}, "s1")) == "Answer(0 of 0 eligible)"
    explained = Answer((), COMPLETE, "s1", reading={})
    assert repr(explained) == "Answer(explained only, 0 of 812 eligible)"


def test_an_answer_is_shown_as_a_table_with_its_main_reasons() -> None:
    assert TextOfTags(ANSWER._repr_html_()).cells == [
        "1", "0.710", "Night Train",
        "history m1, like +0.50\ncontext weather, rain +0.30\ninterest 悬疑 +0.05",
        "2", "0.400", "m7", "",
        "2 of 812 eligible items, search: exact; excluded: seen 3, filter 120; unknown ids: ghost",
    ]  # fmt: skip


def test_an_answer_without_hits_is_shown_as_a_sentence() -> None:
    shown = TextOfTags(Answer((), {}, "s1", unknown_items=tuple("abcdefg"))._repr_html_())
    assert shown.tags == ["p"]
    assert shown.cells == [
        "0 of ? eligible items, search: none; unknown ids: a, b, c, d, e and 2 more"
    ]


def test_what_items_and_requests_hold_is_escaped_and_cut() -> None:
    attack = '"><script>alert(1)</script>&amp;'
    reasons = [{"kind": "query", "text": attack, "share": 0.1}]
    # Elements of HTML are no words of a title; of any other bracket it is shown what stands there.
    title = '"><oops onload=alert(1)>'
    titled = Hit(attack, 1, 0.1, {"title": title + attack + "x" * 10_000}, reasons)
    untitled = Hit(attack, 2, 0.1, {}, [{"kind": "interest", "text": "y" * 10_000, "share": 0.1}])
    html = Answer((titled, untitled), COMPLETE, "s1", unknown_items=(attack,))._repr_html_()
    shown = TextOfTags(html)
    assert not {"script", "oops"} & set(shown.tags)
    assert shown.cells[2].startswith(title)
    assert shown.cells[3] == f"query {attack} +0.10"
    assert shown.cells[6] == attack
    assert shown.cells[8].endswith(f"unknown ids: {attack}")
    assert len(html) < 2_000


def test_the_ids_of_an_answer_are_in_rank_order() -> None:
    assert ANSWER.ids == ("m2", "m7")


def test_an_arrow_table_has_the_hits_and_their_scalar_fields() -> None:
    items: list[dict[str, Any]] = [
        {
            "id": "a",
            "title": "x",
            "year": 1984,
            "price": 2**60,
            "new": True,
            "code": 7,
            "rank": "gold",
        },
        {"id": "b", "tags": ["t"], "price": 9.5, "code": "B7", "far": 10**30, "none": None},
    ]
    hits = (Hit("a", 1, 0.5, items[0], REASONS, 0.25), Hit("b", 2, 0.25, items[1]))
    table = Answer(hits, COMPLETE, "s1").to_arrow()
    rows = table.to_pydict()
    assert [json.loads(text) for text in rows.pop("reasons")] == [REASONS, []]
    assert rows == {
        "id": ["a", "b"],
        "rank": [1, 2],
        "score": [0.5, 0.25],
        "propensity": [0.25, None],
        "title": ["x", None],
        "year": [1984, None],
        "price": [2.0**60, 9.5],
        "new": [True, None],
        "code": ["7", "B7"],
        "item.rank": ["gold", None],
        "far": [None, str(10**30)],
    }
    types = {name: str(table.schema.field(name).type) for name in ("rank", "year", "price", "new")}
    assert types == {"rank": "int64", "year": "int64", "price": "double", "new": "bool"}


def test_an_arrow_table_without_hits_keeps_its_columns() -> None:
    table = Answer((), COMPLETE, "s1").to_arrow()
    assert table.num_rows == 0
    assert table.column_names == ["id", "rank", "score", "propensity", "reasons"]


def test_without_pandas_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"pip install pandas.*to_arrow"):
        ANSWER.to_pandas()


def test_a_pandas_frame_has_the_columns_of_the_arrow_table() -> None:
    pytest.importorskip("pandas")
    frame = ANSWER.to_pandas()
    assert list(frame.columns) == ANSWER.to_arrow().column_names
    assert frame["id"].tolist() == ["m2", "m7"]
    assert frame["score"].tolist() == [0.71, 0.4]


def test_an_index_says_its_snapshot_size_and_model(worded: Built, tmp_path: Path) -> None:
    index = worded.index
    encoder = index.manifest.encoder
    assert encoder is not None
    assert repr(index) == f"Index({index.id!r}, 300 items, {encoder.name})"
    rows = [{"id": "a", "title": "a", "vector": [3, 0, 0]}]
    build_index(write_rows(tmp_path / "i.jsonl", rows), tmp_path / "x", model="none")
    assert repr(Index.open(tmp_path / "x")).endswith(", 1 items, no language model)")


def test_an_index_is_a_container_of_items_by_id(worded: Built) -> None:
    index = worded.index
    assert len(index) == len(worded.world.items)
    assert "i0001" in index
    assert "nobody" not in index
    assert 1 not in index
    assert index["i0001"] == worded.world.items["i0001"]
    with pytest.raises(KeyError, match="nobody"):
        index["nobody"]


def test_iteration_gives_all_ids_in_order_and_reads_page_by_page(
    worded: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexer.index.index._IDS_PER_READ", 7)
    assert list(worded.index) == sorted(worded.world.items)
    reads: list[int] = []
    read_ids = worded.index.ids

    def read_and_record(rows: Any) -> list[str]:
        reads.append(len(rows))
        return read_ids(rows)

    monkeypatch.setattr(worded.index, "ids", read_and_record)
    assert next(iter(worded.index)) == "i0000"
    assert reads == [7]
