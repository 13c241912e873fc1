"""Clients that call a service in every way for as long as they are let, and a ledger of answers."""

import http.client
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

# So many users that their histories, and with them their lists, hardly grow.
ITEMS, USERS, WORDS = 2_000, 20_000, ("sea", "jazz", "雨夜", "robot", "爱情", "train", "侦探")
_PATIENCE_S = 60  # for a call that is answered 503, or whose connection is lost
_EVENT_NAMES = ("click", "like", "dislike", "purchase")
_MAX_FAILURES = 20  # that are told


class UnansweredError(RuntimeError):
    """A call got no good answer for as long as a caller would wait."""


@dataclass
class Ledger:
    """What the service has acknowledged, and how it answered; thread-safe.

    Attributes:
        events: Event id to the user, of acknowledged events of users who are not erased.
        uncertain: Ids of events whose call never got an answer.
        erased: Users whose erasure was acknowledged.
        durations: Second since the start and milliseconds of each answered list.
        statuses: How often each status was answered.
        failures: Answers that must not happen.
    """

    started: float = field(default_factory=time.monotonic)
    events: dict[str, str] = field(default_factory=dict)
    uncertain: set[str] = field(default_factory=set)
    erased: set[str] = field(default_factory=set)
    durations: list[tuple[float, float]] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fail(self, what: str) -> None:
        """Note an answer that must not happen."""
        with self.lock:
            if len(self.failures) < _MAX_FAILURES:
                self.failures.append(what)

    def note(self, status: int, *, ms: float | None = None) -> None:
        """Count an answer, and keep how long a list took."""
        with self.lock:
            self.statuses[status] += 1
            if ms is not None:
                self.durations.append((time.monotonic() - self.started, ms))


