"""One request to a list that gets better: the parts in order, within one budget, as events.

    list -> understood, ideal -> list -> order -> sentence, sentence ... -> done

Whatever fails is said in `done`; what was there before it stays.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, TypeVar

from service.answering import Pages, asked_by
from service.live import View
from service.llm.client import LanguageModel
from service.llm.config import NO_ENDPOINT
from service.llm.counters import Ledger
from service.llm.endpoint import Prompt
from service.llm.errors import LlmError
from service.llm.explanations import Case, Sentence, explained
from service.llm.ideal_item import imagined
from service.llm.options import Asked
from service.llm.prompt_inputs import Person, person_of
from service.llm.query_understanding import Heard, heard, prompt_for
from service.llm.reranker import reordered as ordered
from service.llm.shortlist import Drafted, drafted, moved, reordered, told

_T = TypeVar("_T")
_MOST_SENTENCES = 20  # written by the model; further items get the template's


@dataclass(frozen=True, slots=True)
class Event:
    """Something that is known now: `list`, `understood`, `ideal`, `order`, `sentence`, `done`."""

    name: str
    data: Any


@dataclass(frozen=True, slots=True)
class _Before:
    """What a model is told before there is a list."""

    person: Person
    prompt: Prompt | None
    first: dict[str, Any] | None


@dataclass(slots=True)
class Assistant:
    """Answers one request with the help of a language model, or without if it must.

    Attributes:
        model: None: no endpoint is configured.
        look: Runs a blocking call over the catalogue as it is now.
        body: The request without its `llm`.
    """

    model: LanguageModel | None
    look: Callable[[Callable[[View], Any]], Awaitable[Any]]
    pages: Pages
    body: Mapping[str, Any]
    asked: Asked
    _ledger: Ledger = field(init=False)
    _started: float = field(init=False)
    _done: dict[str, Any] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._ledger = Ledger.of(self.asked.budget_ms)
        self._started = time.monotonic()

    async def answer(self) -> dict[str, Any]:
        """Return the final answer.

        Raises:
            RequestError: If a value does not fit.
            FilterError: If the filter does not fit the catalogue.
            Problem: If there can be no list.
        """
        page: dict[str, Any] = {}
        sentences: dict[str, Any] = {}
        async with aclosing(self.events(list_first=False)) as events:
            async for event in events:
                if event.name in ("list", "order"):
                    page = event.data
                elif event.name == "sentence":
                    sentences[event.data["id"]] = event.data
                elif event.name == "done":
                    page["llm"] = event.data["llm"]
        for hit in page["items"]:
            if hit["id"] in sentences:
                said = sentences[hit["id"]]
                hit["explanation"] = {"text": said["text"], "by": said["by"]}
        return page

    async def events(self, *, list_first: bool) -> AsyncGenerator[Event]:
        """Yield what is known as soon as it is; errors are those of `answer`."""
        imagined_parts: tuple[Heard | None, str | None] = (None, None)
        if self._may_imagine:
            before: _Before = await self.look(lambda view: self._before(view, first=list_first))
            if before.first is not None:
                yield Event("list", before.first)
            imagined_parts = await self._imagined(before)
        made: Drafted = await self.look(
            lambda view: drafted(view, self.pages, self.body, self.asked, imagined_parts)
        )
        for event in self._read(made, imagined_parts[1]):
            yield event
        yield Event("list", told(made, self.pages, self.body))
        made, news = await self._ordered(made)
        if news is not None:
            yield news
        if self.asked.explain:
            async with aclosing(self._sentences(made.cases)) as sentences:
                async for sentence in sentences:
                    yield Event("sentence", {"id": sentence.item_id, **sentence.to_json()})
        yield Event("done", {"llm": self._summary()})

    @property
    def _may_imagine(self) -> bool:
        wanted = self.asked.understand or self.asked.generate
        return wanted and self.model is not None and "cursor" not in self.body

    def _before(self, view: View, *, first: bool) -> _Before:
        draft = self.pages.draft(view, self.body)
        request = view.personal(asked_by(view, draft.cursor), now=draft.cursor.moment)
        prompt = None
        if self.asked.understand and request.query:
            prompt = prompt_for(view.catalogue, request.query)
        elif self.asked.understand:
            self._ledger.failed["understand"] = "there is no query to understand"
        if self.asked.generate and view.catalogue.manifest.encoder is None:
            self._ledger.failed["generate"] = "the index was built without a language model"
        page = self.pages.told(draft) if first else None
        return _Before(person_of(view.catalogue, request), prompt, page)

    async def _imagined(self, before: _Before) -> tuple[Heard | None, str | None]:
        """Understand and imagine at the same time."""
        model = self.model
        if model is None:
            return None, None

        async def reading() -> Heard | None:
            if before.prompt is None:
                return None
            return await self._try("understand", heard(model, before.prompt, self._ledger))

        async def imagining() -> str | None:
            if not self.asked.generate or "generate" in self._ledger.failed:
                return None
            return await self._try("generate", imagined(model, before.person, self._ledger))

        async with asyncio.TaskGroup() as group:
            said, ideal = group.create_task(reading()), group.create_task(imagining())
        return said.result(), ideal.result()

    def _read(self, made: Drafted, ideal: str | None) -> Iterator[Event]:
        """Tell what was understood and imagined."""
        if made.understood.shown:
            self._done["understood"] = made.understood.shown
            yield Event("understood", made.understood.shown)
        if ideal is not None:
            self._done["ideal"] = ideal
            yield Event("ideal", {"text": ideal})

    async def _ordered(self, made: Drafted) -> tuple[Drafted, Event | None]:
        if not self.asked.rerank or self.model is None:
            return made, None
        if why := self._why_not_ordered(made):
            self._ledger.failed["rerank"] = why
            return made, None
        finalists = [item for item in made.items if item.id not in made.fixed]
        finalists = finalists[: self.asked.candidates]
        asking = ordered(self.model, made.person, finalists, self.asked.mode, self._ledger)
        ids = await self._try("rerank", asking)
        if ids is None:
            return made, None
        after = reordered(made, ids)
        self._done["order_changed"] = moved(made, after)
        return after, Event("order", told(after, self.pages, self.body))

    def _why_not_ordered(self, made: Drafted) -> str | None:
        if "cursor" in self.body:
            return "the order of a list is settled on its first page"
        if self.body.get("explore"):
            return "an explored list keeps the order it was drawn in"
        if len(made.items) < 2:
            return "there are fewer than two items to order"
        return None

    async def _sentences(self, cases: Sequence[Case]) -> AsyncGenerator[Sentence]:
        """Yield a sentence for each item, as they come."""
        tasks = [asyncio.create_task(self._sentence(n, case)) for n, case in enumerate(cases)]
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
        self._done["sentences"] = {"model": by_model, "template": len(cases) - by_model}

    async def _sentence(self, place: int, case: Case) -> Sentence:
        if self.model is None:
            return case.template
        written = None
        if place < _MOST_SENTENCES:
            written = await self._try("explain", explained(self.model, case, self._ledger))
        sentence = written or case.template
        self.model.counters.sentences[sentence.by] += 1
        return sentence

    async def _try(self, part: str, asking: Awaitable[_T]) -> _T | None:
        """Return what a part gives, or None with the reason kept."""
        try:
            return await asking
        except LlmError as error:
            self._ledger.failed[part] = str(error)
            return None

    def _summary(self) -> dict[str, Any]:
        """Return the `llm` object of the answer."""
        ledger = self._ledger
        sentences = self._done.get("sentences", {"model": 0})
        helped = set(self._done) & {"understood", "ideal", "order_changed"}
        if not helped and not sentences["model"]:
            return {"used": False, "why": self._why_unused()}
        return {
            "used": True,
            **self._done,
            "tokens": {"in": ledger.tokens_in, "out": ledger.tokens_out},
            "calls": ledger.calls,
            "cached": ledger.cached,
            "ms": round(1_000 * (time.monotonic() - self._started)),
            **({"failed": ledger.failed} if ledger.failed else {}),
        }

    def _why_unused(self) -> str:
        if not self.asked.anything:
            return "no part was asked for; set understand, generate, rerank or explain to true"
        if self.model is None:
            return NO_ENDPOINT
        told = dict.fromkeys(self._ledger.failed.values())
        return "; ".join(told) or "there was nothing for it to do"
