"""What a service remembers never shows: it answers as one that was started just now would."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer import FilterError, Index, RequestError, build_index
from service import Settings, create_app
from service.answering import PageBuilder
from service.edge import CursorSigner, ListKind, load_secret
from service.live import RequestViews
from service.live.live_store import LiveStore
from service.store.database import LiveDatabase
from service.wire import RecommendIn
from tests.fakes import WordEncoder
from tests.oracle import write_rows
from tests.service.conftest import wait_until
from tests.worlds import described_rows

START = 1.8e9
HOUR = 3_600.0
ENCODER = WordEncoder(dim=16)
ITEMS = [f"i{number:04d}" for number in range(0, 40, 5)]
USERS = ["ann", "bob"]
SESSIONS = ["s1", "s2"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("remembering")
    rows = [
        {**row, "created_at": START - number * HOUR, "artist": f"a{number % 4}"}
        for number, row in enumerate(described_rows(40, seed=5))
    ]
    build_index(write_rows(folder / "items.jsonl", rows), folder / "index", encoder=ENCODER)
    return folder / "index"


class Worker:
    """A service in this thread's own event loop, many times faster than a `TestClient`."""

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        self._app = create_app(settings, ENCODER, clock=clock)
        self._runner = asyncio.Runner()
        self._lifespan = self._app.router.lifespan_context(self._app)
        self._state = self._runner.run(self._lifespan.__aenter__())
        transport = httpx.ASGITransport(self._answer, raise_app_exceptions=False)
        self._client = httpx.AsyncClient(transport=transport, base_url="http://localhost")
        wait_until(lambda: self.call("GET", "/health/ready").status_code == 200)

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> httpx.Response:
        return self._runner.run(self._client.request(method, path, json=body, params=query))

    def close(self) -> None:
        self._runner.run(self._client.aclose())
        self._runner.run(self._lifespan.__aexit__(None, None, None))
        self._runner.close()

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        await self._app({**scope, "state": dict(self._state or {})}, receive, send)


@dataclass
class House:
    """Two services over one store, and a way to ask one that remembers nothing."""

    workers: list[Worker]
    index: Index
    database: LiveDatabase
    secret: str
    now: float = START
    cursors: list[str] = field(default_factory=list)

    def ask(self, workers: Sequence[int], body: Mapping[str, Any]) -> None:
        """Compare answers of workers, in order, with that of a new service; keep a cursor."""
        expected = self.ask_anew(ListKind.RECOMMEND, RecommendIn(**body).dump_sent())
        for worker in workers:
            answer = self.workers[worker].call("POST", "/v1/recommend", body)
            content = answer.json()
            if expected is None:
                assert answer.status_code == 422, (body, content)
                continue
            assert answer.status_code == 200, (body, content)
            require_same(content, expected)
            if content["next_cursor"] is not None:
                self.cursors.append(content["next_cursor"])

    def list_trending(self, worker: int, scenario: str) -> None:
        query = {"scenario": scenario, "k": 5}
        content = self.workers[worker].call("GET", "/v1/trending", **query).json()
        expected = self.ask_anew(ListKind.TRENDING, query)
        assert expected is not None
        require_same(content, expected)

    def ask_anew(self, kind: ListKind, body: Mapping[str, Any]) -> dict[str, Any] | None:
        """The page of a service that was just started; None: it refuses the call."""
        live = LiveStore.from_database(self.database, self.secret, self.tell_time)
        signer = CursorSigner(self.secret, lifetime_s=HOUR, clock=self.tell_time)
        try:
            with RequestViews(live).open(self.index) as view:
                page = PageBuilder(signer, self.tell_time).build_page(view, kind, body)
        except (RequestError, FilterError):
            return None
        content: dict[str, Any] = orjson.loads(orjson.dumps(page))
        return content

    def tell_time(self) -> float:
        return self.now


