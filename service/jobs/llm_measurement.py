"""A language model's parts, each on and off, over new users: does it help, and at what cost?

The service's own code answers, over an index of the evaluation, with all the time it needs. Only
what changes a ranking can be measured on a log: nobody typed a sentence there to be understood.
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
_SENTENCES = 3  # explained of each list
_HOUR_S = 3_600.0


@dataclass(frozen=True, slots=True)
class LlmMeasurement:
    """Asks one endpoint about some of the new users.

    Attributes:
        cases: How many are asked.
        candidates: Finalists that are re-ranked.
    """

    config: LlmConfig
    cases: int
    candidates: int
    report: Callable[[str, int, int], None]

    def __call__(self, index: Index, cases: Cases) -> dict[str, Any]:
        """Return figures of every part against none."""
        return asyncio.run(self._measure(index, cases))

    async def _measure(self, index: Index, cases: Cases) -> dict[str, Any]:
        new = np.flatnonzero(cases.new_user)
        chosen = new[np.unique(np.linspace(0, len(new) - 1, min(self.cases, len(new))).astype(int))]
        bodies = list(cases.build_requests())
        asked = [bodies[case] for case in chosen]
        targets = [cases.log.item_ids[item] for item in cases.target[chosen]]
        users = cases.user[chosen]
        measured: dict[str, Any] = {}
        plain: NDArray[np.float64] | None = None
        async with Endpoint(self.config) as endpoint:
            for name, wanted in self._parts().items():
                model = LlmClient(endpoint)  # its own: what another part paid for is no saving
                ranks, cost = await self._ask(
                    index, model, wanted, list(zip(asked, targets, strict=True)), name
                )
                plain = ranks if plain is None else plain
                if wanted.explain:  # words change no rank
                    measured[name] = cost
                    continue
                measured[name] = {**asdict(compute_metrics(ranks)), **cost}
                if name != "none":
                    versus = compare_ranks(ranks, plain, users)
                    measured[name]["versus_none"] = versus and asdict(versus)
        return {
            "model": self.config.model,
            "slice": "new_user",
            "cases": len(chosen),
            "of": len(new),
            "candidates": self.candidates,
            "parts": measured,
        }

    def _parts(self) -> dict[str, LlmOptions]:
        def asked(**parts: Any) -> LlmOptions:
            return LlmOptions(**parts, candidates=self.candidates, budget_ms=_BUDGET_MS)

        return {
            "none": asked(),
            "generate": asked(generate=True),
            "rerank": asked(rerank=True),
            "rerank_likelihood": asked(rerank=True, mode=RerankMode.LIKELIHOOD),
            "generate+rerank": asked(generate=True, rerank=True),
            "explain": asked(explain=True),
        }

    async def _ask(
        self,
        index: Index,
        model: LlmClient,
        wanted: LlmOptions,
        cases: Sequence[tuple[Mapping[str, Any], str]],
        name: str,
    ) -> tuple[NDArray[np.float64], dict[str, Any]]:
        """Ranks `(c,)` of what was picked, and what the answers cost."""
        view = RequestView(index, LiveCatalogue(index))
        pages = PageBuilder(
            CursorSigner("for one evaluation", lifetime_s=_HOUR_S, clock=time.time), time.time
        )

        async def look(call: Callable[[RequestView], _T]) -> _T:
            return call(view)

        ranks = np.full(len(cases), np.inf)
        told: list[dict[str, Any]] = []
        authors: Counter[str] = Counter()
        started = time.monotonic()
        for place, (body, target) in enumerate(cases):
            length = _SENTENCES if wanted.explain else _LENGTH
            whole = {**body, "k": length, "fields": []}
            answer = await Assistant(model, look, pages, whole, wanted).answer()
            ids = [hit["id"] for hit in answer["items"]]
            if target in ids:
                ranks[place] = ids.index(target) + 1
            told.append(answer["llm"])
            authors.update(hit["explanation"]["by"] for hit in answer["items"] if wanted.explain)
            self.report(f"llm {name}", place + 1, len(cases))
        cost = _compute_cost(told, time.monotonic() - started)
        return ranks, {**cost, "sentences": dict(authors)} if authors else cost


def _compute_cost(told: Sequence[Mapping[str, Any]], seconds: float) -> dict[str, Any]:
    used = [one for one in told if one["used"]]
    counted: dict[str, Any] = {
        "used": len(used),
        "tokens_in": sum(one["tokens"]["in"] for one in used),
        "tokens_out": sum(one["tokens"]["out"] for one in used),
        "seconds_per_request": round(seconds / max(len(told), 1), 2),
    }
    return counted


def render_llm_figures(figures: Mapping[str, Any]) -> list[str]:
    """Return the measurement for a terminal."""
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
        said = f"  sentences {part['sentences']}" if "sentences" in part else ""
        lines.append(
            f"  {name:18} {quality}used {part['used']}/{figures['cases']}  tokens "
            f"{part['tokens_in']}+{part['tokens_out']}  {part['seconds_per_request']} s/request"
            f"{said}"
        )
    return lines
