"""Windows-1252 is read where the words of a file show it, and no other encoding is taken for it."""

import json
from pathlib import Path

import pytest

from indexer.reading import Item, ReadingNotes, Rejection, read_catalog

FRENCH = "id,title\n1,Les Misérables\n2,L’Été meurtrier\n3,Cœur de lion – où ça ?\n4,À bout\n"
GERMAN = "id,title\n1,Die fetten Jahre sind vorüber\n2,Übergröße\n3,Ärzte in Köln\n"
SPANISH = "id,title\n1,¿Qué he hecho yo?\n2,El niño\n3,Español – 1ª parte\n"
PORTUGUESE = "id,title\n1,Ações e coração\n2,São Paulo, amanhã\n"
ITALIAN = "id,title\n1,La città è bella\n2,Perché no? È così, più in là\n"
SWEDISH = "id,title\n1,Äta sova dö\n2,Håll käften på ön\n"
DANISH = "id,title\n1,Babettes gæstebud\n2,Møller & søn\n3,Blå mænd\n"
CATALAN = "id,title\n1,Història d’una col·lecció\n2,Això és així\n"
ENGLISH = "id,title\n1,It’s a “Wonderful” Life\n2,Don’t look now – again\n"
CZECH = "id,title\n1,Příliš žluťoučký kůň\n2,Ostře sledované vlaky\n3,Dvořák\n"
POLISH = "id,title\n1,Człowiek z żelaza\n2,Nóż w wodzie\n"
RUSSIAN = "id,title\n1,Война и мир\n2,Идиот\n"
TAIWANESE = "id,標題,標籤\n1,悲情城市,劇情|歷史\n2,臥虎藏龍,一個江湖俠客的故事\n3,盜夢空間,科幻\n"
CHINESE = "id,title\n1,霸王别姬\n2,活着\n"


def read(path: Path, content: bytes) -> tuple[list[Item | Rejection], list[str]]:
    path.write_bytes(content)
    notes = ReadingNotes()
    return list(read_catalog([str(path)], notes=notes)), notes.sentences


@pytest.mark.parametrize(
    "text",
    [FRENCH, GERMAN, SPANISH, PORTUGUESE, ITALIAN, SWEDISH, DANISH, CATALAN, ENGLISH,
     "id,title\n1,Amérique\n"],
)  # fmt: skip
def test_text_of_western_europe_is_read_and_told(tmp_path: Path, text: str) -> None:
    expected, _ = read(tmp_path / "utf-8.csv", text.encode())
    path = tmp_path / "a.csv"
    found, told = read(path, text.encode("cp1252"))
    assert [row.fields for row in found if isinstance(row, Item)] == [
        row.fields for row in expected if isinstance(row, Item)
    ]
    line, first = next(
        pair for pair in enumerate(text.splitlines(), start=1) if not pair[1].isascii()
    )
    assert told == [
        f"{path} is read as Windows-1252, since it is not UTF-8 (first: line {line} {first!r})"
    ]


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (CZECH, "cp1250"), (CZECH, "iso8859-2"), (POLISH, "cp1250"), (POLISH, "iso8859-2"),
        ("id,title\n1,Az ötödik pecsét\n2,Az erdő\n3,nő\n", "cp1250"),
        ("id,title\n1,După dealuri\n2,Casă\n", "cp1250"),
        ("id,title\n1,Ivo Andrić\n2,Čovjek\n", "cp1250"),
        ("id,title\n1,Kış uykusu\n2,Ağır roman\n", "cp1254"),
        ("id,title\n1,Mūžīgais ceļš\n2,Ēdene\n", "cp1257"),
        (RUSSIAN, "cp1251"), (RUSSIAN, "koi8-r"), (RUSSIAN, "cp866"), (RUSSIAN, "iso8859-5"),
        ("id,title\n1,Ο κόσμος\n2,Ζορμπάς\n", "cp1253"),
        ("id,title\n1,שלום עולם\n", "cp1255"), ("id,title\n1,مرحبا بالعالم\n", "cp1256"),
        (GERMAN, "cp850"), (GERMAN, "mac-roman"), (FRENCH, "mac-roman"),
        ("id,title\n1,기생충 영화 제목\n2,올드보이\n", "euc_kr"),
        ("id,title\n1,千と千尋の神隠し\n2,となりのトトロ\n", "shift_jis"),
        ("id,title\n1,千と千尋の神隠し\n2,となりのトトロ\n", "euc_jp"),
        ("id,title\n1,活着\n", "gb18030"), ("id,title\n1,Lust 色 戒\n2,Hero 英雄\n", "gb18030"),
        ("id,title\n1,龍\n2,活\n", "big5"), ("id,title\n1,Tiger 龍 a\n", "big5"),
    ],
)  # fmt: skip
def test_another_encoding_is_never_taken_for_it(tmp_path: Path, text: str, encoding: str) -> None:
    found, told = read(tmp_path / "a.csv", text.encode(encoding))
    assert told == []
    bad = [row for row in found if isinstance(row, Rejection)]
    assert bad
    assert all("which is not UTF-8; save the file as UTF-8" in row.reason for row in bad)


@pytest.mark.parametrize("encoding", ["gb18030", "big5"])
def test_it_is_never_taken_for_chinese_nor_chinese_for_it(tmp_path: Path, encoding: str) -> None:
    for text in (FRENCH, GERMAN, SPANISH, PORTUGUESE, DANISH):
        _, told = read(tmp_path / "a.csv", text.encode("cp1252"))
        assert "Windows-1252" in told[0]
    chinese = {"gb18030": CHINESE, "big5": TAIWANESE}[encoding]
    _, told = read(tmp_path / "a.csv", chinese.encode(encoding))
    assert "Windows-1252" not in told[0]


def test_utf_8_with_one_line_of_it_is_left_alone(tmp_path: Path) -> None:
    content = ("id,title\n" + "1,Amélie\n" * 5).encode() + "2,Café\n".encode("cp1252")
    *items, bad = read(tmp_path / "a.csv", content)[0]
    assert all(isinstance(item, Item) for item in items)
    assert isinstance(bad, Rejection)


def test_the_first_accent_may_come_after_megabytes_of_ascii(tmp_path: Path) -> None:
    plain = "id,title\n" + "".join(f"{n},A title in plain letters\n" for n in range(50_000))
    path = tmp_path / "a.csv"
    found, told = read(path, (plain + "x,Les Misérables\n").encode("latin-1"))
    last = found[-1]
    assert isinstance(last, Item)
    assert last.fields["title"] == "Les Misérables"
    assert told[0].endswith("(first: line 50002 'x,Les Misérables')")


def test_double_colons_and_json_are_read_in_it(tmp_path: Path) -> None:
    films = "73::Misérables, Les (1995)::Drama|Musical\n1::Toy Story (1995)::Comedy\n"
    (film, _), _ = read(tmp_path / "movies.dat", films.encode("latin-1"))
    assert isinstance(film, Item)
    assert film.fields["title"] == "Misérables, Les (1995)"
    row = json.dumps({"id": 1, "title": "Amélie"}, ensure_ascii=False)
    (item,), _ = read(tmp_path / "a.jsonl", row.encode("latin-1"))
    assert isinstance(item, Item)
    assert item.fields["title"] == "Amélie"
