"""`zhiyin import`: each row is an event of its user, once, whatever is imported again."""

import json
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from indexer import CatalogError, build_index
from indexer.event_kinds import BUILT_IN_EVENTS
from indexer.reading import ValueKind
from service import Settings, create_app
from service.jobs.import_events import ImportSummary
from service.store import (
    EventLog,
    ItemChange,
    LiveDatabase,
    UserHasher,
    UserStore,
    load_recent_events,
    store_changes,
)
from service.store.imported_events import Occurrences
from service.store.schema import events
from tests.fakes import WordEncoder
from tests.oracle import write_rows
from tests.service.commands.conftest import SECRET, import_text
from tests.service.conftest import LOCAL, emptied, environment, wait_until

ROWS = """user_id,item_id,event,value,timestamp
mia,film-1,rating,5,2026-01-01T00:00:00Z
mia,film-2,dislike,,2026-01-02T00:00:00Z
mia,film-1,click,,2026-01-03T00:00:00Z
mia,film-1,click,,2026-01-03T00:00:00Z
bo,film-3,click,,2026-01-01T00:00:00Z
"""


pytestmark = pytest.mark.usefixtures("own_state")


@contextmanager
def opened(url: str) -> Iterator[tuple[LiveDatabase, EventLog, UserStore]]:
    """The store as the import sees it; erasures are of now."""
    database, hasher = LiveDatabase.open(url), UserHasher(SECRET)
    try:
        yield database, EventLog(database, hasher), UserStore(database, hasher, time.time)
    finally:
        database.close()


def told(summary: ImportSummary) -> tuple[int, int, int, int]:
    return summary.accepted, summary.duplicates, summary.refused, summary.rejected


def test_the_same_file_again_adds_nothing(tmp_path: Path, url: str) -> None:
    assert told(import_text(tmp_path, url, ROWS)) == (5, 0, 0, 0)
    assert told(import_text(tmp_path, url, ROWS)) == (0, 5, 0, 0)


def test_a_longer_file_adds_only_what_is_new(tmp_path: Path, url: str) -> None:
    import_text(tmp_path, url, ROWS)
    more = ROWS + "bo,film-3,click,,2026-01-09T00:00:00Z\n"
    assert told(import_text(tmp_path, url, more)) == (1, 5, 0, 0)


def test_rows_that_say_the_same_are_as_many_events(tmp_path: Path, url: str) -> None:
    header, row = ROWS.splitlines()[0], "mia,film-1,click,,2026-01-03T00:00:00Z"
    assert told(import_text(tmp_path, url, "\n".join([header, *[row] * 4]))) == (4, 0, 0, 0)
    assert told(import_text(tmp_path, url, "\n".join([header, *[row] * 6]))) == (2, 4, 0, 0)


def test_bad_rows_are_counted_and_the_first_is_named(tmp_path: Path, url: str) -> None:
    text = ROWS + ",film-1,click,,2026-01-01\nmia,film-1,clik,,2026-01-01\n"
    summary = import_text(tmp_path, url, text, max_rejected=0.5)
    assert told(summary) == (5, 0, 0, 2)
    assert "events.csv:7: user_id is missing" in summary.first_rejection


def test_a_row_years_ahead_is_a_bad_row(tmp_path: Path, url: str) -> None:
    summary = import_text(tmp_path, url, ROWS + "mia,film-1,click,,2999-01-01\n", max_rejected=0.5)
    assert told(summary) == (5, 0, 0, 1)
    assert "events.csv:7: timestamp '2999-01-01' is more than a day ahead" in (
        summary.first_rejection
    )


def test_too_many_bad_rows_fail_and_the_good_ones_are_kept(tmp_path: Path, url: str) -> None:
    with pytest.raises(
        CatalogError, match=r"1 of 6 rows .* 'clik'; did you mean 'click'.* 5 others"
    ):
        import_text(tmp_path, url, ROWS + "mia,film-1,clik,,2026-01-01\n")
    assert told(import_text(tmp_path, url, ROWS)) == (0, 5, 0, 0)


def test_a_file_without_a_row_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(CatalogError, match=r"events\.csv has no row"):
        import_text(tmp_path, url, ROWS.splitlines()[0] + "\n")


