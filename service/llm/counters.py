"""Calls of the language model to Prometheus counters, and to the cost of one request."""

import time
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter

from service.llm.errors import BudgetError


class LlmCounters:
    """Counters of all calls; see `service.edge.metrics`.

    Attributes:
        calls: By part and outcome.
        tokens: By direction: in, out.
        seconds: By part.
        sentences: By author: model, template.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.calls = Counter(
            "zhiyin_llm_calls",
            "Calls of the language model by part and outcome.",
            ("part", "outcome"),
            registry=self.registry,
        )
        self.tokens = Counter(
            "zhiyin_llm_tokens",
            "Tokens as the endpoint counts them.",
            ("direction",),
            registry=self.registry,
        )
        self.seconds = Counter(
            "zhiyin_llm_seconds",
            "Time spent waiting for the language model.",
            ("part",),
            registry=self.registry,
        )
        self.sentences = Counter(
            "zhiyin_llm_sentences", "Sentences by who wrote them.", ("by",), registry=self.registry
        )
        for direction in ("in", "out"):
            self.tokens.labels(direction)  # shown from the start
        for author in ("model", "template"):
            self.sentences.labels(author)


@dataclass(slots=True)
class RequestBudget:
    """The time budget of one request, and its cost so far.

    Attributes:
        deadline: When the budget ends, in seconds of `time.monotonic`.
        cache_hits: Calls that were answered from the cache.
        failures: Part of the model to the reason why it gave nothing.
    """

    deadline: float
    tokens_in: int = 0
    tokens_out: int = 0
    calls: int = 0
    cache_hits: int = 0
    failures: dict[str, str] = field(default_factory=dict)

    @classmethod
    def start(cls, budget_ms: int) -> "RequestBudget":
        """Return a budget that begins now."""
        return cls(time.monotonic() + budget_ms / 1_000)

    @property
    def remaining_s(self) -> float:
        """Seconds left; negative after the deadline."""
        return self.deadline - time.monotonic()

    def check_remaining(self) -> None:
        """Check that there is time for another call.

        Raises:
            BudgetError: If there is no time left.
        """
        if self.remaining_s <= 0:
            raise BudgetError("the budget was spent before it was asked; raise budget_ms")