def require_same(content: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """All but what each call has of its own is the same."""
    assert [hit["id"] for hit in content["items"]] == [hit["id"] for hit in expected["items"]]
    for hit, other in zip(content["items"], expected["items"], strict=True):
        assert hit["score"] == pytest.approx(other["score"], abs=1e-6)
        assert [shape(reason) for reason in hit["reasons"]] == [*map(shape, other["reasons"])]
        shares = [reason["share"] for reason in other["reasons"]]
        assert [reason["share"] for reason in hit["reasons"]] == pytest.approx(shares, abs=2e-6)
        assert hit["rank"] == other["rank"]
    for name in ("complete", "unknown_items", "live_seq", "user_id", "snapshot"):
        assert content[name] == expected[name], name
    assert (content["next_cursor"] is None) == (expected["next_cursor"] is None)


def shape(reason: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in reason.items() if name != "share"}


@pytest.fixture(scope="module")
def open_house(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Any]]:
    secret_file = tmp_path_factory.mktemp("state") / "secret"
    index = Index.open(root, encoder=ENCODER)

    @contextmanager
    def opened() -> Iterator[House]:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(TemporaryDirectory()))
            url = f"sqlite:///{folder / 'live.sqlite'}"
            database = stack.enter_context(closing(LiveDatabase.open(url)))
            house = House([], index, database, load_secret(secret_file, {}))
            chosen = Settings(root, db=url, secret_file=secret_file, poll_s=3_600)
            for _ in range(2):
                worker = Worker(chosen, house.tell_time)
                house.workers.append(stack.enter_context(closing(worker)))
            yield house

    yield opened
    index.close()


people = st.sampled_from(
    [{}, *({"user_id": user} for user in USERS), *({"session_id": one} for one in SESSIONS),
     {"user_id": "ann", "session_id": "s1"}]
)  # fmt: skip
wishes = st.sampled_from(
    [{}, {}, {}, {"k": 3}, {"k": 4}, {"filter": {"available": True}}, {"exclude": ITEMS[:2]},
     {"filter": {"tags": {"any": ["sea", "war"]}}, "k": 20}, {"scenario": "news"},
     {"scenario": "music", "k": 20}, {"scenario": "shop"}, {"query": "sea of ghosts"},
     {"interests": ["jazz"]}, {"history": [ITEMS[3], {"item_id": "nowhere"}]},
     {"context": {"weather": "rain"}}, {"explore": 0.5}, {"diversity": 0.5},
     {"include_seen": True}, {"min_score": 0.1}, {"at": START + HOUR},
     {"history": [ITEMS[4], {"item_id": ITEMS[2], "at": START + 2 * HOUR}]}]
)  # fmt: skip
senders = st.sampled_from(
    [*({"user_id": user} for user in USERS), {"session_id": "s1"}, {"session_id": "s2"},
     {"user_id": "bob", "session_id": "s1"}]
)  # fmt: skip
happenings = st.one_of(
    st.fixed_dictionaries(
        {"item_id": st.sampled_from(ITEMS), "at": st.integers(-40, 3).map(lambda h: h * HOUR),
         "event": st.sampled_from(["like", "view", "purchase", "dislike", "skip", "impression"])}
    ),
    st.just({"event": "search", "text": "ghost war", "at": -HOUR}),
)  # fmt: skip
new_items = st.fixed_dictionaries(
    {"title": st.sampled_from(["sea jazz", "robot love"]), "rating": st.sampled_from([1, 5])},
    optional={"available": st.booleans(), "artist": st.just("a1")},
)
item_paths = st.sampled_from([*ITEMS[:4], "fresh"]).map("/v1/items/{}".format)
user_paths = st.sampled_from(USERS).map("/v1/users/{}".format)
merges = st.permutations([*USERS, "s1"]).map(lambda ids: {"from": ids[0], "into": ids[1]})
profiles = st.sampled_from([{}, {"interests": ["ghost"]}])
operations = st.one_of(
    st.tuples(st.just("event"), senders, happenings),
    st.tuples(st.just("event"), senders, happenings),
    st.tuples(st.just("retract"), st.integers(0, 5)),
    st.tuples(st.just("POST"), st.just("/v1/users/merge"), merges),
    st.tuples(st.just("PUT"), user_paths, profiles),
    st.tuples(st.just("DELETE"), user_paths, st.none()),
    st.tuples(st.sampled_from(["PUT", "PATCH"]), item_paths, new_items),
    st.tuples(st.just("DELETE"), item_paths, st.none()),
    st.tuples(st.just("wait"), st.sampled_from([1.0, HOUR, 30 * HOUR])),
    st.tuples(st.just("nothing")),
    st.tuples(st.just("nothing")),
)
calls = st.tuples(people, wishes)


