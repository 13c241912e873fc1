"""Interactions without a header are read if the catalogue and the cells tell what they are."""

from pathlib import Path
from typing import Any

import pytest

from indexer.errors import CatalogError
from indexer.reading import EventReading, Interaction, ItemNames, read_catalog, read_interactions
from indexer.reading.item import Item

ITEMS = [{"id": f"i{n}", "title": f"Band {n}"} for n in range(1, 6)]


def know_items() -> ItemNames:
    ids = {item["id"] for item in ITEMS}
    return ItemNames(ids.intersection, lambda: ITEMS)


def read(
    folder: Path, text: str, name: str = "a.tsv", **options: Any
) -> tuple[list[tuple[Any, ...]], list[str]]:
    (folder / name).write_text(text, encoding="utf-8")
    reading = EventReading(item_names=know_items())
    rows = list(read_interactions(str(folder / name), reading=reading, **options))
    assert all(isinstance(row, Interaction) for row in rows), rows
    found = [
        (row.user_id, row.item_id, str(row.event), row.value, row.at)
        for row in rows
        if isinstance(row, Interaction)
    ]
    return found, reading.render()


@pytest.mark.parametrize(
    ("text", "first", "names"),
    [
        ("u1\ti1\t137\nu2\ti2\t4521\nu2\ti3\t12\n",  # plays of artists by id
         ("u1", "i1", "click", 137, None), "user_id, item_id, value"),
        ("u1\tmbid-1\tBand 1\t137\nu2\tmbid-2\tBand 2\t4521\n",  # by name, as Last.fm 360K
         ("u1", "i1", "click", 137, None), "user_id, 2, item_id, value"),
        ("1\ti1\tc9\tpv\t1511544070\n1\ti2\tc9\tbuy\t1511561733\n",  # as Taobao
         ("1", "i1", "view", None, 1511544070), "user_id, item_id, category, event, timestamp"),
        ("1\ti1\tlike\n2\ti2\tview\n", ("1", "i1", "like", None, None), "user_id, item_id, event"),
        ("a\ti1\tlike\nb\ti2\tview\n", ("a", "i1", "like", None, None), "user_id, item_id, event"),
        ("i1\tu1\t2024-05-01\t5\ni2\tu2\t2024-05-02\t3\n",
         ("u1", "i1", "rating", 5, 1714521600), "item_id, user_id, timestamp, value"),
        ("151603712\tBand 1\tpurchase\t1.0\t0\n151603712\tBand 1\tplay\t273.5\t0\n"  # as Steam
         "59945701\tBand 2\tplay\t8.1\t0\n",
         ("151603712", "i1", "purchase", 1, None), "user_id, item_id, event, value, 5"),
        ("i1\t4.5\t7\ni2\t3.0\t8\n",  # a user has no decimals
         ("7", "i1", "rating", 4.5, None), "item_id, value, user_id"),
        ("9\ti1\t1511544070123\n9\ti2\t1511561733456\n",  # of one user, in milliseconds
         ("9", "i1", "click", None, 1511544070.123), "user_id, item_id, timestamp"),
        ("u_1\t2009-05-04T23:08:57Z\ti1\tBand\t\tSong\n"  # as Last.fm 1K
         "u_1\t2009-05-04T23:08:58Z\ti2\tBand\t\tSong\n",
         ("u_1", "i1", "click", None, 1241478537), "user_id, timestamp, item_id, 4, 5, 6"),
        ("u_one\ti1\nu_one\ti3\n", ("u_one", "i1", "click", None, None), "user_id, item_id"),
    ],
)  # fmt: skip
def test_the_cells_tell_what_columns_are_and_that_is_told(
    tmp_path: Path, text: str, first: tuple[Any, ...], names: str
) -> None:
    found, told = read(tmp_path, text)
    assert found[0] == first
    assert told[0].endswith(f"a.tsv has no header; its columns are read as {names}")


