"""`Index.open(root, live=…)` answers as the service does, from the same store, as it is now."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from indexer import Index, RequestError
from tests.service.conftest import Serve, Shop, liked

ASKED: list[dict[str, Any]] = [
    {"user_id": "mia", "k": 12},
    {"user_id": "nobody", "k": 5},
    {"session_id": "s1", "k": 12, "scenario": "video"},
    {"user_id": "mia", "query": "robot garden", "include_seen": True, "k": 30},
    {"k": 7},
]


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZHIYIN_SECRET", "a secret of the tests")


def change_much(client: TestClient) -> None:
    liked(client, "mia", "i0006", "i0010", "i0011")
    visit = {"session_id": "s1", "item_id": "i0001", "event": "click"}
    assert client.post("/v1/events", json=visit).status_code == 200
    client.put("/v1/items/new", json={"title": "robot garden at night", "tags": ["robot"]})
    client.patch("/v1/items/i0012", json={"title": "robot garden again"})
    client.delete("/v1/items/i0013")


def scores(hits: Any) -> list[tuple[str, float]]:
    return [(hit["id"], hit["score"]) for hit in hits]


@pytest.fixture
def both(own_shop: Shop, serve: Serve) -> Iterator[tuple[TestClient, Index]]:
    """A service whose store has changed, and the same index in Python."""
    with serve(own_shop) as client:
        change_much(client)
        index = Index.open(own_shop.root, encoder=own_shop.encoder, live=True)
        yield client, index
        index.close()


@pytest.mark.parametrize("asked", ASKED)
def test_a_list_is_the_one_of_the_service(
    both: tuple[TestClient, Index], asked: dict[str, Any]
) -> None:
    client, index = both
    at = 1_800_000_000
    served = client.post("/v1/recommend", json={**asked, "at": at}).json()
    answer = index.recommend(**asked, at=at)
    assert [hit.id for hit in answer] == [hit["id"] for hit in served["items"]]
    assert [hit.score for hit in answer] == pytest.approx(
        [hit["score"] for hit in served["items"]], abs=1e-5
    )
    assert answer.user_known == served.get("user_known")


def test_search_and_similar_find_live_items_and_no_deleted_ones(
    both: tuple[TestClient, Index],
) -> None:
    client, index = both
    for served, answer in (
        (
            client.post("/v1/search", json={"query": "robot garden", "k": 20}).json(),
            index.search("robot garden", k=20),
        ),
        (
            client.post("/v1/similar", json={"items": {"new": 1.0}, "k": 20}).json(),
            index.similar("new", k=20),
        ),
    ):
        assert [hit.id for hit in answer] == [hit["id"] for hit in served["items"]]


def test_items_are_those_that_are_there_now(both: tuple[TestClient, Index], shop: Shop) -> None:
    _, index = both
    expected = sorted({row["id"] for row in shop.rows} - {"i0013"} | {"new"})
    assert list(index) == expected
    assert len(index) == len(expected)
    assert ("new" in index, "i0013" in index, "nowhere" in index) == (True, False, False)
    assert index["i0012"]["title"] == "robot garden again"
    first, second = index.page(limit=250), index.page(after=249, limit=1_000)
    assert [item["id"] for _, item in (*first, *second)] == expected
    assert [place for place, _ in second][:2] == [250, 251]
    encoded = shop.encoder.encode_items(["x"])
    assert index.vectors(["new", "i0001"]).shape == (2, encoded.shape[1])
    np.testing.assert_allclose(np.linalg.norm(index.vectors(["new"]), axis=1), 1, atol=1e-3)
    with pytest.raises(RequestError, match="no item 'i0013'"):
        index.vectors(["i0013"])


def test_what_happens_meanwhile_counts_in_the_next_call(both: tuple[TestClient, Index]) -> None:
    client, index = both
    assert index.recommend(user_id="zoe").user_known is False
    liked(client, "zoe", "i0020")
    answer = index.recommend(user_id="zoe", scenario="video", k=1_000)
    assert answer.user_known is True
    assert "i0020" not in answer.ids
    client.delete("/v1/items/new")
    assert "new" not in index


def test_a_store_elsewhere_is_named_by_its_url(
    own_shop: Shop, serve: Serve, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'elsewhere.sqlite'}"
    with serve(own_shop, db=url) as client:
        liked(client, "mia", "i0006")
        beside = Index.open(own_shop.root, encoder=own_shop.encoder, live=True)
        named = Index.open(own_shop.root, encoder=own_shop.encoder, live=url)
        plain = Index.open(own_shop.root, encoder=own_shop.encoder)
        known = [index.recommend(user_id="mia").user_known for index in (beside, named, plain)]
        for index in (beside, named, plain):
            index.close()
    assert known == [False, True, None]
    assert not (own_shop.root / "live.sqlite").exists()  # asking makes none
