"""Each check of a story finds its fault in a list made by hand, and none in one without it."""

import gzip
import json
import runpy
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from indexer import Index, build_index
from indexer.errors import CatalogError
from tests.fakes import WordEncoder
from tests.oracle import write_rows
from tests.paths import SCRIPTS

sys.path.insert(0, str(SCRIPTS / "bench"))
from _story_checks import CHECKS, OPTIONS, Lists, Shown, find_fault, matches
from _story_files import (
    ItemNames,
    check_facts,
    count_interactions,
    find_sources,
    leave_out,
    name_items,
    read_stories,
)

sys.path.remove(str(SCRIPTS / "bench"))

STORIES = SCRIPTS / "bench" / "stories"

ALIEN = {"id": "a", "title": "Alien", "genres": ["horror", "space"], "year": 1979, "by": "Scott"}
BAMBI = {"id": "b", "title": "Bambi", "genres": ["family"], "year": 1942, "description": "A deer."}
CASABLANCA = {"id": "c", "title": "Casablanca", "genres": ["romance"], "year": 1942}
DEER = {"id": "d", "title": "Bambi", "genres": ["family"], "year": 2025}
LIST = [
    Shown("b", 0.9, BAMBI, ("history", "popularity"), 40),
    Shown("a", 0.7, ALIEN, ("popularity",), 7),
    Shown("c", 0.2, CASABLANCA, (), 0),
]


def found(check: Mapping[str, Any], shown: Sequence[Shown] = LIST, **less: Any) -> str:
    return find_fault(check, Lists(shown, less))


@pytest.mark.parametrize(
    ("holds", "fails", "fault"),
    [
        ({"contains_one_of": ["x", "c"]}, {"contains_one_of": ["x"]}, "none in 3"),
        ({"contains_one_of": ["a"], "first": 2}, {"contains_one_of": ["c"], "first": 2}, "none"),
        ({"contains_none_of": ["c"], "first": 2}, {"contains_none_of": ["a", "b"]}, "Bambi, Alien"),
        (
            {"share_of": {"year": {"lt": 1950}}, "at_least": 0.6},
            {"share_of": {"year": {"lt": 1950}}, "at_least": 0.7},
            "2 of 3",
        ),
        (
            {"share_of": {"genres": "horror"}, "at_most": 0.0, "first": 1},
            {"share_of": {"genres": "horror"}, "at_most": 0.0, "first": 2},
            "1 of 2",
        ),
        (
            {"variety": "genres", "at_least": 4},
            {"variety": "genres", "at_least": 4, "first": 2},
            "only family, ",
        ),
        ({"same_at_most": "year", "at_most": 2}, {"same_at_most": "year", "at_most": 1}, "1942: 2"),
        (
            {"no_unknown_first": 2, "fewer_than": 7},
            {"no_unknown_first": 3, "fewer_than": 8},
            "Alien: 7, Casablanca: 0",
        ),
        ({"rank_above": ["b", "c"]}, {"rank_above": ["c", "a"]}, "c is at 3, a at 2"),
        ({"rank_above": ["c", "x"]}, {"rank_above": ["x", "c"]}, "x is not among 3"),
        ({"reason": "popularity"}, {"reason": "query"}, "history, popularity"),
        ({"no_reason": "query"}, {"no_reason": "history"}, "history, popularity"),
        ({"scores_at_least": 0.2}, {"scores_at_least": 0.3}, "Casablanca: 0.20"),
        ({"count_at_least": 3}, {"count_at_least": 4}, "only 3"),
        ({"count_at_most": 3}, {"count_at_most": 2}, "3"),
    ],
)
def test_a_check_finds_its_fault_and_no_other(
    holds: Mapping[str, Any], fails: Mapping[str, Any], fault: str
) -> None:
    assert found(holds) == ""
    assert fault in found(fails)


def test_two_editions_of_one_title_are_twins() -> None:
    twins = [*LIST, Shown("d", 0.1, DEER)]
    assert found({"titles_differ": 4}, twins) == "bambi"
    assert found({"titles_differ": 3}, twins) == ""


