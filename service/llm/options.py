"""The `llm` object of a request to what is wanted from the language model. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from indexer.errors import RequestError
from indexer.request import parse_boolean, refuse_unknown, shown

DEFAULT_BUDGET_MS = 1_500
MAX_BUDGET_MS = 600_000
DEFAULT_CANDIDATES = 20
MAX_CANDIDATES = 100
PARTS = ("understand", "generate", "rerank", "explain")

NOT_IN_BATCHES = {  # the `llm` of an answer
    "used": False,
    "why": "a batch is answered without a language model; ask POST /v1/recommend",
}


class Mode(StrEnum):
    """How finalists are ordered."""

    LISTWISE = "listwise"
    LIKELIHOOD = "likelihood"


@dataclass(frozen=True, slots=True)
class Asked:
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
    mode: Mode = Mode.LISTWISE
    candidates: int = DEFAULT_CANDIDATES
    budget_ms: int = DEFAULT_BUDGET_MS

    @property
    def anything(self) -> bool:
        """Whether any part is wanted."""
        return self.understand or self.generate or self.rerank or self.explain


def parse_asked(value: Any, place: str = "llm") -> Asked:
    """Check an `llm` object.

    Raises:
        RequestError: Naming the field, what it holds and what it may hold.
    """
    if not isinstance(value, Mapping):
        raise RequestError(
            f'{place} must be an object such as {{"explain": true}}, got {shown(value)}'
        )
    refuse_unknown(value, (*PARTS, "mode", "candidates", "budget_ms"), place)
    given = {name: part for name, part in value.items() if part is not None}
    chosen: dict[str, Any] = {
        name: parse_boolean(given[name], f"{place}.{name}") for name in PARTS if name in given
    }
    if "mode" in given:
        if given["mode"] not in list(Mode):
            known = " or ".join(repr(str(mode)) for mode in Mode)
            raise RequestError(f"{place}.mode is {shown(given['mode'])}; use {known}")
        chosen["mode"] = Mode(given["mode"])
    for name, most in (("candidates", MAX_CANDIDATES), ("budget_ms", MAX_BUDGET_MS)):
        if name in given:
            chosen[name] = _count(given[name], f"{place}.{name}", most)
    return Asked(**chosen)


def _count(value: Any, name: str, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise RequestError(f"{name} must be a whole number from 1 to {most}, got {shown(value)}")
    return value