def test_an_imported_user_is_known_to_the_service(tmp_path: Path, url: str) -> None:
    items = [{"id": f"film-{n}", "title": f"film number {n}"} for n in range(1, 6)]
    encoder = WordEncoder(dim=16)
    build_index(write_rows(tmp_path / "i.jsonl", items), tmp_path / "index", encoder=encoder)
    import_text(tmp_path, url, ROWS)
    app = create_app(Settings(tmp_path / "index", db=url), encoder)
    with TestClient(app, LOCAL) as client:
        wait_until(lambda: client.get("/health/ready").status_code == 200)
        known = client.get("/v1/users/mia").json()
        assert [(e["event"], e["item_id"]) for e in known["recent"]] == [
            ("click", "film-1"), ("click", "film-1"), ("dislike", "film-2"), ("rating", "film-1"),
        ]  # fmt: skip
        answer = client.post("/v1/recommend", json={"user_id": "mia", "scenario": "video"}).json()
        assert {hit["id"] for hit in answer["items"]} == {"film-3", "film-4", "film-5"}, json.dumps(
            answer
        )


def test_other_circumstances_make_no_other_event(tmp_path: Path, url: str) -> None:
    rows = ROWS.replace("timestamp\n", "timestamp,weather\n").replace("Z\n", "Z,rain\n")
    assert told(import_text(tmp_path, url, rows)) == (5, 0, 0, 0)
    assert told(import_text(tmp_path, url, rows, context=("weather",))) == (0, 5, 0, 0)
    assert told(import_text(tmp_path, url, ROWS)) == (0, 5, 0, 0)


RATED = "user_id,item_id,value\n" + "".join(
    f"u{n},film-{n % 5 + 1},{n % 5 + 1}\n" for n in range(40)
)
FLIPS = RATED + "u1,film-1,70\nu2,film-2,900\n"  # nobody gives 900 stars: they are counts


def list_meanings(url: str) -> Counter[tuple[str | None, str]]:
    with opened(url) as (database, _, _), database.begin_read() as connection:
        rows = connection.execute(sa.select(events.c.user_id, events.c.event))
        return Counter((user, event) for user, event in rows)


def test_rows_that_are_taken_for_something_else_later_are_the_same_events(
    tmp_path: Path, url: str
) -> None:
    assert told(import_text(tmp_path, url, RATED)) == (40, 0, 0, 0)
    assert list_meanings(url) == Counter((f"u{n}", "rating") for n in range(40))
    again = import_text(tmp_path, url, FLIPS)
    assert (told(again), again.changed) == ((2, 40, 0, 0), 40)
    assert "40 of those that were there had been taken for another" in again.describe()
    now = Counter([*((f"u{n}", "click") for n in range(40)), ("u1", "click"), ("u2", "click")])
    assert list_meanings(url) == now
    once_more = import_text(tmp_path, url, FLIPS)
    assert (told(once_more), once_more.changed) == ((0, 42, 0, 0), 0)
    assert "another" not in once_more.describe()


@pytest.mark.parametrize(
    "chosen",
    [
        {"event": "play"},
        {"value_kind": ValueKind.MONEY},
        {"event": "stroll", "known_names": frozenset([*BUILT_IN_EVENTS, "stroll"])},
    ],
)
def test_an_option_changes_what_rows_are_taken_for_and_doubles_none(
    tmp_path: Path, url: str, chosen: dict[str, Any]
) -> None:
    import_text(tmp_path, url, RATED)
    again = import_text(tmp_path, url, RATED, **chosen)
    assert (told(again), again.changed) == ((0, 40, 0, 0), 40)


def test_a_word_of_your_own_gives_an_event_another_meaning_and_no_twin(
    tmp_path: Path, url: str
) -> None:
    """Bookmarked is a like, until scenarios.toml weighs it itself."""
    rows = "user_id,item_id,event,timestamp\nmia,film-1,Bookmarked,2026-01-01\n"
    import_text(tmp_path, url, rows)
    own = import_text(tmp_path, url, rows, known_names=frozenset([*BUILT_IN_EVENTS, "bookmarked"]))
    assert (told(own), own.changed) == ((0, 1, 0, 0), 1)
    assert list_meanings(url) == Counter([("mia", "bookmarked")])


def test_a_running_service_counts_what_changed_its_meaning_anew(tmp_path: Path, url: str) -> None:
    """The state of users and what is trending: as in a service that never knew it otherwise."""
    build(tmp_path)
    rows = "user_id,item_id,value\nmia,film-1,1\nmia,film-2,5\nbo,film-1,1\nbo,film-3,4\n"
    import_text(tmp_path, url, rows)
    with serving(tmp_path, url) as client:
        before = read_what_is_known(client)
        assert import_text(tmp_path, url, rows, event="click").changed == 4
        wait_until(lambda: read_what_is_known(client) != before)
        after = read_what_is_known(client)
    with serving(tmp_path, url) as client:
        assert read_what_is_known(client) == after
    assert {event for event, _ in after[0]} == {"click"}