class Client:
    """One connection that calls at random until told to stop.

    Args:
        port: Of the service.
        number: Of this client; its users and events are its own.
        ledger: Shared by all clients.
    """

    def __init__(self, port: int, number: int, ledger: Ledger) -> None:
        self._port = port
        self._number = number
        self._ledger = ledger
        self._rng = random.Random(number)
        self._connection: http.client.HTTPConnection | None = None
        self._count = 0
        actions: list[tuple[int, Callable[[], None]]] = [
            (40, self._recommend), (25, self._tell), (8, self._find_similar), (4, self._put_item),
            (2, self._delete_item), (2, self._erase_user), (5, self._look_up), (4, self._batch),
            (3, self._turn_page),
        ]  # fmt: skip
        self._weights = [weight for weight, _ in actions]
        self._actions = [action for _, action in actions]

    def run(self, stopping: threading.Event) -> None:
        """Call until stopped."""
        while not stopping.is_set():
            (action,) = self._rng.choices(self._actions, self._weights)
            try:
                action()
            except UnansweredError as error:
                self._ledger.fail(str(error))
            except Exception as error:  # noqa: BLE001  # told, so that the soak fails
                self._ledger.fail(f"{action.__name__}: {error!r}")

    def _recommend(self) -> None:
        body = {"user_id": self._pick_user(), "k": 10, "diversity": self._rng.choice([0, 0, 0.3])}
        self._require_list(self._call("POST", "/v1/recommend", body, is_list=True))

    def _find_similar(self) -> None:
        items = {f"i{self._rng.randrange(ITEMS)}": 1.0 for _ in range(2)}
        self._require_list(self._call("POST", "/v1/similar", {"items": items}, is_list=True))

    def _turn_page(self) -> None:
        body = {"user_id": self._pick_user(), "k": 10}
        first = self._require_list(self._call("POST", "/v1/recommend", body, is_list=True))
        if cursor := first.get("next_cursor"):
            again = {"cursor": cursor, "k": 10}
            second = self._call("POST", "/v1/recommend", again, is_list=True, allowed=(200, 410))
            ids = [hit["id"] for page in (first, second) for hit in page.get("items", [])]
            if len(set(ids)) < len(ids):
                self._ledger.fail(f"two pages of one list share an item: {ids}")

    def _batch(self) -> None:
        bodies = [{"user_id": self._pick_user(), "k": 5} for _ in range(8)]
        self._call("POST", "/v1/recommend/batch", {"requests": bodies})

    def _look_up(self) -> None:
        self._call("GET", f"/v1/items/i{self._rng.randrange(ITEMS)}", allowed=(200, 404))
        self._call("GET", f"/v1/users/{self._pick_user()}", allowed=(200, 404))
        self._call("GET", "/metrics", reads_json=False)

    def _tell(self) -> None:
        """Post some events; those of one call are all stored or none."""
        self._post_events(self._pick_user(), self._rng.randint(1, 5))

    def _post_events(self, user: str, count: int) -> None:
        told = []
        for _ in range(count):
            self._count += 1
            told.append(
                {"event_id": f"{self._number}-{self._count}", "user_id": user,
                 "item_id": f"i{self._rng.randrange(ITEMS)}",
                 "event": self._rng.choice(_EVENT_NAMES)}
            )  # fmt: skip
        ids = [event["event_id"] for event in told]
        with self._ledger.lock:
            self._ledger.uncertain |= set(ids)
        self._call("POST", "/v1/events", {"events": told})
        with self._ledger.lock:
            self._ledger.uncertain -= set(ids)
            self._ledger.events |= dict.fromkeys(ids, user)

    def _erase_user(self) -> None:
        """Tell of a user whom no other call names, and erase them."""
        self._count += 1
        user = f"erased-{self._number}-{self._count}"
        self._post_events(user, 2)
        with self._ledger.lock:  # before it is known that they are erased, it is known neither way
            kept = {n: who for n, who in self._ledger.events.items() if who != user}
            self._ledger.uncertain |= self._ledger.events.keys() - kept.keys()
            self._ledger.events = kept
        self._call("DELETE", f"/v1/users/{user}")
        with self._ledger.lock:
            self._ledger.erased.add(user)
        if self._call("GET", f"/v1/users/{user}", allowed=(404,)).get("events"):
            self._ledger.fail(f"{user} was erased and is still known")

    def _put_item(self) -> None:
        item_id = f"live{self._number}-{self._rng.randrange(20)}"
        vector = [self._rng.gauss(0, 1) for _ in range(32)]
        item = {"id": item_id, "title": f"{self._rng.choice(WORDS)} {item_id}", "vector": vector}
        self._call("POST", "/v1/items", {"items": [item]})

    def _delete_item(self) -> None:
        item_id = f"live{self._number}-{self._rng.randrange(20)}"
        self._call("DELETE", f"/v1/items/{item_id}", allowed=(200, 404))

    def _pick_user(self) -> str:
        return f"u{self._rng.randrange(USERS)}"

    def _require_list(self, answer: dict[str, Any]) -> dict[str, Any]:
        """Note a list that is shorter than was asked: there are always enough items."""
        if len(answer["items"]) < 10:  # the k of all lists here
            self._ledger.fail(f"a list of {len(answer['hits'])} items: {answer['complete']}")
        return answer

    def _call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        allowed: tuple[int, ...] = (200,),
        is_list: bool = False,
        reads_json: bool = True,
    ) -> dict[str, Any]:
        """Return the answer; a 503 and a lost connection are tried again, as a client should."""
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline:
            started = time.perf_counter()
            try:
                status, headers, content = self._send(method, path, body)
            except (OSError, http.client.HTTPException):
                self._connection = None  # the worker was killed
                time.sleep(0.05)
                continue
            self._ledger.note(
                status, ms=1_000 * (time.perf_counter() - started) if is_list else None
            )
            if status == http.HTTPStatus.SERVICE_UNAVAILABLE:
                if "Retry-After" not in headers:
                    self._ledger.fail(f"{path} answered 503 without Retry-After")
                time.sleep(0.2)
                continue
            if status not in allowed:
                raise UnansweredError(f"{method} {path} answered {status}: {content[:200]!r}")
            answer: dict[str, Any] = json.loads(content) if reads_json and content else {}
            return answer
        raise UnansweredError(f"{method} {path} got no answer in {_PATIENCE_S} s")

    def _send(self, method: str, path: str, body: Any) -> tuple[int, Any, bytes]:
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        content = None if body is None else json.dumps(body)
        headers = {"Content-Type": "application/json"} if content else {}
        self._connection.request(method, path, content, headers)
        response = self._connection.getresponse()
        return response.status, response.headers, response.read()
