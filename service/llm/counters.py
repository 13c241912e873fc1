"""Calls of the language model to Prometheus counters, and to the cost of one request.

Counters belong to one process; with several workers a scrape reaches one of them.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from service.llm.errors import BudgetError


@dataclass(slots=True)
class LlmCounters:
    """Counters of all calls since the process started.

    Attributes:
        calls: Number by (part, outcome).
        tokens: Number by direction: in, out.
        seconds: Time by part.
        sentences: Number by author: model, template.
    """

    calls: Counter[tuple[str, str]] = field(default_factory=Counter)
    tokens: Counter[str] = field(default_factory=Counter)
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    sentences: Counter[str] = field(default_factory=Counter)

    def render_prometheus(self) -> Iterator[str]:
        """Yield the lines of Prometheus text."""
        yield "# HELP zhiyin_llm_calls_total Calls of the language model by part and outcome."
        yield "# TYPE zhiyin_llm_calls_total counter"
        for (part, outcome), count in sorted(self.calls.items()):
            yield f'zhiyin_llm_calls_total{{part="{part}",outcome="{outcome}"}} {count}'
        yield "# HELP zhiyin_llm_tokens_total Tokens as the endpoint counts them."
        yield "# TYPE zhiyin_llm_tokens_total counter"
        for direction in ("in", "out"):
            yield f'zhiyin_llm_tokens_total{{direction="{direction}"}} {self.tokens[direction]}'
        yield "# HELP zhiyin_llm_seconds_total Time spent waiting for the language model."
        yield "# TYPE zhiyin_llm_seconds_total counter"
        for part, seconds in sorted(self.seconds.items()):
            yield f'zhiyin_llm_seconds_total{{part="{part}"}} {seconds:.6f}'
        yield "# HELP zhiyin_llm_sentences_total Sentences by who wrote them."
        yield "# TYPE zhiyin_llm_sentences_total counter"
        for author in ("model", "template"):
            yield f'zhiyin_llm_sentences_total{{by="{author}"}} {self.sentences[author]}'


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