@contextmanager
def serving(folder: Path, url: str) -> Iterator[TestClient]:
    app = create_app(Settings(folder / "index", db=url), WordEncoder(dim=16))
    with TestClient(app, LOCAL) as client:
        wait_until(lambda: client.get("/health/ready").status_code == 200)
        yield client


def read_what_is_known(client: TestClient) -> tuple[list[tuple[str, str]], list[tuple[str, float]]]:
    """Events of a user, and trending items with rounded scores, which decay."""
    recent = client.get("/v1/users/mia").json()["recent"]
    trending = client.get("/v1/trending").json()["items"]
    return (
        [(event["event"], event["item_id"]) for event in recent],
        [(hit["id"], round(hit["score"], 2)) for hit in trending],
    )


UNDATED = "user_id,item_id,event\nmia,film-1,click\nbo,film-2,click\nmia,film-3,like\n"


@pytest.mark.parametrize(("rows", "of_mia"), [(ROWS, 4), (UNDATED, 2)])
def test_an_erased_user_stays_erased_whatever_is_imported_again(
    tmp_path: Path, url: str, rows: str, of_mia: int
) -> None:
    """Rows without a time get that of the import, which is later than the erasure."""
    first = import_text(tmp_path, url, rows)
    with opened(url) as (database, _, users):
        users.erase("mia")
    again = import_text(tmp_path, url, rows)
    assert told(again) == (0, first.accepted - of_mia, of_mia, 0)
    with opened(url) as (database, log, _), database.begin_read() as connection:
        assert not log.load_user_state(connection, "mia", None).is_known
        assert log.load_user_state(connection, "bo", None).is_known


@pytest.mark.parametrize("rows", [ROWS, UNDATED])
def test_what_a_merged_user_did_belongs_to_whom_they_became(
    tmp_path: Path, url: str, rows: str
) -> None:
    with opened(url) as (_, _, users):
        users.merge("mia", "mia@example.org")
    import_text(tmp_path, url, rows)
    with opened(url) as (database, log, _), database.begin_read() as connection:
        assert not log.load_user_state(connection, "mia", None).is_known
        assert "film-1" in log.load_user_state(connection, "mia@example.org", None).seen


def test_a_retracted_row_stays_retracted(tmp_path: Path, url: str) -> None:
    import_text(tmp_path, url, ROWS)
    with opened(url) as (database, log, _):
        with database.begin_read() as connection:
            (row,) = load_recent_events(connection, ("bo", None), 10)
        log.retract(row.event_id)
    assert told(import_text(tmp_path, url, ROWS)) == (0, 4, 1, 0)


def build(folder: Path, count: int = 5) -> None:
    items = [{"id": f"film-{n}", "title": f"film number {n}"} for n in range(1, count + 1)]
    catalog = write_rows(folder / "i.jsonl", items)
    build_index(catalog, folder / "index", encoder=WordEncoder(dim=16))


def test_it_is_told_how_many_events_name_an_item_live_ones_too(tmp_path: Path, url: str) -> None:
    assert import_text(tmp_path, url, ROWS).in_catalogue is None  # there is no catalogue yet
    build(tmp_path, count=2)
    more = "".join(f"bo,{item},click,,2026-01-05\n" for item in ("new", "gone", "film-3", "x"))
    with opened(url) as (database, _, _), database.begin_write() as transaction:
        vector = np.full(16, 0.25, np.float16)
        new = ItemChange("new", {"id": "new", "title": "new"}, vector)
        store_changes(transaction, [new, ItemChange("film-2", None)], now=1)
    summary = import_text(tmp_path, url, ROWS + more)
    assert (summary.named, summary.in_catalogue) == (9, 4)  # film-1 three times, and new
    assert summary.first_unknown == '(first: "film-2"; the catalogue\'s look like "film-1")'
    assert "4 of 9 name an item of the catalogue (first:" in summary.describe()


def test_many_events_of_which_none_names_an_item_are_refused_and_none_is_kept(
    tmp_path: Path, url: str
) -> None:
    build(tmp_path)
    rows = "user_id,item_id,event\n" + "".join(f"u{n},movie {n},click\n" for n in range(120))
    said = r'none of the first 120 .* \(first: "movie 0"; the catalogue\'s look like "film-1"\)'
    with pytest.raises(CatalogError, match=said) as refusal:
        import_text(tmp_path, url, rows, fields_option="--interaction-fields")
    assert "item ids with --interaction-fields item_id=…" in str(refusal.value)
    with opened(url) as (database, log, _), database.begin_read() as connection:
        assert not log.load_user_state(connection, "u1", None).is_known
    few = import_text(tmp_path, url, rows[: rows.index("u99")])
    assert (few.accepted, few.named, few.in_catalogue) == (99, 99, 0)


