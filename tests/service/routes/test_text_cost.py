"""New text is bounded by what it costs, and what is dear delays only what is dear."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast

import pytest
from fastapi.testclient import TestClient
from typing_extensions import override

from indexer.arrays import Vectors
from indexer.language.encoder import Progress, TextEncoder
from indexer.language.model_loading import Prompts
from indexer.language.text_budget import spend_tokens
from indexer.language.text_model import TokenizedText
from indexer.request import MAX_REQUEST_TEXTS, MAX_REQUEST_TOKENS
from service.store.events import Event
from service.store.user_state import MAX_STORED_TOKENS, build_user_state
from tests.fakes import WordEncoder, WordModel
from tests.service.conftest import Serve, Shop, ids_for, problem, wait_until

DEAR = [f"wish {number}" + " for a very long evening" * 20 for number in range(20)]
HISTORY = [{"text": text} for text in DEAR]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("recommend", {"history": [{"text": f"wish {number}"} for number in range(900)]}),
        ("recommend", {"history": [{"text": f"{n} " + "x y " * 500} for n in range(40)]}),
        ("recommend", {"interests": [f"wish {number}" for number in range(900)]}),
        ("recommend", {"interests": [f"wish {n}" for n in range(900)], "llm": {"rerank": True}}),
        ("recommend/stream", {"interests": [f"wish {number}" for number in range(900)]}),
        ("similar", {"texts": {f"wish {number}": 1 for number in range(900)}}),
        ("recommend/batch", {"requests": [{"interests": [f"{n} {m}" for m in range(9)]}
                                          for n in range(500)]}),
    ],
)  # fmt: skip
def test_too_much_new_text_is_refused_before_it_is_encoded(
    client: TestClient, path: str, body: dict[str, Any]
) -> None:
    said = problem(client.post(f"/v1/{path}", json=body), 422)
    assert "different texts" in said
    assert "send fewer or shorter ones" in said


def test_too_many_interests_of_a_user_are_refused(own_shop: Shop, serve: Serve) -> None:
    with serve(own_shop) as client:
        body = {"interests": [f"wish {number}" for number in range(900)]}
        assert "different texts" in problem(client.put("/v1/users/u1", json=body), 422)


def test_the_texts_of_a_log_are_used_from_the_latest_as_long_as_they_can_be_encoded() -> None:
    events = [
        Event(f"e{n}", "u", None, None, "search", None, f"{n} " + "雨" * 500, float(n))
        for n in range(150)
    ]
    events.append(Event("r", "u", None, "m1", "review", None, "雨" * 500, 0.5))
    history = build_user_state(events).history
    assert [entry.text for entry in history if entry.text is not None] == [
        event.text for event in events[150 - MAX_STORED_TOKENS // 256 : 150]
    ]
    assert [entry.item_id for entry in history if entry.item_id] == ["m1"]


def test_a_list_uses_the_first_stored_interests_that_can_be_encoded(
    own_shop: Shop, serve: Serve
) -> None:
    """Two users who are merged have the interests of both."""
    interests = [f"{n} " + "雨" * 50 for n in range(100)]  # of 55 tokens each
    state = build_user_state([], interests)
    assert state.interests == tuple(interests[: MAX_REQUEST_TOKENS // 55])
    short = [f"{n}" for n in range(400)]
    assert build_user_state([], short).interests == tuple(short[:MAX_REQUEST_TEXTS])
    with serve(own_shop) as client:
        for user, part in (("a", short[:200]), ("b", short[200:])):
            assert client.put(f"/v1/users/{user}", json={"interests": part}).status_code == 200
        assert client.post("/v1/users/merge", json={"from": "b", "into": "a"}).status_code == 200
        body = {"user_id": "a", "k": 3, "explain": True}
        assert client.post("/v1/recommend", json=body).status_code == 200


class _GatedEncoder(WordEncoder):
    """Remembers vectors of queries; waits before dear texts until it may go on, and counts that."""

    def __init__(self) -> None:
        super().__init__(dim=32)
        self.waiting = 0
        self.query_texts: dict[str, None] = {}  # texts that are remembered
        self.gate = threading.Event()
        self.item_texts: list[str] = []  # texts of items

    @override
    def encode_items(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        self.item_texts += texts
        if any("dear" in text for text in texts):
            self.waiting += 1
            assert self.gate.wait(60)
        return super().encode_items(texts, progress)

    @override
    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        new = [text for text in dict.fromkeys(texts) if text not in self.query_texts]
        spend_tokens(new, self)
        if any(" very long evening" in text for text in new):
            self.waiting += 1
            assert self.gate.wait(60)
        self.query_texts |= dict.fromkeys(new)
        return super().encode_queries(texts)


@contextmanager
def asking(client: TestClient, path: str, bodies: Sequence[Any]) -> Iterator[list[int]]:
    """Send bodies at the same time; the list gets their statuses."""
    statuses: list[int] = []

    def ask(body: Any) -> None:
        if path == "/v1/users":
            statuses.append(client.get(f"{path}/{body['user_id']}").status_code)
        else:
            statuses.append(client.post(path, json=body).status_code)

    callers = [threading.Thread(target=ask, args=(body,)) for body in bodies]
    for caller in callers:
        caller.start()
    try:
        yield statuses
    finally:
        for caller in callers:
            caller.join()


def ask_while_held(
    client: TestClient, encoder: _GatedEncoder, path: str, bodies: Sequence[Any]
) -> list[int]:
    """Return the statuses of bodies sent while dear texts hold the encoder, but no cheap search."""
    try:
        with asking(client, path, bodies) as statuses:
            wait_until(lambda: encoder.waiting == 1)
            assert len(ids_for(client, query="sea")) == 10
            encoder.gate.set()
    finally:
        encoder.gate.set()
    return statuses


def test_cheap_requests_are_answered_while_dear_ones_wait(own_shop: Shop, serve: Serve) -> None:
    encoder = _GatedEncoder()
    bodies = [{"history": HISTORY, "seed": number} for number in range(6)]
    with serve(Shop(own_shop.rows, own_shop.root, own_shop.world, encoder)) as client:
        try:
            with asking(client, "/v1/recommend", bodies) as statuses:
                wait_until(lambda: encoder.waiting == 1)  # one is encoded at a time
                for _ in range(3):
                    assert len(ids_for(client, query="sea")) == 10
                    assert client.get("/v1/items/i0001").status_code == 200
                assert client.post("/v1/search", json={"query": "sea"}).status_code == 200
                assert not statuses
                encoder.gate.set()
        finally:
            encoder.gate.set()
        assert statuses == [200] * 6


@pytest.mark.parametrize("kind", ["interests", "searches", "reviews", "description"])
def test_users_with_many_stored_texts_delay_only_each_other(
    own_shop: Shop, serve: Serve, kind: str
) -> None:
    encoder = _GatedEncoder()
    with serve(Shop(own_shop.rows, own_shop.root, own_shop.world, encoder)) as client:
        for number in range(6):
            _store_texts(client, f"u{number}", kind)
        path = "/v1/users" if kind == "description" else "/v1/recommend"
        try:
            with asking(client, path, [{"user_id": f"u{n}"} for n in range(6)]) as statuses:
                wait_until(lambda: encoder.waiting == 1)  # one is encoded at a time
                for number in range(6):
                    assert len(ids_for(client, query=f"sea {number}")) == 10
                assert encoder.waiting == 1
                assert not statuses
                encoder.gate.set()
        finally:
            encoder.gate.set()
        assert statuses == [200] * 6


def test_more_callers_than_threads_bring_as_many_texts_as_they_may_and_all_are_answered(
    own_shop: Shop, serve: Serve
) -> None:
    encoder = _GatedEncoder()
    texts = [[f"of {n}: {number}" for number in range(250)] for n in range(8)]
    texts[0].append("for a very long evening")  # holds the encoder
    with serve(
        Shop(own_shop.rows, own_shop.root, own_shop.world, encoder), threads=1, queue=8
    ) as client:
        bodies = [{"interests": interests} for interests in texts]
        assert ask_while_held(client, encoder, "/v1/recommend", bodies) == [200] * 8
        assert {text for part in texts for text in part} <= encoder.query_texts.keys()


def test_of_many_identical_requests_as_many_wait_for_their_texts_as_may_wait(
    own_shop: Shop, serve: Serve
) -> None:
    encoder = _GatedEncoder()
    shop = Shop(own_shop.rows, own_shop.root, own_shop.world, encoder)
    with serve(shop, threads=1, queue=4, deadline_s=60) as client:
        try:
            with asking(client, "/v1/recommend", [{"history": HISTORY}] * 30) as statuses:
                wait_until(lambda: encoder.waiting == 1 and len(statuses) == 26)
                assert statuses == [503] * 26
                assert len(ids_for(client, query="sea")) == 10
                encoder.gate.set()
        finally:
            encoder.gate.set()
        assert statuses[26:] == [200] * 4


def test_many_users_with_many_searches_ask_at_once_and_all_are_answered(
    own_shop: Shop, serve: Serve
) -> None:
    """As right after a restart: no text of theirs is known."""
    encoder = _GatedEncoder()
    users = [f"u{number}" for number in range(60)]
    shop = Shop(own_shop.rows, own_shop.root, own_shop.world, encoder)
    with serve(shop, threads=2) as client:
        events = [
            {"user_id": user, "event": "search", "text": f"{user} {number}"}
            for user in users
            for number in range(40)
        ]
        events[0]["text"] = "for a very long evening"
        for start in range(0, len(events), 800):
            posted = client.post("/v1/events", json={"events": events[start : start + 800]})
            assert posted.status_code == 200, posted.text
        bodies = [{"user_id": user} for user in users]
        assert ask_while_held(client, encoder, "/v1/recommend", bodies) == [200] * 60


def test_texts_of_a_user_are_encoded_once_over_restarts_until_someone_is_erased(
    own_shop: Shop, serve: Serve
) -> None:
    file = own_shop.root / "live.sqlite-vectors"

    def count_encoded(*, is_first: bool = False, then_erase: bool = False) -> tuple[int, list[str]]:
        """Serve the same list anew; how many of the texts were encoded for it, and the list."""
        model = WordModel()
        encoder = TextEncoder(model, "words", Prompts("", ""))
        with serve(replace(own_shop, encoder=cast(WordEncoder, encoder))) as client:
            if is_first:
                _store_texts(client, "u1", "interests")
            ids = ids_for(client, user_id="u1")
            together = {"requests": [{"user_id": "u1"}]}
            assert client.post("/v1/recommend/batch", json=together).status_code == 200
            if then_erase:
                assert client.delete("/v1/users/u2").status_code == 200
                assert file.stat().st_size < 100  # a header without vectors
        return sum(text in DEAR for text in model.query_texts), ids

    first, ids = count_encoded(is_first=True)
    assert first == len(DEAR)
    assert count_encoded() == (0, ids)
    assert count_encoded(then_erase=True) == (0, ids)
    assert count_encoded()[0] > 0


class _GatedModel(WordModel):
    """Waits before the texts of `DEAR` until it may go on."""

    def __init__(self) -> None:
        super().__init__()
        self.started, self.gate = threading.Event(), threading.Event()

    @override
    def encode_queries(self, batch: Sequence[TokenizedText]) -> Vectors:
        if any(text.text in DEAR for text in batch):
            self.started.set()
            assert self.gate.wait(60)
        return super().encode_queries(batch)


@pytest.mark.parametrize("path", ["/v1/recommend", "/v1/recommend/batch"])
def test_texts_that_are_encoded_while_their_user_is_erased_are_not_kept(
    own_shop: Shop, serve: Serve, path: str
) -> None:
    model = _GatedModel()
    encoder = TextEncoder(model, "words", Prompts("", ""))
    body: dict[str, Any] = {"user_id": "u1"}
    body = {"requests": [body]} if path.endswith("batch") else body
    with serve(replace(own_shop, encoder=cast(WordEncoder, encoder))) as client:
        _store_texts(client, "u1", "interests")
        try:
            with asking(client, path, [body]) as statuses:
                wait_until(model.started.is_set)
                assert client.delete("/v1/users/u1").status_code == 200
                model.gate.set()
        finally:
            model.gate.set()
        assert statuses == [200]
        assert sum(text in DEAR for text in model.query_texts) == len(DEAR)
        file = own_shop.root / "live.sqlite-vectors"
        assert file.stat().st_size < 100  # a header without vectors


def _store_texts(client: TestClient, user: str, kind: str) -> None:
    """Let a user have the texts of `DEAR`, by one of the ways."""
    if kind in ("interests", "description"):
        stored = client.put(f"/v1/users/{user}", json={"interests": DEAR})
    else:
        of_item = {"event": "review", "item_id": "i0001"} if kind == "reviews" else {}
        events = [{"user_id": user, "event": "search", **of_item, "text": text} for text in DEAR]
        stored = client.post("/v1/events", json={"events": events})
    assert stored.status_code == 200, stored.text


def test_a_batch_holds_no_place_of_single_requests(own_shop: Shop, serve: Serve) -> None:
    encoder = _GatedEncoder()
    bodies = [{"requests": [{"query": text}]} for text in DEAR[:6]]
    with serve(Shop(own_shop.rows, own_shop.root, own_shop.world, encoder)) as client:
        try:
            with asking(client, "/v1/recommend/batch", bodies):
                wait_until(lambda: encoder.waiting == 2)
                assert len(ids_for(client, query="sea")) == 10
                encoder.gate.set()
        finally:
            encoder.gate.set()


LONG_ITEMS = [
    {"id": f"dear{n}", "title": f"dear {n}", "description": "雨" * 300} for n in range(20)
]


def test_items_whose_new_texts_cost_too_much_are_refused_with_the_remedy(
    own_shop: Shop, serve: Serve
) -> None:
    items = [{**LONG_ITEMS[0], "id": f"x{n}", "title": f"x {n}"} for n in range(400)]
    encoder = _GatedEncoder()
    with serve(Shop(own_shop.rows, own_shop.root, own_shop.world, encoder)) as client:
        encoder.item_texts.clear()
        said = problem(client.post("/v1/items", json={"items": items}), 422)
        assert "65536 tokens" in said
        assert "400 of about 102400" in said
        assert "split it" in said
        assert not encoder.item_texts
        assert client.get("/v1/items/x0").status_code == 404
        for part in (items[:200], items[200:]):  # what is known from before costs nothing
            assert client.post("/v1/items", json={"items": part}).status_code == 200
        encoder.item_texts.clear()
        assert client.post("/v1/items", json={"items": items}).json()["accepted"] == 400
        assert not encoder.item_texts
        with_vectors = [{**item, "vector": [1.0] * 32} for item in items]
        assert client.post("/v1/items", json={"items": with_vectors}).json()["accepted"] == 400


def test_the_same_items_sent_again_are_kept_once_and_encoded_once(
    own_shop: Shop, serve: Serve
) -> None:
    """A client that got no answer cannot tell whether they were kept: it sends them again."""
    encoder = _GatedEncoder()
    encoder.gate.set()
    same = [{"id": f"s{n}", "title": "one title for all"} for n in range(30)]
    with serve(Shop(own_shop.rows, own_shop.root, own_shop.world, encoder)) as client:
        encoder.item_texts.clear()
        for _ in range(2):
            answer = client.post("/v1/items", json={"items": [*LONG_ITEMS, *same]}).json()
            assert answer["accepted"] == 50
        assert len(encoder.item_texts) == 21
        assert len(set(encoder.item_texts)) == 21
        changed = {**LONG_ITEMS[0], "description": "another one"}
        assert client.post("/v1/items", json={"items": [changed]}).status_code == 200
        assert len(encoder.item_texts) == 22
        everything = ids_for(client, query="dear", k=500)
        assert len([i for i in everything if i.startswith("dear")]) == len(LONG_ITEMS)
        assert client.get("/v1/items/dear0").json() == changed


def test_other_items_are_changed_while_many_long_ones_are_encoded(
    own_shop: Shop, serve: Serve
) -> None:
    encoder = _GatedEncoder()
    with serve(Shop(own_shop.rows, own_shop.root, own_shop.world, encoder)) as client:
        try:
            with asking(client, "/v1/items", [{"items": LONG_ITEMS}]) as statuses:
                wait_until(lambda: encoder.waiting == 1)
                assert client.put("/v1/items/n1", json={"title": "short"}).status_code == 200
                posted = {"items": [{"id": "n2", "title": "short too"}]}
                assert client.post("/v1/items", json=posted).status_code == 200
                assert client.patch("/v1/items/n1", json={"price": 3}).status_code == 200
                assert client.delete("/v1/items/i0001").status_code == 200
                assert client.get("/v1/items/n1").json()["price"] == 3
                assert client.get("/v1/items/dear0").status_code == 404
                assert not statuses
                encoder.gate.set()
        finally:
            encoder.gate.set()
        assert statuses == [200]
        assert client.get("/v1/items/dear0").status_code == 200
