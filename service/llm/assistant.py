"""One request to a stream of events, each better than the last, within one time budget.

    list -> understood, ideal -> list -> order -> sentence, sentence ... -> done

If a part fails, `done` says why and the earlier result stands.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, TypeVar

from service.answering import PageBuilder, parse_cursor_request
from service.live import RequestView
from service.llm.chat_format import Prompt
from service.llm.client import LlmClient
from service.llm.config import NO_ENDPOINT
from service.llm.counters import RequestBudget
from service.llm.errors import LlmError
from service.llm.explanations import ExplanationInput, Sentence, write_sentence
from service.llm.ideal_item import generate_ideal_item
from service.llm.options import LlmOptions
from service.llm.prompt_inputs import PromptUser, build_prompt_user
from service.llm.query_understanding import Interpretation, build_prompt, interpret_query
from service.llm.reranker import rerank
from service.llm.shortlist import (
    Shortlist,
    apply_order,
    build_shortlist,
    count_moved,
    render_shortlist,
)

_T = TypeVar("_T")
_MAX_MODEL_SENTENCES = 20  # written by the model; further items get the template's


@dataclass(frozen=True, slots=True)
class AssistantEvent:
    """A new result. `name` is list, understood, ideal, order, sentence or done."""

    name: str
    data: Any


@dataclass(frozen=True, slots=True)
class _PromptInputs:
    """What a model reads before there is a shortlist.

    Attributes:
        understand_prompt: None: there is no query to understand, or it is not wanted.
        first_page: The list without the model, as JSON holds it, if it is wanted.
    """

    user: PromptUser
    understand_prompt: Prompt | None
    first_page: dict[str, Any] | None


@dataclass(slots=True)
class Assistant:
    """Answers one request with the help of a language model, or without it if need be.

    Attributes:
        client: None: no endpoint is configured.
        run_on_view: Runs a blocking call over the current state of catalogue and store.
        pages: Computes pages.
        body: The fields of the request that are not null, without `llm`.
        options: Which parts of the model are wanted.
    """

    client: LlmClient | None
    run_on_view: Callable[[Callable[[RequestView], Any]], Awaitable[Any]]
    pages: PageBuilder
    body: Mapping[str, Any]
    options: LlmOptions
    _budget: RequestBudget = field(init=False)
    _started: float = field(init=False)
    _results: dict[str, Any] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._budget = RequestBudget.start(self.options.budget_ms)
        self._started = time.monotonic()

    async def answer(self) -> dict[str, Any]:
        """Return the final answer.

        Raises:
            RequestError: If a value does not fit.
            FilterError: If the filter does not fit the catalogue.
            Problem: If no list can be computed.
        """
        page: dict[str, Any] = {}
        sentences: dict[str, Any] = {}
        async with aclosing(self.stream_events(list_first=False)) as events:
            async for event in events:
                if event.name in ("list", "order"):
                    page = event.data
                elif event.name == "sentence":
                    sentences[event.data["id"]] = event.data
                elif event.name == "done":
                    page["llm"] = event.data["llm"]
        for hit in page["items"]:
            if hit["id"] in sentences:
                explanation = sentences[hit["id"]]
                hit["explanation"] = {"text": explanation["text"], "by": explanation["by"]}
        return page

    async def stream_events(self, *, list_first: bool) -> AsyncGenerator[AssistantEvent]:
        """Yield each result as soon as there is one; it raises what `answer` raises.

        Args:
            list_first: Whether to begin with the list as it is without the model.
        """
        interpretation: Interpretation | None = None
        ideal: str | None = None
        if self._needs_prompt_inputs:
            inputs: _PromptInputs = await self.run_on_view(
                lambda view: self._build_prompt_inputs(view, with_first_page=list_first)
            )
            if inputs.first_page is not None:
                yield AssistantEvent("list", inputs.first_page)
            interpretation, ideal = await self._understand_and_generate(inputs)
        model_output = (interpretation, ideal)
        shortlist: Shortlist = await self.run_on_view(
            lambda view: build_shortlist(view, self.pages, self.body, self.options, model_output)
        )
        for event in self._report_interpretation(shortlist, ideal):
            yield event
        yield AssistantEvent("list", render_shortlist(shortlist, self.pages, self.body))
        shortlist, order_event = await self._rerank(shortlist)
        if order_event is not None:
            yield order_event
        if self.options.explain:
            async with aclosing(self._write_sentences(shortlist.explanation_inputs)) as sentences:
                async for sentence in sentences:
                    yield AssistantEvent("sentence", {"id": sentence.item_id, **sentence.to_json()})
        yield AssistantEvent("done", {"llm": self._summarise()})

    @property
    def _needs_prompt_inputs(self) -> bool:
        is_wanted = self.options.understand or self.options.generate
        return is_wanted and self.client is not None and "cursor" not in self.body

    def _build_prompt_inputs(self, view: RequestView, *, with_first_page: bool) -> _PromptInputs:
        page = self.pages.compute_page(view, self.body)
        prompt = None
        query = parse_cursor_request(view, page.cursor).query  # as it was typed
        if self.options.understand and query:
            prompt = build_prompt(view.catalogue, query)
        elif self.options.understand:
            self._budget.failures["understand"] = "there is no query to understand"
        if self.options.generate and view.catalogue.manifest.encoder is None:
            self._budget.failures["generate"] = "the index was built without a language model"
        return _PromptInputs(
            user=build_prompt_user(view.catalogue, page.request),
            understand_prompt=prompt,
            first_page=self.pages.render_page(page) if with_first_page else None,
        )

    async def _understand_and_generate(
        self, inputs: _PromptInputs
    ) -> tuple[Interpretation | None, str | None]:
        """Interpret the query and describe the ideal item, at the same time."""
        client = self.client
        if client is None:
            return None, None

        async def understand() -> Interpretation | None:
            if inputs.understand_prompt is None:
                return None
            call = interpret_query(client, inputs.understand_prompt, self._budget)
            return await self._attempt("understand", call)

        async def generate() -> str | None:
            if not self.options.generate or "generate" in self._budget.failures:
                return None
            call = generate_ideal_item(client, inputs.user, self._budget)
            return await self._attempt("generate", call)

        async with asyncio.TaskGroup() as group:
            interpretation, ideal = group.create_task(understand()), group.create_task(generate())
        return interpretation.result(), ideal.result()

    def _report_interpretation(
        self, shortlist: Shortlist, ideal: str | None
    ) -> Iterator[AssistantEvent]:
        """Record and yield what was understood and which ideal item was described."""
        if shortlist.interpretation.summary:
            self._results["understood"] = shortlist.interpretation.summary
            yield AssistantEvent("understood", shortlist.interpretation.summary)
        if ideal is not None:
            self._results["ideal"] = ideal
            yield AssistantEvent("ideal", {"text": ideal})

    async def _rerank(self, shortlist: Shortlist) -> tuple[Shortlist, AssistantEvent | None]:
        """Return the shortlist in the model's order, and the event; None if the order stays."""
        if not self.options.rerank or self.client is None:
            return shortlist, None
        if why := self._find_rerank_obstacle(shortlist):
            self._budget.failures["rerank"] = why
            return shortlist, None
        candidates = [item for item in shortlist.items if item.id not in shortlist.pinned_ids]
        candidates = candidates[: self.options.candidates]
        call = rerank(self.client, shortlist.user, candidates, self.options.mode, self._budget)
        ids = await self._attempt("rerank", call)
        if ids is None:
            return shortlist, None
        reranked = apply_order(shortlist, ids)
        self._results["order_changed"] = count_moved(shortlist, reranked)
        return reranked, AssistantEvent("order", render_shortlist(reranked, self.pages, self.body))

    def _find_rerank_obstacle(self, shortlist: Shortlist) -> str | None:
        if "cursor" in self.body:
            return "the order of a list is settled on its first page"
        if self.body.get("explore"):
            return "an explored list keeps the order it was drawn in"
        if len(shortlist.items) < 2:
            return "there are fewer than two items to order"
        return None

    async def _write_sentences(
        self, inputs: Sequence[ExplanationInput]
    ) -> AsyncGenerator[Sentence]:
        """Yield a sentence for each item, in the order in which they get ready."""
        tasks = [asyncio.create_task(self._write_sentence(n, one)) for n, one in enumerate(inputs)]
        by_model = 0
        try:
            for task in asyncio.as_completed(tasks):
                sentence = await task
                by_model += sentence.by == "model"
                yield sentence
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        self._results["sentences"] = {"model": by_model, "template": len(inputs) - by_model}

    async def _write_sentence(self, position: int, inputs: ExplanationInput) -> Sentence:
        if self.client is None:
            return inputs.template_sentence
        model_sentence = None
        if position < _MAX_MODEL_SENTENCES:
            call = write_sentence(self.client, inputs, self._budget)
            model_sentence = await self._attempt("explain", call)
        sentence = model_sentence or inputs.template_sentence
        self.client.counters.sentences.labels(sentence.by).inc()
        return sentence

    async def _attempt(self, part: str, call: Awaitable[_T]) -> _T | None:
        """Return what a part of the model returns; None if it failed, with the reason recorded."""
        try:
            return await call
        except LlmError as error:
            self._budget.failures[part] = str(error)
            return None

    def _summarise(self) -> dict[str, Any]:
        """Return the `llm` object of the answer."""
        budget = self._budget
        sentences = self._results.get("sentences", {"model": 0})
        changed = set(self._results) & {"understood", "ideal", "order_changed"}
        if not changed and not sentences["model"]:
            return {"used": False, "why": self._explain_non_use()}
        return {
            "used": True,
            **self._results,
            "tokens": {"in": budget.tokens_in, "out": budget.tokens_out},
            "calls": budget.calls,
            "cached": budget.cache_hits,
            "ms": round(1_000 * (time.monotonic() - self._started)),
            **({"failed": budget.failures} if budget.failures else {}),
        }

    def _explain_non_use(self) -> str:
        if not self.options.has_any_part:
            return "no part was asked for; set understand, generate, rerank or explain to true"
        if self.client is None:
            return NO_ENDPOINT
        reasons = dict.fromkeys(self._budget.failures.values())
        return "; ".join(reasons) or "there was nothing for it to do"
