"""A prompt to a parsed answer: with a cache, a deadline, a circuit breaker, counters and one retry.

A call is repeated only where nothing can have been produced yet: the endpoint could not be
connected, or it asked to come back later and there is time. A call that timed out or broke off is
never repeated.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import orjson

from service.llm.cache import CompletionCache
from service.llm.chat_format import Completion, Prompt
from service.llm.circuit_breaker import CircuitBreaker
from service.llm.counters import LlmCounters, RequestBudget
from service.llm.endpoint import Endpoint
from service.llm.errors import AnswerError, BudgetError, BusyError, EndpointError, LlmError

_T = TypeVar("_T")
_MAX_CONCURRENT_CALLS = 8  # further calls wait, within their budget
# A timeout counts as a failure of the endpoint only if it had this long: a caller with a tiny
# budget must not open the circuit breaker for everybody else.
_MIN_FAIR_BUDGET_S = 1.0


class LlmClient:
    """Calls one endpoint; used from one event loop."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        breaker: CircuitBreaker | None = None,
        cache: CompletionCache | None = None,
        counters: LlmCounters | None = None,
    ) -> None:
        self.counters = counters or LlmCounters()
        self.breaker = breaker or CircuitBreaker()
        self._endpoint = endpoint
        self._cache = cache or CompletionCache()
        self._capacity = asyncio.Semaphore(_MAX_CONCURRENT_CALLS)

    async def ask(
        self, prompt: Prompt, parse: Callable[[Completion], _T], budget: RequestBudget
    ) -> _T:
        """Return what `parse` makes of the completion.

        Raises:
            LlmError: If there is no answer that `parse` accepts; its message says why.
        """
        cached_completion = self._cache.get(self._endpoint.config.model, prompt)
        if cached_completion is not None:
            budget.cache_hits += 1
            self.counters.calls.labels(prompt.part, "cached").inc()
            return parse(cached_completion)
        started = time.monotonic()
        clear_count = self._cache.clear_count
        outcome = "cancelled"
        try:
            completion = await self._call_within_budget(prompt, budget)
            result = parse(completion)
            if clear_count == self._cache.clear_count:  # else it may quote who was erased meanwhile
                self._cache.put(self._endpoint.config.model, prompt, completion)
            outcome = "ok"
        except LlmError as error:
            outcome = error.outcome
            raise
        finally:
            self.counters.calls.labels(prompt.part, outcome).inc()
            self.counters.seconds.labels(prompt.part).inc(time.monotonic() - started)
        return result

    def clear_cache(self) -> None:
        """Forget every completion, since one may quote a user who was erased."""
        self._cache.clear()

    async def _call_within_budget(self, prompt: Prompt, budget: RequestBudget) -> Completion:
        """Call the endpoint, and record the outcome with the circuit breaker and the counters."""
        budget.check_remaining()
        budget_s = budget.remaining_s
        self.breaker.admit()
        try:
            async with asyncio.timeout(budget_s), self._capacity:
                completion = await self._complete_with_retry(prompt, budget)
        except TimeoutError as error:
            if budget_s >= _MIN_FAIR_BUDGET_S:
                self.breaker.record_failure()
            else:
                self.breaker.release()
            raise BudgetError(
                f"the language model did not answer within the {budget_s:.1f} s that were left; "
                f"raise budget_ms"
            ) from error
        except EndpointError:
            self.breaker.record_failure()
            raise
        except AnswerError:
            self.breaker.record_success()  # the endpoint works; only this answer is of no use
            raise
        except BaseException:
            self.breaker.release()
            raise
        self.breaker.record_success()
        budget.calls += 1
        budget.tokens_in += completion.tokens_in
        budget.tokens_out += completion.tokens_out
        self.counters.tokens.labels("in").inc(completion.tokens_in)
        self.counters.tokens.labels("out").inc(completion.tokens_out)
        return completion

    async def _complete_with_retry(self, prompt: Prompt, budget: RequestBudget) -> Completion:
        try:
            return await self._endpoint.complete(prompt)
        except BusyError as error:
            if error.retry_after_s >= budget.remaining_s:
                raise
            await asyncio.sleep(error.retry_after_s)
        except EndpointError as error:
            if not error.is_unsent:
                raise
        return await self._endpoint.complete(prompt)


def parse_json_object(completion: Completion) -> Mapping[str, Any]:
    """Return the JSON object that an answer consists of, bare or in one fenced block.

    Raises:
        AnswerError: If it is anything else. An object somewhere in prose is not accepted: it may be
            quoted from the text of an item.
    """
    text = completion.text.strip()
    if text.startswith("```") and text.endswith("```") and text.count("```") == 2:
        text = text.removeprefix("```").removesuffix("```").strip().removeprefix("json").strip()
    try:
        parsed = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise AnswerError(
            "the language model's answer is not the JSON that was asked for"
        ) from error
    if not isinstance(parsed, dict):
        raise AnswerError("the language model's answer is no JSON object")
    return parsed