@pytest.mark.parametrize("ids", [["2", "9", "10"], ["a1", "a2", "b"]])
def test_a_list_in_the_order_of_its_ids_is_told(ids: list[str]) -> None:
    assert found({"unordered": 3}, [Shown(item_id) for item_id in ids])
    assert not found({"unordered": 3}, [Shown(item_id) for item_id in [*ids[1:], ids[0]]])


def test_a_change_counts_what_is_new_among_the_first() -> None:
    less = {"history.1": [Shown(item_id) for item_id in "bxy"]}
    check = {"changes_at_most": 0.6, "without": "history.1"}
    assert found(check, **less) == "2 of 3 are others"
    assert found({**check, "changes_at_most": 0.7}, **less) == ""
    assert found({**check, "first": 1}, **less) == ""


def test_a_share_of_an_empty_list_is_none() -> None:
    assert found({"share_of": {"year": 1942}, "at_least": 0.1}, []) == "0 of 0"
    assert found({"changes_at_most": 1.0, "without": "query"}, [], query=[])


@pytest.mark.parametrize(
    ("where", "ids"),
    [
        ({"year": 1942}, "bc"),
        ({"genres": "space"}, "a"),
        ({"genres": {"any": ["space", "romance"]}}, "ac"),
        ({"title": {"has": ["CASA", "lie"]}}, "ac"),
        ({"text": {"has": ["deer"]}}, "b"),
        ({"year": {"gte": 1942, "lt": 1979}}, "bc"),
        ({"year": {"gt": 1942, "lte": 1979}}, "a"),
        ({"by": {"lt": 3}}, ""),
        ({"nothing": {"any": [1]}}, ""),
        ({"or": [{"by": "Scott"}, {"title": "Bambi"}]}, "ab"),
        ({"or": [{"by": "Scott"}, {"title": "Bambi"}], "year": 1942}, "b"),
    ],
)
def test_conditions_hold_of_the_items_that_a_reader_would_count(
    where: Mapping[str, Any], ids: str
) -> None:
    items = (ALIEN, BAMBI, CASABLANCA)
    assert "".join(str(item["id"]) for item in items if matches(item, where)) == ids


def test_every_kind_of_check_has_its_options() -> None:
    assert set(OPTIONS) == set(CHECKS)


