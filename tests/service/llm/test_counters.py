"""The cost and the failures of the language model in /metrics."""

from tests.service.conftest import samples
from tests.service.llm.conftest import Helped
from tests.service.llm.fake_endpoint import Reply
from tests.service.llm.scripts import LIKED, asking, obliging


def test_metrics_count_tokens_calls_and_sentences(helped: Helped) -> None:
    with helped(obliging) as (client, _):
        client.post("/v1/recommend", json=asking(rerank=True, explain=True))
        client.post("/v1/recommend", json=asking(rerank=True))
        found = samples(client)
    assert found['zhiyin_llm_calls_total{outcome="ok",part="rerank"}'] == 1
    assert found['zhiyin_llm_calls_total{outcome="cached",part="rerank"}'] == 1
    assert found['zhiyin_llm_calls_total{outcome="ok",part="explain"}'] == 10
    assert found['zhiyin_llm_tokens_total{direction="in"}'] == 11 * 11
    assert found['zhiyin_llm_tokens_total{direction="out"}'] == 11 * 5
    assert found['zhiyin_llm_sentences_total{by="model"}'] == 10
    assert found["zhiyin_llm_resting"] == 0


def test_metrics_count_failures_by_outcome(helped: Helped) -> None:
    replies = [Reply(status=500), Reply("nonsense"), Reply("{}", wait_s=30)]
    with helped(lambda body: replies.pop(0)) as (client, _):
        client.post("/v1/recommend", json=asking(rerank=True))
        client.post("/v1/recommend", json=asking(rerank=True))
        client.post("/v1/recommend", json=asking(rerank=True, budget_ms=1_500))
        found = samples(client)
    outcomes = {name.split('outcome="')[1].split('"')[0] for name in found if "llm_calls" in name}
    assert outcomes == {"endpoint", "answer", "budget"}


def test_who_is_erased_leaves_no_completion_behind(helped: Helped) -> None:
    with helped(obliging) as (client, running):
        client.post("/v1/recommend", json=asking(LIKED, rerank=True))
        event = {"user_id": "u-gone", "item_id": "i0003", "event": "like"}
        client.post("/v1/events", json=event)
        client.delete("/v1/users/u-gone")
        client.post("/v1/recommend", json=asking(LIKED, rerank=True))
        assert len(running.calls) == 2
