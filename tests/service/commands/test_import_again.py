"""A row that is imported again is the same event, whatever its cells are taken for by then."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from indexer import build_index
from service.jobs.import_events import ImportSummary
from service.store import LiveDatabase
from service.store.schema import events
from tests.fakes import WordEncoder
from tests.oracle import write_rows
from tests.service.commands.conftest import import_file, import_text

ITEMS = [{"id": f"film-{n}", "title": f"Film {n}", "sku": f"s-{n}"} for n in range(1, 6)]
RATED = "user_id,item_id,rating,score,seen,timestamp\n" + "".join(
    f"u{n},film-{n % 5 + 1},{n % 5 + 1},{5 - n % 5},film-{(n + 1) % 5 + 1},{day:02}/04/2024\n"
    for n in range(20)
    for day in [n % 12 + 1]
)
DATED = RATED + "u99,film-1,3,3,film-1,25/04/2024\n"  # tells that the day comes first


pytestmark = pytest.mark.usefixtures("own_state")


def told(summary: ImportSummary) -> tuple[int, int, int]:
    return summary.accepted, summary.duplicates, summary.changed


@contextmanager
def connected(url: str) -> Iterator[sa.Connection]:
    with closing(LiveDatabase.open(url)) as database, database.begin_read() as connection:
        yield connection


def list_kept(url: str) -> list[tuple[Any, ...]]:
    """User, item, value and time of all events."""
    query = sa.select(events.c.user_id, events.c.item_id, events.c.value, events.c.at)
    with connected(url) as connection:
        return sorted(tuple(row) for row in connection.execute(query))


@pytest.mark.parametrize(
    "mapping",
    [{"value": "score"}, {"item_id": "seen"}, {"value": "score", "item_id": "seen"}],
)
def test_other_columns_for_item_and_value_change_the_events_and_double_none(
    tmp_path: Path, url: str, mapping: dict[str, str]
) -> None:
    assert told(import_text(tmp_path, url, DATED)) == (21, 0, 0)
    again = import_text(tmp_path, url, DATED, fields=mapping)
    assert (again.accepted, again.duplicates) == (0, 21)
    assert again.changed > 0
    assert "had been taken for another" in again.describe()
    once = list_kept(url)
    assert told(import_text(tmp_path, url, DATED, fields=mapping)) == (0, 21, 0)
    columns = {"user_id": 0, "item_id": 1, "rating": 2, "score": 3, "seen": 4}
    rows = [line.split(",") for line in DATED.splitlines()[1:]]
    item, value = (
        columns[mapping.get("item_id", "item_id")],
        columns[mapping.get("value", "rating")],
    )
    assert [kept[:3] for kept in once] == sorted(
        (row[0], row[item], float(row[value])) for row in rows
    )


def test_a_time_that_is_read_another_way_changes_the_events_and_doubles_none(
    tmp_path: Path, url: str
) -> None:
    """The last row tells whether the day or the month comes first in all others."""
    assert told(import_text(tmp_path, url, DATED)) == (21, 0, 0)
    days_first = [kept for kept in list_kept(url) if kept[0] != "u99"]
    month_first = DATED.replace("25/04/2024", "04/25/2024")
    assert told(import_text(tmp_path, url, month_first)) == (1, 20, 18)  # 04/04 comes twice
    months_first = [kept for kept in list_kept(url) if kept[0] != "u99"]
    assert [kept[:3] for kept in months_first] == [kept[:3] for kept in days_first]
    assert {kept[3] for kept in days_first} == {1711929600 + 86400 * n for n in range(12)}
    assert {datetime.fromtimestamp(kept[3], UTC).day for kept in months_first} == {4}


def test_the_same_rows_in_a_typed_file_are_the_same_events(tmp_path: Path, url: str) -> None:
    rows = (
        "user_id,item_id,value,timestamp\n7,film-1,4.0,2024-05-01T10:00:00\n8,film-2,3,1714557600\n"
    )
    assert told(import_text(tmp_path, url, rows)) == (2, 0, 0)
    whole = "user_id,item_id,value,timestamp\n7.0,film-1,4,2024-05-01 10:00:00+00:00\n"
    assert told(import_text(tmp_path, url, whole)) == (0, 1, 0)
    table = pa.table({
        "user_id": pa.array([7, 8]), "item_id": ["film-1", "film-2"], "value": [4.0, 3.0],
        "timestamp": pa.array([1714557600000] * 2, pa.timestamp("ms")),
    })  # fmt: skip
    pq.write_table(table, tmp_path / "events.parquet")
    again = import_file(tmp_path, url, tmp_path / "events.parquet")
    assert told(again) == (0, 2, 0)


def test_an_item_that_is_found_by_another_name_is_the_same_event(tmp_path: Path, url: str) -> None:
    """SKUs name nothing before the catalogue is there."""
    rows = "user_id,item_id,timestamp\nmia,s-1,1714557600\nbo,s-2,1714557601\n"
    assert told(import_text(tmp_path, url, rows)) == (2, 0, 0)
    assert [kept[1] for kept in list_kept(url)] == ["s-2", "s-1"]
    catalog = write_rows(tmp_path / "items.jsonl", ITEMS)
    build_index(catalog, tmp_path / "index", encoder=WordEncoder(dim=16))
    again = import_text(tmp_path, url, rows)
    assert told(again) == (0, 2, 2)
    assert again.in_catalogue == 2
    assert [kept[1] for kept in list_kept(url)] == ["film-2", "film-1"]
