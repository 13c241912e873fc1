"""How a shop, a newsroom and a music player differ, and files that change scenarios."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from indexer import Index, RequestError, build_index
from indexer.answer.recommend import recommend
from indexer.errors import FilterError, ScenarioError
from indexer.live.catalogue import LiveCatalogue
from indexer.live.changes import LiveItem
from indexer.request.body import parse_request
from indexer.request.scenario_file import load_scenarios
from indexer.request.scenarios import SCENARIOS
from tests.oracle import write_rows

NOW = "2026-11-24T12:00:00Z"
ROWS: list[dict[str, Any]] = [
    {"id": "fresh", "kind": "news", "created_at": "2026-11-24T12:00:00Z", "artist": "A"},
    {"id": "half", "kind": "news", "created_at": "2026-11-24T00:00:00Z", "artist": "A"},
    {"id": "old", "kind": "news", "created_at": "2020-01-01", "artist": "A",
     "location": {"lat": 31.2, "lon": 121.5}},
    {"id": "future", "kind": "film", "created_at": "2030-01-01", "artist": "A"},
    {"id": "undated", "kind": "film", "location": {"lat": 31.2, "lon": 121.552523}},
]  # fmt: skip


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    root = tmp_path_factory.mktemp("scenarios")
    rows = [{**row, "title": row["id"], "vector": [1.0, 0.0]} for row in ROWS]
    build_index(write_rows(root / "items.jsonl", rows), root / "index", model="none")
    return Index.open(root / "index")


def shares(index: Any, kind: str, **body: Any) -> dict[str, float]:
    answer = recommend(index, parse_request(body))
    reasons = [(hit.id, reason) for hit in answer for reason in hit.reasons]
    return {item_id: reason["share"] for item_id, reason in reasons if reason["kind"] == kind}


def test_freshness_of_news_halves_with_its_half_life(index: Index) -> None:
    weight = SCENARIOS["news"].fresh_weight
    gains = shares(index, "freshness", scenario="news", at=1_795_521_600)
    assert gains.pop("old", 0.0) == pytest.approx(0, abs=1e-9)
    assert gains == pytest.approx({"fresh": weight, "half": weight / 2, "future": weight})
    assert shares(index, "freshness", at=1_795_521_600) == {}


def test_a_live_item_is_fresh_too(index: Index) -> None:
    live = LiveItem("new", {"id": "new", "created_at": NOW}, index.vectors(["old"])[0])
    gains = shares(
        LiveCatalogue(index).apply_changes([live]), "freshness", scenario="news", at=1_795_521_600
    )
    assert gains["new"] == gains["fresh"]


def test_nearness_halves_with_distance(index: Index) -> None:
    """The second place is 5.0 km east of the first: half of the term."""
    here = {"lat": 31.2, "lon": 121.5}
    weight = SCENARIOS["default"].near_weight
    for field in ("place", "location"):
        answer = index.recommend(context={field: here})
        reasons = {
            hit.id: [reason for reason in hit.reasons if reason["kind"] == "context"]
            for hit in answer
            if hit.reasons[0]["kind"] == "context"
        }
        assert {*reasons} == {"old", "undated"}
        assert reasons["old"] == [
            {"kind": "context", "field": "place", "value": here, "km": 0.0,
             "share": pytest.approx(weight)},
        ]  # fmt: skip
        (reason,) = reasons["undated"]
        assert reason["km"] == pytest.approx(5.0, abs=0.01)
        assert reason["share"] == pytest.approx(weight / 2, rel=1e-2)
        assert [hit.id for hit in answer][:2] == ["old", "undated"]


def test_a_shop_hides_what_was_bought_but_not_what_was_looked_at(index: Index) -> None:
    history = [
        {"item_id": "fresh", "event": "purchase"},
        {"item_id": "half", "event": "view"},
        {"item_id": "old", "event": "dislike"},
    ]
    shop = index.recommend(scenario="shop", history=history)
    assert {hit.id for hit in shop} == {"half", "future", "undated"}
    assert shop.complete["excluded"]["seen"] == 2
    assert {hit.id for hit in index.recommend(history=history)} == {"future", "undated"}


def test_a_request_that_wants_nothing_again_gets_nothing_again_from_a_shop(index: Index) -> None:
    body = {
        "scenario": "shop",
        "history": [{"item_id": "half", "event": "view"}],
        "include_seen": False,
    }
    request = replace(parse_request(body), seen=("fresh",), seen_by_event={"view": ("fresh",)})
    assert {hit.id for hit in recommend(index, request)} == {"old", "future", "undated"}


def test_stored_events_count_in_a_shop_by_what_they_were(index: Index) -> None:
    request = replace(
        parse_request({"scenario": "shop"}),
        seen=("fresh", "half"),
        seen_by_event={"purchase": ("fresh",), "view": ("half",)},
    )
    assert "half" in [hit.id for hit in recommend(index, request)]
    assert "fresh" not in [hit.id for hit in recommend(index, request)]


def test_music_has_few_of_one_artist_and_repeats(index: Index) -> None:
    answer = index.recommend(scenario="music", history=[{"item_id": "fresh", "event": "play"}])
    assert sum(hit.item.get("artist") == "A" for hit in answer) == 3
    assert answer.complete["excluded"]["cap"] == 1
    assert answer.complete["excluded"]["seen"] == 0
    assert len(index.recommend(scenario="music", max_per={})) == len(ROWS)


def test_an_unknown_scenario_names_the_known(index: Index) -> None:
    with pytest.raises(RequestError, match=r"'nwes'; did you mean 'news'\? known are default"):
        index.recommend(scenario="nwes")


def test_a_file_in_the_index_directory_changes_and_adds(index: Index, tmp_path: Path) -> None:
    file = tmp_path / "scenarios.toml"
    file.write_text(
        """
        [news]
        fresh_half_life_s = 3600
        [cinema]
        like = "video"
        filter = { kind = "film" }
        max_per = { artist = 1 }
        hidden_by = ["finish"]
        event_weights = { trailer = 0.25 }
        """
    )
    scenarios = load_scenarios(file)
    assert scenarios["news"].fresh_half_life_s == 3_600
    assert scenarios["news"].fresh_weight == SCENARIOS["news"].fresh_weight
    cinema = scenarios["cinema"]
    assert (cinema.get_event_weight("trailer"), cinema.get_event_weight("like")) == (0.25, 1.0)
    assert (cinema.hides("finish"), cinema.hides("view")) == (True, False)
    changed = Index(index.path, None, scenarios)
    answer = changed.recommend(scenario="cinema")
    assert {hit.id for hit in answer} == {"future", "undated"}
    assert answer.complete["excluded"]["filter"] == 3
    both = changed.recommend(scenario="cinema", filter={"created_at": {"exists": True}})
    assert [hit.id for hit in both] == ["future"]
    assert [*scenarios] == [*SCENARIOS, "cinema"]


def test_the_file_beside_an_index_is_found(index: Index) -> None:
    root = index.path.parents[1]
    file = root / "scenarios.toml"
    file.write_text("[evening]\ncontext_weight = 0.5\n")
    try:
        assert Index.open(root).scenarios["evening"].context_weight == 0.5
    finally:
        file.unlink()
    assert Index.open(root).scenarios == SCENARIOS


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[news", "cannot be read"),
        ("news = 3", r"\[news\] is no table"),
        ("[x]\nlike = 'y'", r"\[x\] is like 'y', which is none of default"),
        ("[x]\nfresh_wieght = 1", r"unknown key 'fresh_wieght'; did you mean 'fresh_weight'"),
        ("[x]\nfresh_weight = 'much'", "fresh_weight cannot be 'much'; its default is 0.0"),
        ("[x]\nhalf_life_events = 0", "half_life_events cannot be 0"),
        ("[x]\nmax_per = {artist = 0}", "max_per cannot be"),
        ("[x]\nfilter = 'film'", "filter cannot be"),
        ("[x]\nhidden_by = 'view'", "hidden_by cannot be"),
        ("[x]\nname = 'y'", "unknown key 'name'"),
    ],
)
def test_a_wrong_file_is_refused_by_name(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "own.toml"
    file.write_text(text)
    with pytest.raises(ScenarioError, match=message):
        load_scenarios(file)
    with pytest.raises(ScenarioError, match=r"own\.toml"):
        load_scenarios(file)


def test_a_scenario_filter_that_does_not_fit_names_the_scenario(
    index: Index, tmp_path: Path
) -> None:
    file = tmp_path / "own.toml"
    file.write_text("[x]\nfilter = { knd = 'film' }")
    changed = Index(index.path, None, load_scenarios(file))
    with pytest.raises(FilterError, match=r"the filter of scenario 'x': unknown field 'knd'"):
        changed.recommend(scenario="x")


@pytest.fixture(scope="module")
def shop_with_sales(tmp_path_factory: pytest.TempPathFactory) -> Index:
    """Who buys a camera buys its strap and its case next, which are not like it in words."""
    root, rng = tmp_path_factory.mktemp("sales"), np.random.default_rng(3)
    names = [f"{thing}{n}" for n in range(4) for thing in ("camera", "strap", "case")]
    others = [f"other{n:02d}" for n in range(48)]
    directions = {name: rng.normal(size=16) for name in [*names, *others]}
    for n in range(4):
        directions[f"camera{n}"] = 4 * np.eye(16)[0] + directions[f"camera{n}"] / 4
    rows = [
        {"id": name, "title": name, "vector": vector.round(4).tolist()}
        for name, vector in directions.items()
    ]
    lines, timestamp = ["user_id,item_id,event,at"], 0
    for user in range(320):
        kind = user // 2 % 4
        bought = [f"camera{kind}", f"strap{kind}", f"case{kind}"]
        for item_id in bought if user % 2 else rng.choice(others, 3, replace=False).tolist():
            timestamp += 60
            lines.append(f"u{user},{item_id},purchase,{timestamp}")
    events = root / "events.csv"
    events.write_text("\n".join(lines) + "\n")
    catalog = write_rows(root / "items.jsonl", rows)
    build_index(catalog, root / "index", model="none", interactions=str(events))
    return Index.open(root / "index")


@pytest.mark.parametrize("kind", range(4))
def test_a_shop_offers_the_accessories_of_what_was_bought_and_not_the_thing_again(
    shop_with_sales: Index, kind: int
) -> None:
    bought = [{"item_id": f"camera{kind}", "event": "purchase"}]
    hits = shop_with_sales.recommend(scenario="shop", history=bought, k=59)
    assert {hit.id for hit in hits[:2]} == {f"strap{kind}", f"case{kind}"}
    assert f"camera{kind}" not in [hit.id for hit in hits]
    looked = [{"item_id": f"camera{kind}", "event": "view"}]
    again = shop_with_sales.recommend(scenario="shop", history=looked, k=60)
    assert f"camera{kind}" in [hit.id for hit in again]
