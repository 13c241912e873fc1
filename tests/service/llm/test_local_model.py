"""Every part end to end against a real model: `zhiyin serve-llm` with SmolLM2-135M.

The model is weak: what is checked is that its answers are used where they may be, not that they are
good.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from indexer import build_index
from service.llm.config import LlmConfig
from tests.fakes import WordEncoder
from tests.paths import REPOSITORY
from tests.service.conftest import Shop
from tests.service.llm.conftest import served
from tests.service.llm.local_model import local_model
from tests.service.llm.scripts import events, ids

pytestmark = [pytest.mark.slow, pytest.mark.model]

BUDGET_MS = 600_000  # generous: the machine may be busy with other things
WISH = {
    "query": "a mystery film about a murder",
    "history": [{"item_id": "film-casablanca", "event": "like"}],
    "k": 4,
}


@pytest.fixture(scope="module")
def model() -> Iterator[LlmConfig]:
    with local_model() as config:
        yield config


@pytest.fixture(scope="module")
def films(
    model: LlmConfig, shop: Shop, tmp_path_factory: pytest.TempPathFactory, secret_file: Path
) -> Iterator[TestClient]:
    """The bundled films, with an encoder that costs nothing."""
    root = tmp_path_factory.mktemp("films")
    encoder = WordEncoder(dim=32)
    catalog = REPOSITORY / "scripts" / "sample" / "films_en.jsonl"
    build_index(catalog, root / "index", encoder=encoder)
    own = Shop([], root / "index", shop.world, encoder)
    with served(own, secret_file, model) as client:
        yield client


def helped_by(client: TestClient, **parts: Any) -> dict[str, Any]:
    body = {**WISH, "llm": {**parts, "budget_ms": BUDGET_MS}}
    answer = client.post("/v1/recommend", json=body)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    assert told["llm"]["used"] is True, told["llm"]
    return told


def test_it_understands(films: TestClient) -> None:
    told = helped_by(films, understand=True)
    assert told["llm"]["understood"]
    assert told["items"]


def test_it_imagines_and_the_sums_stay_exact(films: TestClient) -> None:
    told = helped_by(films, generate=True)
    assert told["llm"]["ideal"]
    for hit in told["items"]:
        assert "ideal" in {reason["kind"] for reason in hit["reasons"]}
        shares = sum(reason["share"] for reason in hit["reasons"])
        assert shares == pytest.approx(hit["score"], abs=1e-4)


@pytest.mark.parametrize("mode", ["listwise", "likelihood"])
def test_it_orders_only_what_was_found(films: TestClient, mode: str) -> None:
    wide = films.post("/v1/recommend", json={**WISH, "k": 8}).json()
    told = helped_by(films, rerank=True, mode=mode, candidates=8)
    assert set(ids(told)) <= set(ids(wide))
    assert told["llm"]["tokens"]["in"] > 100


def test_it_says_why_for_at_least_one_item(films: TestClient) -> None:
    told = helped_by(films, explain=True)
    assert told["llm"]["sentences"]["model"] >= 1
    assert all(hit["explanation"]["text"] for hit in told["items"])


def test_the_stream_brings_it_all(films: TestClient) -> None:
    parts = {"understand": True, "generate": True, "rerank": True, "explain": True}
    body = {**WISH, "k": 2, "llm": {**parts, "candidates": 4, "budget_ms": BUDGET_MS}}
    told = events(films.post("/v1/recommend/stream", json=body).text)
    names = [name for name, _ in told]
    assert names[0] == "list"
    assert names[-1] == "done"
    assert {"understood", "ideal", "order", "sentence"} <= set(names)
    assert told[-1][1]["llm"]["used"] is True


def test_the_endpoint_answers_as_others_of_its_kind_do(model: LlmConfig) -> None:
    with httpx.Client(base_url=model.url, timeout=300, trust_env=False) as client:
        assert client.get("/models").json()["data"][0]["id"] == "SmolLM2-135M-Instruct"
        asked = {
            "model": model.model,
            "messages": [{"role": "user", "content": "The capital of France? One word."}],
            "max_tokens": 8,
            "temperature": 0,
        }
        plain = client.post("/chat/completions", json=asked).json()
        assert "Paris" in plain["choices"][0]["message"]["content"]
        assert plain["usage"]["completion_tokens"] <= 8
        scored = {**asked, "max_tokens": 1, "logprobs": True, "top_logprobs": 5}
        told = client.post("/chat/completions", json=scored).json()["choices"][0]
        (first,) = told["logprobs"]["content"]
        values = [part["logprob"] for part in first["top_logprobs"]]
        assert len(values) == 5
        assert values == sorted(values, reverse=True)
        assert first["logprob"] == pytest.approx(values[0])


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({}, "messages must be a list"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "each message needs a role"),
        ({"messages": [{"role": "user", "content": "x"}], "max_tokens": -1}, "max_tokens must be"),
        ({"messages": [{"role": "user", "content": "x"}], "temperature": 9}, "temperature must be"),
        (
            {"messages": [{"role": "user", "content": "x"}], "logprobs": True, "top_logprobs": 21},
            "top_logprobs must be",
        ),
        (
            {"messages": [{"role": "user", "content": "x"}], "response_format": {"type": "xml"}},
            "response_format must be",
        ),
        (
            {"messages": [{"role": "user", "content": "x"}], "stream_options": [True]},
            "stream_options must be an object",
        ),
        ({"messages": [{"role": "user", "content": "word " * 9_000}]}, "tokens and wants"),
    ],
)
def test_the_endpoint_refuses_what_it_cannot_do_with_a_sentence(
    model: LlmConfig, body: dict[str, Any], told: str
) -> None:
    answer = httpx.post(model.completions_url, json=body, timeout=300, trust_env=False)
    assert answer.status_code == 400
    assert told in answer.json()["error"]["message"]
