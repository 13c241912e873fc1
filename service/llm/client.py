"""Prompt to something that can be used, or why not: cache, breaker, deadline, counters, retries.

A call is repeated only where nothing was produced yet: the endpoint could not be connected, or it
asked to come back later and there is time. A call that timed out or broke off is never repeated.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import httpx
import orjson

from service.llm.cache import CompletionCache
from service.llm.circuit_breaker import CircuitBreaker
from service.llm.counters import LlmCounters, RequestBudget
from service.llm.endpoint import Completion, Endpoint, Prompt
from service.llm.errors import AnswerError, BudgetError, BusyError, EndpointError, LlmError

_T = TypeVar("_T")
_MAX_CONCURRENT_CALLS = 8  # calls under way; more wait, within their budget
# A caller with a tiny budget must not make the endpoint look broken to everybody else.
_MIN_FAIR_BUDGET_S = 1.0


class LlmClient:
    """An endpoint with what makes it bearable; used from one event loop."""

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
        """Return what `parse` makes of the answer.

        Raises:
            LlmError: Saying why there is nothing.
        """
        cached_completion = self._cache.get(self._endpoint.config.model, prompt)
        if cached_completion is not None:
            budget.cache_hits += 1
            self.counters.calls[prompt.part, "cached"] += 1
            return parse(cached_completion)
        started = time.monotonic()
        outcome = "cancelled"
        try:
            completion = await self._call_within_budget(prompt, budget)
            result = parse(completion)
            self._cache.put(self._endpoint.config.model, prompt, completion)
            outcome = "ok"
        except LlmError as error:
            outcome = type(error).__name__.removesuffix("Error").lower()
            raise
        finally:
            self.counters.calls[prompt.part, outcome] += 1
            self.counters.seconds[prompt.part] += time.monotonic() - started
        return result

    def clear_cache(self) -> None:
        """Forget every completion, since one may hold words of somebody who was erased."""
        self._cache.clear()

    async def _call_within_budget(self, prompt: Prompt, budget: RequestBudget) -> Completion:
        budget.check_remaining()
        budget_s = budget.remaining_s
        self.breaker.admit()
        try:
            async with asyncio.timeout(budget_s), self._capacity:
                completion = await self._complete_with_retry(prompt, budget)
        except TimeoutError as error:
            self._record_timeout(is_failure=budget_s >= _MIN_FAIR_BUDGET_S)
            raise BudgetError(
                f"the language model did not answer within the {budget_s:.1f} s that were left; "
                f"raise budget_ms"
            ) from error
        except EndpointError:
            self.breaker.record_failure()
            raise
        except AnswerError:
            self.breaker.record_success()  # it lives; it only does not say what was asked
            raise
        except BaseException:
            self.breaker.release()
            raise
        self.breaker.record_success()
        budget.calls += 1
        budget.tokens_in += completion.tokens_in
        budget.tokens_out += completion.tokens_out
        self.counters.tokens["in"] += completion.tokens_in
        self.counters.tokens["out"] += completion.tokens_out
        return completion

    def _record_timeout(self, *, is_failure: bool) -> None:
        if is_failure:
            self.breaker.record_failure()
        else:
            self.breaker.release()

    async def _complete_with_retry(self, prompt: Prompt, budget: RequestBudget) -> Completion:
        try:
            return await self._endpoint.complete(prompt)
        except BusyError as error:
            if error.retry_after_s >= budget.remaining_s:
                raise
            await asyncio.sleep(error.retry_after_s)
        except EndpointError as error:
            if not isinstance(error.__cause__, httpx.ConnectError):
                raise
        return await self._endpoint.complete(prompt)


def parse_json_object(completion: Completion) -> Mapping[str, Any]:
    """Return the one JSON object that an answer must be, bare or in one fenced block.

    Raises:
        AnswerError: If it is anything else: an object found somewhere in prose may be an item's.
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