STORY = """
[[story]]
name = "after Alien"
catalogue = "films"
language = "en"
topic = "new user"
ask = { history = [{ item_id = "Alien", event = "like" }, { text = "space" }] }
checks = [{ contains_none_of = ["Bambi"] }, { rank_above = ["c", "a"] }]
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "stories.toml"
    path.write_text(text)
    return path


def test_items_are_named_by_id_or_by_title(tmp_path: Path) -> None:
    (story,) = read_stories(written(tmp_path, STORY))
    named = name_items(story, ItemNames([ALIEN, BAMBI, CASABLANCA, DEER]))
    assert named.ask["history"] == [{"item_id": "a", "event": "like"}, {"text": "space"}]
    assert named.checks == ({"contains_none_of": ["b", "d"]}, {"rank_above": ["c", "a"]})
    with pytest.raises(CatalogError, match="'after Alien': no item has the id or title 'Alien'"):
        name_items(story, ItemNames([BAMBI]))
    with pytest.raises(CatalogError, match="2 items have the title 'Alien'; name one of a, e"):
        name_items(story, ItemNames([ALIEN, {**ALIEN, "id": "e"}, BAMBI, CASABLANCA]))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[[story]]", "[[tale]]", r"has no \[\[story\]\]"),
        ("[[story]]", "[[story", "is not TOML"),
        ('topic = "new user"\n', "", "look at topic"),
        ('"films"', '"plays"', "the catalogue 'plays'; use sample or films or books"),
        ('"en"', '"fr"', "the language 'fr'; use en or zh"),
        ("checks = [", "checks = []\nrest = [", "look at rest"),
        ('["Bambi"]', '["Bambi"], reason = "query"', "is not one check"),
        ('{ contains_none_of = ["Bambi"] }', "{ contains = 3 }", "is not one check"),
        ('["Bambi"]', '["Bambi"], firs = 3', "look at firs"),
        ('{ contains_none_of = ["Bambi"] }', '{ variety = "genres" }', "look at at_least"),
        ('{ contains_none_of = ["Bambi"] }', "{ share_of = { year = 1 } }", "could not fail"),
        (STORY, STORY + STORY, "two stories called 'after Alien'"),
    ],
)
def test_a_story_that_says_too_little_or_too_much_is_refused(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    with pytest.raises(CatalogError, match=message):
        read_stories(written(tmp_path, STORY.replace(old, new)))


def test_a_story_without_checks_is_refused(tmp_path: Path) -> None:
    text = STORY[: STORY.index("checks")] + "checks = []"
    with pytest.raises(CatalogError, match="could not fail"):
        read_stories(written(tmp_path, text))


def test_a_share_that_the_catalogue_cannot_reach_is_refused(tmp_path: Path) -> None:
    share = "{ share_of = { year = 1942 }, at_least = 0.5, first = 4 }"
    text = STORY.replace('{ contains_none_of = ["Bambi"] }', share)
    (story,) = read_stories(written(tmp_path, text))
    check_facts(story, [BAMBI, CASABLANCA])
    with pytest.raises(CatalogError, match="1 of 2 items are as"):
        check_facts(story, [BAMBI, ALIEN])
    never = text.replace("at_least = 0.5", "at_most = 0.5").replace("1942", "1800")
    (story,) = read_stories(written(tmp_path, never))
    with pytest.raises(CatalogError, match="0 of 1 items"):
        check_facts(story, [ALIEN])


def test_less_can_be_said_by_a_field_or_by_an_entry() -> None:
    ask = {"history": ["a", "b", "c"], "k": 5}
    assert leave_out(ask, "k") == {"history": ["a", "b", "c"]}
    assert leave_out(ask, "history.1") == {"history": ["a", "c"], "k": 5}
    assert ask == {"history": ["a", "b", "c"], "k": 5}
    for what in ("query", "history.3"):
        with pytest.raises(CatalogError, match=f"no {what} to leave out"):
            leave_out(ask, what)


def test_a_log_is_counted_plain_or_compressed(tmp_path: Path) -> None:
    rows = "user_id,item_id,event\nu,a,view\nv,a,like\nu,b,view\n"
    (tmp_path / "interactions.csv").write_text(rows)
    assert count_interactions(tmp_path / "interactions.csv") == {"a": 2, "b": 1}
    with gzip.open(tmp_path / "interactions.csv.gz", "wt") as file:
        file.write(rows)
    assert count_interactions(tmp_path / "interactions.csv.gz") == {"a": 2, "b": 1}
    assert count_interactions(None) == {}
    (tmp_path / "interactions.csv").write_text("who,what\n")
    with pytest.raises(CatalogError, match="no column item_id"):
        count_interactions(tmp_path / "interactions.csv")


def test_a_folder_without_items_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"has neither items\.\*"):
        find_sources(tmp_path)
    write_rows(tmp_path / "items.jsonl", [BAMBI])
    assert find_sources(tmp_path) == ([tmp_path / "items.jsonl"], None)


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """A folder of ten films with a log, built beside it in `index`."""
    titles = ("alien", "moon", "mars", "comet", "deer", "fawn", "bambi", "forest", "ship", "sea")
    rows = [{"id": f"f{n}", "title": title, "kind": "film"} for n, title in enumerate(titles)]
    folder = tmp_path / "films"
    folder.mkdir()
    write_rows(folder / "items.jsonl", rows)
    (folder / "interactions.csv").write_text("user_id,item_id,event\nu,f3,like\n")
    build_index(folder / "items.jsonl", tmp_path / "index", encoder=WordEncoder())
    return folder


Told = tuple[int, str, str]


@pytest.fixture
def run(
    films: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Any:
    """Judge stories about the ten films; return the exit code, what is printed, and stderr."""
    opened = Index.open(tmp_path / "index", encoder=WordEncoder())
    monkeypatch.setattr(Index, "open", lambda *_: opened)
    monkeypatch.syspath_prepend(str(SCRIPTS / "bench"))

    def judge(text: str, *arguments: str) -> Told:
        stories = str(written(tmp_path, text))
        script = str(SCRIPTS / "bench" / "stories.py")
        given = ["--films", str(films), "--index-films", str(tmp_path / "index")]
        monkeypatch.setattr(sys, "argv", [script, "--stories", stories, *given, *arguments])
        with pytest.raises(SystemExit) as caught:
            runpy.run_path(script, run_name="__main__")
        assert isinstance(caught.value.code, int)
        told = capsys.readouterr()
        return caught.value.code, told.out, told.err

    return judge


def story(name: str, ask: str, check: str, catalogue: str = "films") -> str:
    return (
        f'[[story]]\nname = "{name}"\ncatalogue = "{catalogue}"\nlanguage = "en"\ntopic = "typed"\n'
        f"ask = {ask}\nchecks = [{check}]\n"
    )


HELD = story("deer", '{ query = "deer" }', '{ contains_one_of = ["deer"], first = 1 }')
FAILED = story("sea", '{ query = "sea" }', '{ contains_one_of = ["moon"], first = 1 }')


def test_the_judge_tells_what_holds_and_what_is_wrong_with_the_rest(run: Any) -> None:
    code, out, err = run(HELD + FAILED)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "pass  films  typed: deer"
    assert lines[1].startswith("      = deer · ")
    assert lines[2] == "FAIL  films  typed: sea"
    assert lines[3].endswith(": none in 1")
    assert lines[-1] == "50.0% of 2 stories hold"
    assert "catalogue: films 50% of 2" in lines


def test_a_rate_below_the_least_one_fails(run: Any) -> None:
    assert run(HELD + FAILED, "--min-rate", "0.6")[0] == 1
    assert run(HELD + FAILED, "--min-rate", "0.5")[0] == 0


def test_stories_of_a_catalogue_that_is_not_there_are_skipped_aloud(run: Any) -> None:
    books = story("books", "{}", "{ unordered = 3 }", catalogue="books")
    code, out, err = run(HELD + books)
    assert code == 0
    assert err == "SKIPPED 1 stories of books: give --books DIR\n"
    assert out.splitlines()[-1] == "100.0% of 1 stories hold, 1 of books skipped"


def test_the_figures_are_one_line_of_json(run: Any) -> None:
    refused = story("colour", '{ filter = { colour = "red" } }', "{ unordered = 3 }")
    empty = story("nothing", '{ query = "deer", min_score = 9 }', "{ titles_differ = 3 }")
    _, out, _ = run(HELD + FAILED + refused + empty, "--json")
    told = json.loads(out)
    assert told["rate"] == 0.25
    assert told["by_language"] == {"en": {"told": 4, "rate": 0.25}}
    faults = {verdict["name"]: verdict["faults"] for verdict in told["verdicts"]}
    assert faults["deer"] == []
    assert "the request is refused" in faults["colour"][0]
    assert "colour" in faults["colour"][0]
    assert faults["nothing"] == ["the list is empty"]


def test_nobody_rated_is_counted_in_the_folders_log(run: Any) -> None:
    known = story("known", '{ query = "comet" }', "{ no_unknown_first = 1, fewer_than = 1 }")
    unknown = story("unknown", '{ query = "moon" }', "{ no_unknown_first = 1, fewer_than = 1 }")
    _, out, _ = run(known + unknown)
    assert "pass  films  typed: known" in out
    assert "moon: 0" in out


def test_an_index_without_its_folder_is_a_usage_error(run: Any) -> None:
    code, _, err = run(HELD, "--index-books", "somewhere")
    assert code == 2
    assert "--index-books needs --books DIR" in err


@pytest.mark.parametrize(("name", "count"), [("now", 40), ("later", 20)])
def test_the_stories_are_told_half_in_each_language(name: str, count: int) -> None:
    stories = read_stories(STORIES / f"{name}.toml")
    assert len(stories) == count
    assert sum(story.language == "zh" for story in stories) == count // 2


@pytest.mark.parametrize("name", ["now", "later"])
def test_the_stories_of_the_sample_fit_its_items(name: str) -> None:
    items = [
        json.loads(line)
        for path in sorted((SCRIPTS / "sample").glob("*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    for told in read_stories(STORIES / f"{name}.toml"):
        if told.catalogue == "sample":
            check_facts(name_items(told, ItemNames(items)), items)
