"""Reasons under ablation, and what else a request may ask for, on small worlds."""

import inspect
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from indexer import FilterError, Index, RequestError, build_index
from indexer.answer.hits import Hit
from indexer.live import LiveCatalogue, LiveItem
from indexer.request.body import _PARSERS
from tests.fakes import WordEncoder
from tests.oracle import write_rows
from tests.worlds import Built

EVERYTHING: dict[str, Any] = {
    "history": [{"item_id": "i0003", "event": "like"}, {"text": "garden jazz"}, "i0010"],
    "interests": ["喜剧", "robot"],
    "query": "rain on the sea",
    "context": {"weather": "snow", "mood": "sad", "scene": "with friends"},
}
# The words that the context above is encoded as, in an English catalogue.
SPOKEN = {"mood": "feeling sad", "scene": "with friends", "weather": "snowy weather"}


def hits_by_id(index: Index, body: Mapping[str, Any]) -> dict[str, Hit]:
    return {hit.id: hit for hit in index.recommend(**{"k": 400, **body})}


def share_of(hit: Hit, **reason: Any) -> float:
    """The share of the one reason that has these members."""
    matching = [r for r in hit.reasons if all(r.get(key) == value for key, value in reason.items())]
    assert len(matching) == 1, reason
    return float(matching[0]["share"])


def without(body: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key != name}


def test_each_input_is_its_own_reason_with_the_share_worked_out_by_hand(worded: Built) -> None:
    truth = worded.world.answer({**EVERYTHING, "spoken": SPOKEN})
    answer = worded.index.recommend(**EVERYTHING, k=400)
    assert [hit.id for hit in answer] == truth.ids
    for hit in answer:
        right = truth.shares(hit.id)
        assert right["representative"] == 0
        # An input of another interest than the one that won has no share, and no reason.
        assert len(hit.reasons) == np.count_nonzero([*right.values()])
        reason_by_name = {
            "item:i0003": {"kind": "history", "item_id": "i0003", "event": "like"},
            "item:i0010": {"kind": "history", "item_id": "i0010", "event": "click"},
            "text:garden jazz": {"kind": "history", "text": "garden jazz"},
            "interest:喜剧": {"kind": "interest", "text": "喜剧"},
            "interest:robot": {"kind": "interest", "text": "robot"},
            "query": {"kind": "query", "text": "rain on the sea"},
            "context:weather": {"kind": "context", "field": "weather", "value": "snow"},
            "context:mood": {"kind": "context", "field": "mood", "value": "sad"},
            "context:scene": {"kind": "context", "field": "scene", "value": "with friends"},
        }
        if right.get("words"):
            reason_by_name["words"] = {"kind": "words", "text": "rain on the sea"}
        assert {*reason_by_name, "popularity", "representative"} == {*right}
        for name, reason in reason_by_name.items():
            if right[name]:
                assert share_of(hit, **reason) == pytest.approx(right[name], abs=1e-5)


@pytest.mark.parametrize(
    ("smaller", "reason"),
    [
        (without(EVERYTHING, "query"), {"kind": "query"}),
        (
            {**EVERYTHING, "context": without(EVERYTHING["context"], "weather")},
            {"kind": "context", "field": "weather"},
        ),
        (
            {**EVERYTHING, "context": without(EVERYTHING["context"], "mood")},
            {"kind": "context", "field": "mood"},
        ),
        ({**EVERYTHING, "weights": {"prior": 0}}, {"kind": "popularity"}),
    ],
)
def test_without_an_input_a_score_falls_by_exactly_its_share(
    worded: Built, smaller: dict[str, Any], reason: dict[str, Any]
) -> None:
    # With one interest and no item there is one request vector, which is linear in these inputs.
    one = {"history": [], "interests": EVERYTHING["interests"][:1]}
    whole = hits_by_id(worded.index, {**EVERYTHING, **one})
    rest = hits_by_id(worded.index, {**smaller, **one})
    assert {*whole} == {*rest}
    for item_id, hit in whole.items():
        if reason["kind"] == "popularity" and not any(
            own["kind"] == "popularity" for own in hit.reasons
        ):
            assert hit.score == pytest.approx(rest[item_id].score, abs=1e-6)
        else:
            fall = hit.score - rest[item_id].score
            share = share_of(hit, **reason)
            if reason["kind"] == "query":  # which counts by meaning and by words
                share += sum(own["share"] for own in hit.reasons if own["kind"] == "words")
            assert fall == pytest.approx(share, abs=2e-6)


