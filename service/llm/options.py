"""The `llm` object of a request to what is wanted from the language model. Pure."""

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
    """How finalists are ordered."""

    LISTWISE = "listwise"
    LIKELIHOOD = "likelihood"


@dataclass(frozen=True, slots=True)
class LlmOptions:
    """What is wanted. Nothing is done that was not asked for: see the figures of the README.

    Attributes:
        mode: Of re-ranking.
        candidates: How many of the best are re-ranked, if `k` is not more.
        budget_ms: Time for all parts together, beside that of the list itself.
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


def parse_llm_options(value: Any, place: str = "llm") -> LlmOptions:
    """Check an `llm` object.

    Raises:
        RequestError: Naming the field, what it holds and what it may hold.
    """
    if not isinstance(value, Mapping):
        raise RequestError(
            f'{place} must be an object such as {{"explain": true}}, got {format_value(value)}'
        )
    refuse_unknown(value, (*PART_NAMES, "mode", "candidates", "budget_ms"), place)
    given = {name: part for name, part in value.items() if part is not None}
    chosen: dict[str, Any] = {
        name: parse_boolean(given[name], f"{place}.{name}") for name in PART_NAMES if name in given
    }
    if "mode" in given:
        if given["mode"] not in list(RerankMode):
            known = " or ".join(repr(str(mode)) for mode in RerankMode)
            raise RequestError(f"{place}.mode is {format_value(given['mode'])}; use {known}")
        chosen["mode"] = RerankMode(given["mode"])
    for name, most in (("candidates", MAX_CANDIDATES), ("budget_ms", MAX_BUDGET_MS)):
        if name in given:
            chosen[name] = _parse_count(given[name], f"{place}.{name}", most)
    return LlmOptions(**chosen)


def _parse_count(value: Any, name: str, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise RequestError(
            f"{name} must be a whole number from 1 to {most}, got {format_value(value)}"
        )
    return value