def test_without_an_item_of_the_catalogue_the_remedy_is_complete(tmp_path: Path) -> None:
    with pytest.raises(CatalogError) as refusal:
        read(tmp_path, "u1,x1,view,2,1511544070\nu2,x2,buy,1,1511561733\n", name="a.csv")
    assert str(refusal.value).endswith(
        "or name them by number with --fields user_id=1,item_id=2,event=3,value=4,timestamp=5"
    )


def test_two_columns_that_may_be_the_time_are_left_to_the_caller(tmp_path: Path) -> None:
    with pytest.raises(CatalogError) as refusal:
        read(tmp_path, "u1\ti1\t1511544070\t1511544999\nu2\ti2\t1511561733\t1511561999\n")
    assert str(refusal.value).endswith("--fields user_id=1,item_id=2,value=3,timestamp=4")


def test_the_remedy_keeps_what_was_given(tmp_path: Path) -> None:
    with pytest.raises(CatalogError) as refusal:
        read(tmp_path, "u1\tx1\t3\nu2\tx2\t5\n", mapping={"weather": "sky", "item_id": "film"})
    assert str(refusal.value).endswith("--fields weather=sky,user_id=1,item_id=2,value=3")


def test_a_header_whose_names_are_known_stays_one(tmp_path: Path) -> None:
    found, _ = read(tmp_path, "user\titem\tplays\nu1\ti1\t7\n")
    assert found == [("u1", "i1", "play", 7, None)]


def test_a_time_in_the_first_line_is_no_name_of_a_column(tmp_path: Path) -> None:
    with pytest.raises(CatalogError) as refusal:
        read(tmp_path, "u_1\t2009-05-04T23:08:57Z\tx1\nu_2\t2009-05-04T23:08:58Z\tx2\n")
    assert str(refusal.value).endswith("--fields user_id=1,item_id=3,timestamp=2")


def test_columns_named_by_number_prove_that_there_is_no_header(tmp_path: Path) -> None:
    text = "N1\tsport\tKettle\t[]\t[]\nN2\tsport\tTeapot\t[]\t[]\n"  # as MIND
    (tmp_path / "news.tsv").write_text(text, encoding="utf-8")
    fields = {"id": "1", "tags": "2", "title": "3"}
    rows = list(read_catalog([str(tmp_path / "news.tsv")], mapping=fields))
    assert [(row.id, row.fields["title"]) for row in rows if isinstance(row, Item)] == [
        ("N1", "Kettle"),
        ("N2", "Teapot"),
    ]
    found, _ = read(
        tmp_path,
        "u_one\t2009-05-04T23:08:57Z\tx1\nu_one\t2009-05-04T23:08:58Z\tx2\n",
        mapping={"user_id": "1", "timestamp": "2", "item_id": "3"},
    )
    assert [row[:2] for row in found] == [("u_one", "x1"), ("u_one", "x2")]


@pytest.mark.parametrize("cells", ["[]\t[]", "https://a.org/x.html\tb", '[{"a": 1}]\t-'])
def test_a_list_or_an_address_in_the_first_line_is_no_name_of_a_column(
    tmp_path: Path, cells: str
) -> None:
    path = tmp_path / "news.tsv"
    path.write_text(f"N1\tsport\tKettle\t{cells}\n", encoding="utf-8")
    with pytest.raises(CatalogError, match=r"has no header: .* with --fields id=1,title=2"):
        list(read_catalog([str(path)]))


@pytest.mark.parametrize("header", ["id,title", "1,2"])
def test_columns_named_by_number_do_not_make_a_header_an_item(tmp_path: Path, header: str) -> None:
    (tmp_path / "a.csv").write_text(f"{header}\nN1,Kettle\n", encoding="utf-8")
    fields = {"id": "1", "title": "2"}
    if header == "1,2":
        (item,) = read_catalog([str(tmp_path / "a.csv")], mapping=fields)
        assert isinstance(item, Item)
        assert item.id == "N1"
    else:
        with pytest.raises(CatalogError, match="names the column '1', which no row has"):
            list(read_catalog([str(tmp_path / "a.csv")], mapping=fields))