@pytest.mark.parametrize("dropped", [0, 1, 2])
def test_without_a_history_entry_the_profile_is_scaled_anew(worded: Built, dropped: int) -> None:
    history = [entry for place, entry in enumerate(EVERYTHING["history"]) if place != dropped]
    smaller = {**EVERYTHING, "history": history, "include_seen": True}
    truth = worded.world.answer({**smaller, "spoken": SPOKEN})
    answer = worded.index.recommend(**smaller, k=400)
    assert [hit.id for hit in answer] == truth.ids
    for hit in answer:
        assert hit.score == pytest.approx(truth.scores[hit.id], abs=2e-6)


def test_without_an_interest_the_profile_is_scaled_anew(worded: Built) -> None:
    smaller = {**EVERYTHING, "interests": ["robot"]}
    truth = worded.world.answer({**smaller, "spoken": SPOKEN})
    for hit in worded.index.recommend(**smaller, k=400):
        assert hit.score == pytest.approx(truth.scores[hit.id], abs=2e-6)


def test_a_long_history_has_at_most_a_tenth_as_other(worded: Built) -> None:
    body: dict[str, Any] = {
        "history": [{"item_id": f"i{number:04d}", "event": "like"} for number in range(250)],
        "scenario": "music",
    }
    for hit in worded.index.recommend(**body, k=50):
        other = [reason for reason in hit.reasons if reason["kind"] == "other"]
        assert len(other) <= 1
        absolute = sum(abs(reason["share"]) for reason in hit.reasons)
        assert sum(abs(reason["share"]) for reason in other) <= 0.1 * absolute + 1e-9
        assert sum(reason["share"] for reason in hit.reasons) == pytest.approx(hit.score, abs=1e-4)


def test_many_equal_inputs_each_have_a_reason(worded: Built) -> None:
    """None of 120 interests can hide in `other` for more than a tenth of the score."""
    interests = [f"{word}{number}" for number in range(40) for word in ("sea ", "rain ", "war ")]
    for hit in worded.index.recommend(interests=interests, k=20):
        named = [reason for reason in hit.reasons if reason["kind"] != "other"]
        other = sum(r["share"] for r in hit.reasons if r["kind"] == "other")
        absolute = sum(abs(reason["share"]) for reason in named)
        assert abs(other) <= 0.1 * (absolute + abs(other)) + 1e-9
        assert sum(reason["share"] for reason in hit.reasons) == pytest.approx(hit.score, abs=1e-4)


def test_shares_sum_to_the_score_under_the_largest_weights(worded: Built) -> None:
    body = {**EVERYTHING, "weights": {"meaning": 100, "prior": 100, "taste": -100}}
    for hit in worded.index.recommend(**body, k=50):
        assert sum(reason["share"] for reason in hit.reasons) == pytest.approx(hit.score, abs=1e-4)


def test_an_empty_request_ranks_by_rating(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"id": "low", "title": "x", "rating": 1},
        {"id": "none", "title": "x"},
        {"id": "high", "title": "x", "rating": 5},
    ]
    encoder = WordEncoder(dim=16)
    build_index(write_rows(tmp_path / "i.jsonl", rows), tmp_path / "x", encoder=encoder)
    answer = Index.open(tmp_path / "x", encoder=encoder).recommend()
    # Shares of the scale 1 to 5 are 0 and 1, their mean 0.5, and a tenth of the rest counts. All
    # stand for the catalogue: so they come after each other from 0.01 above the best.
    gains = {hit.id: {reason["kind"]: reason["share"] for reason in hit.reasons} for hit in answer}
    assert [*gains] == ["high", "none", "low"]
    assert [gains[i].get("popularity", 0) for i in gains] == pytest.approx([0.05, 0, -0.05])
    steps = [0.05 + 0.01 * 0.5 ** (place / 25) for place in range(3)]
    assert [hit.score for hit in answer] == pytest.approx(steps, abs=1e-6)
    assert gains["none"]["representative"] == pytest.approx(steps[1])


def test_unknown_items_are_named_once_and_do_no_harm(worded: Built) -> None:
    answer = worded.index.recommend(history=["ghost-1", "i0001", "ghost-1"], exclude=["ghost-2"])
    assert answer.unknown_items == ("ghost-1", "ghost-2")
    assert worded.index.recommend(history=["ghost-1"]).complete["eligible"] > 0


def test_only_the_fields_asked_for_come_back_and_the_id(worded: Built) -> None:
    for hit in worded.index.recommend(fields=["title", "id"], k=5):
        assert {*hit.item} == {"id", "title"}
        assert hit.item["title"] == worded.world.items[hit.id]["title"]


def test_a_field_that_no_item_has_is_refused_with_the_nearest_one(worded: Built) -> None:
    for ask in (worded.index.recommend, partial(worded.index.search, "sea"),
                partial(worded.index.similar, "i0001")):  # fmt: skip
        with pytest.raises(RequestError, match="unknown field 'titel'; did you mean 'title'"):
            ask(fields=["id", "titel"])


