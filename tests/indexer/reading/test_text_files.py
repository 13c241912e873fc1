"""Text is read in the encodings that there is no doubt of, and left alone in all others."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from indexer.errors import CatalogError
from indexer.reading import Item, ReadingNotes, Rejection, read_catalog
from indexer.reading.column_names import Role, SourceNames
from indexer.reading.rows import BadRow, Row
from indexer.reading.tables import read_rows

SIMPLIFIED = "id,标题,标签\n1,霸王别姬,剧情|爱情\n2,一个都不能少,剧情\n3,活着,战争\n"
TRADITIONAL = "id,標題,標籤\n1,悲情城市,劇情|歷史\n2,臥虎藏龍,一個江湖俠客的故事\n3,盜夢空間,科幻\n"


def read(path: Path, content: bytes) -> tuple[list[Any], list[str]]:
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    notes = ReadingNotes()
    return list(read_catalog([str(path)], notes=notes)), notes.sentences


@pytest.mark.parametrize(
    ("text", "encoding", "shown"),
    [
        (SIMPLIFIED, "gb18030", "GB18030"),
        (SIMPLIFIED, "gbk", "GB18030"),
        (TRADITIONAL, "big5", "Big5"),
        (SIMPLIFIED, "utf-16", "UTF-16"),
        (SIMPLIFIED, "utf-16-le", "UTF-16-LE"),
        (TRADITIONAL, "utf-16-be", "UTF-16-BE"),
        (SIMPLIFIED, "utf-32", "UTF-32"),
    ],
)
@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_a_sure_encoding_is_read_and_told(
    tmp_path: Path, name: str, text: str, encoding: str, shown: str
) -> None:
    expected, _ = read(tmp_path / "utf-8.csv", text.encode())
    found, told = read(tmp_path / name, text.encode(encoding))
    assert [item.fields for item in found] == [item.fields for item in expected]
    assert told[0] == f"{tmp_path / name} is read as {shown}"


def test_json_lines_in_gb18030_are_read(tmp_path: Path) -> None:
    rows = [{"id": n, "title": "红楼梦的故事", "tags": ["小说"]} for n in range(3)]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    found, _ = read(tmp_path / "a.jsonl", text.encode("gb18030"))
    assert [item.fields["title"] for item in found] == ["红楼梦的故事"] * 3


def test_chinese_after_a_long_english_start_is_found_in_the_sample(tmp_path: Path) -> None:
    text = (
        "id,title\n"
        + "".join(f"{n},An English title\n" for n in range(1000))
        + "x,霸王别姬的故事\n"
    )
    found, _ = read(tmp_path / "a.csv", text.encode("gb18030"))
    assert found[-1].fields["title"] == "霸王别姬的故事"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("id,title\n1,Война и мир\n2,Идиот\n", "cp1251"),
        ("id,title\n1,기생충 영화 제목\n2,올드보이\n", "euc_kr"),
        ("id,title\n1,千と千尋の神隠し\n2,となりのトトロ\n", "shift_jis"),
    ],
)
def test_a_doubtful_encoding_is_left_alone_and_its_lines_say_so(
    tmp_path: Path, text: str, encoding: str
) -> None:
    found, told = read(tmp_path / "a.csv", text.encode(encoding))
    assert told == []
    assert all(isinstance(row, Rejection) for row in found)
    assert all("which is not UTF-8; save the file as UTF-8" in row.reason for row in found)


def test_utf_8_is_never_taken_for_another(tmp_path: Path) -> None:
    for text in (SIMPLIFIED, TRADITIONAL, "id,title\n1,Amélie\n2,Война\n3,기생충\n"):
        _, told = read(tmp_path / "a.csv", text.encode())
        assert not [sentence for sentence in told if "is read as" in sentence]


def test_a_damaged_character_of_another_encoding_costs_one_row(tmp_path: Path) -> None:
    content = (SIMPLIFIED + "".join(f"{n},山楂树之恋,剧情\n" for n in range(10, 60_000))).encode(
        "gb18030"
    )
    assert len(content) > 1 << 20
    found, told = read(tmp_path / "a.csv", content + b"x,\xff\xff,y\nz,\xbb\xee\xd7\xc5,\n")
    bad = [row for row in found if isinstance(row, Rejection)]
    assert [row.line for row in bad] == [59_995]
    assert isinstance(found[-1], Item)
    assert found[-1].fields["title"] == "活着"
    assert told[0].endswith("is read as GB18030")


def test_byte_order_marks_within_a_file_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("\ufeffid,title\n1,A\n\ufeffid,title\n\ufeff2,B\n", encoding="utf-8")
    notes = ReadingNotes()
    rows = list(read_rows(str(path), SourceNames(Role.CATALOGUE, {}, notes=notes)))
    assert rows == [
        Row(str(path), 2, {"id": "1", "title": "A"}),
        Row(str(path), 4, {"id": "2", "title": "B"}),
    ]
    assert notes.sentences == [f"{path}: line 3 repeats the header and is left out"]


def test_byte_order_marks_within_json_lines_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('\ufeff{"id": 1}\n\ufeff{"id": 2}\n', encoding="utf-8")
    assert list(read_rows(str(path))) == [
        Row(str(path), 1, {"id": 1}),
        Row(str(path), 2, {"id": 2}),
    ]


# --- JSON that has not one object a line ---------------------------------------------------------

ROWS = [{"id": 1, "title": "红", "tags": ["a", "b"], "n": 1.5}, {"id": 2, "title": "B", "n": None}]


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.ndjson", "a.json.gz"])
@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (json.dumps(ROWS), "one JSON array"),
        (json.dumps(ROWS, indent=2, ensure_ascii=False), "one JSON array"),
        ("\n [\n" + ",\n".join(map(json.dumps, ROWS)) + "\n]\n", "one JSON array"),
        (json.dumps({"products": ROWS}), "one JSON array ('products')"),
        (json.dumps({"data": ROWS}, indent=1), "one JSON array ('data')"),
        ("\n".join(json.dumps(row, indent=4) for row in ROWS), "JSON over several lines"),
    ],
)
def test_json_of_another_layout_is_read_and_told(
    tmp_path: Path, name: str, text: str, kind: str
) -> None:
    path = tmp_path / name
    content = text.encode()
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    notes = ReadingNotes()
    rows = list(read_rows(str(path), SourceNames(Role.CATALOGUE, {}, notes=notes)))
    assert rows == [Row(str(path), 1, ROWS[0]), Row(str(path), 2, ROWS[1])]
    assert notes.sentences == [f"{path} is {kind}; its rows are counted by object, from 1"]


def test_one_object_a_line_stays_that_in_a_json_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"id": 1, "tags": [{"name": "x"}]}\n\n{"id": 2}\n')
    assert [row.line for row in read_rows(str(path))] == [1, 3]


def test_an_object_over_several_lines_that_begins_with_a_list_is_one_row(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{\n "tags": [\n {"name": "x"}],\n "id": 1\n}\n{\n "id": 2\n}')
    assert [row.values["id"] for row in read_rows(str(path)) if isinstance(row, Row)] == [1, 2]


def test_an_entry_of_an_array_that_is_no_object_is_a_bad_row(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('[\n{"id": 1},\n[2],\n"x",\n{"id": 4}]')
    reason = "is JSON, but not an object with fields"
    assert list(read_rows(str(path))) == [
        Row(str(path), 1, {"id": 1}),
        BadRow(str(path), 2, reason, "[2]"),
        BadRow(str(path), 3, reason, '"x"'),
        Row(str(path), 4, {"id": 4}),
    ]


def test_an_array_that_ends_too_early_is_refused_with_what_was_read(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('[\n{"id": 1},\n{"id": 2},\n{"id": ')
    with pytest.raises(CatalogError, match=r"a\.json is not JSON after its 2 first objects"):
        list(read_rows(str(path)))


def test_nan_and_infinities_of_json_are_missing(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"id": 1, "a": NaN, "v": [1, -Infinity]}\n{"id": 2, "title": "NaN, [NaN]"}\n')
    assert list(read_rows(str(path))) == [
        Row(str(path), 1, {"id": 1, "a": None, "v": [1, None]}),
        Row(str(path), 2, {"id": 2, "title": "NaN, [NaN]"}),
    ]
