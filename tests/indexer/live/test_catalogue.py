"""A snapshot with live changes, compared with brute force and with a build over the result."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer import FilterError, Index, build_index
from indexer.answer import recommend, search
from indexer.answer.listing import list_items
from indexer.language.item_text import describe_item
from indexer.live import LiveCatalogue, LiveItem, Tombstone
from indexer.live.delta_masks import DeltaMasks
from indexer.metadata.filter_parser import parse_filter
from indexer.metadata.item_matcher import collect_path_values, matches
from indexer.metadata.schema import FieldInfo, FieldType, Schema
from indexer.query import WORDS_WEIGHT
from indexer.request.body import parse_request
from tests.fakes import WordEncoder
from tests.oracle import write_rows
from tests.worlds import WORDS, Built, described_rows

IDS = [*(f"i{number:04d}" for number in range(0, 300, 37)), "a first", "i0100x", "zz last", "新片"]


def live(row: dict[str, Any]) -> LiveItem:
    text = describe_item(row, rating_scale=(1, 5))
    return LiveItem(row["id"], row, WordEncoder(dim=32).encode_items([text])[0])


def row(item_id: str, words: tuple[str, ...], **more: Any) -> dict[str, Any]:
    return {"id": item_id, "title": " ".join(words), "tags": sorted(set(words)), **more}


rows = st.builds(
    row,
    st.sampled_from(IDS),
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(tuple),
    rating=st.sampled_from([1.5, 3.0, 5.0]),
    colour=st.sampled_from(["red", "blue"]),
    available=st.sampled_from([True, False]),
)
changes = st.lists(st.one_of(rows.map(live), st.sampled_from(IDS).map(Tombstone)), max_size=14)
Change = LiveItem | Tombstone


class Truth:
    """Every item that a live catalogue shows, with its vector, tested one by one."""

    def __init__(self, base: Index, applied: list[Change], catalogue: LiveCatalogue) -> None:
        self.items = items_of(base)
        for change in applied:
            self.items.pop(change.id, None)
            if isinstance(change, LiveItem):
                self.items[change.id] = change.fields
        self.vectors = {
            item_id: catalogue.item_vectors(np.array([catalogue.rows([item_id])[item_id]]))[0]
            for item_id in self.items
        }

    def best(self, vectors: Any, terms: Any, passing: Any, k: int) -> list[str]:
        scores = {
            item_id: round(float((vectors @ vector).max()) + terms.get(item_id, 0.0), 6)
            for item_id, vector in self.vectors.items()
            if passing(self.items[item_id])
        }
        return sorted(scores, key=lambda item_id: (-scores[item_id], item_id))[:k]


def items_of(base: Index) -> dict[str, dict[str, Any]]:
    return {item["id"]: item for _, item in base.page(limit=10_000)}


@pytest.fixture(scope="session")
def base(worded: Built) -> Index:
    return worded.index


def available(item: dict[str, Any]) -> bool:
    return item.get("available") is not False


@settings(max_examples=40)
@given(applied=changes, parts=st.integers(1, 4), k=st.integers(1, 400))
def test_search_over_both_is_what_looking_at_every_item_gives(
    base: Index, applied: list[Change], parts: int, k: int
) -> None:
    catalogue = LiveCatalogue(base)
    for start in range(parts):  # the same changes, in several steps
        catalogue = catalogue.apply_changes(
            applied[start * len(applied) // parts : (start + 1) * len(applied) // parts]
        )
    truth = Truth(base, applied, catalogue)
    assert len(catalogue) == len(truth.items)
    request = parse_request({"query": "robot garden 喜剧", "k": k})
    answer = recommend(catalogue, request, now=1.8e9)
    query_vectors = catalogue.encode_queries(["robot garden 喜剧"]).copy()
    layout = catalogue.manifest.layout
    # Something is wanted: that an item stands for the catalogue does not count.
    query_vectors[:, layout.prior_column], query_vectors[:, layout.part_column] = 1.0, -1.0
    matches = catalogue.search_full_text("robot garden 喜剧", 1_000)
    ids = catalogue.ids([row for row, _ in matches])
    terms = {i: WORDS_WEIGHT * share for i, (_, share) in zip(ids, matches, strict=True)}
    assert [hit.id for hit in answer] == truth.best(query_vectors, terms, available, k)
    assert answer.complete["eligible"] == sum(map(available, truth.items.values()))
    gone = {change.id for change in applied} - set(truth.items)
    assert answer.complete["excluded"]["deleted"] == len(gone & set(items_of(base)))
    assert [hit.item for hit in answer] == [truth.items[hit.id] for hit in answer]


@settings(max_examples=40)
@given(applied=changes)
def test_filters_titles_and_listing_see_both(base: Index, applied: list[Change]) -> None:
    catalogue = LiveCatalogue(base).apply_changes(applied)
    truth = Truth(base, applied, catalogue).items
    if any("colour" in item for item in truth.values()):
        mask = catalogue.mask(parse_filter({"colour": "red"}, catalogue.schema))
        shown = {i for i in catalogue.ids(np.flatnonzero(mask).tolist()) if i in truth}
        assert shown == {i for i, item in truth.items() if item.get("colour") == "red"}
    else:
        with pytest.raises(FilterError):
            parse_filter({"colour": "red"}, catalogue.schema)
    listed, count = list_items(catalogue, after=None, limit=1_000, condition=None)
    assert [item["id"] for item in listed] == sorted(truth)
    assert count == len(truth)
    after, _ = list_items(catalogue, after="i0100", limit=1_000, condition=None)
    assert [item["id"] for item in after] == [i for i in sorted(truth) if i > "i0100"]
    for change in applied:
        assert catalogue.get(change.id) == truth.get(change.id)
        if change.id in truth:
            titled = catalogue.ids(catalogue.find_exact(truth[change.id]["title"]))
            same = {i for i, item in truth.items() if item["title"] == truth[change.id]["title"]}
            assert set(titled) == same
    assert set(catalogue.rows(IDS)) == {i for i in IDS if i in truth}


def test_an_earlier_catalogue_stays_as_it_was(base: Index) -> None:
    first = LiveCatalogue(base).apply_changes([live(row("neu", ("sea",)))])
    second = first.apply_changes([live(row("neu", ("war",))), Tombstone("i0001")])
    assert (first.get("neu") or {})["title"] == "sea"
    assert (second.get("neu") or {})["title"] == "war"
    assert first.get("i0001") is not None
    assert second.get("i0001") is None
    assert first.find_exact("war") == LiveCatalogue(base).find_exact("war")


def test_many_changes_of_one_item_leave_nothing_behind(base: Index) -> None:
    catalogue = LiveCatalogue(base)
    for number in range(300):
        catalogue = catalogue.apply_changes([live(row("same", ("sea", WORDS[number % 12])))])
    assert len(catalogue._delta) < 140
    assert len(catalogue) == base.count + 1


def test_words_of_live_items_are_found_and_ranked_with_the_others(base: Index) -> None:
    applied: list[Change] = [
        live(row("new1", ("zeppelin", "sea"))),
        live(row("new2", ("悬疑", "zeppelins"))),
        live({"id": "new3", "title": "quiet", "description": "A zeppelin over the sea."}),
    ]
    catalogue = LiveCatalogue(base).apply_changes(applied)
    by_word = catalogue.ids([found for found, _ in catalogue.search_full_text("zeppelin", 10)])
    assert by_word[0] in ("new1", "new2")  # in the title
    assert set(by_word) == {"new1", "new2", "new3"}
    for words, is_found in (("悬疑", True), ("疑悬", False)):
        matching = [match for match, _ in catalogue.search_full_text(words, 300)]
        assert ("new2" in catalogue.ids(matching)) is is_found
    assert catalogue.search_full_text("!!", 10) == []
    answer = search(catalogue, parse_request({"query": "Zeppelin  SEA", "k": 3}))
    assert answer[0].id == "new1"
    assert "exact" in {reason["kind"] for reason in answer[0].reasons}
    assert (
        catalogue.search_full_text("sea", 3)
        == sorted(catalogue.search_full_text("sea", 300), key=lambda pair: (-pair[1], pair[0]))[:3]
    )


def test_a_live_item_scores_as_if_it_had_been_built_in(tmp_path: Path) -> None:
    """The delta lays its vectors out as a build over the same space would."""
    old = described_rows(200, seed=3)
    fresh = row("new", ("ghost", "jazz"), rating=4.5)
    encoder = WordEncoder(dim=32)
    build_index(write_rows(tmp_path / "a.jsonl", old), tmp_path / "a", encoder=encoder)
    build_index(write_rows(tmp_path / "b.jsonl", [*old, fresh]), tmp_path / "b", encoder=encoder)
    catalogue = LiveCatalogue(Index.open(tmp_path / "a", encoder=encoder)).apply_changes(
        [live(fresh)]
    )
    built = Index.open(tmp_path / "b", encoder=encoder)
    prior = catalogue.manifest.layout.meaning
    mine = catalogue.item_vectors(np.array([catalogue.rows(["new"])["new"]]))[0]
    theirs = built.item_vectors(np.array([built.rows(["new"])["new"]]))[0]
    assert mine[:prior] @ theirs[:prior] > 0.99  # the space has moved a little
    assert mine[prior] == pytest.approx(theirs[prior], abs=2e-3)


def test_a_known_field_keeps_its_type_whatever_a_live_item_puts_there(base: Index) -> None:
    odd = {**row("odd", ("sea",)), "pages": "many", "extra": {"depth": 3.5}, "born": "2024-05-01"}
    catalogue = LiveCatalogue(base).apply_changes([live(odd)])
    fields = catalogue.schema.fields
    assert str(fields["pages"].type) == "number"
    assert str(fields["extra.depth"].type) == "number"
    assert str(fields["born"].type) == "date"
    mask = catalogue.mask(parse_filter({"born": {"gte": "2024-01-01"}}, catalogue.schema))
    assert catalogue.ids(np.flatnonzero(mask).tolist()) == ["odd"]


fields = st.fixed_dictionaries(
    {"id": st.just("x"), "title": st.just("x")},
    optional={
        "tags": st.lists(st.sampled_from(["a", "b", "c"]), max_size=3),
        "rating": st.sampled_from([1.0, 3.0, 5.0]),
        "available": st.booleans(),
        "born": st.sampled_from(["2024-05-01", "2025-01-01T10:00:00Z"]),
        "extra": st.fixed_dictionaries({}, optional={"deep": st.sampled_from([True, "a", 3.0])}),
    },
)
SCHEMA = Schema(
    {
        name: FieldInfo(name, kind)
        for name, kind in (
            ("tags", FieldType.STRING), ("rating", FieldType.NUMBER), ("born", FieldType.DATE),
            ("available", FieldType.BOOLEAN), ("extra.deep", FieldType.MIXED),
        )
    }
)  # fmt: skip
comparisons = st.sampled_from(
    [
        {"tags": "a"}, {"tags": {"any": ["a", "c"]}}, {"tags": {"all": ["a", "b"]}},
        {"tags": {"none": ["b"]}}, {"rating": {"gte": 3}}, {"rating": {"any": [1, 5]}},
        {"available": False}, {"born": {"lt": "2025-01-01"}}, {"born": "2024-05-01"},
        {"extra.deep": True}, {"extra.deep": {"any": ["a", 3]}}, {"tags": {"exists": False}},
    ]
)  # fmt: skip
conditions = st.recursive(
    comparisons,
    lambda inner: (
        st.builds(lambda parts: {"and": parts}, st.lists(inner, min_size=1, max_size=3))
        | st.builds(lambda parts: {"or": parts}, st.lists(inner, min_size=1, max_size=3))
        | st.builds(lambda part: {"not": part}, inner)
    ),
    max_leaves=5,
)


@given(st.lists(st.lists(fields, max_size=6), min_size=1, max_size=3), st.lists(conditions))
def test_masks_of_a_growing_delta_are_what_each_item_says(
    parts: list[list[dict[str, Any]]], raw_conditions: list[dict[str, Any]]
) -> None:
    masks, items = DeltaMasks(), list[dict[str, Any]]()
    for part in parts:
        for item in part:
            masks.add(collect_path_values(item))
            items.append(item)
        for raw in raw_conditions:
            condition = parse_filter(raw, SCHEMA)
            assert masks.mask(condition).tolist() == [matches(condition, item) for item in items]
