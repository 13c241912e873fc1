"""Holdout cases of new users to the quality and cost of each use of a language model.

Each use (generate, rerank, …) answers the same cases as no language model does, through the
service's own code over the index of an evaluation, with a time budget that is never reached.
Quality is measured for what changes a ranking. `understand` is not measured: an interaction log has
no sentences to understand.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from indexer.evaluation import Cases
from indexer.index import Index
from indexer.live import LiveCatalogue
from indexer.metrics import compare_ranks, compute_metrics
from service.answering import PageBuilder
from service.edge import CursorSigner
from service.live import RequestView
from service.llm import Assistant, Endpoint, LlmClient, LlmConfig, LlmOptions, RerankMode

_T = TypeVar("_T")
_BUDGET_MS = 600_000
_LENGTH = 50
_EXPLAINED_ITEMS = 3  # length of a list whose items are explained
_HOUR_S = 3_600.0


@dataclass(frozen=True, slots=True)
class LlmMeasurement:
    """Measures the model of one endpoint on cases of new users.

    Attributes:
        cases: How many cases, evenly spaced over those of new users.
        candidates: How many of the best candidates are re-ranked.
        report: Called with (stage, done, total).
    """

    config: LlmConfig
    cases: int
    candidates: int
    report: Callable[[str, int, int], None]

    def __call__(self, index: Index, cases: Cases) -> dict[str, Any]:
        """Return the figures of each use, and its difference to using no language model."""
        return asyncio.run(self._measure(index, cases))

    async def _measure(self, index: Index, cases: Cases) -> dict[str, Any]:
        new = np.flatnonzero(cases.new_user)
        chosen = new[np.unique(np.linspace(0, len(new) - 1, min(self.cases, len(new))).astype(int))]
        bodies = list(cases.build_requests())
        chosen_bodies = [bodies[case] for case in chosen]
        targets = [cases.log.item_ids[item] for item in cases.target[chosen]]
        users = cases.user[chosen]
        figures: dict[str, Any] = {}
        ranks_without: NDArray[np.float64] | None = None
        async with Endpoint(self.config) as endpoint:
            for name, options in self._build_options().items():
                # A client of its own: completions that another use cached would lower the cost.
                client = LlmClient(endpoint)
                ranks, cost = await self._measure_use(
                    index, client, options, list(zip(chosen_bodies, targets, strict=True)), name
                )
                ranks_without = ranks if ranks_without is None else ranks_without
                if options.explain:  # explanations change no rank
                    figures[name] = cost
                    continue
                figures[name] = {**asdict(compute_metrics(ranks)), **cost}
                if name != "none":
                    versus = compare_ranks(ranks, ranks_without, users)
                    figures[name]["versus_none"] = versus and asdict(versus)
        return {
            "model": self.config.model,
            "slice": "new_user",
            "cases": len(chosen),
            "of": len(new),
            "candidates": self.candidates,
            "parts": figures,
        }

    def _build_options(self) -> dict[str, LlmOptions]:
        """Return the options of each use by its name; "none" comes first."""

        def build(**parts: Any) -> LlmOptions:
            return LlmOptions(**parts, candidates=self.candidates, budget_ms=_BUDGET_MS)

        return {
            "none": build(),
            "generate": build(generate=True),
            "rerank": build(rerank=True),
            "rerank_likelihood": build(rerank=True, mode=RerankMode.LIKELIHOOD),
            "generate+rerank": build(generate=True, rerank=True),
            "explain": build(explain=True),
        }

    async def _measure_use(
        self,
        index: Index,
        client: LlmClient,
        options: LlmOptions,
        cases: Sequence[tuple[Mapping[str, Any], str]],
        name: str,
    ) -> tuple[NDArray[np.float64], dict[str, Any]]:
        """Return each target's rank `(c,) float64`, infinite if it is missing, and the cost."""
        view = RequestView(index, LiveCatalogue(index))
        pages = PageBuilder(
            CursorSigner("for one evaluation", lifetime_s=_HOUR_S, clock=time.time), time.time
        )

        async def run_on_view(compute: Callable[[RequestView], _T]) -> _T:
            return compute(view)

        ranks = np.full(len(cases), np.inf)
        summaries: list[dict[str, Any]] = []
        authors: Counter[str] = Counter()
        started = time.monotonic()
        for position, (body, target) in enumerate(cases):
            length = _EXPLAINED_ITEMS if options.explain else _LENGTH
            request_body = {**body, "k": length, "fields": []}
            answer = await Assistant(client, run_on_view, pages, request_body, options).answer()
            ids = [hit["id"] for hit in answer["items"]]
            if target in ids:
                ranks[position] = ids.index(target) + 1
            summaries.append(answer["llm"])
            authors.update(hit["explanation"]["by"] for hit in answer["items"] if options.explain)
            self.report(f"llm {name}", position + 1, len(cases))
        cost = _compute_cost(summaries, time.monotonic() - started)
        return ranks, {**cost, "sentences": dict(authors)} if authors else cost


def _compute_cost(summaries: Sequence[Mapping[str, Any]], seconds: float) -> dict[str, Any]:
    """Return the cost of answers from their `llm` objects and the time they took together."""
    used = [summary for summary in summaries if summary["used"]]
    cost: dict[str, Any] = {
        "used": len(used),
        "tokens_in": sum(summary["tokens"]["in"] for summary in used),
        "tokens_out": sum(summary["tokens"]["out"] for summary in used),
        "seconds_per_request": round(seconds / max(len(summaries), 1), 2),
    }
    return cost


def render_llm_figures(figures: Mapping[str, Any]) -> list[str]:
    """Return the figures as lines of text."""
    lines = [
        f"language model {figures['model']}: {figures['cases']} of {figures['of']} new-user cases, "
        f"{figures['candidates']} finalists"
    ]
    for name, part in figures["parts"].items():
        quality = ""
        if "ndcg10" in part:
            quality = f"NDCG@10 {part['ndcg10']:.4f}  "
        if versus := part.get("versus_none"):
            low, high = versus["difference95"]
            quality += f"difference {versus['difference']:+.4f} [{low:+.4f}, {high:+.4f}]  "
        sentences = f"  sentences {part['sentences']}" if "sentences" in part else ""
        lines.append(
            f"  {name:18} {quality}used {part['used']}/{figures['cases']}  tokens "
            f"{part['tokens_in']}+{part['tokens_out']}  {part['seconds_per_request']} s/request"
            f"{sentences}"
        )
    return lines
