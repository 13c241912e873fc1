"""The `llm` object of a request to checked options. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from indexer.errors import RequestError
from indexer.request import format_value, parse_boolean, refuse_unknown

DEFAULT_BUDGET_MS = 1_500
MAX_BUDGET_MS = 600_000
DEFAULT_CANDIDATES = 20
MAX_CANDIDATES = 100
PART_NAMES = ("understand", "generate", "rerank", "explain")

UNUSED_IN_BATCH = {  # the `llm` of an answer
    "used": False,
    "why": "a batch is answered without a language model; ask POST /v1/recommend",
}


class RerankMode(StrEnum):
    """How candidates are re-ranked, see `service.llm.reranker`."""

    LISTWISE = "listwise"
    LIKELIHOOD = "likelihood"


@dataclass(frozen=True, slots=True)
class LlmOptions:
    """The parts of the language model that a request wants; the README has their measured effects.

    Attributes:
        understand: Turn the query into filter, context and scenario.
        generate: Describe the ideal next item.
        rerank: Re-rank the best candidates.
        explain: Write a sentence for each item.
        mode: Of re-ranking.
        candidates: How many candidates are re-ranked; `k` if that is more.
        budget_ms: Time for all parts together, without that of the list itself.
    """

    understand: bool = False
    generate: bool = False
    rerank: bool = False
    explain: bool = False
    mode: RerankMode = RerankMode.LISTWISE
    candidates: int = DEFAULT_CANDIDATES
    budget_ms: int = DEFAULT_BUDGET_MS

    @property
    def has_any_part(self) -> bool:
        """Whether any part is wanted."""
        return self.understand or self.generate or self.rerank or self.explain


def parse_llm_options(value: Any, path: str = "llm") -> LlmOptions:
    """Check an `llm` object.

    Raises:
        RequestError: Naming the field, what it holds and what it may hold.
    """
    if not isinstance(value, Mapping):
        raise RequestError(
            f'{path} must be an object such as {{"explain": true}}, got {format_value(value)}'
        )
    refuse_unknown(value, (*PART_NAMES, "mode", "candidates", "budget_ms"), path)
    values = {name: part for name, part in value.items() if part is not None}
    fields: dict[str, Any] = {
        name: parse_boolean(values[name], f"{path}.{name}") for name in PART_NAMES if name in values
    }
    if "mode" in values:
        if values["mode"] not in list(RerankMode):
            mode_names = " or ".join(repr(str(mode)) for mode in RerankMode)
            raise RequestError(f"{path}.mode is {format_value(values['mode'])}; use {mode_names}")
        fields["mode"] = RerankMode(values["mode"])
    for name, maximum in (("candidates", MAX_CANDIDATES), ("budget_ms", MAX_BUDGET_MS)):
        if name in values:
            fields[name] = _parse_count(values[name], f"{path}.{name}", maximum)
    return LlmOptions(**fields)


def _parse_count(value: Any, name: str, maximum: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= maximum:
        raise RequestError(
            f"{name} must be a whole number from 1 to {maximum}, got {format_value(value)}"
        )
    return value
