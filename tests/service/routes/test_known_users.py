"""An answer says whether anything is kept of the user or session who asked."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.service.conftest import Serve, Shop, liked

EVERYBODY = ["mia", "shown", "tagged", "listed", "nobody", "米娅"]


def ask(client: TestClient, **body: Any) -> Any:
    answer = client.post("/v1/recommend", json={"k": 2, **body})
    assert answer.status_code == 200, answer.text
    return answer.json().get("user_known")


def tell(client: TestClient) -> None:
    """Tell of a user who liked, one who was shown an item, two with profiles, and a session."""
    liked(client, "mia", "i0006")
    liked(client, "米娅", "i0007")
    shown = {"user_id": "shown", "item_id": "i0001", "event": "impression"}
    visit = {"session_id": "s1", "item_id": "i0001", "event": "click"}
    assert client.post("/v1/events", json={"events": [shown, visit]}).status_code == 200
    client.put("/v1/users/tagged", json={"interests": ["robots"]})
    client.put("/v1/users/listed", json={"city": "Lyon"})


def test_whoever_something_is_kept_of_is_known_by_every_way_of_asking(
    own_shop: Shop, serve: Serve
) -> None:
    with serve(own_shop) as client:
        tell(client)
        expected = {name: name != "nobody" for name in EVERYBODY}
        assert {name: ask(client, user_id=name) for name in EVERYBODY} == expected
        again = {name: ask(client, user_id=name) for name in EVERYBODY}  # from memory
        assert again == expected
        assert {
            name: client.get(f"/v1/users/{name}").status_code == 200 for name in EVERYBODY
        } == expected
        requests = [{"k": 1, "user_id": name} for name in EVERYBODY]
        batch = client.post("/v1/recommend/batch", json={"requests": requests}).json()
        assert [answer["user_known"] for answer in batch["answers"]] == list(expected.values())


def test_a_session_counts_as_a_user_does_and_nobody_is_asked_of_nobody(
    own_shop: Shop, serve: Serve
) -> None:
    with serve(own_shop) as client:
        tell(client)
        assert ask(client, session_id="s1") is True
        assert ask(client, session_id="s2") is False
        assert ask(client, user_id="nobody", session_id="s1") is True
        assert ask(client) is None
        page = client.post("/v1/recommend", json={"k": 2, "user_id": "nobody"}).json()
        following = client.post("/v1/recommend", json={"cursor": page["next_cursor"]}).json()
        assert following["user_known"] is False


def test_who_becomes_known_or_is_erased_is_so_in_the_next_answer(
    own_shop: Shop, serve: Serve
) -> None:
    with serve(own_shop) as client:
        assert ask(client, user_id="mia") is False
        tell(client)
        assert ask(client, user_id="mia") is True
        assert ask(client, user_id="shown") is True
        client.delete("/v1/users/mia")
        client.delete("/v1/users/shown")
        assert ask(client, user_id="mia") is False
        assert ask(client, user_id="shown") is False


@pytest.mark.parametrize("body", [{"user_id": "mia"}, {"session_id": "s1"}])
def test_without_a_store_nobody_is_known(
    client: TestClient, body: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    services: Any = client.app.state.services  # type: ignore[attr-defined]  # of FastAPI
    monkeypatch.setattr(services.views, "_live_store", None)
    assert ask(client, **body) is False
