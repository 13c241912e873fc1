"""What a typed wish says is read over HTTP: in lists, batches, searches, pages, and not at all."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

YEARS = range(1940, 2000, 10)
WISH = {"query": "sea before 1970", "k": 2}
UNDERSTOOD = {"filter": {"year": {"lt": 1970}}, "from": ["before 1970"], "query": "sea"}


@pytest.fixture
def dated(client: TestClient) -> Iterator[TestClient]:
    """The shop with six live items that have a year."""
    items = [{"id": f"y{year}", "title": f"sea {year}", "year": year} for year in YEARS]
    answer = client.post("/v1/items", json={"items": items})
    assert answer.status_code == 200, answer.text
    yield client
    for item in items:
        client.delete(f"/v1/items/{item['id']}")


def ask(client: TestClient, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = client.post(f"/v1/{path}", json=body)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


@pytest.mark.parametrize("path", ["recommend", "search"])
def test_a_wish_is_read_and_its_pages_keep_to_it(dated: TestClient, path: str) -> None:
    first = ask(dated, path, WISH)
    assert first["understood"] == UNDERSTOOD
    assert first["complete"]["eligible"] == 3
    second = ask(dated, path, {"cursor": first["next_cursor"], "k": 2})
    assert second["understood"] == UNDERSTOOD
    shown = [hit["id"] for hit in [*first["items"], *second["items"]]]
    assert sorted(shown) == ["y1940", "y1950", "y1960"]
    assert second["next_cursor"] is None


@pytest.mark.parametrize("path", ["recommend", "search"])
def test_nobody_has_to_be_read(dated: TestClient, path: str) -> None:
    told = ask(dated, path, {**WISH, "read_wish": False})
    assert "understood" not in told
    assert told["complete"]["excluded"]["filter"] == 0


def test_a_batch_reads_as_a_list_does(dated: TestClient) -> None:
    bodies = [WISH, {"query": "sea", "k": 3}, {"query": "sea before 1900", "k": 1}]
    together = ask(dated, "recommend/batch", {"requests": bodies})["answers"]
    for body, told in zip(bodies, together, strict=True):
        alone = ask(dated, "recommend", body)
        assert told.get("understood") == alone.get("understood")
        assert [hit["id"] for hit in told["items"]] == [hit["id"] for hit in alone["items"]]
    assert together[0]["understood"] == UNDERSTOOD
    assert "left_out" in together[2]["understood"]


def test_a_wish_answered_before_is_answered_the_same(dated: TestClient) -> None:
    once, again = (ask(dated, "recommend", {**WISH, "user_id": "w"}) for _ in range(2))
    assert again["understood"] == once["understood"] == UNDERSTOOD
    assert again["items"] == once["items"]


def test_the_reading_shows_what_is_understood(dated: TestClient) -> None:
    told = ask(dated, "recommend", {**WISH, "validate_only": True})
    assert told["understood"] == UNDERSTOOD
    assert told["reading"]["filter"]["items"] == 3


@pytest.mark.parametrize("path", ["recommend", "search"])
def test_a_wrong_switch_is_refused_by_name(client: TestClient, path: str) -> None:
    answer = client.post(f"/v1/{path}", json={"query": "sea", "read_wish": "no"})
    assert answer.status_code == 422
    assert "read_wish" in answer.json()["detail"]


def test_openapi_documents_the_switch_and_what_is_understood(client: TestClient) -> None:
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    for name in ("RecommendIn", "SearchIn"):
        assert "read_wish" in schemas[name]["properties"]
    assert "understood" in schemas["AnswerOut"]["properties"]
    assert "from" in schemas["UnderstoodOut"]["properties"]
