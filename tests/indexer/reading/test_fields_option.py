"""What is said of the columns of interactions names the option that decides them."""

from pathlib import Path
from typing import Any

from indexer import build_index
from indexer.errors import CatalogError
from indexer.reading import EventReading, read_interactions
from indexer.reading.rows import Rejection
from tests.fakes import WordEncoder
from tests.oracle import write_rows

OPTION = "--interaction-fields"


def read(source: str, mapping: dict[str, str] | None = None, **said: Any) -> tuple[str, list[str]]:
    """Return what was refused, whole or row by row, and the sentences that were told."""
    reading = EventReading(fields_option=OPTION, **said)
    try:
        rows = list(read_interactions(source, mapping=mapping or {}, reading=reading))
    except CatalogError as error:
        return str(error), reading.render()
    refused = [row.reason for row in rows if isinstance(row, Rejection)]
    return "\n".join(refused), reading.render()


def save(folder: Path, text: str) -> str:
    (folder / "deeds.csv").write_text(text, encoding="utf-8")
    return str(folder / "deeds.csv")


def test_columns_that_were_recognised_or_are_missing(tmp_path: Path) -> None:
    _, told = read(save(tmp_path, "userId,movieId,rating\nu,i,3\n"))
    assert f"({OPTION} ours=theirs decides otherwise)" in told[0]
    refused, told = read(save(tmp_path, "who,film,rating\nu,i,3\n"))
    assert told[1].endswith(f"name it with {OPTION} user_id=COLUMN")
    assert refused.endswith(f"say which it is with {OPTION} user_id=…")


def test_typed_columns_that_are_missing(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "deeds.jsonl", [{"who": "u", "movieId": "i", "rating": 3}])
    _, told = read(str(file))
    assert f"({OPTION} ours=theirs decides otherwise)" in told[0]
    assert told[1].endswith(f"name it with {OPTION} user_id=COLUMN")


def test_a_misspelt_field(tmp_path: Path) -> None:
    source = save(tmp_path, "user_id,item_id\nu,i\n")
    refused, _ = read(source, {"user_di": "who"})
    assert refused.startswith(f"{OPTION} names the field 'user_di', which is not known")


def test_a_file_without_a_header(tmp_path: Path) -> None:
    refused, _ = read(save(tmp_path, "u1,x1,view,2\nu2,x2,buy,1\n"))
    assert refused.endswith(f"by number with {OPTION} user_id=1,item_id=2,event=3,value=4")


def test_in_a_build_the_catalogue_keeps_its_own_option(tmp_path: Path) -> None:
    items = write_rows(tmp_path / "a.jsonl", [{"asin": f"i{n}", "title": "A"} for n in range(9)])
    deeds = [{"who": f"u{n % 3}", "movieId": f"i{n}"} for n in range(9)]
    summary = build_index(
        items,
        tmp_path / "index",
        encoder=WordEncoder(dim=16),
        interactions=str(write_rows(tmp_path / "b.jsonl", deeds)),
        interaction_fields={"user_id": "who"},
    )
    told = [note for note in summary.notes if " as " in note and " reads " in note]
    assert [note.partition(": ")[2] for note in told] == [
        "reads asin as id (--fields ours=theirs decides otherwise)",
        f"reads movieId as item_id ({OPTION} ours=theirs decides otherwise)",
    ]
