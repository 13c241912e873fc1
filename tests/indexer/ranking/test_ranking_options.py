"""Every combination of ranking options on random requests: invariants and the brute-force set."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer import FilterError
from indexer.answer.recommend import recommend
from indexer.query.page import Page
from indexer.request.body import parse_request
from tests.indexer.test_promises import ITEM_IDS, SAME, away_from_the_edge, bodies, filters
from tests.oracle import Expected
from tests.worlds import Built

ALL = 400  # more than there are items
boosts = st.lists(
    st.fixed_dictionaries(
        {"filter": filters, "weight": st.sampled_from([-0.5, -0.1, 0.05, 0.3, 2.0])}
    ),
    max_size=3,
)
pins = st.lists(
    st.tuples(st.sampled_from([*ITEM_IDS, "nobody"]), st.sampled_from([1, 2, 3, 7, 40, 399])),
    max_size=4,
    unique_by=(lambda pin: pin[0], lambda pin: pin[1]),
).map(lambda pairs: [{"item_id": item, "rank": rank} for item, rank in pairs])
options = st.fixed_dictionaries(
    {},
    optional={
        "diversity": st.sampled_from([0.0, 0.2, 0.7, 1.0]),
        "max_per": st.dictionaries(
            st.sampled_from(["brand", "tags", "pages"]), st.integers(1, 30), max_size=2
        ),
        "boost": boosts,
        "pin": pins,
    },
)
ranked_bodies = st.builds(lambda body, more: {**body, **more}, bodies, options)


def values_of(item: Mapping[str, Any], field: str) -> set[Any]:
    held = item.get(field)
    return set(held) if isinstance(held, list) else {held} - {None}


@settings(max_examples=3 * settings().max_examples)
@given(body=ranked_bodies)
def test_any_combination_keeps_the_promises(worded: Built, body: dict[str, Any]) -> None:
    body = away_from_the_edge(body, worded.world)
    truth = worded.world.answer(body)
    answer = worded.index.recommend(**{**body, "k": ALL})
    found = [hit.id for hit in answer]
    complete = answer.complete
    assert complete["eligible"] + sum(complete["excluded"].values()) == len(worded.index)
    assert len(found) == len(set(found)) == complete["eligible"]
    for reason in ("unavailable", "requested", "seen", "filter", "min_score"):
        assert complete["excluded"][reason] == truth.excluded[reason]
    for hit in answer:
        assert abs(hit.score - truth.scores[hit.id]) < SAME * 3
        assert hit.propensity is None
        assert sum(reason["share"] for reason in hit.reasons) == pytest.approx(hit.score, abs=1e-4)
    check_caps(worded, body, found)
    check_pins(body, truth, found)
    assert [hit.rank for hit in answer] == list(range(1, len(found) + 1))
    if not body.get("diversity") and not body.get("pin"):
        scores = np.array([hit.score for hit in answer])
        assert (np.diff(scores) <= SAME).all()
    short = worded.index.recommend(**body)
    assert [hit.id for hit in short] == found[: body["k"]]


def check_caps(worded: Built, body: dict[str, Any], found: list[str]) -> None:
    """No value above its cap, and whoever is kept out has a value that is used up."""
    caps = body.get("max_per") or {}
    items = worded.world.items
    used = Counter(
        (field, value) for i in found for field in caps for value in values_of(items[i], field)
    )
    assert all(count <= caps[field] for (field, _), count in used.items())
    uncapped = worded.world.answer({**body, "max_per": {}}).ids
    assert set(found) <= set(uncapped)
    for item_id in set(uncapped) - set(found):
        held = ((f, value) for f in caps for value in values_of(items[item_id], f))
        assert any(used[pair] == caps[pair[0]] for pair in held)


def check_pins(body: dict[str, Any], truth: Expected, found: list[str]) -> None:
    """Each pin that is allowed stands at its rank, those beyond the end come last."""
    wanted = sorted(body.get("pin") or [], key=lambda pin: pin["rank"])
    wanted = [pin for pin in wanted if pin["item_id"] in found]
    if not body.get("max_per"):
        allowed = [pin["item_id"] for pin in body.get("pin") or [] if pin["item_id"] in truth.ids]
        assert {pin["item_id"] for pin in wanted} == set(allowed)
    for place, pin in enumerate(wanted):
        latest = len(found) - (len(wanted) - 1 - place)
        assert found.index(pin["item_id"]) + 1 == min(pin["rank"], latest)


@settings(max_examples=40)
@given(
    body=ranked_bodies,
    explore=st.sampled_from([0.0, 0.5, 1.0]),
    ahead=st.sampled_from([0, 40, 1_000]),
)
def test_pages_have_no_repeats_and_no_gaps(
    worded: Built, body: dict[str, Any], explore: float, ahead: int
) -> None:
    request = parse_request({**body, "explore": explore, "k": 37})
    pages, page = [], Page(lookahead=ahead)
    while True:
        answer = recommend(worded.index, request, page=page, now=0.0)
        pages.append([hit.id for hit in answer])
        left = answer.complete["eligible"] - len(answer)
        assert len(answer) == min(37, answer.complete["eligible"])
        if left == 0:
            break
        offset = page.offset + len(answer)
        shown = [item_id for part in pages for item_id in part]
        if len(answer.following) == left:
            page = Page(offset, only_ids=answer.following, lookahead=max(ahead, left))
        else:
            page = Page(offset, served_ids=shown, lookahead=ahead)
    together = [item_id for part in pages for item_id in part]
    assert len(together) == len(set(together))
    whole = recommend(worded.index, parse_request({**body, "k": ALL}), now=0.0)
    assert set(together) == {hit.id for hit in whole}
    if not explore and (ahead == 1_000 or not body.get("diversity")):
        assert together == [hit.id for hit in whole]


@settings(max_examples=60)
@given(
    body=ranked_bodies,
    explore=st.sampled_from([0.1, 0.5, 1.0]),
    seed=st.none() | st.integers(0, 99),
)
def test_exploration_shows_eligible_items_with_their_own_scores(
    worded: Built, body: dict[str, Any], explore: float, seed: int | None
) -> None:
    body = {**body, "k": min(body["k"], 12)}
    whole = worded.index.recommend(**{**body, "k": ALL})
    scores = {hit.id: hit.score for hit in whole}
    answer = worded.index.recommend(**body, explore=explore, seed=seed)
    again = worded.index.recommend(**body, explore=explore, seed=seed)
    assert answer.hits == again.hits
    assert len(answer) == min(body["k"], len(whole))
    assert len({hit.id for hit in answer}) == len(answer)
    unexplored = [hit.id for hit in whole][: len(answer)]
    for hit in answer:
        assert hit.score == pytest.approx(scores[hit.id], abs=SAME)
        assert hit.propensity is not None
        assert 0 < hit.propensity <= 1
        if hit.id in unexplored:
            assert unexplored[hit.rank - 1] == hit.id
    pinned = {pin["item_id"] for pin in body.get("pin", [])}
    assert all(hit.propensity == 1 for hit in answer if hit.id in pinned)


def test_another_seed_explores_elsewhere_and_none_draws_from_the_request(worded: Built) -> None:
    lists = [
        [hit.id for hit in worded.index.recommend(query="rain", explore=0.5, seed=seed)]
        for seed in range(5)
    ]
    assert len({tuple(ids) for ids in lists}) > 1
    one, other = (
        worded.index.recommend(user_id=user, query="rain", explore=0.5) for user in ("u1", "u2")
    )
    assert [hit.id for hit in one] != [hit.id for hit in other]
    assert one.hits == worded.index.recommend(user_id="u1", query="rain", explore=0.5).hits


def test_frequencies_over_seeds_are_the_propensities(worded: Built) -> None:
    """The whole way, not only the draw: 600 seeds of one request with a pin."""
    body: dict[str, Any] = {
        "query": "jazz in the rain", "k": 4, "explain": False, "fields": ["id"], "explore": 0.5,
        "pin": [{"item_id": "i0007", "rank": 2}],
    }  # fmt: skip
    counts: Counter[tuple[int, str]] = Counter()
    propensities: dict[tuple[int, str], float] = {}
    tries = 600
    for seed in range(tries):
        for hit in worded.index.recommend(**body, seed=seed):
            counts[hit.rank, hit.id] += 1
            propensities[hit.rank, hit.id] = hit.propensity or 0.0
    assert propensities[2, "i0007"] == 1.0
    for key, propensity in propensities.items():
        assert abs(counts[key] / tries - propensity) <= 4.5 * np.sqrt(
            propensity * (1 - propensity) / tries
        )


def test_diversity_has_a_meaningful_scale(worded: Built) -> None:
    """Likeness within the list falls with each step; the mean score gives way for it."""
    likeness, means = [], []
    for diversity in (0.0, 0.25, 0.5, 1.0):
        hits = worded.index.recommend(interests=["rain jazz"], k=10, diversity=diversity)
        rows = [worded.world.row[hit.id] for hit in hits]
        near = worded.world.meaning[rows] @ worded.world.meaning[rows].T
        likeness.append(float(near[np.triu_indices(10, 1)].mean()))
        means.append(float(np.mean([hit.score for hit in hits])))
    assert likeness == sorted(likeness, reverse=True)
    assert means == sorted(means, reverse=True)
    assert likeness[0] > likeness[1] > likeness[2] > likeness[3]


def test_a_boost_is_its_own_reason_and_may_bury(worded: Built) -> None:
    body: dict[str, Any] = {
        "boost": [
            {"filter": {"brand": "north"}, "weight": 0.5},
            {"filter": {"pages": {"gte": 250}}, "weight": -0.2},
        ]
    }
    plain = {hit.id: hit.score for hit in worded.index.recommend(k=ALL)}
    for hit in worded.index.recommend(**body, k=ALL):
        item = worded.world.items[hit.id]
        boosts_by_index = {r["index"]: r["share"] for r in hit.reasons if r["kind"] == "boost"}
        right: dict[int, Any] = {}
        if item.get("brand") == "north":
            right[0] = 0.5
        if item["pages"] >= 250:
            right[1] = pytest.approx(-0.2, abs=1e-6)
        assert boosts_by_index == right
        assert hit.score == pytest.approx(plain[hit.id] + sum(boosts_by_index.values()), abs=1e-5)


@pytest.mark.slow
def test_boosts_of_the_whole_catalogue_find_the_true_top(large_boosted: Any) -> None:
    index, world = large_boosted
    rng = np.random.default_rng(4)
    for _ in range(40):
        body = {
            "history": [{"item_id": f"x{rng.integers(4_000)}", "event": "like"} for _ in range(3)],
            "boost": [
                {"filter": {"pages": {"gte": int(rng.integers(500))}}, "weight": float(w)}
                for w in rng.choice([-1.0, -0.1, 0.05, 0.4, 3.0], 3)
            ],
            "k": int(rng.choice([1, 10, 100])),
        }
        truth = world.answer(body)
        for hit, right in zip(index.recommend(**body), truth.ids, strict=False):
            assert abs(hit.score - truth.scores[hit.id]) < 3 * SAME
            assert hit.id == right or abs(truth.scores[hit.id] - truth.scores[right]) < 3 * SAME


def test_a_wrong_option_is_refused_by_name(worded: Built) -> None:
    with pytest.raises(FilterError, match=r"max_per.*'brnd'.*'brand'"):
        worded.index.recommend(max_per={"brnd": 1})
    with pytest.raises(FilterError, match=r"boost\[1\].filter: unknown field 'tgs'"):
        worded.index.recommend(
            boost=[{"filter": {}, "weight": 1}, {"filter": {"tgs": "x"}, "weight": 1}]
        )


def test_an_unknown_pin_is_named_and_a_forbidden_one_stays_out(worded: Built) -> None:
    answer = worded.index.recommend(
        pin=[{"item_id": "nobody", "rank": 1}, {"item_id": "i0001", "rank": 2}], exclude=["i0001"]
    )
    assert answer.unknown_items == ("nobody",)
    assert "i0001" not in [hit.id for hit in answer]
    assert len(answer) == 10
