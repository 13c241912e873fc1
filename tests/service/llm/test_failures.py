"""However the endpoint fails, the answer is the normal list and says why."""

import asyncio
import re
import time
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from service.llm.cache import CompletionCache
from service.llm.chat_format import Completion, Prompt
from service.llm.circuit_breaker import CircuitBreaker
from service.llm.client import LlmClient
from service.llm.config import LlmConfig
from service.llm.counters import RequestBudget
from service.llm.endpoint import Endpoint
from service.llm.errors import BudgetError, EndpointError, RestingError
from service.settings import SettingsError
from tests.service.conftest import wait_until
from tests.service.llm.conftest import Helped
from tests.service.llm.fake_endpoint import Reply, endpoint, said
from tests.service.llm.scripts import LIKED, always, asking, ids, obliging

ASK = Prompt("rerank", "You order a shortlist", "{}", 10, "{}")


def recommend(client: TestClient, body: dict[str, Any]) -> dict[str, Any]:
    answer = client.post("/v1/recommend", json=body)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (Reply(status=500), "answered 500"),
        (Reply(status=401), "answered 401; check ZHIYIN_LLM_KEY"),
        (Reply(status=404), "answered 404; check ZHIYIN_LLM_URL"),
        (Reply(status=400), "refused the request (400)"),
        (Reply(status=429, headers={"Retry-After": "3600"}), "is busy (429)"),
        (Reply('{"order": [2, 1, 3, 4]}', cut_after=2), "broke off in the middle"),
        (Reply(whole=b"<html>gateway</html>"), "answered no JSON"),
        (Reply(whole=b'{"choices": []}'), "without choices"),
        (Reply(whole=b'[{"choices": []}]'), "answered no JSON object"),
        (Reply(whole=b'{"choices": [{"message": "[2, 1]"}]}'), "JSON of an unknown shape"),
        (Reply(whole=b"[" * 100_000), "answered no JSON"),
        (Reply('{"order": [2, 1]}' + " " * 21_000), "more than 20000 characters"),
    ],
)
def test_a_failing_endpoint_leaves_the_normal_list(helped: Helped, reply: Reply, why: str) -> None:
    with helped(lambda body: reply) as (client, _):
        plain = recommend(client, LIKED)
        told = recommend(client, asking(rerank=True))
    assert ids(told) == ids(plain)
    assert told["llm"]["used"] is False
    assert why in told["llm"]["why"]


@pytest.mark.parametrize(
    "logprobs",
    [
        '{"content": {"A": -1}}',
        '{"content": ["A"]}',
        '{"content": [{"top_logprobs": ["A"]}]}',
        '{"content": [{"top_logprobs": [{"token": "A"}]}]}',
        '{"content": [{"top_logprobs": [{"token": "A", "logprob": null}]}]}',
        f'{{"content": [{{"top_logprobs": [{{"token": "A", "logprob": -1{"0" * 400}}}]}}]}}',
        '["A", -1]',
    ],
)
def test_log_probabilities_of_another_shape_leave_the_normal_list(
    helped: Helped, logprobs: str
) -> None:
    whole = f'{{"choices": [{{"message": {{"content": "A"}}, "logprobs": {logprobs}}}]}}'
    with helped(lambda body: Reply(whole=whole.encode())) as (client, _):
        plain = recommend(client, LIKED)
        told = recommend(client, asking(rerank=True, mode="likelihood"))
    assert ids(told) == ids(plain)
    assert "JSON of an unknown shape" in told["llm"]["why"]


def test_a_model_that_is_too_slow_is_hung_up_on(helped: Helped) -> None:
    with helped(lambda body: Reply('{"order": [2, 1]}', wait_s=30)) as (client, running):
        plain = recommend(client, LIKED)
        told = recommend(client, asking(rerank=True, budget_ms=3_000))
        wait_until(lambda: running.left == 1)
    assert ids(told) == ids(plain)
    assert told["llm"]["used"] is False
    left_s = re.search(r"did not answer within the (.+) s that were left", told["llm"]["why"])
    assert left_s
    assert float(left_s[1]) <= 3  # the ranking before it spends from the same budget


def test_parts_that_came_in_time_are_kept(helped: Helped) -> None:
    def slow_talker(body: dict[str, Any]) -> Reply:
        answer = obliging(body)
        return Reply(answer.text, wait_s=30) if "sentence" in answer.text else answer

    with helped(slow_talker) as (client, _):
        plain = ids(recommend(client, {**LIKED, "k": 20}))
        told = recommend(client, asking(rerank=True, explain=True, budget_ms=3_000))
    assert ids(told) == plain[::-1][:10]
    assert told["llm"]["used"] is True
    assert "did not answer" in told["llm"]["failed"]["explain"]
    assert told["items"][0]["explanation"]["by"] == "template"


