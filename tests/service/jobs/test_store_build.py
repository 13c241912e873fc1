"""A build and its live store: users become known, and each interaction is learned from once."""

import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from indexer import BuildOptions, BuildSummary, CatalogError, Index, build_index
from indexer.reading import EventReading, Interaction, read_interactions
from indexer.snapshot import list_ids
from service.jobs import store_build
from service.jobs.import_events import ImportPlan, import_interactions
from service.jobs.store_build import StoreBuildPlan, StoreBuildSummary, build_with_store
from service.live import build_default_url
from service.store import (
    EventLog,
    LiveDatabase,
    UserHasher,
    UserStore,
    load_recent_events,
    read_changes,
)
from service.store.events import parse_event
from tests.fakes import WordEncoder
from tests.oracle import write_rows

SECRET = "a secret of the tests"
ENCODER = WordEncoder(dim=16)


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZHIYIN_SECRET", SECRET)


class World:
    """A catalogue, a file of interactions, an index directory and the store in it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.root = folder, folder / "index"
        self.url = build_default_url(self.root)
        items = [{"id": f"i{n}", "title": f"item {n} kind{n % 3}"} for n in range(30)]
        self.catalog = write_rows(folder / "items.jsonl", items)
        draw = random.Random(7)
        rows = [
            {
                "user_id": f"u{draw.randrange(12)}",
                "item_id": f"i{draw.randrange(30)}",
                "event": draw.choice(["click", "like", "view"]),
                "timestamp": 1_700_000_000 + draw.randrange(40),
            }
            for _ in range(300)
        ]
        self.rows = [*rows, *rows[:20]]  # some say the same
        self.file = write_rows(folder / "events.jsonl", self.rows)

    def build(
        self,
        *,
        with_file: bool = True,
        with_store: bool = True,
        imports: bool = True,
        **options: Any,
    ) -> StoreBuildSummary:
        source = str(self.file) if with_file else None
        chosen = BuildOptions(interactions=source, encoder=ENCODER, force=True, **options)
        is_there = (self.root / "live.sqlite").exists()
        db = self.url if with_store and is_there else None
        plan = StoreBuildPlan(
            [str(self.catalog)], self.root, chosen, db, drops_live=False,
            import_db=self.url if imports else None,
        )  # fmt: skip
        return build_with_store(plan, report=lambda *_: None)

    def import_file(self) -> None:
        self.root.mkdir(exist_ok=True)
        plan = ImportPlan(str(self.file), self.url, self.root)
        import_interactions(plan, report=lambda *_: None)

    def learned(self) -> int:
        """Events that the taste model of the live snapshot was fitted to."""
        index = Index.open(self.root, encoder=ENCODER)
        report = json.loads((index.path / "report.json").read_text(encoding="utf-8"))
        index.close()
        return int(report["learned"]["events"]) if report["learned"] else 0

    @contextmanager
    def opened(self) -> Iterator[tuple[LiveDatabase, EventLog, UserStore]]:
        database, hasher = LiveDatabase.open(self.url), UserHasher(SECRET)
        try:
            yield database, EventLog(database, hasher), UserStore(database, hasher, time.time)
        finally:
            database.close()

    def knows(self, user_id: str) -> bool | None:
        index = Index.open(self.root, encoder=ENCODER, live=True)
        try:
            return index.recommend(user_id=user_id).user_known
        finally:
            index.close()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_one_command_makes_the_users_of_the_file_known(world: World) -> None:
    summary = world.build()
    assert summary.imported is not None
    assert (summary.imported.accepted, summary.imported.in_catalogue) == (320, 320)
    assert (world.knows("u3"), world.knows("u99")) == (True, False)
    index = Index.open(world.root, encoder=ENCODER, live=True)
    seen = {row["item_id"] for row in world.rows if row["user_id"] == "u3"}
    assert seen.isdisjoint(index.recommend(user_id="u3", scenario="video", k=30).ids)
    index.close()


def test_who_wants_no_users_in_the_store_gets_none(world: World) -> None:
    summary = world.build(imports=False)
    assert summary.imported is None
    assert summary.build.interactions == 320
    assert not (world.root / "live.sqlite").exists()
    assert world.knows("u3") is False


@pytest.mark.parametrize("imports", [True, False])
@pytest.mark.parametrize(
    ("name", "content"),
    [("e.csv", ""), ("e.csv", "user_id,item_id,event\n"), ("e.jsonl", ""), ("e.json", "\n")],
)
@pytest.mark.parametrize("has_store", [True, False])
def test_interactions_without_a_row_fail_before_anything_is_published(
    world: World, name: str, content: str, *, imports: bool, has_store: bool
) -> None:
    if has_store:
        world.import_file()
    world.file = world.folder / name
    world.file.write_text(content)
    with pytest.raises(CatalogError, match=rf"{name} (has no row|is empty)"):
        world.build(imports=imports)
    assert list_ids(world.root) == []


def test_the_log_alone_teaches_what_the_file_does(world: World) -> None:
    world.build()
    by_file, learned = Index.open(world.root, encoder=ENCODER), world.learned()
    expected = by_file.recommend(history=["i3", "i8"], k=10)
    by_file.close()
    summary = world.build(with_file=False)
    assert (summary.build.interactions, world.learned()) == (320, learned)
    by_log = Index.open(world.root, encoder=ENCODER)
    found = by_log.recommend(history=["i3", "i8"], k=10)
    by_log.close()
    assert found.ids == expected.ids
    assert [hit.score for hit in found] == pytest.approx([hit.score for hit in expected], abs=1e-4)


@pytest.mark.parametrize("imports", [True, False])
def test_an_interaction_in_file_and_log_counts_once(world: World, *, imports: bool) -> None:
    """However often it was imported, and whatever of it was erased, retracted or merged since."""
    world.import_file()
    assert world.build(imports=imports).build.interactions == 320
    of = {user: sum(row["user_id"] == user for row in world.rows) for user in ("u1", "u2")}
    with world.opened() as (database, log, users):
        users.erase("u1")
        users.merge("u2", "u3")
        with database.begin_read() as connection:
            (row,) = load_recent_events(connection, ("u4", None), 1)
        log.retract(row.event_id)
    summary = world.build(imports=imports)
    assert summary.build.interactions == 320 - of["u1"] - 1
    with world.opened() as (_, log, _):
        log.append([parse_event({"user_id": "u5", "item_id": "i1", "event": "like"}, now=1.7e9)])
    assert world.build(imports=imports).build.interactions == 320 - of["u1"]
    assert world.build(with_file=False).build.interactions == 320 - of["u1"]
    assert world.build(with_store=False, imports=False).build.interactions == 320


def test_what_the_file_has_more_is_learned_from_too(world: World) -> None:
    world.import_file()
    more = [*world.rows, world.rows[0], {**world.rows[0], "user_id": "new"}]
    write_rows(world.file, more)
    assert world.build(imports=False).build.interactions == 322
    assert world.build(imports=False).build.interactions == 322
    assert world.build().build.interactions == 322
    assert world.build().build.interactions == 322


def test_a_build_that_fails_leaves_the_store_as_it_was(world: World) -> None:
    write_rows(world.file, [*world.rows, *({"user_id": "bad"} for _ in range(40))])
    with pytest.raises(CatalogError, match="40 of 360 rows"):
        world.build()
    assert not (world.root / "live.sqlite").exists()
    assert list_ids(world.root) == []


def test_a_few_live_events_are_not_learned_from_but_a_short_history_is(world: World) -> None:
    world.build(with_file=False, imports=False)
    with world.opened() as (_, log, _):
        events = [
            {"user_id": f"u{n % 5}", "item_id": f"i{n % 30}", "event": "like", "at": 1.7e9 + n}
            for n in range(60)
        ]
        log.append([parse_event(event, now=1.8e9) for event in events])
    few = world.build(with_file=False)
    assert (few.live_events, few.build.interactions, world.learned()) == (60, 0, 0)
    world.import_file()
    assert world.build(with_file=False).build.interactions == 380
    assert world.learned() > 0


def test_a_store_that_has_not_changed_is_no_reason_to_build(world: World) -> None:
    world.build(imports=False)
    world.import_file()
    assert not world.build(since="last").build.unchanged
    again = world.build(since="last")
    assert again.build.unchanged
    assert again.imported is not None
    assert (again.imported.accepted, again.imported.duplicates) == (0, 320)
    assert not world.build(since="last", with_file=False).build.unchanged
    assert world.build(since="last", with_file=False).build.unchanged
    with world.opened() as (_, log, _):
        log.append([parse_event({"user_id": "u5", "item_id": "i1", "event": "like"}, now=1.7e9)])
    assert not world.build(since="last", with_file=False).build.unchanged


@pytest.mark.parametrize("repeats", [1, 2])
def test_what_a_build_has_imported_itself_is_nothing_new(world: World, repeats: int) -> None:
    """Neither after the first build, which knew no store, nor after one that learned more rows."""
    for repeat in range(repeats):
        write_rows(world.file, [*world.rows, *world.rows[: 30 * repeat]])
        assert not world.build(since="last").build.unchanged
    for _ in range(2):
        again = world.build(since="last")
        assert again.build.unchanged
        assert again.imported is not None
        assert again.imported.accepted == 0
    with world.opened() as (_, log, _):
        log.append([parse_event({"user_id": "u5", "item_id": "i1", "event": "like"}, now=1.7e9)])
    assert not world.build(since="last").build.unchanged
    assert world.build(since="last").build.unchanged
    assert not world.build(since="last", rating_scale=(1, 10)).build.unchanged


@pytest.mark.parametrize("has_store", [False, True])
def test_what_others_add_while_a_build_runs_is_new_to_the_next(
    world: World, monkeypatch: pytest.MonkeyPatch, *, has_store: bool
) -> None:
    def build_beside_a_user(*arguments: Any, **options: Any) -> BuildSummary:
        summary = build_index(*arguments, **options)
        with world.opened() as (_, log, _):
            event = {"user_id": "u5", "item_id": "i1", "event": "like"}
            log.append([parse_event(event, now=time.time())])
        return summary

    world.build(with_file=False)
    if has_store:
        with world.opened():
            pass
    with monkeypatch.context() as patched:
        patched.setattr(store_build, "build_index", build_beside_a_user)
        world.build(since="last")
    again = world.build(since="last")
    assert not again.build.unchanged
    assert again.live_events == 321
    assert world.build(since="last").build.unchanged


def test_a_removal_of_what_only_the_file_tells_is_a_reason_to_build(world: World) -> None:
    """Nothing of the file is in the log; who is erased in the store is learned from no more."""
    world.build(imports=False)
    with world.opened():
        pass  # makes the store
    world.build(since="last", imports=False)
    assert world.build(since="last", imports=False).build.unchanged
    with world.opened() as (database, _, users):
        before, _ = read_changes(database, SECRET, now=time.time())
        users.erase("u1")
        after, _ = read_changes(database, SECRET, now=time.time())
    assert before.state != after.state
    of_erased = sum(row["user_id"] == "u1" for row in world.rows)
    again = world.build(since="last", imports=False).build
    assert (again.unchanged, again.interactions) == (False, 320 - of_erased)
    assert world.build(since="last", imports=False).build.unchanged


def test_a_build_learns_what_the_file_is_taken_for_now(world: World) -> None:
    """And so does the next one, from the log alone, once the build has imported the file again."""
    rows = [{"user_id": r["user_id"], "item_id": r["item_id"], "value": 1} for r in world.rows]
    write_rows(world.file, rows)
    world.import_file()
    with world.opened() as (database, _, _):
        found, _ = read_changes(database, SECRET, now=time.time())
    assert {row.event for row in found.events} == {"rating"}
    reading = EventReading(event="purchase")
    read = list(read_interactions(str(world.file), reading=reading))
    assert found.select_new([row for row in read if isinstance(row, Interaction)]) == []
    assert Counter(row.event for row in found.events) == {"purchase": 320}

    summary = world.build(event="purchase")
    assert summary.imported is not None
    assert (summary.build.interactions, summary.imported.changed) == (320, 320)
    with world.opened() as (database, _, _):
        found, _ = read_changes(database, SECRET, now=time.time())
    assert Counter(row.event for row in found.events) == {"purchase": 320}


def test_what_the_import_of_a_build_tells_names_the_option_of_interactions(world: World) -> None:
    rows = [{"who": r["user_id"], "movieId": r["item_id"], "event": "like"} for r in world.rows]
    write_rows(world.file, rows)
    summary = world.build(interaction_fields={"user_id": "who"})
    assert summary.imported is not None
    assert "(--interaction-fields ours=theirs decides otherwise)" in summary.imported.notes[0]


def test_a_weight_of_your_own_for_an_event_is_a_reason_to_build(world: World) -> None:
    """The rows with that event were refused before, and are learned from now."""
    write_rows(world.file, [*world.rows, {**world.rows[0], "event": "stroll"}])
    world.build(imports=False, max_rejected=0.1)
    chosen: dict[str, Any] = {"imports": False, "max_rejected": 0.1, "since": "last"}
    assert world.build(**chosen).build.unchanged
    scenarios = world.root / "scenarios.toml"
    scenarios.write_text("[shop]\nevent_weights = { stroll = 0.4 }\n", encoding="utf-8")
    again = world.build(**chosen).build
    assert (again.unchanged, again.interactions) == (False, 321)
    assert world.build(**chosen).build.unchanged
    scenarios.write_text("[shop]\nevent_weights = { stroll = -0.4 }\n", encoding="utf-8")
    assert not world.build(**chosen).build.unchanged


def test_a_log_that_names_no_item_of_the_catalogue_fails_no_build(world: World) -> None:
    """Another catalogue was indexed since, or only new items are left: that is told."""
    world.import_file()
    others = [{"id": f"other{n}", "title": f"other item {n}"} for n in range(12)]
    write_rows(world.catalog, others)
    told: list[str] = []
    summary = world.build(with_file=False, notice=told.append)
    assert (summary.build.items, world.learned()) == (12, 0)
    assert any("0 of 320 interactions name an item" in line for line in told)
    with pytest.raises(CatalogError, match="0 of 320 interactions name an item"):
        world.build(imports=False)


def test_a_wrong_file_is_refused_however_good_the_log_is(world: World) -> None:
    world.build()
    strange = [{**row, "item_id": f"{row['item_id']}.0"} for row in world.rows]
    write_rows(world.file, strange)
    with pytest.raises(CatalogError, match="0 of 320 interactions name an item"):
        world.build()
    with world.opened() as (database, log, _), database.begin_read() as connection:
        assert not any(".0" in item for item in log.load_user_state(connection, "u3", None).seen)
    write_rows(world.file, [*world.rows[:100], *strange[100:]])
    told: list[str] = []
    assert world.build(notice=told.append).imported is not None
    assert any("only 100 of 320 interactions name an item" in line for line in told)
