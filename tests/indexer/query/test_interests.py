"""A user of two worlds sees both; a user of one is not torn apart."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from indexer import Index, build_index
from tests.oracle import write_rows

SIZE = 60


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    """Two tight worlds of different spread, and a crowd between them that their mean points at."""
    rng = np.random.default_rng(2)
    rows: list[dict[str, Any]] = []
    for name, axis, spread in (("jazz", 0, 0.25), ("garden", 1, 0.4), ("between", None, 0.3)):
        centre = np.zeros(12)
        centre[[0, 1] if axis is None else [axis]] = 1.0
        centre /= np.linalg.norm(centre)
        for number in range(SIZE):
            vector = centre + rng.normal(0, spread / np.sqrt(12), 12)
            rows.append(
                {"id": f"{name}{number:02d}", "title": name, "world": name,
                 "vector": vector.round(4).tolist()}
            )  # fmt: skip
    return rows


@pytest.fixture(scope="module")
def two_worlds(rows: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Index:
    root: Path = tmp_path_factory.mktemp("worlds")
    build_index(write_rows(root / "items.jsonl", rows), root / "index", model="none")
    return Index.open(root / "index")


@pytest.fixture(scope="module")
def learned(rows: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Index:
    """The same with a taste model, learned from users who each stay in one world."""
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


def seen_worlds(index: Index, history: list[str], **more: Any) -> dict[str, int]:
    liked = [{"item_id": item_id, "event": "like"} for item_id in history]
    hits = index.recommend(history=liked, k=10, **more)
    assert (np.diff([hit.score for hit in hits]) <= 1e-6).all()
    for hit in hits:
        assert sum(r["share"] for r in hit.reasons) == pytest.approx(hit.score, abs=1e-4)
    names = [hit.item["world"] for hit in hits]
    return {name: names.count(name) for name in ("jazz", "garden", "between")}


def mixed(jazz: int, garden: int) -> list[str]:
    """A history that goes back and forth."""
    ids = [f"jazz{n:02d}" for n in range(jazz)] + [f"garden{n:02d}" for n in range(garden)]
    order = np.random.default_rng(jazz).permutation(len(ids))
    return [ids[place] for place in order]


@pytest.mark.parametrize(("jazz", "garden"), [(10, 10), (14, 6), (6, 14), (16, 4), (4, 16)])
def test_both_worlds_are_in_the_first_ten_in_proportion(
    two_worlds: Index, jazz: int, garden: int
) -> None:
    shown = seen_worlds(two_worlds, mixed(jazz, garden))
    assert shown["between"] == 0
    assert abs(shown["jazz"] - 10 * jazz / (jazz + garden)) <= 2
    assert min(shown["jazz"], shown["garden"]) >= 1


def test_it_does_not_matter_which_world_was_last(two_worlds: Index) -> None:
    first = [f"jazz{n:02d}" for n in range(8)]
    last = [f"garden{n:02d}" for n in range(8)]
    for history in (first + last, last + first):
        shown = seen_worlds(two_worlds, history)
        assert abs(shown["jazz"] - 5) <= 2
        assert shown["between"] == 0


@pytest.mark.parametrize(
    ("turns", "jazz"), [(("jazz", "garden"), 5), (("garden", "jazz"), 5),
                        (("jazz", "jazz", "garden"), 6.7), (("garden", "jazz", "garden"), 3.3)]
)  # fmt: skip
def test_what_was_learned_leaves_both_worlds_in_proportion(
    learned: Index, turns: tuple[str, ...], jazz: float
) -> None:
    history = [f"{name}{3 * n + place:02d}" for n in range(8) for place, name in enumerate(turns)]
    shown = seen_worlds(learned, history)
    assert shown["between"] == 0
    assert abs(shown["jazz"] - jazz) <= 2


def test_a_world_left_behind_fades_as_fast_as_was_learned(learned: Index) -> None:
    once = [f"jazz{n:02d}" for n in range(8)]
    now = [f"garden{n:02d}" for n in range(24)]
    assert seen_worlds(learned, once + now[:4])["jazz"] > seen_worlds(learned, once + now)["jazz"]
    assert seen_worlds(learned, once + now)["garden"] >= 8


def test_a_filter_that_leaves_one_world_is_answered_from_it(two_worlds: Index) -> None:
    shown = seen_worlds(two_worlds, mixed(10, 10), filter={"world": "jazz"})
    assert shown == {"jazz": 10, "garden": 0, "between": 0}


def test_a_user_of_one_world_stays_in_it(two_worlds: Index) -> None:
    shown = seen_worlds(two_worlds, [f"jazz{n:02d}" for n in range(20)])
    assert shown == {"jazz": 10, "garden": 0, "between": 0}


def test_a_dislike_keeps_away_in_every_world(two_worlds: Index) -> None:
    history = mixed(8, 8)
    liked = [{"item_id": item_id, "event": "like"} for item_id in history]
    disliked = {"item_id": "garden50", "event": "dislike"}
    ranks = []
    for body in (liked, [disliked, *liked]):
        hits = two_worlds.recommend(history=body, k=180, include_seen=True)
        ranks.append(next(hit.score for hit in hits if hit.id == "garden50"))
    assert ranks[1] <= ranks[0]
