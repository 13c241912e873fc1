"""A user with two interests is shown both in proportion; a user with one is shown only that."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from indexer import Index, build_index
from tests.oracle import write_rows

SIZE = 60


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    """Two tight clusters of different spread, and a third between them, near their mean."""
    rng = np.random.default_rng(2)
    rows: list[dict[str, Any]] = []
    for name, axis, spread in (("jazz", 0, 0.25), ("garden", 1, 0.4), ("between", None, 0.3)):
        centre = np.zeros(12)
        centre[[0, 1] if axis is None else [axis]] = 1.0
        centre /= np.linalg.norm(centre)
        for number in range(SIZE):
            vector = centre + rng.normal(0, spread / np.sqrt(12), 12)
            rows.append(
                {"id": f"{name}{number:02d}", "title": name, "topic": name,
                 "vector": vector.round(4).tolist()}
            )  # fmt: skip
    return rows


@pytest.fixture(scope="module")
def two_interests(rows: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Index:
    root: Path = tmp_path_factory.mktemp("interests")
    build_index(write_rows(root / "items.jsonl", rows), root / "index", model="none")
    return Index.open(root / "index")


@pytest.fixture(scope="module")
def learned(rows: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Index:
    """The same with a taste model, learned from users who each stay in one cluster."""
    root: Path = tmp_path_factory.mktemp("learned")
    rng = np.random.default_rng(4)
    lines = ["user_id,item_id,event,value,timestamp"]
    for user in range(400):
        name = ("jazz", "garden", "between")[user % 3]
        first = int(rng.integers(1_000_000))
        for step, item in enumerate(rng.choice(SIZE, 8, replace=False)):
            lines.append(f"u{user},{name}{item:02d},purchase,,{first + step}")
    (root / "events.csv").write_text("\n".join(lines))
    build_index(
        write_rows(root / "items.jsonl", rows), root / "index",
        model="none", interactions=str(root / "events.csv"),
    )  # fmt: skip
    index = Index.open(root / "index")
    assert index.manifest.learned
    return index


def count_topics(index: Index, history: list[str], **more: Any) -> dict[str, int]:
    liked = [{"item_id": item_id, "event": "like"} for item_id in history]
    hits = index.recommend(history=liked, k=10, **more)
    assert (np.diff([hit.score for hit in hits]) <= 1e-6).all()
    for hit in hits:
        assert sum(r["share"] for r in hit.reasons) == pytest.approx(hit.score, abs=1e-4)
    names = [hit.item["topic"] for hit in hits]
    return {name: names.count(name) for name in ("jazz", "garden", "between")}


def interleave_history(jazz: int, garden: int) -> list[str]:
    """A history that goes back and forth."""
    ids = [f"jazz{n:02d}" for n in range(jazz)] + [f"garden{n:02d}" for n in range(garden)]
    order = np.random.default_rng(jazz).permutation(len(ids))
    return [ids[position] for position in order]


@pytest.mark.parametrize(("jazz", "garden"), [(10, 10), (14, 6), (6, 14), (16, 4), (4, 16)])
def test_both_interests_are_in_the_first_ten_in_proportion(
    two_interests: Index, jazz: int, garden: int
) -> None:
    shown = count_topics(two_interests, interleave_history(jazz, garden))
    assert shown["between"] == 0
    assert abs(shown["jazz"] - 10 * jazz / (jazz + garden)) <= 2
    assert min(shown["jazz"], shown["garden"]) >= 1


def test_it_does_not_matter_which_interest_was_last(two_interests: Index) -> None:
    first = [f"jazz{n:02d}" for n in range(8)]
    last = [f"garden{n:02d}" for n in range(8)]
    for history in (first + last, last + first):
        shown = count_topics(two_interests, history)
        assert abs(shown["jazz"] - 5) <= 2
        assert shown["between"] == 0


@pytest.mark.parametrize(
    ("turns", "jazz"), [(("jazz", "garden"), 5), (("garden", "jazz"), 5),
                        (("jazz", "jazz", "garden"), 6.7), (("garden", "jazz", "garden"), 3.3)]
)  # fmt: skip
def test_a_taste_model_keeps_both_interests_in_proportion(
    learned: Index, turns: tuple[str, ...], jazz: float
) -> None:
    history = [f"{name}{3 * n + place:02d}" for n in range(8) for place, name in enumerate(turns)]
    shown = count_topics(learned, history)
    assert shown["between"] == 0
    assert abs(shown["jazz"] - jazz) <= 2


def test_an_interest_of_the_past_fades_as_fast_as_was_learned(learned: Index) -> None:
    once = [f"jazz{n:02d}" for n in range(8)]
    now = [f"garden{n:02d}" for n in range(24)]
    assert count_topics(learned, once + now[:4])["jazz"] > count_topics(learned, once + now)["jazz"]
    assert count_topics(learned, once + now)["garden"] >= 8


def test_a_filter_that_leaves_one_interest_is_answered_from_it(two_interests: Index) -> None:
    shown = count_topics(two_interests, interleave_history(10, 10), filter={"topic": "jazz"})
    assert shown == {"jazz": 10, "garden": 0, "between": 0}


def test_a_user_with_one_interest_is_shown_only_that(two_interests: Index) -> None:
    shown = count_topics(two_interests, [f"jazz{n:02d}" for n in range(20)])
    assert shown == {"jazz": 10, "garden": 0, "between": 0}


def test_a_dislike_lowers_the_score_with_every_interest(two_interests: Index) -> None:
    history = interleave_history(8, 8)
    liked = [{"item_id": item_id, "event": "like"} for item_id in history]
    disliked = {"item_id": "garden50", "event": "dislike"}
    ranks = []
    for body in (liked, [disliked, *liked]):
        hits = two_interests.recommend(history=body, k=180, include_seen=True)
        ranks.append(next(hit.score for hit in hits if hit.id == "garden50"))
    assert ranks[1] <= ranks[0]
