"""Cursors: every eligible item once, in order, whatever happens between two pages."""

import hashlib
import random
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.answering import pages
from service.edge.cursors import Cursor, CursorSigner, ListKind
from service.edge.secret import load_secret
from service.settings import SettingsError
from tests.service.conftest import Serve, Shop, problem, rebuild, shop_rows

WIDE = {"query": "rain 喜剧", "filter": {"pages": {"gte": 20}}}  # some hundreds of items
Page = dict[str, Any]


def all_pages(client: TestClient, path: str, body: dict[str, Any]) -> list[Page]:
    """Follow the cursors to the end."""
    answers = [client.post(path, json=body).json()]
    while answers[-1]["next_cursor"]:
        response = client.post(path, json={"cursor": answers[-1]["next_cursor"]})
        assert response.status_code == 200, response.text
        answers.append(response.json())
    return answers


def ids_of(answers: list[Page]) -> list[str]:
    return [hit["id"] for answer in answers for hit in answer["items"]]


@pytest.fixture(params=[1_000, 30, 0], ids=["window 1000", "window 30", "window 0"])
def window(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many ids a cursor names ahead: all of them, the last few, none."""
    size: int = request.param
    monkeypatch.setattr(pages.PageBuilder.build_page, "__kwdefaults__", {"window": size})
    return size


def test_pages_are_the_whole_ranking_cut_up(client: TestClient, shop: Shop, window: int) -> None:
    expected = shop.world.answer(WIDE)
    assert expected.eligible > 250
    answers = all_pages(client, "/v1/recommend", {**WIDE, "k": 17})
    assert ids_of(answers) == expected.ids
    ranks = [hit["rank"] for answer in answers for hit in answer["items"]]
    assert ranks == list(range(1, expected.eligible + 1))
    for answer in answers:
        for hit in answer["items"]:
            assert hit["score"] == pytest.approx(expected.scores[hit["id"]], abs=1e-4)
            assert sum(r["share"] for r in hit["reasons"]) == pytest.approx(hit["score"], abs=1e-4)
        assert answer["complete"]["excluded"] == expected.excluded
    assert [answer["complete"]["eligible"] for answer in answers] == [
        expected.eligible - 17 * place for place in range(len(answers))
    ]


def test_search_and_similar_page_too(client: TestClient, window: int) -> None:
    for path, body in (
        ("/v1/search", {"query": "sea", "k": 40}),
        ("/v1/similar", {"items": {"i0001": 1}, "k": 40}),
    ):
        whole = client.post(path, json={**body, "k": 1000}).json()
        assert ids_of(all_pages(client, path, body)) == ids_of([whole])


def test_the_last_page_has_no_cursor_and_a_page_may_be_of_another_size(client: TestClient) -> None:
    first = client.post("/v1/recommend", json={"k": 5}).json()
    token = first["next_cursor"]
    rest = client.post("/v1/recommend", json={"cursor": token, "k": 1000, "explain": False}).json()
    assert rest["items"][0]["rank"] == 6
    assert rest["items"][0]["reasons"] == []
    assert len(rest["items"]) == rest["complete"]["eligible"] == first["complete"]["eligible"] - 5
    assert rest["next_cursor"] is None


def test_batches_page_too(client: TestClient) -> None:
    whole = client.post("/v1/recommend", json={"query": "sea", "k": 30}).json()
    batch = client.post("/v1/recommend/batch", json={"requests": [{"query": "sea"}]}).json()
    answers = [batch["answers"][0]]
    for _ in range(2):
        body = {"requests": [{"cursor": answers[-1]["next_cursor"]}]}
        answers += client.post("/v1/recommend/batch", json=body).json()["answers"]
    assert ids_of(answers) == ids_of([whole])


def test_a_batch_goes_on_from_any_cursor(client: TestClient) -> None:
    first = client.post("/v1/recommend", json={"query": "sea"}).json()
    body = {"requests": [{"cursor": first["next_cursor"]}]}
    second = client.post("/v1/recommend/batch", json=body).json()["answers"][0]
    third = client.post("/v1/recommend", json={"cursor": second["next_cursor"]}).json()
    whole = client.post("/v1/recommend", json={"query": "sea", "k": 30}).json()
    assert ids_of([first, second, third]) == ids_of([whole])


def test_ranks_are_counted_when_the_served_ids_do_not_fit(
    client: TestClient, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.edge.cursors.MAX_TOKEN_CHARS", 300)
    answers = all_pages(client, "/v1/recommend", {**WIDE, "k": 31})
    assert ids_of(answers) == shop.world.answer(WIDE).ids


def test_counted_ranks_do_not_outlive_a_swap(
    own_shop: Shop, serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("service.edge.cursors.MAX_TOKEN_CHARS", 300)
    with serve(own_shop) as client:
        first = client.post("/v1/recommend", json={**WIDE, "k": 150}).json()
        rebuild(own_shop, own_shop.rows, tmp_path)
        client.post("/v1/snapshots/reload")
        response = client.post("/v1/recommend", json={"cursor": first["next_cursor"]})
        assert "ask again without cursor" in problem(response, 410)


def test_a_request_too_large_for_a_cursor_has_none(client: TestClient) -> None:
    ids = [hashlib.sha512(str(number).encode()).hexdigest() * 4 for number in range(1000)]
    fitting = client.post("/v1/recommend", json={"exclude": ids[:400]}).json()
    assert len(fitting["next_cursor"]) <= 100_000
    body = {"exclude": ["".join(random.Random(id_).sample(id_, 512)) for id_ in ids]}
    answer = client.post("/v1/recommend", json=body).json()
    assert answer["complete"]["eligible"] > answer["complete"]["returned"] == 10
    assert answer["next_cursor"] is None


@pytest.mark.usefixtures("window")
def test_a_swap_and_a_restart_between_pages_lose_and_repeat_nothing(
    own_shop: Shop, serve: Serve, tmp_path: Path
) -> None:
    expected = own_shop.world.answer(WIDE).ids
    gone = expected[-40::4]  # in pages that are yet to come
    rows = [row for row in shop_rows() if row["id"] not in gone]
    for row in rows:
        row["description"] = "told anew, so that every vector and score changes"
    with serve(own_shop) as client:
        answers = [client.post("/v1/recommend", json={**WIDE, "k": 25}).json()]
        answers += [client.post("/v1/recommend", json={"cursor": answers[0]["next_cursor"]}).json()]
        rebuild(own_shop, rows, tmp_path)
        client.post("/v1/snapshots/reload")
        answers += [client.post("/v1/recommend", json={"cursor": answers[1]["next_cursor"]}).json()]
        assert answers[2]["snapshot"] != answers[1]["snapshot"]
    with serve(own_shop) as client:
        token = answers[2]["next_cursor"]
        answers += all_pages(client, "/v1/recommend", {"cursor": token})
    found = ids_of(answers)
    assert len(found) == len(set(found))
    assert set(found) == set(expected) - set(gone)
    assert [hit["rank"] for page in answers for hit in page["items"]] == list(
        range(1, len(found) + 1)
    )


def test_each_page_is_in_descending_score_after_a_swap(
    own_shop: Shop, serve: Serve, tmp_path: Path
) -> None:
    rows = [{**row, "description": "ghost " * (place % 3)} for place, row in enumerate(shop_rows())]
    with serve(own_shop) as client:
        first = client.post("/v1/recommend", json=WIDE).json()
        rebuild(own_shop, rows, tmp_path)
        client.post("/v1/snapshots/reload")
        for page in all_pages(client, "/v1/recommend", {"cursor": first["next_cursor"], "k": 50}):
            scores = [hit["score"] for hit in page["items"]]
            assert scores == sorted(scores, reverse=True)


def test_later_pages_are_ranked_at_the_time_of_the_first(own_shop: Shop, serve: Serve) -> None:
    now = [1.8e9]
    history = [{"item_id": "i0001", "at": 1.8e9 - 86_400}, {"item_id": "i0002", "at": 1.8e9 - 60}]
    body = {"history": history, "scenario": "news", "k": 20}
    with serve(own_shop, clock=lambda: now[0], cursor_lifetime_s=1e9) as client:
        whole = client.post("/v1/recommend", json={**body, "k": 40}).json()
        first = client.post("/v1/recommend", json=body).json()
        now[0] += 30 * 86_400
        second = client.post("/v1/recommend", json={"cursor": first["next_cursor"]}).json()
    assert [hit["score"] for page in (first, second) for hit in page["items"]] == pytest.approx(
        [hit["score"] for hit in whole["items"]], abs=1e-6
    )


def test_an_expired_cursor_is_gone(own_shop: Shop, serve: Serve) -> None:
    now = [1.8e9]
    with serve(own_shop, clock=lambda: now[0]) as client:
        token = client.post("/v1/recommend", json={}).json()["next_cursor"]
        now[0] += 3_599
        assert client.post("/v1/recommend", json={"cursor": token}).status_code == 200
        now[0] += 2
        detail = problem(client.post("/v1/recommend", json={"cursor": token}), 410)
        assert "expired" in detail


def test_a_changed_cursor_is_refused_at_every_place(client: TestClient) -> None:
    token = client.post("/v1/recommend", json={}).json()["next_cursor"]
    for place in [*range(0, len(token), 37), len(token) - 1]:
        for other in "AB":
            if token[place] != other:
                changed = token[:place] + other + token[place + 1 :]
                response = client.post("/v1/recommend", json={"cursor": changed})
                assert "was changed" in problem(response, 400)


@pytest.mark.parametrize("token", ["", "x", "中文", "=" * 50, "A" * 200, "AAAA AAAA"])
def test_what_is_no_cursor_is_refused(client: TestClient, token: str) -> None:
    assert problem(client.post("/v1/search", json={"cursor": token}), 400)


def test_a_cursor_of_another_call_is_refused(client: TestClient) -> None:
    token = client.post("/v1/recommend", json={}).json()["next_cursor"]
    detail = problem(client.post("/v1/search", json={"cursor": token}), 400)
    assert "recommend" in detail
    assert problem(client.get("/v1/items", params={"cursor": token}), 400)


def test_a_cursor_of_another_secret_is_refused(
    own_shop: Shop, serve: Serve, tmp_path: Path
) -> None:
    with serve(own_shop) as client:
        token = client.post("/v1/recommend", json={}).json()["next_cursor"]
    with serve(own_shop, secret_file=tmp_path / "another") as client:
        assert problem(client.post("/v1/recommend", json={"cursor": token}), 400)


def test_the_question_cannot_change_between_pages(client: TestClient) -> None:
    first = client.post("/v1/recommend", json=WIDE).json()
    same = client.post("/v1/recommend", json={**WIDE, "cursor": first["next_cursor"]})
    assert same.status_code == 200
    other = {"query": "something else", "cursor": first["next_cursor"]}
    assert "query differs" in problem(client.post("/v1/recommend", json=other), 422)


def test_tokens_round_trip() -> None:
    signer = CursorSigner("s" * 32, lifetime_s=10, clock=lambda: 0)
    for size in range(40):
        cursor = Cursor(
            ListKind.SEARCH,
            {"query": "雨" * size},
            1.5,
            size,
            "snap",
            tuple("abc"[:size]),
            bytes(range(size)) or None,
            "é",
        )
        token = signer.sign(cursor)
        assert token is not None
        assert signer.read(token, ListKind.SEARCH) == cursor


def test_the_secret_is_made_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "secret"
    secret = load_secret(path, {})
    assert load_secret(path, {}) == secret
    assert path.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["secret"]


def test_the_environment_overrides_the_secret_file(tmp_path: Path) -> None:
    assert load_secret(tmp_path / "unused", {"ZHIYIN_SECRET": "x" * 16}) == "x" * 16
    assert not (tmp_path / "unused").exists()
    state = {"XDG_STATE_HOME": str(tmp_path)}
    assert load_secret(None, state) == (tmp_path / "zhiyin" / "secret").read_text().strip()


def test_a_weak_or_unusable_secret_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="4 characters"):
        load_secret(None, {"ZHIYIN_SECRET": "weak"})
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="ZHIYIN_SECRET"):
        load_secret(tmp_path / "file" / "secret", {})


@pytest.mark.usefixtures("window")
@pytest.mark.parametrize(
    "options",
    [
        {"diversity": 0.5},
        {"max_per": {"brand": 40, "tags": 60}},
        {"pin": [{"item_id": "i0042", "rank": 2}, {"item_id": "i0078", "rank": 25}]},
        {"boost": [{"filter": {"brand": "north"}, "weight": 0.4}]},
        {"explore": 0.5, "seed": 3},
        {"explore": 0.3, "diversity": 0.3, "max_per": {"brand": 50},
         "pin": [{"item_id": "i0042", "rank": 20}]},
    ],
)  # fmt: skip
def test_arranged_lists_page_without_repeats_and_gaps(
    client: TestClient, options: dict[str, Any]
) -> None:
    whole = client.post("/v1/recommend", json={**WIDE, **options, "k": 1000}).json()
    answers = all_pages(client, "/v1/recommend", {**WIDE, **options, "k": 17})
    found = ids_of(answers)
    assert len(found) == len(set(found))
    assert set(found) == set(ids_of([whole]))
    for pin in options.get("pin", []):
        assert found.index(pin["item_id"]) == pin["rank"] - 1
    ranks = [hit["rank"] for answer in answers for hit in answer["items"]]
    assert ranks == list(range(1, len(found) + 1))


def test_of_a_list_of_a_thousand_each_cursor_is_at_most_1_kib_and_outlives_a_swap(
    own_shop: Shop, serve: Serve, tmp_path: Path
) -> None:
    rows = [
        {
            "id": f"{number * 7919 % 1000:04d}-{'长' * 60}",
            "title": f"sea {number}",
            "tags": ["long"],
        }
        for number in range(1000)
    ]
    body = {"user_id": "somebody", "query": "sea", "filter": {"tags": {"any": ["long"]}}, "k": 45}
    rebuild(own_shop, [*own_shop.rows, *rows], tmp_path)
    with serve(own_shop) as client:
        answers = [client.post("/v1/recommend", json=body).json()]
        assert answers[0]["complete"]["eligible"] == 1000
        while token := answers[-1]["next_cursor"]:
            assert len(token) <= 1024
            if len(answers) == 10:
                for place, row in enumerate(rows):
                    row["description"] = ("ghost", "rain", "war")[place % 3]
                rebuild(own_shop, [*own_shop.rows, *rows], tmp_path)
                client.post("/v1/snapshots/reload")
            answers.append(client.post("/v1/recommend", json={"cursor": token}).json())
    assert len({answer["snapshot"] for answer in answers}) == 2
    found = ids_of(answers)
    assert len(found) == 1000
    assert set(found) == {row["id"] for row in rows}


def test_a_user_who_looks_at_what_was_shown_gets_no_repeats_and_no_gaps(
    own_shop: Shop, serve: Serve
) -> None:
    body = {"user_id": "a looker", "query": "sea", "scenario": "video", "k": 30}
    with serve(own_shop) as client:
        expected = {i for page in all_pages(client, "/v1/recommend", body) for i in ids_of([page])}
        answers = [client.post("/v1/recommend", json=body).json()]
        clicked = set()
        while token := answers[-1]["next_cursor"]:
            shown = ids_of([answers[-1]])[0]
            event = {"user_id": "a looker", "item_id": shown, "event": "click"}
            assert client.post("/v1/events", json=event).status_code == 200
            clicked.add(shown)
            answers.append(client.post("/v1/recommend", json={"cursor": token}).json())
    found = ids_of(answers)
    assert len(found) == len(set(found))
    assert set(found) == expected