def test_an_address_without_a_server_leaves_the_normal_list(helped: Helped) -> None:
    nobody = LlmConfig("http://127.0.0.1:9/v1", "none")
    with helped(obliging, llm=nobody) as (client, _):
        told = recommend(client, asking(rerank=True))
    assert told["llm"] == {
        "used": False,
        "why": "the language model cannot be reached (ConnectError)",
    }


def test_without_an_endpoint_the_answer_is_the_normal_one_and_says_so(client: TestClient) -> None:
    parts = {"understand": True, "generate": True, "rerank": True, "explain": True}
    body = {**LIKED, "query": "quiet sea"}
    plain, told = recommend(client, body), recommend(client, {**body, "llm": parts})
    assert ids(told) == ids(plain)
    assert told["llm"] == {
        "used": False,
        "why": "no language model is configured; set ZHIYIN_LLM_URL",
    }
    assert told["items"][0]["explanation"]["by"] == "template"


def test_without_any_part_the_model_is_not_called(helped: Helped) -> None:
    with helped(obliging) as (client, running):
        told = recommend(client, {**LIKED, "llm": {}})
        assert running.calls == []
    assert told["llm"]["used"] is False
    assert "no part was asked for" in told["llm"]["why"]


def test_the_same_prompt_is_sent_once(helped: Helped) -> None:
    with helped(obliging) as (client, running):
        first = recommend(client, asking(rerank=True))
        second = recommend(client, asking(rerank=True))
        other = recommend(client, asking({"history": ["i0002"]}, rerank=True))
        assert len(running.calls) == 2
    assert ids(first) == ids(second)
    assert (first["llm"]["calls"], first["llm"]["cached"]) == (1, 0)
    assert (second["llm"]["calls"], second["llm"]["cached"]) == (0, 1)
    assert second["llm"]["tokens"] == {"in": 0, "out": 0}
    assert other["llm"]["calls"] == 1


def test_nonsense_is_not_remembered(helped: Helped) -> None:
    replies = [Reply("nonsense"), said(order=[2, 1])]
    with helped(lambda body: replies.pop(0)) as (client, _):
        assert recommend(client, asking(rerank=True))["llm"]["used"] is False
        assert recommend(client, asking(rerank=True))["llm"]["used"] is True


def test_an_endpoint_that_keeps_failing_is_left_alone(helped: Helped) -> None:
    with helped(lambda body: Reply(status=500)) as (client, running):
        for number in range(8):
            recommend(client, asking({"history": [f"i000{number}"]}, rerank=True))
        told = recommend(client, asking(rerank=True))
        assert len(running.calls) == 5
    assert "failed 5 times in a row; it is asked again in" in told["llm"]["why"]


def test_an_endpoint_that_refuses_structured_output_is_called_without() -> None:
    def plain_only(body: dict[str, Any]) -> Reply:
        return Reply(status=400) if "response_format" in body else Reply('{"order": [1]}')

    async def asked() -> list[str]:
        async with Endpoint(running.config) as real:
            return [(await real.complete(ASK)).text for _ in range(2)]

    with endpoint(plain_only) as running:
        assert asyncio.run(asked()) == ['{"order": [1]}'] * 2
        assert ["response_format" in call for call in running.calls] == [True, False, False]


def test_an_endpoint_that_does_not_stream_is_read_whole() -> None:
    whole = b'{"choices": [{"message": {"content": "{}"}}], "usage": {"prompt_tokens": 3}}'

    async def asked() -> Completion:
        async with Endpoint(running.config) as real:
            return await real.complete(ASK)

    with endpoint(lambda body: Reply(whole=whole)) as running:
        assert asyncio.run(asked()) == Completion("{}", 3, 0)


def test_chinese_comes_through_whole_however_it_is_cut() -> None:
    words = '{"sentence": "因为你喜欢《大话西游》🎬"}'

    async def asked() -> str:
        async with Endpoint(running.config) as real:
            return (await real.complete(ASK)).text

    with endpoint(always(words)) as running:
        assert asyncio.run(asked()) == words


def test_a_busy_endpoint_is_called_once_more_if_there_is_time() -> None:
    replies = [Reply(status=429, headers={"Retry-After": "0"}), Reply("{}")]

    async def asked() -> str:
        async with Endpoint(running.config) as real:
            return await LlmClient(real).ask(
                ASK, lambda told: told.text, RequestBudget.start(9_000)
            )

    with endpoint(lambda body: replies.pop(0)) as running:
        assert asyncio.run(asked()) == "{}"