def test_items_come_back_with_all_their_fields(worded: Built) -> None:
    for hit in worded.index.recommend(k=30):
        assert hit.item == worded.world.items[hit.id]


def test_without_explain_there_are_no_reasons_but_the_same_scores(worded: Built) -> None:
    explained = worded.index.recommend(**EVERYTHING, k=9)
    quiet = worded.index.recommend(**EVERYTHING, k=9, explain=False)
    assert all(hit.reasons == [] for hit in quiet)
    assert [(h.id, h.score) for h in quiet] == [(h.id, h.score) for h in explained]


def test_music_repeats_and_video_does_not(worded: Built) -> None:
    history = [{"item_id": "i0001", "event": "play"}]
    music = worded.index.recommend(history=history, scenario="music", k=400)
    video = worded.index.recommend(history=history, scenario="video", k=400)
    assert "i0001" in [hit.id for hit in music]
    assert "i0001" not in [hit.id for hit in video]


def test_an_item_disliked_pushes_its_like_away(worded: Built) -> None:
    liked = hits_by_id(worded.index, {"history": ["i0001"], "include_seen": True})
    disliked = hits_by_id(
        worded.index,
        {"history": [{"item_id": "i0001", "event": "dislike"}], "include_seen": True},
    )
    assert liked["i0001"].rank == 1
    assert disliked["i0001"].rank == len(disliked)


def test_a_time_is_context_and_at_is_its_alias(worded: Built) -> None:
    evening = "2026-11-24T20:30:00+08:00"
    inside = worded.index.recommend(context={"time": evening}, k=5)
    beside = worded.index.recommend(at=evening, k=5)
    assert inside.hits == beside.hits
    assert share_of(inside[0], kind="context", field="time", value=evening) != 0


def test_an_old_entry_counts_half_after_its_half_life(worded: Built) -> None:
    now = 1_800_000_000
    body = {
        "history": [{"item_id": "i0001", "at": now - 90_000}, {"item_id": "i0002", "at": now}],
        "scenario": "news",
        "at": now,
        "spoken": {"time": "winter"},
    }
    truth = worded.world.answer(body)
    for hit in worded.index.recommend(**without(body, "spoken"), k=400):
        assert hit.score == pytest.approx(truth.scores[hit.id], abs=2e-6)


def test_a_wrong_filter_names_the_nearest_field(worded: Built) -> None:
    with pytest.raises(FilterError, match=r"pagess.*pages"):
        worded.index.recommend(filter={"pagess": 3})


def test_a_wrong_keyword_is_refused_by_python_itself(worded: Built) -> None:
    wrong: dict[str, Any] = {"intrests": ["x"]}
    for ask in (worded.index.recommend, partial(worded.index.search, "sea"),
                partial(worded.index.similar, "i0001")):  # fmt: skip
        with pytest.raises(TypeError, match="intrests"):
            ask(**wrong)


def test_the_keywords_of_recommend_are_the_fields_of_a_request(worded: Built) -> None:
    keywords = inspect.signature(Index.recommend).parameters
    assert [*keywords] == ["self", *_PARSERS]
    for keyword in list(keywords.values())[1:]:
        assert keyword.kind is inspect.Parameter.KEYWORD_ONLY
        assert keyword.default is None


def test_a_keyword_that_is_none_was_not_given(worded: Built) -> None:
    nothing: dict[str, Any] = dict.fromkeys(_PARSERS)
    assert worded.index.recommend(**nothing).hits == worded.index.recommend().hits


def test_similar_items_are_those_of_the_weighted_sum(worded: Built) -> None:
    world = worded.world
    row = world.row
    assert world.space is not None
    one, other = world.space.alike(world.meaning[[row["i0001"], row["i0007"]]])
    query_vector = (one - 0.5 * other) / 1.5
    scores = world.meaning @ query_vector
    answer = worded.index.similar({"i0001": 1.0, "i0007": -0.5}, k=400)
    assert {"i0001", "i0007"}.isdisjoint(hit.id for hit in answer)
    for hit in answer:
        assert hit.score == pytest.approx(scores[row[hit.id]], abs=2e-6)
        shares = [reason["share"] for reason in hit.reasons]
        assert sum(shares) == pytest.approx(hit.score, abs=1e-4)
    assert [hit.score for hit in answer] == sorted((h.score for h in answer), reverse=True)


def test_similar_needs_a_known_and_a_wanted_example(worded: Built) -> None:
    with pytest.raises(RequestError, match="nobody"):
        worded.index.similar("nobody")
    with pytest.raises(RequestError, match="positive"):
        worded.index.similar({"i0001": -1})


