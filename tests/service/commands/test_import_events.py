"""`zhiyin import`: each row is an event of its user, once, whatever is imported again."""

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from indexer import CatalogError, build_index
from service import Settings, create_app
from service.jobs.import_events import ImportPlan, ImportSummary, import_interactions
from tests.fakes import WordEncoder
from tests.oracle import write_rows
from tests.service.conftest import LOCAL, wait_until

ROWS = """user_id,item_id,event,value,timestamp
mia,film-1,rating,5,2026-01-01T00:00:00Z
mia,film-2,dislike,,2026-01-02T00:00:00Z
mia,film-1,click,,2026-01-03T00:00:00Z
mia,film-1,click,,2026-01-03T00:00:00Z
bo,film-3,click,,2026-01-01T00:00:00Z
"""


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'live.sqlite'}"


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The secret by which erased users are recognised is the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def imported(folder: Path, url: str, text: str, **chosen: Any) -> ImportSummary:
    file = folder / "events.csv"
    file.write_text(text, encoding="utf-8")
    return import_interactions(ImportPlan(str(file), url, **chosen), report=lambda *_: None)


def told(summary: ImportSummary) -> tuple[int, int, int, int]:
    return summary.accepted, summary.duplicates, summary.refused, summary.rejected


def test_the_same_file_again_adds_nothing(tmp_path: Path, url: str) -> None:
    assert told(imported(tmp_path, url, ROWS)) == (5, 0, 0, 0)
    assert told(imported(tmp_path, url, ROWS)) == (0, 5, 0, 0)


def test_a_longer_file_adds_only_what_is_new(tmp_path: Path, url: str) -> None:
    imported(tmp_path, url, ROWS)
    more = ROWS + "bo,film-3,click,,2026-01-09T00:00:00Z\n"
    assert told(imported(tmp_path, url, more)) == (1, 5, 0, 0)


def test_rows_that_say_the_same_are_as_many_events(tmp_path: Path, url: str) -> None:
    header, row = ROWS.splitlines()[0], "mia,film-1,click,,2026-01-03T00:00:00Z"
    assert told(imported(tmp_path, url, "\n".join([header, *[row] * 4]))) == (4, 0, 0, 0)
    assert told(imported(tmp_path, url, "\n".join([header, *[row] * 6]))) == (2, 4, 0, 0)


def test_bad_rows_are_counted_and_the_first_is_named(tmp_path: Path, url: str) -> None:
    text = ROWS + ",film-1,click,,2026-01-01\nmia,film-1,clik,,2026-01-01\n"
    summary = imported(tmp_path, url, text, max_rejected=0.5)
    assert told(summary) == (5, 0, 0, 2)
    assert "events.csv:7: user_id is missing" in summary.first_rejection


def test_a_row_years_ahead_is_a_bad_row(tmp_path: Path, url: str) -> None:
    summary = imported(tmp_path, url, ROWS + "mia,film-1,click,,2999-01-01\n", max_rejected=0.5)
    assert told(summary) == (5, 0, 0, 1)
    assert "events.csv:7: timestamp '2999-01-01' is more than a day ahead" in (
        summary.first_rejection
    )


def test_too_many_bad_rows_fail_and_the_good_ones_are_kept(tmp_path: Path, url: str) -> None:
    with pytest.raises(
        CatalogError, match=r"1 of 6 rows .* 'clik'; did you mean 'click'.* 5 others"
    ):
        imported(tmp_path, url, ROWS + "mia,film-1,clik,,2026-01-01\n")
    assert told(imported(tmp_path, url, ROWS)) == (0, 5, 0, 0)


def test_a_file_without_a_row_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(CatalogError, match=r"events\.csv has no row"):
        imported(tmp_path, url, ROWS.splitlines()[0] + "\n")


def test_an_imported_user_is_known_to_the_service(tmp_path: Path, url: str) -> None:
    items = [{"id": f"film-{n}", "title": f"film number {n}"} for n in range(1, 6)]
    encoder = WordEncoder(dim=16)
    build_index(write_rows(tmp_path / "i.jsonl", items), tmp_path / "index", encoder=encoder)
    imported(tmp_path, url, ROWS)
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


def test_without_times_the_order_of_rows_is_the_order(tmp_path: Path, url: str) -> None:
    rows = "user_id,item_id,event\n" + "".join(f"mia,film-{n},click\n" for n in range(1, 4))
    imported(tmp_path, url, rows)
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
