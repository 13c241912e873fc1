"""What was guessed about files reaches whoever builds, once, and the summary."""

import json
from pathlib import Path

import pytest

from indexer import build_index
from indexer.errors import CatalogError


def test_guesses_about_both_files_are_told_at_once_and_kept(tmp_path: Path) -> None:
    items, events = tmp_path / "items.csv", tmp_path / "events.csv"
    items.write_text(
        "SKU;Title;vector\n" + "".join(f'{n}.0;T{n};"[1, {n}, 2]"\n' for n in range(1, 31))
    )
    events.write_text(
        "userId,sku,rating,time\n"
        + "".join(f"{n % 7},{n % 30 + 1}.0,{n % 5 + 1},{n % 20 + 1}/01/2021\n" for n in range(300))
    )
    told: list[str] = []
    summary = build_index(
        str(items), tmp_path / "out", interactions=events, model="none", notice=told.append,
        examine=False,
    )  # fmt: skip
    assert summary.items == 30
    assert summary.interactions_matched == summary.interactions == 300
    ways = "(--fields ours=theirs decides otherwise)"
    expected = [
        f"{items}: its cells are separated by semicolons",
        f"{items}: reads SKU as id, Title as title {ways}",
        f"{items}: id is written as 1.0, read as 1",
        f"{events}: reads userId as user_id, sku as item_id {ways}",
        f"{events}: item_id is written as 1.0, read as 1",
        f"{events}: time holds dates with the day first, such as '13/01/2021'",
    ]
    assert [sentence for sentence in told if sentence in expected] == expected
    assert [sentence for sentence in summary.notes if sentence in expected] == expected
    assert len(set(told)) == len(told)
    assert json.loads(summary.to_json())["notes"] == list(summary.notes)


def test_a_guess_is_told_before_the_build_fails(tmp_path: Path) -> None:
    items = tmp_path / "items.csv"
    told: list[str] = []
    items.write_text("SKU;title\n;Heat\n;Ran\n")
    with pytest.raises(CatalogError, match="id is missing"):
        build_index(str(items), tmp_path / "out", model="none", notice=told.append)
    assert told == [
        f"{items}: its cells are separated by semicolons",
        f"{items}: reads SKU as id (--fields ours=theirs decides otherwise)",
    ]


@pytest.mark.parametrize(
    ("ids", "named", "is_told"),
    [("movieId", "book_id", True), ("movieId", "film_id", False), ("movieId", "item_id", False),
     ("id", "book_id", False), ("movie_id", "movieId", False)],
)  # fmt: skip
def test_interactions_that_name_items_of_another_kind_are_told(
    tmp_path: Path, *, ids: str, named: str, is_told: bool
) -> None:
    items, events = tmp_path / "items.csv", tmp_path / "events.csv"
    items.write_text(f"{ids},title,vector\n" + "".join(f'{n},T,"[1, {n}]"\n' for n in range(9)))
    events.write_text(f"user_id,{named},rating\n" + "".join(f"u{n},{n},5\n" for n in range(9)))
    told: list[str] = []
    build_index(
        str(items), tmp_path / "out", interactions=events, model="none", notice=told.append,
        examine=False,
    )  # fmt: skip
    sentence = f"{events}: names its items by {named}, and the catalogue by {ids};"
    assert any(line.startswith(sentence) for line in told) is is_told
