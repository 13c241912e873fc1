"""Build, import, evaluate and replay take interactions from the same sources in the same words."""

import argparse
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from indexer import build_index
from indexer.evaluation import EvaluationPlan, evaluate
from indexer.reading import Interaction
from service.commands.console import create_parser
from service.jobs import replay
from service.jobs.import_events import ImportPlan, import_interactions
from service.jobs.replay import ReplayPlan, replay_events
from tests.fakes import WordEncoder
from tests.oracle import write_rows

ITEMS = [{"id": f"i{n}", "title": f"item {n}", "vector": [1.0, n % 4, n * 0.1]} for n in range(24)]
SELECT = "SELECT who, what, kind, at AS timestamp FROM deeds WHERE shop = 'ours'"
FIELDS = {"user_id": "who", "item_id": "what", "event": "kind"}
SPOKEN = ["--interaction-fields", "user_id=who,item_id=what", "--interactions-query", SELECT,
          "--event", "play", "--value-is", "count", "--context", "sky,place"]  # fmt: skip
NEEDED = {
    "build": ["--catalog", "c.csv", "--out", "o", "--interactions", "i.csv"],
    "import_events": ["--index", "o", "--interactions", "i.csv"],
    "evaluate": ["--catalog", "c.csv", "--interactions", "i.csv"],
    "replay": ["--index", "o", "--interactions", "i.csv"],
}


@pytest.fixture
def database(tmp_path: Path) -> str:
    """The URL of a database with what users did in one shop and in another."""
    rows = [
        (f"u{n % 9}", f"i{(n * 5) % 24}", "like", 1_700_000_000 + n, "ours") for n in range(200)
    ]
    rows += [("stranger", "i1", "like", 1, "theirs")] * 10
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection, connection:
        connection.execute("CREATE TABLE deeds (who, what, kind, at, shop)")
        connection.executemany("INSERT INTO deeds VALUES (?, ?, ?, ?, ?)", rows)
    return f"sqlite:///{tmp_path / 'shop.db'}"


def parse(module: str, *more: str) -> argparse.Namespace:
    command = import_module(f"service.commands.{module}")
    parser = create_parser(command.__doc__ or "", None)
    command.add_arguments(parser)
    return parser.parse_args([*NEEDED[module], *more])


@pytest.mark.parametrize("module", NEEDED)
def test_every_command_knows_the_same_options(module: str) -> None:
    said = parse(module, *SPOKEN)
    assert said.interaction_fields == {"user_id": "who", "item_id": "what"}
    assert (said.interactions_query, said.context) == (SELECT, ("sky", "place"))
    assert (said.event, said.value_is) == ("play", "count")


@pytest.mark.parametrize("module", ["import_events", "replay"])
def test_where_there_is_no_catalogue_the_short_options_mean_the_interactions(module: str) -> None:
    said = parse(module, "--fields", "user_id=who", "--query", "deeds")
    assert (said.interaction_fields, said.interactions_query) == ({"user_id": "who"}, "deeds")


@pytest.mark.parametrize("module", ["build", "evaluate"])
def test_beside_a_catalogue_they_mean_the_catalogue(module: str) -> None:
    said = parse(module, "--fields", "title=name", "--query", "goods")
    assert (said.fields, said.query) == ({"title": "name"}, "goods")
    assert (said.interaction_fields, said.interactions_query) == ({}, None)


def test_a_query_for_interactions_is_evaluated(tmp_path: Path, database: str) -> None:
    catalogue = write_rows(tmp_path / "items.jsonl", ITEMS)
    plan = EvaluationPlan(
        [str(catalogue)], database, ("popular",), model="none",
        interactions_query=SELECT, interaction_fields=FIELDS,
    )  # fmt: skip
    facts = evaluate(plan)
    assert (facts["interactions"], facts["users"], facts["rejected"]) == (200, 9, 0)


def test_a_query_for_interactions_is_imported(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    plan = ImportPlan(
        database, f"sqlite:///{tmp_path / 'live.sqlite'}", tmp_path, query=SELECT, fields=FIELDS
    )
    assert import_interactions(plan, report=lambda *_: None).accepted == 200


class Recorded(Exception):
    """The events of a replay, before a service is started for them."""


def test_a_query_for_interactions_is_replayed(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = tmp_path / "index"
    build_index(write_rows(tmp_path / "items.jsonl", ITEMS), index, model="none")
    found: list[Any] = []

    def record(*arguments: Any) -> None:
        found.append(arguments)
        raise Recorded

    monkeypatch.setattr(replay, "Service", record)

    def sort(rows: Sequence[Interaction], source: str) -> list[Interaction]:
        found.extend(rows)
        return list(rows)

    monkeypatch.setattr(replay, "_sort_events", sort)
    plan = ReplayPlan(index, database, query=SELECT, fields=FIELDS)
    with pytest.raises(Recorded):
        replay_events(plan, report=lambda *_: None)
    assert len(found) == 201
    assert {row.event for row in found[:-1]} == {"like"}


def test_a_wrong_query_is_told(tmp_path: Path, database: str) -> None:
    from indexer import CatalogError

    catalogue = write_rows(tmp_path / "items.jsonl", ITEMS)
    plan = EvaluationPlan(
        [str(catalogue)], database, ("popular",), model="none", interactions_query="deds"
    )
    with pytest.raises(CatalogError, match="deds"):
        evaluate(plan, encoder=WordEncoder(dim=16))