def test_a_call_that_broke_off_is_not_repeated() -> None:
    async def asked() -> None:
        async with Endpoint(running.config) as real:
            await LlmClient(real).ask(ASK, lambda told: told.text, RequestBudget.start(9_000))

    with endpoint(lambda body: Reply("x" * 99, cut_after=3)) as running:
        with pytest.raises(EndpointError, match="broke off"):
            asyncio.run(asked())
        assert len(running.calls) == 1


def test_an_answer_that_comes_after_an_erasure_is_not_kept() -> None:
    """It was asked for before, and may quote the user who was erased."""

    async def asked() -> int:
        async with Endpoint(running.config) as real:
            model = LlmClient(real)
            for clears in (True, False, False):
                call = asyncio.create_task(
                    model.ask(ASK, lambda told: told.text, RequestBudget.start(20_000))
                )
                while clears and not running.calls:
                    await asyncio.sleep(0.01)
                if clears:
                    model.clear_cache()
                await call
            return len(running.calls)

    with endpoint(lambda body: Reply("{}", wait_s=0.1)) as running:
        assert asyncio.run(asked()) == 2  # the third is the second one, kept


def test_a_spent_budget_calls_no_endpoint() -> None:
    async def asked() -> None:
        async with Endpoint(running.config) as real:
            ledger = RequestBudget(time.monotonic() - 1)
            await LlmClient(real).ask(ASK, lambda told: told.text, ledger)

    with endpoint(always("{}")) as running:
        with pytest.raises(BudgetError):
            asyncio.run(asked())
        assert running.calls == []


def test_tiny_budgets_do_not_make_the_endpoint_look_broken() -> None:
    async def asked() -> bool:
        async with Endpoint(running.config) as real:
            model = LlmClient(real)
            for _ in range(6):
                with pytest.raises(BudgetError):
                    await model.ask(ASK, lambda told: told.text, RequestBudget.start(30))
            return model.breaker.is_open

    with endpoint(lambda body: Reply("{}", wait_s=20)) as running:
        assert asyncio.run(asked()) is False


def test_a_resting_endpoint_is_tried_by_one_call_then_by_all() -> None:
    now = [0.0]
    breaker = CircuitBreaker(max_failures=2, open_s=30, clock=lambda: now[0])
    breaker.admit()
    breaker.record_failure()
    breaker.admit()
    breaker.record_failure()
    with pytest.raises(RestingError, match="asked again in 30 s"):
        breaker.admit()
    now[0] = 31
    breaker.admit()
    with pytest.raises(RestingError):
        breaker.admit()
    breaker.record_failure()
    with pytest.raises(RestingError):
        breaker.admit()
    now[0] = 62
    breaker.admit()
    breaker.release()
    breaker.admit()
    breaker.record_success()
    breaker.admit()
    assert not breaker.is_open


def test_a_cache_forgets_the_oldest_the_old_and_on_demand_all() -> None:
    now = [0.0]
    cache = CompletionCache(max_entries=2, lifetime_s=10, clock=lambda: now[0])
    prompts = [Prompt("rerank", "", str(n), 1) for n in range(3)]
    for prompt in prompts:
        cache.put("m", prompt, Completion(prompt.user))
    assert [cache.get("m", prompt) for prompt in prompts] == [
        None, Completion("1"), Completion("2"),
    ]  # fmt: skip
    assert cache.get("other", prompts[2]) is None
    now[0] = 11
    assert cache.get("m", prompts[2]) is None
    cache.put("m", prompts[0], Completion("0"))
    cache.clear()
    assert cache.get("m", prompts[0]) is None


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("ftp://x/v1", "give an address such as"),
        ("not a url", "give an address such as"),
        ("https://user:pw@host/v1", "put the key into ZHIYIN_LLM_KEY"),
    ],
)
def test_a_wrong_address_is_refused_before_the_service_starts(url: str, told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        LlmConfig.from_environment({"ZHIYIN_LLM_URL": url})


def test_the_environment_names_the_endpoint_and_the_key_stays_out_of_sight() -> None:
    environment = {
        "ZHIYIN_LLM_URL": "https://api.example/v1/chat/completions/",
        "ZHIYIN_LLM_MODEL": "small",
        "ZHIYIN_LLM_KEY": "sk-hidden",
    }
    config = LlmConfig.from_environment(environment)
    assert config is not None
    assert config.completions_url == "https://api.example/v1/chat/completions"
    assert "sk-hidden" not in repr(config)
    assert not config.is_local
    assert LlmConfig.from_environment({}) is None
    assert httpx.URL(config.completions_url).host == "api.example"