def test_search_puts_exact_ids_and_titles_first(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"id": "1984", "title": "Homage to Catalonia"},
        {"id": "b", "title": "1984"},
        {"id": "c", "title": "1984 and after", "description": "1984 1984 1984"},
        {"id": "d", "title": "Gardens of the north"},
    ]
    encoder = WordEncoder(dim=16)
    build_index(write_rows(tmp_path / "i.jsonl", rows), tmp_path / "x", encoder=encoder)
    index = Index.open(tmp_path / "x", encoder=encoder)
    answer = index.search("1984")
    assert [hit.id for hit in answer][:3] == ["1984", "b", "c"]
    assert len(answer) == 4
    for hit in answer:
        assert sum(reason["share"] for reason in hit.reasons) == pytest.approx(hit.score, abs=1e-4)
    assert [hit.id for hit in index.search("1984", filter={"title": "1984"})] == ["b"]


TITLES = ["三体", "《流浪地球》", "Alien", '"Heroes" and "Ghosts"', "『银河』", "三体 黑暗森林"]


@pytest.mark.parametrize(
    ("query", "title"),
    [
        ("《三体》", "三体"), ("〈三体〉", "三体"), ("「三体」", "三体"), ("『三体』", "三体"),
        ("“三体”", "三体"), ('"三体"', "三体"), ("《「三体」》", "三体"), ("《 三体 》", "三体"),
        ("流浪地球", "《流浪地球》"), ("《流浪地球》", "《流浪地球》"),
        ("“ALIEN”", "Alien"), ("'Alien'", "Alien"), ("＂Alien＂", "Alien"), ("｢Alien｣", "Alien"),
        ('"Heroes" and "Ghosts"', '"Heroes" and "Ghosts"'), ("银河", "『银河』"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("is_live", [False, True])
def test_a_title_in_quotes_is_an_exact_match(
    tmp_path: Path, query: str, title: str, *, is_live: bool
) -> None:
    rows = [{"id": f"m{n}", "title": one} for n, one in enumerate(TITLES)]
    encoder = WordEncoder(dim=16)
    built = [{"id": "other", "title": "other"}] if is_live else rows
    build_index(write_rows(tmp_path / "i.jsonl", built), tmp_path / "x", encoder=encoder)
    index = Index.open(tmp_path / "x", encoder=encoder)
    if is_live:
        zeros = np.zeros(16, np.float32)
        changes = [LiveItem(row["id"], row, zeros) for row in rows]
        catalogue: Any = LiveCatalogue(index).apply_changes(changes)
    else:
        catalogue = index
    exact = [item["title"] for item in catalogue.items(catalogue.find_exact(query))]
    assert exact == [title]
    if not is_live:
        (first, *_) = index.search(query)
        assert first.item["title"] == title
        assert "exact" in {reason["kind"] for reason in first.reasons}


@pytest.mark.parametrize(
    "query", ["《三体", "三体》", "《》", '"', '"三体" "Alien"', "《三体》 Alien"]
)
def test_what_quotes_do_not_enclose_is_no_exact_match(tmp_path: Path, query: str) -> None:
    rows = [{"id": f"m{n}", "title": one} for n, one in enumerate(TITLES)]
    encoder = WordEncoder(dim=16)
    build_index(write_rows(tmp_path / "i.jsonl", rows), tmp_path / "x", encoder=encoder)
    assert Index.open(tmp_path / "x", encoder=encoder).find_exact(query) == []


def test_an_index_of_ready_made_vectors_recommends_but_reads_no_text(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"id": "a", "title": "a", "vector": [3, 0, 0]},
        {"id": "b", "title": "b", "vector": [1, 1, 0]},
        {"id": "c", "title": "c", "vector": [0, 0, 2]},
    ]
    build_index(write_rows(tmp_path / "i.jsonl", rows), tmp_path / "x", model="none")
    index = Index.open(tmp_path / "x")
    answer = index.recommend(history=["a"])
    assert [(hit.id, round(hit.score, 3)) for hit in answer] == [("b", 0.707), ("c", 0.0)]
    with pytest.raises(RequestError, match="--model none"):
        index.recommend(query="anything")


def test_vectors_are_unit_float32_and_unknown_ids_are_named(worded: Built) -> None:
    vectors = worded.index.vectors(["i0002", "i0001"])
    assert vectors.dtype == np.float32
    assert vectors.shape == (2, 32)
    rows = [worded.world.row["i0002"], worded.world.row["i0001"]]
    np.testing.assert_allclose(vectors, worded.world.meaning[rows], atol=2e-6)
    with pytest.raises(RequestError, match="nobody"):
        worded.index.vectors(["nobody"])