def carry_out(house: House, worker: Worker, operation: Any, events: list[str]) -> None:
    """One change of the store, or of the time."""
    match operation:
        case "event", sender, happening:
            body = {**sender, **happening, "at": house.now + happening["at"]}
            answer = worker.call("POST", "/v1/events", body)
            assert answer.status_code == 200, answer.text
            events.extend(answer.json()["event_ids"])
        case "retract", place if events:
            worker.call("DELETE", f"/v1/events/{events[place % len(events)]}")
        case ("POST" | "PUT" | "PATCH" | "DELETE") as method, path, body:
            assert worker.call(method, path, body).status_code in (200, 404)
        case "wait", seconds:
            house.now += seconds
            # A later page counts what trends as of the first one, which is told approximately.
            house.cursors.clear()


@settings(max_examples=20)
@given(
    st.lists(st.tuples(st.integers(0, 1), operations, st.integers(0, 2)), min_size=4, max_size=9),
    st.lists(calls, min_size=3, max_size=3),
)
def test_every_answer_is_that_of_a_service_that_remembers_nothing(
    open_house: Callable[[], Any], steps: list[Any], bodies: list[Any]
) -> None:
    with open_house() as house:
        events: list[str] = []
        for writer, operation, place in steps:
            carry_out(house, house.workers[writer], operation, events)
            person, wish = bodies[place]
            house.ask([1 - writer, writer, writer], {**person, **wish})
            if operation[0] in ("event", "retract"):
                house.list_trending(writer, "news" if place else "default")
            if house.cursors and place:
                house.ask([writer], {"cursor": house.cursors[-1]})


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"k": 1}, {"k": True}),
        ({"k": 2}, {"k": 2.0}),
        ({"filter": {"available": True}}, {"filter": {"available": 1}}),
        ({"filter": {"rating": {"gte": 1}}}, {"filter": {"rating": {"gte": True}}}),
        ({"include_seen": True}, {"include_seen": 1}),
        ({"context": {"mood": 1}}, {"context": {"mood": True}}),
        ({"context": {"mood": True}}, {"context": {"mood": 1.0}}),
    ],
)
def test_a_call_that_only_looks_like_the_last_one_is_judged_for_itself(
    open_house: Callable[[], Any], first: dict[str, Any], second: dict[str, Any]
) -> None:
    with open_house() as house:
        house.ask([0, 0], {"user_id": "ann", **first})
        house.ask([0, 0], {"user_id": "ann", **second})


def test_what_happened_just_now_comes_after_what_was_to_come_before(
    open_house: Callable[[], Any],
) -> None:
    """An entry without a time is of now, and now may have passed the time of another entry."""
    with open_house() as house:
        body = {"user_id": "ann", "history": [ITEMS[1]], "include_seen": True}
        event = {"user_id": "ann", "item_id": ITEMS[2], "event": "like", "at": START + HOUR}
        assert house.workers[0].call("POST", "/v1/events", event).is_success
        house.ask([0, 0], body)
        house.now += 2 * HOUR
        house.ask([0, 0], body)