def test_an_import_that_was_killed_goes_on_where_it_stopped(tmp_path: Path, url: str) -> None:
    """Killed between two transactions and within one, then run again: each row is there once."""
    rows = [f"u{n % 97},film-{n % 50},view,,{1_700_000_000 + n % 30_000}" for n in range(60_000)]
    file = tmp_path / "events.csv"
    file.write_text("\n".join([ROWS.splitlines()[0], *rows]), encoding="utf-8")
    command = [
        sys.executable, "-m", "service.commands", "import", "--index", str(tmp_path),
        "--db", url, "--interactions", str(file), "--json",
    ]  # fmt: skip
    kept = 0
    for most in (10_000, 30_000):
        process = subprocess.Popen(command, env=environment(tmp_path), stdout=subprocess.DEVNULL)
        has_kept_enough = partial(has_events, tmp_path, most)
        wait_until(has_kept_enough, seconds=60)
        process.kill()
        process.wait()
        assert count_events(tmp_path) >= max(kept, most)
        kept = count_events(tmp_path)
    ended = subprocess.run(
        command, env=environment(tmp_path), capture_output=True, text=True, check=True
    )
    summary = json.loads(ended.stdout)
    assert summary["accepted"] + summary["duplicates"] == 60_000
    assert summary["duplicates"] == kept
    assert count_events(tmp_path) == 60_000


def has_events(folder: Path, most: int) -> bool:
    return count_events(folder) >= most


def count_events(folder: Path) -> int:
    """How many events the store holds, as another process sees it; none before it is made."""
    file = folder / "live.sqlite"
    if not file.exists():
        return 0
    with closing(sqlite3.connect(file, timeout=20)) as connection:
        try:
            return int(connection.execute("SELECT count(*) FROM live_events").fetchone()[0])
        except sqlite3.OperationalError:  # the tables are being made
            return 0


@given(st.lists(st.lists(st.integers(0, 6), max_size=12), max_size=12))
def test_occurrences_are_those_of_counting_one_by_one(batches: list[list[int]]) -> None:
    occurrences, seen = Occurrences(), Counter[int]()
    for batch in batches:
        expected = []
        for key in batch:
            seen[key] += 1
            expected.append(seen[key])
        assert occurrences.count(np.array(batch, np.uint64)).tolist() == expected


def test_without_times_the_order_of_rows_is_the_order(tmp_path: Path, url: str) -> None:
    rows = "user_id,item_id,event\n" + "".join(f"mia,film-{n},click\n" for n in range(1, 4))
    import_text(tmp_path, url, rows)
    from service.store import EventLog, LiveDatabase, UserHasher

    database = LiveDatabase.open(url)
    try:
        with database.begin_read() as connection:
            log = EventLog(database, UserHasher("x" * 32))
            state = log.load_user_state(connection, "mia", None)
    finally:
        database.close()
    ordered = sorted(state.history, key=lambda entry: entry.at or 0)
    assert [entry.item_id for entry in ordered] == ["film-1", "film-2", "film-3"]


def test_many_rows_are_kept_once_in_each_kind_of_database(tmp_path: Path, live_url: str) -> None:
    """More than one statement takes, of users of whom one was erased and one merged before."""
    rows = [f"u{n % 700},film-{n % 50},view,,{1_700_000_000 + n}" for n in range(2_500)]
    text = "\n".join([ROWS.splitlines()[0], *rows])
    with emptied(live_url):
        pass
    with opened(live_url) as (_, _, users):
        users.erase_rows("u5")
        users.merge("u6", "u7")
    of_erased = sum(row.startswith("u5,") for row in rows)
    assert told(import_text(tmp_path, live_url, text)) == (2_500 - of_erased, 0, of_erased, 0)
    assert told(import_text(tmp_path, live_url, text)) == (0, 2_500 - of_erased, of_erased, 0)
    with opened(live_url) as (database, log, _), database.begin_read() as connection:
        seen = {user: log.load_user_state(connection, user, None).seen for user in ("u6", "u7")}
    assert (len(seen["u6"]), seen["u7"]) == (0, ("film-6", "film-7"))
