"""Server-sent events: the list at once, then the results of the model, then `done`."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.service.conftest import problem, running, wait_until
from tests.service.llm.conftest import Helped
from tests.service.llm.fake_endpoint import Reply, endpoint
from tests.service.llm.scripts import LIKED, asking, events, ids, obliging

ALL: dict[str, Any] = {"understand": True, "generate": True, "rerank": True, "explain": True}


def test_the_list_comes_first_then_the_rest_in_order(helped: Helped) -> None:
    body = {**LIKED, "query": "quiet sea", "k": 3}
    with helped(obliging) as (client, _):
        plain = client.post("/v1/recommend", json=body).json()
        whole = client.post("/v1/recommend", json=asking(body, **ALL)).json()
        answer = client.post("/v1/recommend/stream", json=asking(body, **ALL))
    assert answer.headers["content-type"].startswith("text/event-stream")
    told = events(answer.text)
    assert [name for name, _ in told] == [
        "list", "understood", "ideal", "list", "order", "sentence", "sentence", "sentence", "done",
    ]  # fmt: skip
    data = [part for _, part in told]
    assert ids(data[0]) == ids(plain)
    assert ids(data[4]) == ids(whole)
    assert {part["id"] for part in data[5:8]} == set(ids(whole))
    assert data[-1]["llm"]["used"] is True
    assert data[-1]["llm"]["order_changed"] == whole["llm"]["order_changed"]
    assert data[4]["next_cursor"] is not None


def test_without_a_model_the_stream_is_the_list_and_why(client: Any) -> None:
    answer = client.post("/v1/recommend/stream", json={**LIKED, "llm": {"rerank": True}})
    told = events(answer.text)
    assert [name for name, _ in told] == ["list", "done"]
    assert told[1][1]["llm"]["used"] is False
    assert [name for name, _ in events(client.post("/v1/recommend/stream", json={}).text)] == [
        "list", "done",
    ]  # fmt: skip


def test_a_failing_model_ends_the_stream_properly(helped: Helped) -> None:
    with helped(lambda body: Reply(status=500)) as (client, _):
        answer = client.post("/v1/recommend/stream", json=asking(**ALL))
    names = [name for name, _ in events(answer.text)]
    assert names == ["list", "list", *["sentence"] * 10, "done"]


def test_a_bad_request_is_a_plain_problem(helped: Helped) -> None:
    with helped(obliging) as (client, _):
        for body in ({"k": 0}, {"filter": {"nothing": 1}}, {"colour": 1}):
            assert problem(client.post("/v1/recommend/stream", json=body), 422)


@pytest.mark.slow
def test_a_client_who_leaves_stops_the_model(
    tmp_path: Path, vectors_only: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against the real server: both the stream and the plain call are given up."""
    with endpoint(lambda body: Reply("x" * 700, wait_s=1.0)) as model:
        monkeypatch.setenv("ZHIYIN_LLM_URL", model.config.url)
        monkeypatch.setenv("ZHIYIN_LLM_MODEL", "fake")
        monkeypatch.setenv("ZHIYIN_LLM_KEY", str(model.config.key))
        with running(tmp_path, "--index", vectors_only) as (client, _):
            body = {"llm": {"rerank": True, "budget_ms": 600_000}}
            with client.stream("POST", "/v1/recommend/stream", json=body) as stream:
                lines = stream.iter_lines()  # held: without anybody to read on, the client leaves
                first = next(lines)
                wait_until(lambda: len(model.calls) == 1)
            assert first == "event: list"
            wait_until(lambda: model.left == 1)
            body["llm"] = {"rerank": True, "budget_ms": 500_000}
            with pytest.raises(httpx.ReadTimeout):
                client.post("/v1/recommend", json={**body, "k": 7}, timeout=1.0)
            wait_until(lambda: model.left == 2)
            assert json.loads(client.post("/v1/recommend", json={}).text)["items"]
